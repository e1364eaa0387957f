// SPDX-License-Identifier: Apache-2.0
// config.ini as text: what differs between two resolved configs, and one key changed in place. The table of
// keys stays with the command line; this knows `[section]` headings and `key = value` lines alone. Pure
// functions.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mgrn::train {

/// "section.key" (or "key" before the first heading) -> value.
std::map<std::string, std::string> config_values(const std::string& text);

struct ConfigDifference {
  std::string key;
  std::string before;  ///< empty: the key was not there
  std::string now;
};

/// The first key, in alphabetical order, whose values differ; keys of `ignored` do not count.
std::optional<ConfigDifference> first_difference(const std::string& before, const std::string& now,
                                                 std::span<const std::string_view> ignored);

/// The text with another value of `key`; unchanged when it does not hold the key.
std::string with_config_value(const std::string& text, const std::string& key, const std::string& value);

/// Keys that only say how work is done: no bit of a result depends on them.
std::span<const std::string_view> keys_without_influence();

/// The same and those that name what is compared otherwise when a run goes on from a checkpoint: paths, whose
/// files are compared by content so that a folder may be moved, and train.device, train.engine and train.isa,
/// of which the engine that they resolve to is compared.
std::span<const std::string_view> keys_compared_by_content();

}  // namespace mgrn::train
