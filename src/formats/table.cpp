// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/table.hpp"

#include <algorithm>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::formats {

Table Table::read(const std::filesystem::path& file) {
  LineReader reader(file);
  Table table;
  table.file_ = reader.file();
  std::string_view line;
  if (!reader.next(line) || trim(line).empty()) {
    throw base::DataError({.what = "table has no header line",
                           .file = table.file_,
                           .expected = "column names in the first line",
                           .got = "an empty line or file"});
  }
  FieldSplitter splitter(detect_delimiter(line));
  for (const std::string_view name : splitter.split(line, reader)) {
    if (table.has(name)) {
      reader.fail("column '" + std::string(name) + "' occurs twice in the header");
    }
    table.names_.emplace_back(name);
  }
  table.columns_.resize(table.names_.size());
  while (reader.next(line)) {
    if (line.empty() && table.names_.size() > 1) {
      continue;
    }
    const auto fields = splitter.split(line, reader);
    if (fields.size() != table.names_.size()) {
      reader.fail("row with the wrong number of fields", std::to_string(table.names_.size()) + " fields",
                  std::to_string(fields.size()));
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      table.columns_[i].emplace_back(fields[i]);
    }
    table.lines_.push_back(reader.number());
  }
  table.rows_ = table.lines_.size();
  return table;
}

bool Table::has(std::string_view name) const {
  return std::find(names_.begin(), names_.end(), name) != names_.end();
}

const std::vector<std::string>& Table::column(std::string_view name) const {
  const auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end()) {
    std::string all;
    for (const std::string& one : names_) {
      all += (all.empty() ? "" : ", ") + one;
    }
    throw base::DataError({.what = "column '" + std::string(name) + "' is missing",
                           .file = file_,
                           .expected = "a header with '" + std::string(name) + "'",
                           .got = "the columns " + all});
  }
  return columns_[static_cast<std::size_t>(found - names_.begin())];
}

std::vector<double> Table::numbers(std::string_view name) const {
  const std::vector<std::string>& fields = column(name);
  std::vector<double> values(fields.size());
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (!parse_number(trim(fields[i]), values[i])) {
      throw base::DataError({.what = "column '" + std::string(name) +
                                     "' holds a field that is no number in line " + std::to_string(lines_[i]),
                             .file = file_,
                             .expected = "a number",
                             .got = excerpt(fields[i])});
    }
  }
  return values;
}

std::string quoted_field(std::string_view field, char delimiter) {
  const bool plain = field.find_first_of("\"\r\n") == std::string_view::npos &&
                     field.find(delimiter) == std::string_view::npos &&
                     (field.empty() || (field.front() != ' ' && field.back() != ' '));
  if (plain) {
    return std::string(field);
  }
  std::string text = "\"";
  for (const char letter : field) {
    text.append(letter == '"' ? 2 : 1, letter);
  }
  return text + "\"";
}

void TableWriter::separate() {
  if (row_begun_) {
    text_ += delimiter_;
  }
  row_begun_ = true;
}

TableWriter& TableWriter::add(std::string_view text) {
  separate();
  text_ += quoted_field(text, delimiter_);
  return *this;
}
TableWriter& TableWriter::add(float value) {
  separate();
  append_number(text_, value);
  return *this;
}
TableWriter& TableWriter::add(double value) {
  separate();
  append_number(text_, value);
  return *this;
}
TableWriter& TableWriter::add(std::int64_t value) {
  separate();
  append_number(text_, value);
  return *this;
}
TableWriter& TableWriter::add(std::uint64_t value) {
  separate();
  append_number(text_, value);
  return *this;
}

void TableWriter::end_row() {
  text_ += '\n';
  row_begun_ = false;
}

void TableWriter::write(const std::filesystem::path& file) const {
  base::write_file_atomically(file, text_);
}

}  // namespace mgrn::formats
