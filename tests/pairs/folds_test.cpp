// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/folds.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "pairs/small_networks.hpp"

namespace mgrn::pairs {
namespace {

using Pair = std::pair<std::uint32_t, std::uint32_t>;

std::set<Pair> pairs_in(const Split& split, std::initializer_list<Set> sets) {
  std::set<Pair> pairs;
  for (const auto& pair : split.pairs) {
    if (std::find(sets.begin(), sets.end(), pair.set) != sets.end()) {
      pairs.emplace(pair.tf, pair.gene);
    }
  }
  return pairs;
}

class FoldsBy : public testing::TestWithParam<SplitBy> {
 protected:
  FoldsBy() { options_.by = GetParam(); }

  Split fold(int which) const {
    SplitOptions options = options_;
    options.folds = 5;
    options.fold = which;
    Split split = whole_;
    keep_fold(split, case_.dataset, options);
    return split;
  }

  test::Case case_ = test::random_case(25, 120, 400, 5);
  SplitOptions options_{.seed = 4};
  Split whole_ = draw_split(case_.dataset, case_.restricted(), {.by = GetParam(), .seed = 4});
};

TEST_P(FoldsBy, TogetherHoldEveryTrainingPairOnceAndNoTestPair) {
  const auto training = pairs_in(whole_, {Set::train, Set::validation});
  const auto test = pairs_in(whole_, {Set::test});
  std::set<Pair> together;
  std::size_t count = 0;
  for (int which = 1; which <= 5; ++which) {
    const Split split = fold(which);
    const auto held_out = pairs_in(split, {Set::test});
    count += held_out.size();
    together.insert(held_out.begin(), held_out.end());
    auto all = pairs_in(split, {Set::train, Set::validation});
    for (const auto& pair : all) {
      EXPECT_FALSE(held_out.contains(pair));
    }
    all.insert(held_out.begin(), held_out.end());
    EXPECT_EQ(all, training);
    for (const auto& pair : all) {
      EXPECT_FALSE(test.contains(pair));
    }
    EXPECT_GT(test::count_of(split, Set::validation, 1), 0u);
  }
  EXPECT_EQ(count, training.size());
  EXPECT_EQ(together, training);
}

TEST_P(FoldsBy, DependOnSymbolsAlone) {
  // The same genes under other numbers: the lists are turned round.
  store::DatasetHeader turned = case_.dataset;
  std::reverse(turned.genes.begin(), turned.genes.end());
  const auto last = static_cast<std::uint32_t>(turned.genes.size() - 1);
  Split split = whole_;
  for (auto& pair : split.pairs) {
    pair.tf = last - pair.tf;
    pair.gene = last - pair.gene;
  }
  std::reverse(split.pairs.begin(), split.pairs.end());
  SplitOptions options = options_;
  options.folds = 5;
  options.fold = 2;
  keep_fold(split, turned, options);
  EXPECT_EQ(test::named(split, turned), test::named(fold(2), case_.dataset));
}

INSTANTIATE_TEST_SUITE_P(Rules, FoldsBy,
                         testing::Values(SplitBy::edge, SplitBy::tf_heldout, SplitBy::gene_heldout),
                         [](const auto& one) {
                           return one.param == SplitBy::edge         ? "edge"
                                  : one.param == SplitBy::tf_heldout ? "tf"
                                                                     : "gene";
                         });

TEST(Folds, OfEdgesAreEvenInBothLabels) {
  const auto made = test::random_case(25, 120, 403, 5);
  const Split whole = draw_split(made.dataset, made.restricted(), {.seed = 1});
  std::set<std::uint64_t> positives, negatives;
  for (int which = 1; which <= 5; ++which) {
    Split split = whole;
    keep_fold(split, made.dataset, {.seed = 1, .folds = 5, .fold = which});
    positives.insert(test::count_of(split, Set::test, 1));
    negatives.insert(test::count_of(split, Set::test, 0));
  }
  EXPECT_LE(*positives.rbegin() - *positives.begin(), 1u);
  EXPECT_LE(*negatives.rbegin() - *negatives.begin(), 1u);
}

TEST(Folds, OfHeldOutTfsShareNoTf) {
  const auto made = test::random_case(25, 120, 400, 5);
  const SplitOptions options{.by = SplitBy::tf_heldout, .seed = 1, .folds = 5, .fold = 3};
  Split split = draw_split(made.dataset, made.restricted(), options);
  keep_fold(split, made.dataset, options);
  std::set<std::uint32_t> trained;
  for (const auto& pair : split.pairs) {
    if (pair.set != Set::test) {
      trained.insert(pair.tf);
    }
  }
  for (const auto& pair : split.pairs) {
    EXPECT_TRUE(pair.set != Set::test || !trained.contains(pair.tf));
  }
}

TEST(Folds, RefuseWhatCannotBeDivided) {
  const auto made = test::random_case(3, 40, 30, 5);
  SplitOptions options{.by = SplitBy::tf_heldout, .seed = 1, .folds = 5, .fold = 5};
  const Split whole = draw_split(made.dataset, made.restricted(), options);
  Split split = whole;
  EXPECT_THROW(keep_fold(split, made.dataset, options), base::DataError);  // five folds of two TFs
  for (const auto& [fold, folds] : {std::pair(0, 5), std::pair(6, 5), std::pair(1, 1)}) {
    options.fold = fold;
    options.folds = folds;
    split = whole;
    EXPECT_THROW(keep_fold(split, made.dataset, options), base::UsageError) << fold << "/" << folds;
  }
}

}  // namespace
}  // namespace mgrn::pairs
