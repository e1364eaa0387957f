// SPDX-License-Identifier: Apache-2.0
// The sampler on a dataset file, against the same genes from memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "pairs/random_dataset.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::pairs {
namespace {

constexpr std::uint32_t kGenes = 150;

const test::RandomDataset kDataset{
    .cells = 300, .genes = kGenes, .seed = 5, .stored = [](base::PhiloxStream& random, std::uint32_t) {
      return random.below(4) < 2;
    }};

store::GeneRow row_of(const store::GeneRows& rows, std::uint32_t gene) {
  const auto part = [&](const auto& values) {
    using Values = std::decay_t<decltype(values)>;
    return values.empty() ? Values()
                          : Values(values.begin() + static_cast<std::ptrdiff_t>(rows.offsets[gene]),
                                   values.begin() + static_cast<std::ptrdiff_t>(rows.offsets[gene + 1]));
  };
  return {part(rows.cell), part(rows.value), part(rows.count)};
}

class SamplerOnADatasetByCells : public testing::TestWithParam<PairCells> {};

TEST_P(SamplerOnADatasetByCells, GathersTheSameSamplesAsFromMemory) {
  const mgrn::test::TemporaryDirectory folder;
  kDataset.write(folder / "D.h5");
  const store::Dataset dataset(folder / "D.h5");
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t gene = kGenes; gene > 0; gene -= 1) {
    if (gene % 5 != 0) {
      wanted.push_back(gene - 1);  // descending and with holes
    }
  }
  const SamplerOptions options{.cells = 100, .seed = 3, .pair_cells = GetParam()};
  const Sampler from_file(dataset, wanted, options);
  std::vector<SamplerGene> genes;
  const auto rna = kDataset.rows(store::Layer::rna);
  const auto rp = kDataset.rows(store::Layer::rp);
  for (const std::uint32_t gene : wanted) {
    genes.push_back({.index = gene,
                     .symbol = "g" + std::to_string(1000 + gene),
                     .rna = row_of(rna, gene),
                     .rp = row_of(rp, gene),
                     .rp_background = test::RandomDataset::rp_background(gene),
                     .rna_background = test::RandomDataset::kRnaBackground});
  }
  const Sampler from_memory(test::RandomDataset::kId, kDataset.cells, genes, options);
  EXPECT_EQ(from_file.bytes(), from_memory.bytes());
  for (std::size_t i = 1; i < wanted.size(); ++i) {
    const SampleName name{
        .tf = wanted[i - 1], .gene = wanted[i], .purpose = Purpose::train, .epoch = 2, .variant = 1};
    std::vector<float> one(400), other(400);
    ASSERT_TRUE(from_file.gather(name, one));
    ASSERT_TRUE(from_memory.gather(name, other));
    EXPECT_EQ(one, other);
  }
}

INSTANTIATE_TEST_SUITE_P(Cells, SamplerOnADatasetByCells,
                         testing::Values(PairCells::both, PairCells::either, PairCells::all));

TEST(SamplerOnADataset, ContextFeaturesStandBesideTheSamplesOwnValues) {
  const mgrn::test::TemporaryDirectory folder;
  kDataset.write(folder / "D.h5");
  const store::Dataset dataset(folder / "D.h5");
  const std::vector<std::uint32_t> wanted{40, 3, 3, 77, 12};
  const SamplerOptions plain{.cells = 60, .seed = 3};
  const Sampler without(dataset, wanted, plain);
  // Library sizes and correlations by hand.
  std::vector<double> sizes(kDataset.cells);
  const auto rows = kDataset.rows(store::Layer::rna);
  for (std::size_t i = 0; i < rows.cell.size(); ++i) {
    sizes[rows.cell[i]] += static_cast<double>(rows.count[i]);
  }
  const auto standardise = [](std::vector<double>& values) {
    double mean = 0, squares = 0;
    for (const double value : values) mean += value / static_cast<double>(values.size());
    for (const double value : values) squares += (value - mean) * (value - mean);
    for (double& value : values)
      value = (value - mean) / std::sqrt(squares / static_cast<double>(values.size()));
  };
  for (double& size : sizes) size = std::log10(1 + size);
  standardise(sizes);
  const auto profile = [&](std::uint32_t gene) {
    std::vector<double> values(kDataset.cells, static_cast<double>(test::RandomDataset::kRnaBackground));
    const auto row = row_of(rows, gene);
    for (std::size_t i = 0; i < row.cell.size(); ++i) values[row.cell[i]] = static_cast<double>(row.value[i]);
    standardise(values);
    return values;
  };
  for (const ContextOptions& context : {ContextOptions{.cell = true}, ContextOptions{.gene = true},
                                        ContextOptions{.cell = true, .gene = true}}) {
    SamplerOptions options = plain;
    options.context = context;
    options.width = 4 + context_columns(context);
    const Sampler sampler(dataset, wanted, options);
    const auto width = static_cast<std::size_t>(options.width);
    // Components of each cell, as far as samples show them.
    std::vector<std::vector<double>> component(static_cast<std::size_t>(kCellContext - 1),
                                               std::vector<double>(kDataset.cells, std::nan("")));
    std::vector<float> sample(60 * width), own(60 * 4);
    std::vector<std::uint32_t> cells(60);
    std::vector<double> gene_context;
    for (std::uint32_t epoch = 0; epoch < 40; ++epoch) {
      const SampleName name{.tf = 3, .gene = 40, .epoch = epoch};
      ASSERT_TRUE(sampler.draw(name, cells));
      ASSERT_TRUE(sampler.gather(name, sample));
      ASSERT_TRUE(without.gather(name, own));
      for (std::size_t i = 0; i < 60; ++i) {
        const float* row = sample.data() + i * width;
        ASSERT_TRUE(std::equal(row, row + 4, own.data() + 4 * i));
        if (context.cell) {
          ASSERT_NEAR(row[4], sizes[cells[i]], 1e-5);
          for (std::size_t k = 0; k + 1 < kCellContext; ++k) {
            double& known = component[k][cells[i]];
            ASSERT_TRUE(std::isnan(known) || known == row[5 + k]) << "a cell's component is its own";
            known = row[5 + k];
          }
        }
        if (context.gene) {
          gene_context.assign(row + width - 2 * kGeneContext, row + width);
          ASSERT_TRUE(
              std::equal(gene_context.begin(), gene_context.end(), sample.data() + width - 2 * kGeneContext))
              << "the same in every cell";
        }
      }
    }
    if (context.cell && context.gene) {
      // A gene's embedding is its profile's correlation with the cells' components. Some cells never came up;
      // 300 cells leave them little weight.
      for (std::size_t one = 0; one < 2; ++one) {
        const auto values = profile(one == 0 ? 3 : 40);
        for (std::size_t k = 0; k + 1 < kCellContext; ++k) {
          double sum = 0;
          std::size_t unknown = 0;
          for (std::uint32_t cell = 0; cell < kDataset.cells; ++cell) {
            const double score = component[k][cell];
            unknown += std::isnan(score) ? 1 : 0;
            sum += std::isnan(score) ? 0 : score * values[cell] / kDataset.cells;
          }
          EXPECT_NEAR(gene_context[one * kGeneContext + k], sum, 0.004 * static_cast<double>(unknown) + 1e-4);
        }
      }
    }
    // The pair the other way round: its genes' features change places.
    if (context.gene) {
      ASSERT_TRUE(sampler.gather({.tf = 40, .gene = 3}, sample));
      const float* row = sample.data() + width - 2 * kGeneContext;
      for (int k = 0; k < kGeneContext; ++k) {
        EXPECT_EQ(row[k], static_cast<float>(gene_context[static_cast<std::size_t>(kGeneContext + k)]));
      }
    }
  }
}

TEST(SamplerOnADataset, AsksForAtacOnlyWhereThereIsSome) {
  const mgrn::test::TemporaryDirectory folder;
  test::RandomDataset rna = kDataset;
  rna.atac = false;
  rna.write(folder / "rna.h5");
  const store::Dataset dataset(folder / "rna.h5");
  const std::vector<std::uint32_t> wanted{0, 1};
  SamplerOptions options{.cells = 10, .width = 4, .atac = true, .resample = {}, .seed = 1};
  EXPECT_THROW(Sampler(dataset, wanted, options), base::DataError);
  options.atac = false;
  const Sampler sampler(dataset, wanted, options);
  std::vector<float> sample(40);
  EXPECT_TRUE(sampler.gather({.tf = 0, .gene = 1}, sample));
}

}  // namespace
}  // namespace mgrn::pairs
