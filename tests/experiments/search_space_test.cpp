// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/search_space.hpp"

#include <gtest/gtest.h>

#include <set>

#include "multigrnformer/base/error.hpp"

namespace mgrn::experiments {
namespace {

using Values = std::map<std::string, std::string>;

SearchSpace space_of(SearchSpace::Design design) {
  SearchSpace space;
  space.design = design;
  space.values = {{"model.cells", {"100", "200", "500"}}, {"model.layers", {"1", "2"}}};
  return space;
}

TEST(SearchSpace, FullHasEveryCombinationOnce) {
  const auto points = search_points(space_of(SearchSpace::Design::full), {});
  EXPECT_EQ(points.size(), 6U);
  EXPECT_EQ(std::set<Values>(points.begin(), points.end()).size(), 6U);
  EXPECT_EQ(points.front(), (Values{{"model.cells", "100"}, {"model.layers", "1"}}));
  EXPECT_EQ(points[1], (Values{{"model.cells", "100"}, {"model.layers", "2"}}));
}

TEST(SearchSpace, OneAtATimeChangesOneKeyAndHasTheMiddleOnce) {
  const Values around = {{"model.cells", "200"}, {"model.layers", "2"}, {"train.epochs", "3"}};
  const auto points = search_points(space_of(SearchSpace::Design::one_at_a_time), around);
  EXPECT_EQ(points, (std::vector<Values>{{{"model.cells", "100"}, {"model.layers", "2"}},
                                         {{"model.cells", "200"}, {"model.layers", "2"}},
                                         {{"model.cells", "500"}, {"model.layers", "2"}},
                                         {{"model.cells", "200"}, {"model.layers", "1"}}}));
}

TEST(SearchSpace, RandomDrawsDifferentPointsByItsSeed) {
  SearchSpace space = space_of(SearchSpace::Design::random);
  space.points = 4;
  const auto points = search_points(space, {});
  EXPECT_EQ(points.size(), 4U);
  EXPECT_EQ(std::set<Values>(points.begin(), points.end()).size(), 4U);
  EXPECT_EQ(search_points(space, {}), points);
  std::set<std::vector<Values>> draws;
  for (space.seed = 1; space.seed <= 8; ++space.seed) {
    draws.insert(search_points(space, {}));
  }
  EXPECT_GT(draws.size(), 4U);
  space.points = 6;  // as many as there are: no draw goes on for ever
  EXPECT_EQ(search_points(space, {}).size(), 6U);
}

TEST(SearchSpace, RefusesWhatIsNoSpace) {
  SearchSpace space;
  EXPECT_THROW(search_points(space, {}), base::UsageError);
  space.values = {{"model.cells", {}}};
  EXPECT_THROW(search_points(space, {}), base::UsageError);
  space.values = {{"model.cells", {"5", "5"}}};
  EXPECT_THROW(search_points(space, {}), base::UsageError);
  space.values.clear();
  for (const char* key : {"a", "b", "c", "d", "e"}) {
    space.values.push_back({key, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}});
  }
  EXPECT_THROW(search_points(space, {}), base::UsageError);
  space.design = SearchSpace::Design::random;
  EXPECT_EQ(search_points(space, {}).size(), space.points);
}

}  // namespace
}  // namespace mgrn::experiments
