// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/atomic_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <random>
#include <sstream>

#include "multigrnformer/base/error.hpp"

namespace mgrn::base {
namespace {

[[noreturn]] void throw_output(const std::string& what, const std::filesystem::path& file, int code) {
  throw OutputError({.what = what,
                     .file = file.string(),
                     .got = std::strerror(code),
                     .hint = code == ENOSPC || code == EDQUOT
                                 ? "free some space or choose another folder"
                                 : "check that the folder exists and that you may write there"});
}

// Owns a POSIX file descriptor.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags, mode_t mode = 0)
      : file_(file), descriptor_(::open(file.c_str(), flags | O_CLOEXEC, mode)) {
    if (descriptor_ < 0) {
      throw_output("cannot open for writing", file_, errno);
    }
  }
  ~Descriptor() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  void write(std::string_view content) {
    while (!content.empty()) {
      const ssize_t written = ::write(descriptor_, content.data(), content.size());
      if (written < 0) {
        if (errno == EINTR) {
          continue;
        }
        throw_output("cannot write", file_, errno);
      }
      content.remove_prefix(static_cast<std::size_t>(written));
    }
  }
  void sync() {
    // A file system without fsync says EINVAL: there is nothing more to ask of it then.
    if (::fsync(descriptor_) != 0 && errno != EINVAL) {
      throw_output("cannot flush to disk", file_, errno);
    }
  }
  void close() {
    const int descriptor = descriptor_;
    descriptor_ = -1;
    if (::close(descriptor) != 0) {
      throw_output("cannot close", file_, errno);
    }
  }

 private:
  std::filesystem::path file_;
  int descriptor_;
};

void sync_path(const std::filesystem::path& path, int flags) {
  Descriptor descriptor(path, flags);
  descriptor.sync();
  descriptor.close();
}

std::filesystem::path parent_of(const std::filesystem::path& path) {
  const auto parent = path.parent_path();
  return parent.empty() ? std::filesystem::path(".") : parent;
}

// A name that no other process has: two hosts, or two containers, may well have the same PID.
const std::string& process_name() {
  static const std::string name = [] {
    std::random_device random;
    return std::to_string(::getpid()) + "-" + std::to_string(random());
  }();
  return name;
}

// Hidden, in the same folder (rename must not cross file systems), and named after this process so that
// two programs do not write into one another's file.
std::filesystem::path temporary_name(const std::filesystem::path& path) {
  return parent_of(path) / ("." + path.filename().string() + ".tmp-" + process_name());
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) {
    throw_output("cannot put the finished file in its place", to, errno);
  }
  sync_path(parent_of(to), O_RDONLY | O_DIRECTORY);
}

}  // namespace

void write_file_atomically(const std::filesystem::path& file, std::string_view content) {
  AtomicFile target(file);
  {
    Descriptor descriptor(target.temporary(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    descriptor.write(content);
    descriptor.close();
  }
  target.commit();
}

AtomicFile::AtomicFile(std::filesystem::path file)
    : file_(std::move(file)), temporary_(temporary_name(file_)) {}

AtomicFile::~AtomicFile() {
  if (!committed_) {
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::commit() {
  sync_path(temporary_, O_RDWR);
  rename_durably(temporary_, file_);
  committed_ = true;
}

AtomicDirectory::AtomicDirectory(std::filesystem::path directory)
    : directory_(std::move(directory)), temporary_(temporary_name(directory_)) {
  std::error_code ignored;
  std::filesystem::remove_all(temporary_, ignored);
  if (::mkdir(temporary_.c_str(), 0755) != 0) {
    throw_output("cannot make folder", temporary_, errno);
  }
}

AtomicDirectory::~AtomicDirectory() {
  if (!committed_) {
    std::error_code ignored;
    std::filesystem::remove_all(temporary_, ignored);
  }
}

void AtomicDirectory::commit() {
  std::error_code code;
  std::filesystem::recursive_directory_iterator entry(temporary_, code);
  for (const std::filesystem::recursive_directory_iterator end; !code && entry != end;
       entry.increment(code)) {
    if (entry->is_regular_file(code)) {
      sync_path(entry->path(), O_RDWR);
    }
  }
  if (code) {
    throw_output("cannot read folder", temporary_, code.value());
  }
  sync_path(temporary_, O_RDONLY | O_DIRECTORY);
  rename_durably(temporary_, directory_);
  committed_ = true;
}

void create_directories(const std::filesystem::path& directory) {
  std::error_code code;
  std::filesystem::create_directories(directory, code);
  if (code) {
    throw_output("cannot make folder", directory, code.value());
  }
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) {
    throw DataError({.what = "cannot open file",
                     .file = file.string(),
                     .got = std::filesystem::is_directory(file) ? "a folder" : std::strerror(errno),
                     .hint = "check the path and its permissions"});
  }
  std::ostringstream content;
  content << stream.rdbuf();
  if (stream.bad()) {
    throw DataError({.what = "cannot read file", .file = file.string(), .got = std::strerror(errno)});
  }
  return std::move(content).str();
}

void require_free_space(const std::filesystem::path& directory, std::uintmax_t bytes,
                        const std::string& purpose) {
  std::error_code code;
  const auto space = std::filesystem::space(directory, code);
  if (code || space.available >= bytes) {
    return;  // a file system that cannot say is not held against the user
  }
  throw OutputError({.what = "not enough disk space for " + purpose,
                     .file = directory.string(),
                     .expected = std::to_string(bytes >> 20) + " MiB free",
                     .got = std::to_string(space.available >> 20) + " MiB",
                     .hint = "free some space or choose another folder with --out"});
}

}  // namespace mgrn::base
