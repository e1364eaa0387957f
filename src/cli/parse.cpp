// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/parse.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <fstream>
#include <map>
#include <set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::cli {
namespace {

namespace options = boost::program_options;

/// Every key of every command: what a config file may hold, since one file may serve prepare and train.
std::vector<std::string> all_key_names() {
  std::set<std::string> names;
  for (const auto& command : commands()) {
    Config config;
    KeyTable table;
    command.keys(table, config);
    for (const auto& key : table.keys()) {
      names.insert(key.name);
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> names_of(const KeyTable& table) {
  std::vector<std::string> names;
  for (const auto& key : table.keys()) {
    names.push_back(key.name);
  }
  return names;
}

[[noreturn]] void throw_twice(const std::string& name, const std::string& file) {
  throw base::UsageError(
      {.what = "key " + name + " is given twice", .file = file, .hint = "keep one of the two"});
}

std::map<std::string, std::string> read_config_file(const std::filesystem::path& file,
                                                    const std::string& command) {
  const std::vector<std::string> valid = all_key_names();
  auto values = read_ini(file);
  for (const auto& [name, value] : values) {
    if (std::find(valid.begin(), valid.end(), name) == valid.end()) {
      throw_unknown_key(name, file.string(), valid, command);
    }
  }
  return values;
}

std::map<std::string, std::string> read_command_line(const std::vector<std::string>& arguments,
                                                     const Command& command, const KeyTable& table) {
  options::options_description description;
  for (const auto& key : table.keys()) {
    auto* value = options::value<std::string>();
    if (key.flag) {
      value->implicit_value("yes")->zero_tokens();
    }
    description.add_options()(key.name.c_str(), value, "");
  }
  options::positional_options_description positional;
  if (!command.positional.empty()) {
    positional.add(command.positional.c_str(), 1);
  }
  std::map<std::string, std::string> values;
  try {
    // No guessing: `--train.epoch` must be an error, not a guess at train.epochs.
    const auto style = options::command_line_style::unix_style &
                       ~options::command_line_style::allow_guessing &
                       ~options::command_line_style::allow_short;
    const auto parsed = options::command_line_parser(arguments)
                            .options(description)
                            .positional(positional)
                            .style(style)
                            .run();
    for (const auto& option : parsed.options) {
      const std::string value = option.value.empty() ? "yes" : option.value.front();
      if (!values.emplace(option.string_key, value).second) {
        throw_twice(option.string_key, "command line");
      }
    }
  } catch (const options::unknown_option& error) {
    std::string name = error.get_option_name();
    name.erase(0, name.find_first_not_of('-'));
    throw_unknown_key(name, "command line", names_of(table), command.name);
  } catch (const options::too_many_positional_options_error&) {
    const auto stray = std::find_if(arguments.begin(), arguments.end(),
                                    [](const std::string& text) { return text.rfind("--", 0) != 0; });
    throw base::UsageError({.what = "argument without a key",
                            .file = "command line",
                            .expected = "--key value",
                            .got = stray == arguments.end() ? std::string("a bare word") : *stray,
                            .hint = "multigrnformer " + command.name + " --help shows the usage"});
  } catch (const options::error& error) {
    throw base::UsageError({.what = error.what(),
                            .file = "command line",
                            .hint = "multigrnformer " + command.name + " --help shows what each key takes"});
  }
  return values;
}

// A run's records are JSON, which is UTF-8: better refused now than after the work, when the first is
// written.
void require_utf8(const std::string& name, const std::string& value, const std::string& file) {
  const base::Json text = value;
  try {
    static_cast<void>(text.dump());
  } catch (const base::Json::type_error&) {
    throw base::UsageError(
        {.what = name + " holds bytes that are not UTF-8",
         .file = file,
         .expected = "UTF-8",
         .got = text.dump(-1, ' ', false, base::Json::error_handler_t::replace),
         .hint = "rename the file or folder, or reach it through a link with another name"});
  }
}

void require_utf8(const KeyTable& table) {
  for (const auto& key : table.keys()) {
    const std::string value = key.get();
    require_utf8(key.name, key.path ? rebase_paths(value, std::filesystem::current_path()) : value, "");
  }
}

// Defaults that follow from other keys.
void complete_shape(Config& config) {
  const auto& given = config.given;
  model::Shape& shape = config.train.shape;
  shape.context = pairs::context_columns(config.train.context);
  if (shape.readout == model::Readout::pool) {
    const auto choose = [&](const char* key, auto& field, auto value) {
      if (!given.contains(key)) {
        field = value;
      }
    };
    choose("model.width", shape.width, 32);
    choose("model.hidden", shape.hidden, 64);
    choose("model.positions", shape.positions, model::Positions::none);
    choose("model.heads", shape.heads, 1);
  } else if (!given.contains("model.heads")) {
    shape.heads = shape.width;
  }
}

}  // namespace

void throw_unknown_key(const std::string& name, const std::string& file,
                       const std::vector<std::string>& valid, const std::string& command) {
  const std::string near = nearest_name(name, valid);
  throw base::UsageError(
      {.what = "unknown key " + name,
       .file = file,
       .expected = near.empty() ? "a key of `" + command + "`" : near,
       .got = name,
       .hint = near.empty() ? "multigrnformer " + command + " --help lists all keys"
                            : "write " + near + "; multigrnformer " + command + " --help lists all keys"});
}

std::map<std::string, std::string> read_ini(const std::filesystem::path& file) {
  std::ifstream stream(file);
  if (!stream || std::filesystem::is_directory(file)) {
    throw base::DataError({.what = "cannot open config file",
                           .file = file.string(),
                           .hint = "check the path given with --config"});
  }
  std::map<std::string, std::string> values;
  try {
    const options::options_description none;
    const auto parsed = options::parse_config_file(stream, none, true);
    for (const auto& option : parsed.options) {
      const std::string value = option.value.empty() ? "" : option.value.front();
      require_utf8(option.string_key, value, file.string());
      if (!values.emplace(option.string_key, value).second) {
        throw_twice(option.string_key, file.string());
      }
    }
  } catch (const options::error& error) {
    throw base::UsageError({.what = "config file is not INI",
                            .file = file.string(),
                            .expected = "lines of key = value under [section] headings",
                            .got = error.what(),
                            .hint = "mend that line; configs/recipes holds examples"});
  }
  return values;
}

std::string rebase_paths(const std::string& value, const std::filesystem::path& folder) {
  std::string text;
  for (const auto& item : split_list(value)) {
    const std::filesystem::path path(item);
    text +=
        (text.empty() ? "" : ",") + (path.is_absolute() ? path : folder / path).lexically_normal().string();
  }
  return text;
}

void parse(const std::vector<std::string>& arguments, Invocation& invocation) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "help") {
    invocation.text = general_help();
    return;
  }
  if (arguments[0] == "--version" || arguments[0] == "version") {
    invocation.text = version_text();
    return;
  }
  const auto& list = commands();
  const auto place = std::find_if(list.begin(), list.end(),
                                  [&](const Command& command) { return command.name == arguments[0]; });
  if (place == list.end()) {
    std::vector<std::string> names;
    names.reserve(list.size());
    for (const auto& command : list) {
      names.push_back(command.name);
    }
    const std::string near = nearest_name(arguments[0], names);
    throw base::UsageError(
        {.what = "unknown command " + arguments[0],
         .expected = near.empty() ? fmt::format("one of {}", fmt::join(names, ", ")) : near,
         .got = arguments[0],
         .hint = "multigrnformer --help lists the commands"});
  }
  invocation.command = &*place;
  Config& config = invocation.config;
  config.command = place->name;
  config.command_line = arguments;
  KeyTable table;
  place->keys(table, config);

  const auto given = read_command_line({arguments.begin() + 1, arguments.end()}, *place, table);
  if (given.contains("help")) {
    invocation.text = command_help(*place);
    return;
  }
  if (const auto file = given.find("config"); file != given.end() && !place->own_config) {
    const std::filesystem::path path(file->second);
    for (const auto& [name, value] : read_config_file(path, place->name)) {
      const Key* key = table.find(name);
      if (key != nullptr && !given.contains(name) && name != "config") {
        key->set(key->path ? rebase_paths(value, path.parent_path()) : value);
        config.given.insert(name);
      }
    }
  }
  for (const auto& [name, value] : given) {
    table.find(name)->set(value);
    config.given.insert(name);
  }
  require_utf8(table);
  complete_shape(config);
  if (!config.given.contains("train.seed")) {
    config.train.seed = config.train.split.seed;
  }
  if (place->complete != nullptr) {
    place->complete(config);
  }
  config.train.config_text = resolved_config(table);
}

std::string resolved_config(const KeyTable& table) {
  std::map<std::string, std::map<std::string, std::string>> sections;  // keys without one under ""
  for (const auto& key : table.keys()) {
    const auto dot = key.name.find('.');
    if (!key.result) {
      continue;
    }
    std::string value = key.get();
    if (key.path) {
      value = rebase_paths(value, std::filesystem::current_path());
    }
    if (!value.empty()) {
      const bool in_section = dot != std::string::npos;
      sections[in_section ? key.name.substr(0, dot) : ""][in_section ? key.name.substr(dot + 1) : key.name] =
          value;
    }
  }
  std::string text = "# Resolved configuration. Keys that results do not depend on are in run_info.json.\n";
  for (const auto& [section, keys] : sections) {
    text += section.empty() ? "\n" : "\n[" + section + "]\n";
    for (const auto& [name, value] : keys) {
      text += fmt::format("{} = {}\n", name, value);
    }
  }
  return text;
}

}  // namespace mgrn::cli
