// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "multigrnformer/cli/parse.hpp"

namespace mgrn::cli {
namespace {

constexpr std::size_t kWidth = 108;
constexpr std::size_t kHelpColumn = 44;

std::string wrapped(const std::string& text, std::size_t column) {
  std::string out;
  std::size_t used = column;
  std::size_t start = 0;
  while (start < text.size()) {
    const std::size_t end = std::min(text.find(' ', start), text.size());
    const std::string word = text.substr(start, end - start);
    if (used > column && used + 1 + word.size() > kWidth) {
      out += "\n" + std::string(column, ' ');
      used = column;
    } else if (used > column) {
      out += ' ';
      ++used;
    }
    out += word;
    used += word.size();
    start = end + 1;
  }
  return out;
}

}  // namespace

std::string general_help() {
  std::string text =
      "multigrnformer: gene regulatory networks from single-cell RNA + ATAC data\n\n"
      "usage: multigrnformer COMMAND [--config FILE] [--key VALUE]...\n"
      "       mpirun -n K multigrnformer COMMAND ...     (or srun; results do not depend on K)\n\n"
      "commands:\n";
  for (const auto& command : commands()) {
    text += fmt::format("  {:<10} {}\n", command.name, command.summary);
  }
  text +=
      "\nmultigrnformer COMMAND --help lists the keys of a command; --version prints the versions of all "
      "libraries.\n";
  return text;
}

std::string command_help(const Command& command) {
  Config config;
  KeyTable table;
  command.keys(table, config);
  std::string text = fmt::format("multigrnformer {}: {}\n\nusage: multigrnformer {} {}\n", command.name,
                                 command.summary, command.name, command.usage);
  std::string section = "?";
  for (const auto& key : table.keys()) {
    const auto dot = key.name.find('.');
    const std::string its_section = dot == std::string::npos ? "" : key.name.substr(0, dot);
    if (its_section != section) {
      section = its_section;
      text += section.empty() ? "\noptions:\n" : fmt::format("\n[{}]\n", section);
    }
    std::string left = "  --" + key.name + (key.placeholder.empty() ? "" : " " + key.placeholder);
    left += left.size() + 2 > kHelpColumn ? "\n" + std::string(kHelpColumn, ' ')
                                          : std::string(kHelpColumn - left.size(), ' ');
    const std::string value = key.flag ? "" : key.get();
    const std::string right = value.empty() ? key.help : fmt::format("{} [{}]", key.help, value);
    text += fmt::format("{}{}\n", left, wrapped(right, kHelpColumn));
  }
  return text;
}

}  // namespace mgrn::cli
