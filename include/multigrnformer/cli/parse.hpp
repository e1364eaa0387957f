// SPDX-License-Identifier: Apache-2.0
// From arguments to a checked Config. The command line wins over the config file; an unknown key is an error
// that names the nearest valid one.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/cli/command.hpp"

namespace mgrn::cli {

struct Invocation {
  Config config;
  const Command* command = nullptr;  ///< null: `text` is all there is to do (help, version)
  std::string text;
};

/// `arguments` without the program's name. No collective. Throws UsageError or DataError (config file).
/// The result is filled in place, since the table of keys points into it.
void parse(const std::vector<std::string>& arguments, Invocation& invocation);

/// config.ini: every key of the command that results depend on, as `[section]` blocks, in a fixed order.
std::string resolved_config(const KeyTable& table);

std::string general_help();
std::string command_help(const Command& command);
std::string version_text();

}  // namespace mgrn::cli
