// SPDX-License-Identifier: Apache-2.0
// What the tests of this room share: files written in place, and errors held against what they must say.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/matrix_source.hpp"
#include "multigrnformer/formats/text_writer.hpp"
#include "support/paths.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::test {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(source_path("tests/formats/golden")) / name;
}

/// Plain, or gzip when the name ends in ".gz".
inline std::filesystem::path write(const std::filesystem::path& file, std::string_view text) {
  if (file.extension() == ".gz") {
    formats::write_text(file, text);
  } else {
    std::ofstream(file, std::ios::binary) << text;  // not durable, hence quick
  }
  return file;
}

inline std::string bytes_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream content;
  content << stream.rdbuf();
  return content.str();
}

/// Cuts a file to its first `keep` bytes.
inline void truncate(const std::filesystem::path& file, std::size_t keep) {
  std::filesystem::resize_file(file, keep);
}

/// `call` must throw an error with that exit code whose message holds each of `parts`.
template <class Call>
void expect_error(base::ExitCode code, Call call, std::initializer_list<std::string> parts) {
  try {
    call();
  } catch (const base::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    for (const std::string& part : parts) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
          << "'" << part << "' is not in: " << error.what();
    }
    return;
  } catch (const std::exception& error) {
    FAIL() << "not one of the program's errors: " << error.what();
  }
  FAIL() << "no error was thrown";
}

template <class Call>
void expect_data_error(Call call, std::initializer_list<std::string> parts) {
  expect_error(base::ExitCode::data, call, parts);
}

/// Opens a matrix and reads all of it; bad files may show at either step.
inline formats::CellBlock read_all(const std::filesystem::path& file,
                                   const formats::MatrixOptions& options = {}) {
  const auto source = formats::open_matrix(file, options);
  return source->read_cells(0, source->barcodes().size());
}

/// cells x features, row-major.
inline std::vector<std::vector<float>> dense(const formats::CellBlock& block, std::size_t features) {
  std::vector<std::vector<float>> rows(block.cells(), std::vector<float>(features, 0.0F));
  for (std::size_t cell = 0; cell < rows.size(); ++cell) {
    for (std::size_t i = block.offsets[cell]; i < block.offsets[cell + 1]; ++i) {
      rows[cell].at(block.feature[i]) = block.value[i];
    }
  }
  return rows;
}

}  // namespace mgrn::test
