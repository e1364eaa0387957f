// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/keys.hpp"

namespace mgrn::cli {

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
}

}  // namespace mgrn::cli
