// SPDX-License-Identifier: Apache-2.0
// The sampler on a dataset file, against the same genes from memory.
#include <gtest/gtest.h>

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
