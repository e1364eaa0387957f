// SPDX-License-Identifier: Apache-2.0
// From arguments to a checked Config. The command line wins over the config file; an unknown key is an error
// that names the nearest valid one.
#pragma once

#include <filesystem>
#include <map>
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

/// An INI file as it stands, "section.key" -> value. Throws DataError (it cannot be opened) and UsageError
/// (it is no INI, or holds a key twice).
std::map<std::string, std::string> read_ini(const std::filesystem::path& file);
/// A value of a key that is a path, or several between commas: relative ones belong to `folder`, so that a
/// config file works from anywhere.
std::string rebase_paths(const std::string& value, const std::filesystem::path& folder);
/// Throws UsageError that names the nearest of the `valid` keys of a command.
[[noreturn]] void throw_unknown_key(const std::string& name, const std::string& file,
                                    const std::vector<std::string>& valid, const std::string& command);

/// config.ini: every key of the command that results depend on, as `[section]` blocks, in a fixed order.
std::string resolved_config(const KeyTable& table);

std::string general_help();
std::string command_help(const Command& command);
std::string version_text();

}  // namespace mgrn::cli
