// SPDX-License-Identifier: Apache-2.0
// Lines and fields of text files, plain or gzip (told apart by content, also gzip of several members).
// Handles a UTF-8 byte order mark, CRLF, a last line without its end, quoted fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mgrn::formats {

/// Reads a text file line by line in bounded memory. Throws DataError: missing or unreadable file,
/// truncated or corrupt gzip (with the line reached), binary content.
class LineReader {
 public:
  explicit LineReader(const std::filesystem::path& file);
  ~LineReader();
  LineReader(const LineReader&) = delete;
  LineReader& operator=(const LineReader&) = delete;

  /// The next line without its end; false at the end of the file. The view lives until the next call.
  bool next(std::string_view& line);
  /// Number of the line last returned, from 1.
  std::uint64_t number() const { return number_; }
  const std::string& file() const { return file_; }
  /// Throws DataError: `what` "in line N" of this file.
  [[noreturn]] void fail(const std::string& what, const std::string& expected = {},
                         const std::string& got = {}, const std::string& hint = {}) const;

 private:
  struct Stream;
  bool fill();

  std::string file_;
  std::unique_ptr<Stream> stream_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint64_t number_ = 0;
  bool finished_ = false;
};

/// Splits lines into fields. A field that starts with a double quote ends at the next lone one ("" inside
/// stands for one); a quoted field must end in its line. With the delimiter ' ' runs of blanks separate.
class FieldSplitter {
 public:
  explicit FieldSplitter(char delimiter) : delimiter_(delimiter) {}
  /// Fields of `line`, valid until the next call and as long as `line`. Throws through `reader` when a quote
  /// is not closed.
  std::span<const std::string_view> split(std::string_view line, const LineReader& reader);
  char delimiter() const { return delimiter_; }

 private:
  char delimiter_;
  std::vector<std::string_view> fields_;
  std::deque<std::string> unquoted_;
};

/// The delimiter of a line: tab, else comma, else semicolon, else blank, each outside quotes; comma when
/// the line has none of them.
char detect_delimiter(std::string_view line);

/// Without blanks and tabs at either end.
std::string_view trim(std::string_view text);

/// The start of a text in single quotes, for messages.
std::string excerpt(std::string_view text);

/// Whether the file starts like gzip. False when it cannot be read.
bool is_gzip(const std::filesystem::path& file);

}  // namespace mgrn::formats
