// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/keys.hpp"

#include <limits>

namespace mgrn::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

}  // namespace

void add_common_keys(KeyTable& table, Config& config) {
  table.flag("help", config.help, "this text").result = false;
  table.file("config", config.config_file, "INI file with any of these keys; the command line wins").result =
      false;
  table.choice<std::string>("log-rank", config.log_rank, {{"0", "0"}, {"all", "all"}}, "ranks that speak")
      .result = false;
  table
      .choice<std::string>("log-level", config.log_level,
                           {{"debug", "debug"}, {"info", "info"}, {"warning", "warning"}, {"error", "error"}},
                           "least weight of a message")
      .result = false;
  table
      .number_or_word<double>("collective-timeout", config.watch.limit_s, 1, 1e7, "never", kInfinity,
                              "seconds after which ranks that wait for others name them and leave")
      .result = false;
  table
      .flag("compare-collectives", config.watch.compare,
            "compare every collective over the ranks before it begins (finds defects, costs time)")
      .result = false;
}

}  // namespace mgrn::cli
