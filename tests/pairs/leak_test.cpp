// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/leak.hpp"

#include <gtest/gtest.h>

#include "small_networks.hpp"

namespace mgrn::pairs {
namespace {

TEST(Leak, TestPairsOfTheTargetLeaveTrainingAndValidationOfOtherDatasets) {
  const auto target = test::header_of({"TP53", "MYC", "GATA1", "SOX2"});
  Split of_target;
  const auto index = [](const store::DatasetHeader& dataset, const std::string& symbol) {
    for (std::uint32_t gene = 0; gene < dataset.genes.size(); ++gene) {
      if (dataset.genes[gene] == symbol) {
        return gene;
      }
    }
    throw std::out_of_range(symbol);
  };
  const auto pair = [&](const store::DatasetHeader& dataset, const char* tf, const char* gene,
                        std::uint8_t label, Set set) {
    return LabelledPair{.tf = index(dataset, tf), .gene = index(dataset, gene), .label = label, .set = set};
  };
  of_target.pairs = {pair(target, "TP53", "MYC", 1, Set::test), pair(target, "MYC", "GATA1", 0, Set::test),
                     pair(target, "SOX2", "MYC", 1, Set::train)};
  const PairKeys keys = pair_keys(target, of_target, Set::test);
  EXPECT_EQ(keys.size(), 2u);
  EXPECT_TRUE(keys.contains("tp53", "Myc"));
  EXPECT_FALSE(keys.contains("Myc", "tp53")) << "a pair has a direction";

  // Another organism spells the same genes in another case and numbers them differently.
  const auto other = test::header_of({"Abc", "Gata1", "Myc", "Sox2", "Tp53"});
  Split split;
  split.pairs = {pair(other, "Tp53", "Myc", 0, Set::train), pair(other, "Myc", "Gata1", 1, Set::validation),
                 pair(other, "Sox2", "Myc", 1, Set::train), pair(other, "Myc", "Tp53", 1, Set::train),
                 pair(other, "Tp53", "Myc", 1, Set::test)};
  EXPECT_EQ(remove_pairs(split, other, keys), 2u);
  EXPECT_EQ(test::named(split, other),
            (std::vector<std::string>{"Sox2,Myc,1,0", "Myc,Tp53,1,0", "Tp53,Myc,1,2"}));
  EXPECT_EQ(split.notes.size(), 1u);
  EXPECT_EQ(remove_pairs(split, other, keys), 0u);
  EXPECT_EQ(split.notes.size(), 1u);
}

}  // namespace
}  // namespace mgrn::pairs
