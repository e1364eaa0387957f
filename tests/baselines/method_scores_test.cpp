// SPDX-License-Identifier: Apache-2.0
// Every method that has an independent source of numbers against it: SciPy's correlations, numpy's singular
// vectors and scikit-learn's boosted trees, on a dataset with ties, a gene that no cell expresses and RP.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/expression.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::baselines {
namespace {

store::GeneRows rows_of(const base::Json& layer, bool counts) {
  store::GeneRows rows;
  rows.offsets.push_back(0);
  for (const auto& gene : layer) {
    const auto cells = gene["cell"].get<std::vector<std::uint32_t>>();
    const auto values = gene["value"].get<std::vector<float>>();
    rows.cell.insert(rows.cell.end(), cells.begin(), cells.end());
    rows.value.insert(rows.value.end(), values.begin(), values.end());
    if (counts) {
      const auto count = gene["count"].get<std::vector<float>>();
      rows.count.insert(rows.count.end(), count.begin(), count.end());
    }
    rows.offsets.push_back(rows.cell.size());
  }
  return rows;
}

/// The dataset, labels and expected scores of golden/methods.json.
class MethodScores : public testing::Test {
 protected:
  MethodScores() : golden_(base::read_json(mgrn::test::source_path("tests/baselines/golden/methods.json"))) {
    const auto genes = golden_["genes"].get<std::uint32_t>();
    header_.id = "00000000000000aa";
    header_.has_atac = true;
    for (std::uint32_t gene = 0; gene < genes; ++gene) {
      header_.genes.push_back("G" + std::to_string(100 + gene));
      header_.variance.push_back(1);
      header_.vst.push_back(1);
      header_.rna_background.push_back(golden_["rna_background"].get<float>());
      header_.rp_background.push_back(golden_["rp_background"].get<float>());
    }
    for (int cell = 0; cell < golden_["cells"].get<int>(); ++cell) {
      header_.barcodes.push_back("cell" + std::to_string(cell));
    }
    const auto self = comm::make_self_communicator();
    store::DatasetWriter writer(*self, folder_ / "d.h5");
    writer.append(store::Layer::rna, rows_of(golden_["rna"], true));
    writer.append(store::Layer::rp, rows_of(golden_["rp"], false));
    writer.finish(header_);
    for (const auto& labelled : golden_["labelled"]) {
      split_.pairs.push_back({.tf = labelled[0], .gene = labelled[1], .label = labelled[2]});
    }
    options_.components = golden_["components"].get<int>();
    options_.boosting_rounds = golden_["rounds"].get<int>();
  }

  /// The weight and score of every pair of the golden file, on any number of ranks and threads.
  std::vector<double> weights(const std::string& method, int ranks = 1, int threads = 1) {
    settings_.threads = threads;
    std::vector<double> found;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      const store::Dataset dataset(folder_ / "d.h5");
      std::vector<std::uint32_t> genes(header_.genes.size());
      std::iota(genes.begin(), genes.end(), 0u);
      const Expression expression(dataset, genes, true, communicator);
      const Problem problem{.settings = settings_,
                            .options = options_,
                            .header = header_,
                            .network = network_,
                            .split = split_,
                            .expression = expression,
                            .regulators = golden_["regulators"].get<std::vector<std::uint32_t>>(),
                            .targets = genes,
                            .folder = folder_.path()};
      const auto scorer = std::get<PrepareScorer>(find_method(method).work)(problem, communicator);
      if (communicator.rank() + 1 == communicator.size()) {
        for (const auto& pair : golden_["pairs"]) {
          found.push_back(scorer->weight(pair[0], pair[1]));
          EXPECT_EQ(scorer->score(pair[0], pair[1]), std::fabs(found.back()));
        }
      }
    });
    return found;
  }

  void expect_golden(const std::string& method, double tolerance) {
    const auto expected = golden_["weights"][method].get<std::vector<double>>();
    const auto found = weights(method);
    ASSERT_EQ(found.size(), expected.size());
    for (std::size_t i = 0; i < found.size(); ++i) {
      EXPECT_NEAR(found[i], expected[i], tolerance) << method << ", pair " << i;
    }
  }

  const mgrn::test::TemporaryDirectory folder_;
  const base::Json golden_;
  store::DatasetHeader header_;
  pairs::RestrictedNetwork network_;
  pairs::Split split_;
  train::Settings settings_;
  Options options_;
};

TEST_F(MethodScores, CorrelationsEqualSciPys) {
  expect_golden("pearson", 1e-6);  // values are held as floats
  expect_golden("spearman", 1e-12);
}

TEST_F(MethodScores, CoexpressionCountsCells) {
  expect_golden("coexpression", 0);
}

TEST_F(MethodScores, PathsOfThreeTrainingEdgesEqualNumpysProductOfMatrices) {
  expect_golden("neighbours", 1e-14);
}

TEST_F(MethodScores, BoostedTreesOnMarginalsAndEmbeddingsEqualScikitLearns) {
  expect_golden("marginals", 1e-6);
  expect_golden("embeddings", 1e-6);
}

TEST_F(MethodScores, AreTheSameBitsOnAnyRanksAndThreads) {
  for (const auto& method : methods()) {
    if (std::holds_alternative<PrepareScorer>(method.work)) {
      EXPECT_EQ(weights(method.name, 3, 2), weights(method.name)) << method.name;
    }
  }
}

TEST_F(MethodScores, LearnFromTrainingAndValidationPairsAlone) {
  split_.pairs.front().set = pairs::Set::validation;
  for (const char* name : {"degree", "neighbours", "marginals", "embeddings"}) {
    const auto before = weights(name);
    for (std::size_t i = 0; i < 40; ++i) {
      split_.pairs.push_back({.tf = static_cast<std::uint32_t>(i % 12),
                              .gene = static_cast<std::uint32_t>(12 + i % 28),
                              .label = static_cast<std::uint8_t>(i % 2),
                              .set = pairs::Set::test});
    }
    EXPECT_EQ(weights(name), before) << name << " looks at test pairs";
    for (std::size_t i = 0; i < 20; ++i) {
      split_.pairs[i].label ^= 1;
    }
    EXPECT_NE(weights(name), before) << name << " does not look at training pairs";
  }
}

TEST_F(MethodScores, RandomNumbersFollowTheSeedAndTheSymbols) {
  const auto first = weights("random");
  settings_.seed = 2;
  EXPECT_NE(weights("random"), first);
  settings_.seed = 1;
  EXPECT_EQ(weights("random"), first);
  double sum = 0;
  for (const double weight : first) {
    EXPECT_GT(weight, 0);
    EXPECT_LE(weight, 1);
    sum += weight;
  }
  EXPECT_NEAR(sum / static_cast<double>(first.size()), 0.5, 0.05);
}

TEST_F(MethodScores, UnknownMethodsAreRefusedWithTheListOfThoseThereAre) {
  try {
    find_method("genie4");
    FAIL() << "no error";
  } catch (const base::UsageError& error) {
    EXPECT_EQ(error.text().got, "genie4");
    EXPECT_NE(error.text().expected.find("pearson"), std::string::npos);
  }
}

TEST(Expression, CountsCellsInWhichBothGenesAreExpressed) {
  const std::vector<std::uint32_t> cells = {0, 2, 5, 7};
  const std::vector<std::uint32_t> others = {2, 3, 5, 7};
  const std::vector<float> counts = {1, 2, 0, 3};
  const std::vector<float> all = {1, 1, 1, 1};
  const Column a{.cell = cells, .value = counts, .count = counts};
  const Column b{.cell = others, .value = all, .count = all};
  EXPECT_EQ(shared_cells(a, b), 2u);
  EXPECT_EQ(shared_cells(b, a), 2u);
  EXPECT_EQ(dense({.cell = cells, .value = counts, .count = counts, .background = -1}, 8),
            (std::vector<float>{1, -1, 2, -1, -1, 0, -1, 3}));
}

}  // namespace
}  // namespace mgrn::baselines
