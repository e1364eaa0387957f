// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/gene_set.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "multigrnformer/base/error.hpp"
#include "small_networks.hpp"
#include "support/shared_data.hpp"

namespace mgrn::pairs {
namespace {

using test::header_of;

// Sorted by key: A B c D E f
const std::vector<std::string> kGenes{"B", "A", "c", "D", "E", "f"};

store::DatasetHeader ranked_dataset() {
  auto dataset = header_of(kGenes);
  dataset.variance = {1, 5, 3, 3, std::numeric_limits<double>::quiet_NaN(), 2};
  dataset.vst = {9, 1, 1, 1, 8, 1};
  return dataset;
}

formats::NetworkFile full_network() {
  formats::NetworkFile network;
  for (const char* tf : {"a", "b", "C", "D", "E", "F", "unknown"}) {
    for (const char* gene : {"A", "B", "C", "D", "E", "F", "UNKNOWN"}) {
      if (base::symbol_key(tf) != gene) {
        network.edges.push_back({tf, gene});
      }
    }
  }
  return network;
}

std::vector<std::uint32_t> candidates(std::int64_t count, VariableGenes ranking,
                                      const std::vector<std::string>& tf_list) {
  return restrict_network(ranked_dataset(), full_network(), tf_list,
                          {.variable_genes = count, .ranking = ranking})
      .candidates;
}

using Indices = std::vector<std::uint32_t>;

TEST(GeneSet, IsTheUnionOfAllListedTfsAndTheMostVariableGenes) {
  EXPECT_EQ(candidates(2, VariableGenes::variance, {"a", "zzz"}), (Indices{0, 1, 2}));
  EXPECT_EQ(candidates(2, VariableGenes::variance, {"B"}), (Indices{1, 2}))
      << "a variable TF is not replaced";
  EXPECT_EQ(candidates(2, VariableGenes::vst, {"B"}), (Indices{0, 1, 4}));
}

TEST(GeneSet, BeelineCountsNonTfsAlone) {
  EXPECT_EQ(candidates(2, VariableGenes::beeline, {"B"}), (Indices{1, 2, 3}));
}

TEST(GeneSet, TiesGoToTheFirstSymbolAndMissingVariancesComeLast) {
  EXPECT_EQ(candidates(3, VariableGenes::variance, {}), (Indices{1, 2, 3}));
  EXPECT_EQ(candidates(5, VariableGenes::variance, {}), (Indices{0, 1, 2, 3, 5}));
  EXPECT_EQ(candidates(100, VariableGenes::variance, {}).size(), 6u);
}

TEST(GeneSet, MinusOneTakesAllGenes) {
  EXPECT_EQ(candidates(-1, VariableGenes::variance, {}).size(), 6u);
}

TEST(RestrictNetwork, KeepsEdgesInsideTheSetAndCountsTheRest) {
  const auto result = restrict_network(ranked_dataset(), full_network(), {"a", "nowhere", "A"},
                                       {.variable_genes = 2, .ranking = VariableGenes::variance});
  EXPECT_EQ(result.candidates, (Indices{0, 1, 2}));
  EXPECT_EQ(result.edges, (std::vector<Edge>{{0, 1}, {0, 2}, {1, 0}, {1, 2}, {2, 0}, {2, 1}}));
  EXPECT_EQ(result.tfs, (Indices{0, 1, 2}));
  EXPECT_EQ(result.genes, (Indices{0, 1, 2}));
  EXPECT_EQ(result.unknown_edges, full_network().edges.size() - 6);
  EXPECT_EQ(result.matched_symbols, 6u);
  EXPECT_EQ(result.network_symbols, 7u);
  EXPECT_EQ(result.tf_list, (Indices{0}));
  EXPECT_EQ(result.tf_list_symbols, 2u);
  EXPECT_DOUBLE_EQ(result.density(), 6.0 / 9.0);
}

TEST(RestrictNetwork, DropsRepeatsAndSelfLoopsWhateverTheirCase) {
  formats::NetworkFile network;
  network.edges = {{"a", "B"}, {"A", "b"}, {"A", "B"}, {"d", "D"}};
  const auto result = restrict_network(ranked_dataset(), network, {}, {.variable_genes = -1, .ranking = {}});
  EXPECT_EQ(result.edges, (std::vector<Edge>{{0, 1}}));
  EXPECT_EQ(result.tfs, (Indices{0}));
  EXPECT_EQ(result.genes, (Indices{0, 1}));
}

TEST(RestrictNetwork, DoesNotDependOnTheOrderOfTheFile) {
  auto network = full_network();
  const auto one =
      restrict_network(ranked_dataset(), network, {"B", "f"}, {.variable_genes = 2, .ranking = {}});
  std::reverse(network.edges.begin(), network.edges.end());
  const auto other =
      restrict_network(ranked_dataset(), network, {"F", "b"}, {.variable_genes = 2, .ranking = {}});
  EXPECT_EQ(one.edges, other.edges);
  EXPECT_EQ(one.candidates, other.candidates);
}

TEST(RestrictNetwork, SaysWhatMatchedWhenNothingIsLeft) {
  formats::NetworkFile network;
  network.edges = {{"X", "Y"}, {"A", "Y"}};
  try {
    restrict_network(ranked_dataset(), network, {"A", "Q"}, {.variable_genes = 3, .ranking = {}});
    FAIL() << "an empty network was accepted";
  } catch (const base::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("1 of the network's 3 symbols and 1 of the 2 listed TFs"),
              std::string::npos)
        << error.what();
  }
}

TEST(RestrictNetwork, RefusesAMissingRankingAndANegativeNumberOfGenes) {
  auto dataset = ranked_dataset();
  dataset.vst.clear();
  EXPECT_THROW(
      restrict_network(dataset, full_network(), {}, {.variable_genes = 3, .ranking = VariableGenes::vst}),
      base::DataError);
  EXPECT_NO_THROW(
      restrict_network(dataset, full_network(), {}, {.variable_genes = -1, .ranking = VariableGenes::vst}));
  EXPECT_THROW(restrict_network(dataset, full_network(), {}, {.variable_genes = -2, .ranking = {}}),
               base::UsageError);
}

// Known facts of the mDC set (821 genes), found by an independent count.
TEST(RestrictNetwork, FindsTheKnownFactsOfTheRealMouseDendriticCells) {
  const auto expression = mgrn::test::real_data("mdc_rna/ExpressionData.csv.gz");
  MGRN_REQUIRE_REAL_DATA(expression);
  const auto networks = mgrn::test::real_data("networks/mouse/string.csv.gz").parent_path();
  const auto table = formats::Table::read(expression);
  const auto dataset = header_of(table.column(table.names().front()));
  ASSERT_EQ(dataset.genes.size(), 821u);
  const auto tfs = formats::read_tf_list(networks / "tfs.csv");
  struct Facts {
    const char* file;
    std::size_t edges, tfs, genes;
  };
  for (const Facts& facts :
       {Facts{"nonspecific_chipseq.csv.gz", 3067, 250, 643}, Facts{"string.csv.gz", 4815, 264, 487}}) {
    const auto result = restrict_network(dataset, formats::read_network(networks / facts.file), tfs,
                                         {.variable_genes = -1, .ranking = {}});
    EXPECT_EQ(result.edges.size(), facts.edges);
    EXPECT_EQ(result.tfs.size(), facts.tfs);
    EXPECT_EQ(result.genes.size(), facts.genes);
  }
}

}  // namespace
}  // namespace mgrn::pairs
