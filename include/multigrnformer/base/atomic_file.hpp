// SPDX-License-Identifier: Apache-2.0
// Files and folders that are either wholly there or not there at all: written beside their place under
// another name, fsync'ed, renamed, and the parent folder fsync'ed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mgrn::base {

/// Writes a whole small file at once. Throws OutputError (74) with the system's reason.
void write_file_atomically(const std::filesystem::path& file, std::string_view content);

/// A file that a library (HDF5, say) writes under `temporary()`; `commit()` puts it in its place. Without
/// commit the temporary is removed.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path file);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path file_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// The same for a folder: files are written into `temporary()`; `commit()` fsyncs each, and renames. The
/// target must not exist.
class AtomicDirectory {
 public:
  explicit AtomicDirectory(std::filesystem::path directory);
  ~AtomicDirectory();
  AtomicDirectory(const AtomicDirectory&) = delete;
  AtomicDirectory& operator=(const AtomicDirectory&) = delete;

  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();

 private:
  std::filesystem::path directory_;
  std::filesystem::path temporary_;
  bool committed_ = false;
};

/// Makes a folder with its parents. Throws OutputError.
void create_directories(const std::filesystem::path& directory);

/// The text of a small file. Throws DataError.
std::string read_file(const std::filesystem::path& file);

/// Throws OutputError unless the file system that holds `directory` has `bytes` to spare; called before
/// long work starts. `purpose` says for what.
void require_free_space(const std::filesystem::path& directory, std::uintmax_t bytes,
                        const std::string& purpose);

}  // namespace mgrn::base
