// SPDX-License-Identifier: Apache-2.0
// Small tables with a header: split.csv, predictions.csv, results.csv. Reading keeps all fields as text;
// writing is byte-stable ('\n' ends lines, quotes only where needed, numbers in shortest form).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mgrn::formats {

/// A table by columns, all of the same length.
class Table {
 public:
  /// CSV or TSV (by the header), plain or gzip. Throws DataError: no header, a repeated column name, a row
  /// with another number of fields (with its line).
  static Table read(const std::filesystem::path& file);

  const std::vector<std::string>& names() const { return names_; }
  std::size_t rows() const { return rows_; }
  bool has(std::string_view name) const;
  /// Throws DataError naming the file and the columns there are.
  const std::vector<std::string>& column(std::string_view name) const;
  /// A column of numbers; throws DataError with the line of a field that is none. Finite unless the text
  /// says nan or inf.
  std::vector<double> numbers(std::string_view name) const;
  /// Line in the file of a row, for messages.
  std::uint64_t line(std::size_t row) const { return lines_.at(row); }
  const std::string& file() const { return file_; }

 private:
  std::string file_;
  std::vector<std::string> names_;
  std::vector<std::vector<std::string>> columns_;
  std::vector<std::uint64_t> lines_;
  std::size_t rows_ = 0;
};

/// Builds the text of a table, field by field.
class TableWriter {
 public:
  explicit TableWriter(char delimiter = ',') : delimiter_(delimiter) {}
  TableWriter& add(std::string_view text);
  TableWriter& add(const char* text) { return add(std::string_view(text)); }
  TableWriter& add(const std::string& text) { return add(std::string_view(text)); }
  TableWriter& add(float value);
  TableWriter& add(double value);
  TableWriter& add(std::int64_t value);
  TableWriter& add(std::uint64_t value);
  TableWriter& add(int value) { return add(static_cast<std::int64_t>(value)); }
  void end_row();
  const std::string& text() const { return text_; }
  /// The whole text, atomically. Throws OutputError.
  void write(const std::filesystem::path& file) const;

 private:
  void separate();
  char delimiter_;
  bool row_begun_ = false;
  std::string text_;
};

/// `field` with quotes where a CSV needs them: it holds the delimiter, a quote or a line end, or starts or
/// ends with a blank.
std::string quoted_field(std::string_view field, char delimiter = ',');

}  // namespace mgrn::formats
