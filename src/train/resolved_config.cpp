// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/resolved_config.hpp"

#include <algorithm>
#include <array>

namespace mgrn::train {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) {
    return {};
  }
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

struct Line {
  std::string_view text = {};  ///< without its line break
  std::string key = {};        ///< full name; empty: a heading, a comment or blank
  std::size_t value = 0;       ///< where the value starts in `text`
};

template <typename Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  std::string section;
  while (!text.empty()) {
    const auto end = text.find('\n');
    Line line{.text = text.substr(0, end)};
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    const auto content = trimmed(line.text);
    const auto equals = line.text.find('=');
    if (content.size() > 1 && content.front() == '[' && content.back() == ']') {
      section = std::string(trimmed(content.substr(1, content.size() - 2))) + ".";
    } else if (!content.empty() && content.front() != '#' && content.front() != ';' &&
               equals != std::string_view::npos) {
      line.key = section + std::string(trimmed(line.text.substr(0, equals)));
      const auto value = line.text.find_first_not_of(" \t", equals + 1);
      line.value = value == std::string_view::npos ? line.text.size() : value;
    }
    visit(line);
  }
}

constexpr auto kWithoutInfluence = std::to_array<std::string_view>(
    {"config", "data.stage", "log-level", "log-rank", "out", "runs", "train.checkpoint_every",
     "train.keep_checkpoints", "train.share_gpus", "train.threads"});
constexpr auto kComparedOtherwise = std::to_array<std::string_view>(
    {"cross.target", "cross.target_split", "data.dataset", "data.network", "data.tfs", "pairs.split_file",
     "train.device", "train.engine", "train.init", "train.isa"});
constexpr auto kNotComparedAsText = [] {
  std::array<std::string_view, kWithoutInfluence.size() + kComparedOtherwise.size()> both;
  std::copy(kComparedOtherwise.begin(), kComparedOtherwise.end(),
            std::copy(kWithoutInfluence.begin(), kWithoutInfluence.end(), both.begin()));
  return both;
}();

}  // namespace

std::map<std::string, std::string> config_values(const std::string& text) {
  std::map<std::string, std::string> values;
  for_each_line(text, [&](const Line& line) {
    if (!line.key.empty()) {
      values[line.key] = std::string(trimmed(line.text.substr(line.value)));
    }
  });
  return values;
}

std::optional<ConfigDifference> first_difference(const std::string& before, const std::string& now,
                                                 std::span<const std::string_view> ignored) {
  const auto old_values = config_values(before);
  const auto new_values = config_values(now);
  std::map<std::string, ConfigDifference> all;
  for (const auto& [key, value] : old_values) {
    all[key] = {key, value, {}};
  }
  for (const auto& [key, value] : new_values) {
    all[key].key = key;
    all[key].now = value;
  }
  for (const auto& [key, difference] : all) {
    const bool counts = std::find(ignored.begin(), ignored.end(), key) == ignored.end();
    const bool same =
        difference.before == difference.now && old_values.contains(key) == new_values.contains(key);
    if (counts && !same) {
      return difference;
    }
  }
  return std::nullopt;
}

std::string with_config_value(const std::string& text, const std::string& key, const std::string& value) {
  std::string changed;
  for_each_line(text, [&](const Line& line) {
    if (line.key == key) {
      changed += line.text.substr(0, line.value);
      changed += value;
    } else {
      changed += line.text;
    }
    changed += '\n';
  });
  return changed;
}

std::span<const std::string_view> keys_without_influence() {
  return kWithoutInfluence;
}

std::span<const std::string_view> keys_compared_by_content() {
  return kNotComparedAsText;
}

}  // namespace mgrn::train
