// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/text_lines.hpp"

#include <fcntl.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "multigrnformer/base/error.hpp"

namespace mgrn::formats {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 18;
// No line of a real file comes near; a binary file without line ends must not fill the memory.
constexpr std::size_t kLongestLine = std::size_t{1} << 31;
constexpr unsigned char kGzipMagic[] = {0x1f, 0x8b};

[[noreturn]] void throw_unreadable(const std::string& file, int code) {
  throw base::DataError({.what = code == ENOENT ? "file does not exist" : "cannot read file",
                         .file = file,
                         .got = code == ENOENT ? "" : std::generic_category().message(code),
                         .hint = "check the path and its permissions"});
}

}  // namespace

// Bytes of the file, inflated where it is gzip. zlib's gzread is not used: it takes a file that ends inside
// the compressed data for a short one.
struct LineReader::Stream {
  explicit Stream(const std::string& name)
      : file(name), descriptor(::open(name.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor < 0) {
      throw_unreadable(file, errno);
    }
    raw.resize(kReadBytes);
  }
  ~Stream() {
    if (inflating) {
      inflateEnd(&zip);
    }
    ::close(descriptor);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Fills `raw`; false at the end of the file.
  bool read_raw() {
    raw_begin = 0;
    raw_end = 0;
    while (raw_end < 2) {  // at least what tells gzip from text
      const ssize_t bytes = ::read(descriptor, raw.data() + raw_end, raw.size() - raw_end);
      if (bytes < 0 && errno == EINTR) {
        continue;
      }
      if (bytes < 0) {
        throw_unreadable(file, errno);
      }
      if (bytes == 0) {
        break;
      }
      raw_end += static_cast<std::size_t>(bytes);
    }
    return raw_end > 0;
  }

  void start() {
    read_raw();
    if (raw_end >= 2 && std::memcmp(raw.data(), kGzipMagic, 2) == 0) {
      zip = {};
      if (inflateInit2(&zip, 15 + 16) != Z_OK) {
        throw base::InternalError({.what = "cannot start zlib", .file = file});
      }
      inflating = true;
      inside_member = true;
    }
  }

  // Up to `room` bytes of text; 0 at the end. `problem` is set where compressed data is broken.
  std::size_t read(char* target, std::size_t room, const char*& problem) {
    problem = nullptr;
    if (!inflating) {
      if (raw_begin == raw_end && !read_raw()) {
        return 0;
      }
      const std::size_t bytes = std::min(room, raw_end - raw_begin);
      std::memcpy(target, raw.data() + raw_begin, bytes);
      raw_begin += bytes;
      return bytes;
    }
    for (;;) {
      if (raw_begin == raw_end && !read_raw()) {
        if (inside_member) {
          problem = "ends inside its compressed data";
        }
        return 0;
      }
      if (!inside_member) {
        // Another member follows (bgzip writes many), or padding of zeros, or something that is not gzip.
        while (raw_begin < raw_end && raw[raw_begin] == 0) {
          ++raw_begin;
        }
        if (raw_begin == raw_end) {
          continue;
        }
        inflateReset(&zip);
        inside_member = true;
      }
      zip.next_in = raw.data() + raw_begin;
      zip.avail_in = static_cast<uInt>(raw_end - raw_begin);
      zip.next_out = reinterpret_cast<Bytef*>(target);
      zip.avail_out = static_cast<uInt>(room);
      const int result = inflate(&zip, Z_NO_FLUSH);
      raw_begin = raw_end - zip.avail_in;
      const std::size_t bytes = room - zip.avail_out;
      if (result == Z_STREAM_END) {
        inside_member = false;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        problem = "holds damaged compressed data";
        return bytes;
      }
      if (bytes > 0) {
        return bytes;
      }
    }
  }

  std::string file;
  int descriptor;
  std::vector<unsigned char> raw;
  std::size_t raw_begin = 0;
  std::size_t raw_end = 0;
  bool inflating = false;
  bool inside_member = false;
  z_stream zip{};
};

LineReader::LineReader(const std::filesystem::path& file) : file_(file.string()) {
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) {
    throw base::DataError({.what = "cannot read file",
                           .file = file_,
                           .expected = "a text file",
                           .got = "a folder",
                           .hint = "give the path of the file itself"});
  }
  stream_ = std::make_unique<Stream>(file_);
  stream_->start();
  buffer_.resize(kReadBytes);
  fill();
  static constexpr std::array<char, 3> kByteOrderMark = {'\xef', '\xbb', '\xbf'};
  if (end_ >= 3 && std::equal(kByteOrderMark.begin(), kByteOrderMark.end(), buffer_.begin())) {
    begin_ = 3;
  }
}

LineReader::~LineReader() = default;

void LineReader::fail(const std::string& what, const std::string& expected, const std::string& got,
                      const std::string& hint) const {
  throw base::DataError({.what = what + " in line " + std::to_string(number_),
                         .file = file_,
                         .expected = expected,
                         .got = got,
                         .hint = hint});
}

// Appends to the buffer; false when there is no more.
bool LineReader::fill() {
  if (finished_) {
    return false;
  }
  if (begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    if (buffer_.size() >= kLongestLine) {
      ++number_;
      fail("line without end", "a text file", "more than 2 GiB without a line end");
    }
    buffer_.resize(buffer_.size() * 2);
  }
  const char* problem = nullptr;
  const std::size_t bytes = stream_->read(buffer_.data() + end_, buffer_.size() - end_, problem);
  if (problem != nullptr) {
    throw base::DataError(
        {.what = std::string("gzip file ") + problem + " after line " +
                 std::to_string(number_ +
                                static_cast<std::uint64_t>(std::count(
                                    buffer_.begin(),
                                    buffer_.begin() + static_cast<std::ptrdiff_t>(end_ + bytes), '\n'))),
         .file = file_,
         .expected = "a complete gzip file",
         .got = "a truncated or damaged one",
         .hint = "copy or download the file again; gzip -t checks it"});
  }
  if (std::memchr(buffer_.data() + end_, '\0', bytes) != nullptr) {
    ++number_;
    fail("binary content", "text", "a zero byte", "check that this is the file you meant");
  }
  end_ += bytes;
  finished_ = bytes == 0;
  return bytes > 0;
}

bool LineReader::next(std::string_view& line) {
  std::size_t searched = begin_;
  for (;;) {
    const void* found = std::memchr(buffer_.data() + searched, '\n', end_ - searched);
    if (found != nullptr || finished_) {
      const std::size_t stop =
          found != nullptr ? static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data())
                           : end_;
      if (found == nullptr && begin_ == end_) {
        return false;
      }
      line = std::string_view(buffer_.data() + begin_, stop - begin_);
      begin_ = found != nullptr ? stop + 1 : stop;
      if (line.ends_with('\r')) {
        line.remove_suffix(1);
      }
      ++number_;
      return true;
    }
    const std::size_t seen = end_ - begin_;
    fill();
    searched = begin_ + seen;
  }
}

std::span<const std::string_view> FieldSplitter::split(std::string_view line, const LineReader& reader) {
  fields_.clear();
  unquoted_.clear();
  std::size_t at = 0;
  const std::size_t size = line.size();
  for (;;) {
    if (delimiter_ == ' ') {
      while (at < size && (line[at] == ' ' || line[at] == '\t')) {
        ++at;
      }
      if (at == size) {
        break;
      }
    }
    if (at < size && line[at] == '"') {
      const std::size_t start = ++at;
      std::size_t stop = line.find('"', start);
      bool doubled = false;
      while (stop != std::string_view::npos && stop + 1 < size && line[stop + 1] == '"') {
        doubled = true;
        stop = line.find('"', stop + 2);
      }
      if (stop == std::string_view::npos) {
        reader.fail("a quoted field is not closed", "\" at its end", std::string(line.substr(start - 1, 40)));
      }
      if (doubled) {
        std::string& text = unquoted_.emplace_back();
        for (std::size_t i = start; i < stop; ++i) {
          text += line[i];
          i += line[i] == '"' ? 1 : 0;
        }
        fields_.push_back(text);
      } else {
        fields_.push_back(line.substr(start, stop - start));
      }
      at = stop + 1;
      if (at < size && line[at] != delimiter_) {
        reader.fail("text after a quoted field", "a delimiter", std::string(line.substr(at, 20)));
      }
    } else {
      const std::size_t stop = std::min(line.find(delimiter_, at), size);
      fields_.push_back(line.substr(at, stop - at));
      at = stop;
    }
    if (at >= size) {
      break;
    }
    ++at;  // the delimiter; a line that ends with one has an empty last field
  }
  return fields_;
}

char detect_delimiter(std::string_view line) {
  bool quoted = false;
  bool comma = false;
  bool semicolon = false;
  bool blank = false;
  for (const char letter : line) {
    if (letter == '"') {
      quoted = !quoted;
    } else if (!quoted) {
      if (letter == '\t') {
        return '\t';
      }
      comma = comma || letter == ',';
      semicolon = semicolon || letter == ';';
      blank = blank || letter == ' ';
    }
  }
  return comma ? ',' : semicolon ? ';' : blank ? ' ' : ',';
}

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? std::string_view{}
                                         : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::string excerpt(std::string_view text) {
  constexpr std::size_t kLongest = 60;
  std::string quoted(1, '\'');
  quoted.append(text.substr(0, kLongest)).append(text.size() > kLongest ? "...'" : "'");
  return quoted;
}

bool is_gzip(const std::filesystem::path& file) {
  const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    return false;
  }
  unsigned char start[2] = {0, 0};
  const ssize_t bytes = ::read(descriptor, start, sizeof start);
  ::close(descriptor);
  return bytes == 2 && std::memcmp(start, kGzipMagic, 2) == 0;
}

}  // namespace mgrn::formats
