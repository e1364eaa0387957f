// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/search_space.hpp"

#include <set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::experiments {
namespace {

constexpr std::uint64_t kMostPoints = 10'000;

using Values = std::map<std::string, std::string>;

void check(const SearchSpace& space) {
  if (space.values.empty()) {
    throw base::UsageError({.what = "the search has no space",
                            .expected = "lines of key = value, value, ... under [space]",
                            .got = "none",
                            .hint = "say there which keys of train are tried with which values"});
  }
  for (const auto& [key, values] : space.values) {
    const std::set<std::string> distinct(values.begin(), values.end());
    if (values.empty() || distinct.size() != values.size()) {
      throw base::UsageError(
          {.what = key + " in [space] has " + (values.empty() ? "no values" : "a value twice"),
           .expected = "different values, separated by commas",
           .got = std::to_string(values.size()) + " values, " + std::to_string(distinct.size()) +
                  " of them different",
           .hint = "mend that line under [space]"});
    }
  }
}

/// Combinations in all, at most kMostPoints + 1.
std::uint64_t combinations(const SearchSpace& space) {
  std::uint64_t count = 1;
  for (const auto& [key, values] : space.values) {
    count = count > kMostPoints / values.size() ? kMostPoints + 1 : count * values.size();
  }
  return count;
}

void check_count(std::uint64_t count) {
  if (count > kMostPoints) {
    throw base::UsageError({.what = "the search has too many points",
                            .expected = "at most " + std::to_string(kMostPoints),
                            .got = "more",
                            .hint = "take values out of [space], or set design = random under [search]"});
  }
}

/// Combination number `index`; the last key's values change fastest.
Values combination(const SearchSpace& space, std::uint64_t index) {
  Values point;
  for (auto key = space.values.rbegin(); key != space.values.rend(); ++key) {
    point[key->first] = key->second[index % key->second.size()];
    index /= key->second.size();
  }
  return point;
}

std::vector<Values> one_at_a_time(const SearchSpace& space, const Values& around) {
  std::vector<Values> points;
  std::set<Values> seen;
  for (const auto& [key, values] : space.values) {
    for (const auto& value : values) {
      Values all = around;
      all[key] = value;
      Values point;
      for (const auto& [name, choice] : space.values) {
        if (const auto place = all.find(name); place != all.end()) {
          point[name] = place->second;
        }
      }
      if (seen.insert(point).second) {
        points.push_back(std::move(point));
      }
    }
  }
  return points;
}

std::vector<Values> random_points(const SearchSpace& space) {
  std::vector<Values> points;
  std::set<Values> seen;
  base::PhiloxStream random(space.seed, base::NameHash().add("search points").value());
  while (points.size() < space.points) {
    Values point;
    for (const auto& [key, values] : space.values) {
      point[key] = values[random.below(static_cast<std::uint32_t>(values.size()))];
    }
    if (seen.insert(point).second) {
      points.push_back(std::move(point));
    }
  }
  return points;
}

}  // namespace

std::vector<Values> search_points(const SearchSpace& space, const Values& around) {
  check(space);
  if (space.design == SearchSpace::Design::one_at_a_time) {
    return one_at_a_time(space, around);
  }
  const std::uint64_t all = combinations(space);
  if (space.design == SearchSpace::Design::random && space.points < all) {
    check_count(space.points);
    return random_points(space);
  }
  check_count(all);
  std::vector<Values> points;
  for (std::uint64_t index = 0; index < all; ++index) {
    points.push_back(combination(space, index));
  }
  return points;
}

}  // namespace mgrn::experiments
