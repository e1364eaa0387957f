// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/digest.hpp"

#include <openssl/evp.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <vector>

#include "multigrnformer/base/error.hpp"

namespace mgrn::base {

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context{EVP_MD_CTX_new(), &EVP_MD_CTX_free};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  if (!state_->context || EVP_DigestInit_ex(state_->context.get(), EVP_sha256(), nullptr) != 1) {
    throw InternalError({.what = "SHA-256 is not available in the installed libcrypto"});
  }
}
Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  if (EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) != 1) {
    throw InternalError({.what = "SHA-256 failed"});
  }
}

std::string Sha256::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned length = 0;
  if (EVP_DigestFinal_ex(state_->context.get(), raw.data(), &length) != 1) {
    throw InternalError({.what = "SHA-256 failed"});
  }
  static constexpr char kHex[] = "0123456789abcdef";
  std::string text;
  for (unsigned i = 0; i < length; ++i) {
    text += kHex[raw[i] >> 4];
    text += kHex[raw[i] & 15];
  }
  return text;
}

std::string sha256(std::span<const std::byte> bytes) {
  Sha256 digest;
  digest.update(bytes);
  return digest.finish();
}

std::string sha256_of_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw DataError({.what = "cannot open file",
                     .file = file.string(),
                     .got = std::strerror(errno),
                     .hint = "check the path and its permissions"});
  }
  Sha256 digest;
  std::vector<char> block(1 << 20);
  while (stream) {
    stream.read(block.data(), static_cast<std::streamsize>(block.size()));
    digest.update(std::as_bytes(std::span(block.data(), static_cast<std::size_t>(stream.gcount()))));
  }
  if (stream.bad()) {
    throw DataError({.what = "cannot read file", .file = file.string(), .got = std::strerror(errno)});
  }
  return digest.finish();
}

}  // namespace mgrn::base
