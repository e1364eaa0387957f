// SPDX-License-Identifier: Apache-2.0
#include <fmt/core.h>
#include <openssl/crypto.h>
#include <spdlog/version.h>
#include <zlib.h>

#include <boost/version.hpp>
#include <nlohmann/json.hpp>

#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/comm/topology.hpp"

namespace mgrn::cli {

std::string version_text() {
  std::string text = "multigrnformer " MGRN_VERSION "\n";
  const auto line = [&](const std::string& name, const std::string& version) {
    text += fmt::format("  {:<14} {}\n", name, version);
  };
  line("compiler", MGRN_COMPILER);
  for (const auto& library : comm::library_versions()) {
    line(library.name, library.version);
  }
  line("LibTorch", MGRN_TORCH_VERSION);
  line("Boost",
       fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100));
  line("zlib", zlibVersion());
  line("OpenSSL", OpenSSL_version(OPENSSL_VERSION));
  line("spdlog", fmt::format("{}.{}.{}", SPDLOG_VER_MAJOR, SPDLOG_VER_MINOR, SPDLOG_VER_PATCH));
  line("fmt", fmt::format("{}.{}.{}", FMT_VERSION / 10000, FMT_VERSION / 100 % 100, FMT_VERSION % 100));
  line("nlohmann-json", fmt::format("{}.{}.{}", NLOHMANN_JSON_VERSION_MAJOR, NLOHMANN_JSON_VERSION_MINOR,
                                    NLOHMANN_JSON_VERSION_PATCH));
  return text;
}

}  // namespace mgrn::cli
