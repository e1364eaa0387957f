// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/text_writer.hpp"

#define ZLIB_CONST  // input is const
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::formats {

struct TextWriter::State {
  explicit State(const std::filesystem::path& target)
      : file(target), atomic(target), stream(std::fopen(atomic.temporary().c_str(), "wbe")) {
    if (stream == nullptr) {
      fail("cannot open for writing", errno);
    }
    if (target.extension() == ".gz") {
      // 15 + 16: a gzip header, which zlib leaves without time and name.
      if (deflateInit2(&zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        std::fclose(stream);
        throw base::InternalError({.what = "cannot start zlib", .file = file.string()});
      }
      compressing = true;
      packed.resize(std::size_t{1} << 17);
    }
  }
  ~State() {
    if (compressing) {
      deflateEnd(&zip);
    }
    if (stream != nullptr) {
      std::fclose(stream);
    }
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  [[noreturn]] void fail(const char* what, int code) const {
    throw base::OutputError({.what = what,
                             .file = file.string(),
                             .got = std::generic_category().message(code),
                             .hint = "check free space, and that you may write in this folder"});
  }
  void put(const void* bytes, std::size_t count) const {
    if (count > 0 && std::fwrite(bytes, 1, count, stream) != count) {
      fail("cannot write", errno);
    }
  }
  void pack(std::string_view text, int flush) {
    do {
      const std::size_t piece = std::min<std::size_t>(text.size(), std::numeric_limits<uInt>::max());
      zip.next_in = reinterpret_cast<const Bytef*>(text.data());
      zip.avail_in = static_cast<uInt>(piece);
      text.remove_prefix(piece);
      const int mode = text.empty() ? flush : Z_NO_FLUSH;
      do {
        zip.next_out = packed.data();
        zip.avail_out = static_cast<uInt>(packed.size());
        deflate(&zip, mode);
        put(packed.data(), packed.size() - zip.avail_out);
      } while (zip.avail_out == 0);
    } while (!text.empty());
  }

  std::filesystem::path file;
  base::AtomicFile atomic;
  std::FILE* stream;
  bool compressing = false;
  z_stream zip{};
  std::vector<Bytef> packed;
};

TextWriter::TextWriter(const std::filesystem::path& file) : state_(std::make_unique<State>(file)) {}
TextWriter::~TextWriter() = default;

void TextWriter::write(std::string_view text) {
  if (state_->compressing) {
    state_->pack(text, Z_NO_FLUSH);
  } else {
    state_->put(text.data(), text.size());
  }
}

void TextWriter::finish() {
  if (state_->compressing) {
    state_->pack({}, Z_FINISH);
  }
  std::FILE* stream = std::exchange(state_->stream, nullptr);
  if (std::fclose(stream) != 0) {
    state_->fail("cannot write", errno);
  }
  state_->atomic.commit();
}

void write_text(const std::filesystem::path& file, std::string_view text) {
  TextWriter writer(file);
  writer.write(text);
  writer.finish();
}

}  // namespace mgrn::formats
