// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/grid_file.hpp"

#include <algorithm>
#include <set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/number_text.hpp"

namespace mgrn::experiments {
namespace {

constexpr std::uint64_t kMostRuns = 1000;

[[noreturn]] void throw_runs(const std::string& text, const std::string& got) {
  throw base::UsageError({.what = "illegal list of runs",
                          .file = "grid.runs",
                          .expected = "seeds such as 1..5 or 1,2,7, at most " + std::to_string(kMostRuns),
                          .got = got.empty() ? "\"" + text + "\"" : got,
                          .hint = "set runs under [grid] to such a list"});
}

std::string trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(" \t");
  return first == std::string::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

}  // namespace

std::vector<std::uint64_t> parse_runs(const std::string& text) {
  std::vector<std::uint64_t> runs;
  const auto seed = [&](const std::string& word) {
    std::uint64_t value = 0;
    if (!formats::parse_number(trimmed(word), value)) {
      throw_runs(text, "");
    }
    return value;
  };
  const auto add = [&](std::uint64_t run) {
    if (std::find(runs.begin(), runs.end(), run) != runs.end()) {
      throw_runs(text, "run " + std::to_string(run) + " twice");
    }
    runs.push_back(run);
  };
  std::size_t start = 0;
  while (start <= text.size()) {
    const auto end = std::min(text.find(',', start), text.size());
    const std::string item = text.substr(start, end - start);
    start = end + 1;
    if (const auto dots = item.find(".."); dots != std::string::npos) {
      const auto first = seed(item.substr(0, dots));
      const auto last = seed(item.substr(dots + 2));
      if (last < first || last - first >= kMostRuns) {
        throw_runs(text, "");
      }
      for (auto run = first; run < last; ++run) {
        add(run);
      }
      add(last);
    } else {
      add(seed(item));
    }
  }
  if (runs.size() > kMostRuns) {
    throw_runs(text, std::to_string(runs.size()) + " runs");
  }
  return runs;
}

void expand_variants(GridFile& grid) {
  if (grid.variants.empty()) {
    return;
  }
  const std::set<std::string> distinct(grid.variants.begin(), grid.variants.end());
  if (distinct.size() != grid.variants.size()) {
    throw base::UsageError({.what = "[grid] lists one of its variants twice",
                            .file = grid.file,
                            .expected = "each once",
                            .got = std::to_string(grid.variants.size()) + " names, " +
                                   std::to_string(distinct.size()) + " of them different",
                            .hint = "take the second one out"});
  }
  std::vector<std::string> settings;
  for (const auto& setting : grid.settings) {
    for (const auto& variant : grid.variants) {
      if (variant == kPlain) {
        settings.push_back(setting);
        continue;
      }
      const auto keys = grid.variant_keys.find(variant);
      if (keys == grid.variant_keys.end()) {
        throw base::UsageError({.what = "variant " + variant + " has no section",
                                .file = grid.file,
                                .expected = "[variant." + variant + "], or " + std::string(kPlain),
                                .got = std::to_string(grid.variant_keys.size()) + " other sections",
                                .hint = "add the section, or take the name out of variants under [grid]"});
      }
      // A setting without a section is make_plan()'s to refuse.
      const auto own = grid.setting_keys.find(setting);
      if (own == grid.setting_keys.end()) {
        settings.push_back(setting);
        continue;
      }
      settings.push_back(setting + "+" + variant);
      Keys both = own->second;
      for (const auto& [key, value] : keys->second) {
        both[key] = value;
      }
      grid.setting_keys[settings.back()] = std::move(both);
    }
  }
  grid.settings = std::move(settings);
}

std::optional<int> augmentation_of(const std::string& strategy) {
  constexpr std::string_view kStart = "augment-";
  constexpr std::uint64_t kMost = 1000;
  std::uint64_t factor = 0;
  if (strategy.rfind(kStart, 0) != 0 ||
      !formats::parse_number(std::string_view(strategy).substr(kStart.size()), factor) || factor < 1 ||
      factor > kMost || strategy != std::string(kStart) + std::to_string(factor)) {
    return std::nullopt;
  }
  return static_cast<int>(factor);
}

const std::vector<std::string>& strategy_names() {
  static const std::vector<std::string> names = {"standard", "augment", "cross", "both", "zero-shot"};
  return names;
}

}  // namespace mgrn::experiments
