// SPDX-License-Identifier: Apache-2.0
// Text files written piece by piece in bounded memory: plain, or gzip when the name ends in ".gz". The same
// text gives the same bytes: the gzip header carries neither time nor name.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>

namespace mgrn::formats {

/// The file appears under its name, durable, when finish() returns; without finish() nothing is left.
/// Throws OutputError.
class TextWriter {
 public:
  explicit TextWriter(const std::filesystem::path& file);
  ~TextWriter();
  TextWriter(const TextWriter&) = delete;
  TextWriter& operator=(const TextWriter&) = delete;

  void write(std::string_view text);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// All at once.
void write_text(const std::filesystem::path& file, std::string_view text);

}  // namespace mgrn::formats
