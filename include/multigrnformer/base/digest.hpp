// SPDX-License-Identifier: Apache-2.0
// SHA-256, so that a user can compare with `sha256sum`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

namespace mgrn::base {

/// Incremental SHA-256.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits; ends the digest.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256(std::span<const std::byte> bytes);
/// Digest of a file's content. Throws DataError when it cannot be read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace mgrn::base
