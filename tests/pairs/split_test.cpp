// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/pairs/split.hpp"
#include "small_networks.hpp"

namespace mgrn::pairs {
namespace {

using test::count_of;
using test::named;
using test::random_case;

constexpr Negatives kRules[] = {Negatives::network, Negatives::multignn, Negatives::degree_matched,
                                Negatives::all};
constexpr SplitBy kDivisions[] = {SplitBy::edge, SplitBy::tf_heldout, SplitBy::gene_heldout};

SplitOptions options_of(Negatives negatives, SplitBy by = SplitBy::edge, std::uint64_t seed = 1) {
  return {.negatives = negatives, .by = by, .seed = seed, .validation = 0.1};
}

class EverySplit : public testing::TestWithParam<std::tuple<Negatives, SplitBy>> {
 protected:
  SplitOptions options(std::uint64_t seed = 1) const {
    return options_of(std::get<0>(GetParam()), std::get<1>(GetParam()), seed);
  }
  const test::Case case_ = random_case(30, 150, 400, 3);
  const RestrictedNetwork network_ = case_.restricted();
};

TEST_P(EverySplit, HoldsEachPairOnceAndEveryEdgeAsPositive) {
  const Split split = draw_split(case_.dataset, network_, options());
  std::set<Edge> positives, all;
  for (const LabelledPair& pair : split.pairs) {
    EXPECT_TRUE(all.insert({pair.tf, pair.gene}).second);
    EXPECT_NE(pair.tf, pair.gene);
    if (pair.label == 1) {
      positives.insert({pair.tf, pair.gene});
    }
  }
  EXPECT_EQ(positives, std::set<Edge>(network_.edges.begin(), network_.edges.end()))
      << "no edge may be missing or stand among the negatives";
}

TEST_P(EverySplit, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const auto one = named(draw_split(case_.dataset, network_, options(5)), case_.dataset);
  EXPECT_EQ(one, named(draw_split(case_.dataset, network_, options(5)), case_.dataset));
  EXPECT_NE(one, named(draw_split(case_.dataset, network_, options(6)), case_.dataset));
}

TEST_P(EverySplit, DoesNotDependOnTheOrderOfTheFileOrTheCaseOfItsNames) {
  test::Case other = case_;
  base::PhiloxStream random(1, 1);
  base::shuffle(other.network.edges, random);
  base::shuffle(other.tf_list, random);
  for (auto& edge : other.network.edges) {
    edge.tf = base::symbol_key(edge.tf);
  }
  EXPECT_EQ(named(draw_split(case_.dataset, network_, options()), case_.dataset),
            named(draw_split(other.dataset, other.restricted(), options()), other.dataset));
}

TEST_P(EverySplit, DoesNotDependOnGenesOutsideTheCandidates) {
  test::Case other = case_;
  auto genes = case_.dataset.genes;
  genes.push_back("AAA");  // moves every index
  genes.push_back("h500");
  other.dataset = test::header_of(genes);
  auto restricted = other.restricted();
  std::erase_if(restricted.candidates, [&](std::uint32_t gene) {
    return other.dataset.genes[gene] == "AAA" || other.dataset.genes[gene] == "h500";
  });
  EXPECT_EQ(named(draw_split(case_.dataset, network_, options()), case_.dataset),
            named(draw_split(other.dataset, restricted, options()), other.dataset));
}

TEST_P(EverySplit, HoldsOutATenthOfEachLabelForValidation) {
  const Split split = draw_split(case_.dataset, network_, options());
  for (const int label : {0, 1}) {
    const auto train = count_of(split, Set::train, label);
    const auto validation = count_of(split, Set::validation, label);
    EXPECT_EQ(validation,
              static_cast<std::uint64_t>(std::llround(0.1 * static_cast<double>(train + validation))));
  }
}

TEST_P(EverySplit, ValidationLeavesTestAndTheUnionOfTheRestAlone) {
  auto without = options();
  without.validation = 0;
  const Split with_validation = draw_split(case_.dataset, network_, options());
  const Split plain = draw_split(case_.dataset, network_, without);
  const auto pairs_of = [](const Split& split, bool test) {
    std::set<std::tuple<std::uint32_t, std::uint32_t, int>> result;
    for (const auto& pair : split.pairs) {
      if ((pair.set == Set::test) == test) {
        result.emplace(pair.tf, pair.gene, pair.label);
      }
    }
    return result;
  };
  EXPECT_EQ(count_of(plain, Set::validation, 0) + count_of(plain, Set::validation, 1), 0u);
  EXPECT_EQ(pairs_of(with_validation, true), pairs_of(plain, true));
  EXPECT_EQ(pairs_of(with_validation, false), pairs_of(plain, false));
}

TEST_P(EverySplit, IsSortedBySetLabelAndSymbols) {
  const Split split = draw_split(case_.dataset, network_, options());
  const auto key = [&](const LabelledPair& pair) {
    return std::make_tuple(pair.set, 1 - pair.label, base::symbol_key(case_.dataset.genes[pair.tf]),
                           base::symbol_key(case_.dataset.genes[pair.gene]));
  };
  for (std::size_t i = 1; i < split.pairs.size(); ++i) {
    EXPECT_LT(key(split.pairs[i - 1]), key(split.pairs[i]));
  }
}

class HeldOutSplit : public EverySplit {};

TEST_P(HeldOutSplit, HeldOutNodesAreOnOneSideOnly) {
  const auto by = std::get<1>(GetParam());
  const Split split = draw_split(case_.dataset, network_, options());
  std::set<std::uint32_t> train, test;
  for (const LabelledPair& pair : split.pairs) {
    (pair.set == Set::test ? test : train).insert(by == SplitBy::tf_heldout ? pair.tf : pair.gene);
  }
  for (const std::uint32_t node : test) {
    EXPECT_EQ(train.count(node), 0u);
  }
  const auto test_positives = count_of(split, Set::test, 1);
  EXPECT_GE(test_positives, 70u);
  EXPECT_LE(test_positives, 80u) << "a fifth of 400 edges";
}

INSTANTIATE_TEST_SUITE_P(Rules, EverySplit,
                         testing::Combine(testing::ValuesIn(kRules), testing::ValuesIn(kDivisions)));
INSTANTIATE_TEST_SUITE_P(Rules, HeldOutSplit,
                         testing::Combine(testing::ValuesIn(kRules),
                                          testing::Values(SplitBy::tf_heldout, SplitBy::gene_heldout)));

TEST(Split, TrainsOnFourFifthsWithAsManyNegativesAndTestsByEquation11) {
  const auto one = random_case(30, 150, 401, 4);
  const auto network = one.restricted();
  for (const Negatives rule : {Negatives::network, Negatives::all}) {
    const Split split = draw_split(one.dataset, network, options_of(rule));
    const auto train_positives = count_of(split, Set::train, 1) + count_of(split, Set::validation, 1);
    EXPECT_EQ(train_positives, 320u) << "floor(4/5 * 401)";
    EXPECT_EQ(count_of(split, Set::train, 0) + count_of(split, Set::validation, 0), 320u);
    EXPECT_EQ(count_of(split, Set::test, 1), 81u);
    const double share =
        401 / (0.5 * static_cast<double>(network.tfs.size()) * static_cast<double>(network.genes.size()));
    EXPECT_EQ(count_of(split, Set::test, 0),
              static_cast<std::uint64_t>(std::llround(81 * (1 - share) / share)));
    EXPECT_TRUE(split.notes.empty());
  }
}

TEST(Split, NetworkNegativesStayAmongTheNetworksNodes) {
  auto one = random_case(30, 150, 300, 5);
  one.tf_list.push_back("gene1149");
  const auto network = one.restricted();
  const Split split = draw_split(one.dataset, network, options_of(Negatives::network));
  for (const LabelledPair& pair : split.pairs) {
    EXPECT_TRUE(std::binary_search(network.tfs.begin(), network.tfs.end(), pair.tf));
    EXPECT_TRUE(std::binary_search(network.genes.begin(), network.genes.end(), pair.gene));
  }
}

TEST(Split, MultignnNegativesNeverHaveATfAsTarget) {
  const auto one = random_case(30, 150, 300, 5);
  const auto network = one.restricted();
  const Split split = draw_split(one.dataset, network, options_of(Negatives::multignn));
  const std::set<std::uint32_t> tfs(network.tf_list.begin(), network.tf_list.end());
  for (const LabelledPair& pair : split.pairs) {
    if (pair.label == 0) {
      EXPECT_EQ(tfs.count(pair.gene), 0u);
      EXPECT_EQ(tfs.count(pair.tf), 1u);
    }
  }
}

TEST(Split, NegativesAreUniformOverTheCandidates) {
  const auto one = random_case(4, 12, 12, 6);
  const auto network = one.restricted();
  std::map<Edge, int> seen;
  const std::size_t candidates = [&] {
    std::size_t count = 0;
    for (const std::uint32_t tf : network.tfs) {
      for (const std::uint32_t gene : network.genes) {
        count += tf != gene && !std::binary_search(network.edges.begin(), network.edges.end(), Edge{tf, gene})
                     ? 1
                     : 0;
      }
    }
    return count;
  }();
  int drawn = 0;
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    for (const auto& pair :
         draw_split(one.dataset, network, options_of(Negatives::network, SplitBy::edge, seed)).pairs) {
      if (pair.label == 0 && pair.set != Set::test) {
        ++seen[{pair.tf, pair.gene}];
        ++drawn;
      }
    }
  }
  ASSERT_EQ(seen.size(), candidates);
  const double expected = static_cast<double>(drawn) / static_cast<double>(candidates);
  double chi_square = 0;
  for (const auto& [pair, count] : seen) {
    chi_square += (count - expected) * (count - expected) / expected;
  }
  const auto freedom = static_cast<double>(candidates - 1);
  EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom));
}

TEST(Split, SaysWhenThereAreTooFewCandidates) {
  // 3 TFs x 6 genes: 18 pairs less 3 self-pairs, 11 of them edges.
  test::Case one;
  std::vector<std::string> genes{"T1", "T2", "T3", "G1", "G2", "G3"};
  one.dataset = test::header_of(genes);
  int count = 0;
  for (const char* tf : {"T1", "T2", "T3"}) {
    for (const std::string& gene : genes) {
      if (gene != tf && count < 11) {
        one.network.edges.push_back({tf, gene});
        ++count;
      }
    }
  }
  const auto network = one.restricted();
  const Split split = draw_split(one.dataset, network, options_of(Negatives::network));
  EXPECT_EQ(
      count_of(split, Set::train, 0) + count_of(split, Set::validation, 0) + count_of(split, Set::test, 0),
      4u);
  ASSERT_FALSE(split.notes.empty());
  EXPECT_NE(split.notes.back().find("Too few candidates"), std::string::npos);
}

TEST(Split, HoldsOutAWholeFifthWhereNodesFillIt) {
  test::Case one;
  std::vector<std::string> symbols = {"T1", "T2"};
  for (int gene = 0; gene < 10; ++gene) {
    symbols.push_back("G" + std::to_string(gene));
    one.network.edges.push_back({gene % 2 == 0 ? "T1" : "T2", symbols.back()});
  }
  one.dataset = test::header_of(symbols);
  const Split split =
      draw_split(one.dataset, one.restricted(), options_of(Negatives::network, SplitBy::gene_heldout));
  EXPECT_EQ(count_of(split, Set::test, 1), 2u) << "ten genes of one edge: two are exactly a fifth";
}

TEST(Split, RefusesANetworkThatCannotBeDivided) {
  test::Case one;
  one.dataset = test::header_of({"T1", "G1", "G2", "G3", "G4", "G5", "G6"});
  one.network.edges = {{"T1", "G1"}};
  EXPECT_THROW(draw_split(one.dataset, one.restricted(), options_of(Negatives::network)), base::DataError);
  one.network.edges = {{"T1", "G1"}, {"T1", "G2"}, {"T1", "G3"}, {"T1", "G4"}, {"T1", "G5"}};
  EXPECT_NO_THROW(draw_split(one.dataset, one.restricted(), options_of(Negatives::all)));
  EXPECT_THROW(draw_split(one.dataset, one.restricted(), options_of(Negatives::all, SplitBy::tf_heldout)),
               base::DataError)
      << "the only TF cannot be held out";
}

TEST(Split, RefusesAnIllegalValidationShare) {
  const auto one = random_case(5, 20, 30, 1);
  auto options = options_of(Negatives::network);
  for (const double share : {-0.1, 1.0, std::nan("")}) {
    options.validation = share;
    EXPECT_THROW(draw_split(one.dataset, one.restricted(), options), base::UsageError);
  }
}

TEST(Split, DegreeMatchedNegativesRepeatThePositivesDegreesInTrainAndInTest) {
  for (const SplitBy by : kDivisions) {
    const auto one = random_case(40, 200, 500, 7);
    const Split split = draw_split(one.dataset, one.restricted(), options_of(Negatives::degree_matched, by));
    ASSERT_FALSE(split.notes.empty());
    const auto factor = count_of(split, Set::test, 0) / count_of(split, Set::test, 1);
    EXPECT_GE(factor, 1u);
    EXPECT_NE(split.notes.back().find(": " + std::to_string(factor) + " per positive"), std::string::npos);
    for (const bool test : {false, true}) {
      std::map<std::uint32_t, std::int64_t> tf_balance, gene_balance;
      for (const LabelledPair& pair : split.pairs) {
        if ((pair.set == Set::test) == test) {
          const std::int64_t weight = pair.label == 1 ? static_cast<std::int64_t>(factor) : -1;
          tf_balance[pair.tf] += weight;
          gene_balance[pair.gene] += weight;
        }
      }
      for (const auto& [node, balance] : tf_balance) {
        EXPECT_EQ(balance, 0) << one.dataset.genes[node];
      }
      for (const auto& [node, balance] : gene_balance) {
        EXPECT_EQ(balance, 0) << one.dataset.genes[node];
      }
    }
  }
}

TEST(Split, DegreeMatchingThatIsImpossibleSaysHowFarItCame) {
  // One TF regulates 7 of 9 others: two candidates are left for its seven edges.
  test::Case one;
  one.dataset = test::header_of({"T1", "T2", "G1", "G2", "G3", "G4", "G5", "G6", "G7", "G8"});
  for (int gene = 1; gene <= 7; ++gene) {
    one.network.edges.push_back({"T1", "G" + std::to_string(gene)});
  }
  one.network.edges.push_back({"T2", "G8"});
  one.network.edges.push_back({"T2", "G1"});
  const Split split = draw_split(one.dataset, one.restricted(), options_of(Negatives::degree_matched));
  ASSERT_GE(split.notes.size(), 2u);
  EXPECT_NE(split.notes.back().find("Too few candidates"), std::string::npos);
}

}  // namespace
}  // namespace mgrn::pairs
