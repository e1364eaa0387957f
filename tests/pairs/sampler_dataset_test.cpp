// SPDX-License-Identifier: Apache-2.0
// The sampler on a dataset file, against the same genes from memory.
#include <gtest/gtest.h>

#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::pairs {
namespace {

constexpr std::uint32_t kCells = 300;
constexpr std::uint32_t kGenes = 150;

store::GeneRows random_rows(bool rna) {
  store::GeneRows rows;
  rows.offsets.push_back(0);
  base::PhiloxStream random(5, rna ? 1 : 2);
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      if (random.below(4) < 2) {
        rows.cell.push_back(cell);
        rows.value.push_back(static_cast<float>(random.normal()));
        if (rna) {
          rows.count.push_back(static_cast<float>(1 + random.below(5)));
        }
      }
    }
    rows.offsets.push_back(rows.cell.size());
  }
  return rows;
}

store::DatasetHeader header(bool atac) {
  store::DatasetHeader header;
  header.id = "00112233445566ff";
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    header.genes.push_back("G" + std::to_string(1000 + gene));
    header.variance.push_back(1);
    header.vst.push_back(1);
    header.rna_background.push_back(-0.5f);
    if (atac) {
      header.rp_background.push_back(-0.01f * static_cast<float>(gene));
    }
  }
  for (std::uint32_t cell = 0; cell < kCells; ++cell) {
    header.barcodes.push_back("cell" + std::to_string(cell));
  }
  header.has_atac = atac;
  header.settings = header.sources = header.quality = "{}";
  return header;
}

void write(const std::filesystem::path& file, bool atac) {
  const auto self = comm::make_self_communicator();
  store::DatasetWriter writer(*self, file);
  writer.append(store::Layer::rna, random_rows(true));
  if (atac) {
    writer.append(store::Layer::rp, random_rows(false));
  }
  writer.finish(header(atac));
}

store::GeneRow row_of(const store::GeneRows& rows, std::uint32_t gene) {
  const auto part = [&](const auto& values) {
    using Values = std::decay_t<decltype(values)>;
    return values.empty() ? Values()
                          : Values(values.begin() + static_cast<std::ptrdiff_t>(rows.offsets[gene]),
                                   values.begin() + static_cast<std::ptrdiff_t>(rows.offsets[gene + 1]));
  };
  return {part(rows.cell), part(rows.value), part(rows.count)};
}

TEST(SamplerOnADataset, GathersTheSameSamplesAsFromMemory) {
  const test::TemporaryDirectory folder;
  write(folder / "D.h5", true);
  const store::Dataset dataset(folder / "D.h5");
  std::vector<std::uint32_t> wanted;
  for (std::uint32_t gene = kGenes; gene > 0; gene -= 1) {
    if (gene % 5 != 0) {
      wanted.push_back(gene - 1);  // descending and with holes
    }
  }
  const SamplerOptions options{
      .cells = 100, .width = 4, .atac = true, .resample = Resample::epoch, .seed = 3};
  const Sampler from_file(dataset, wanted, options);
  std::vector<SamplerGene> genes;
  const auto rna = random_rows(true);
  const auto rp = random_rows(false);
  for (const std::uint32_t gene : wanted) {
    genes.push_back({.index = gene,
                     .symbol = "g" + std::to_string(1000 + gene),
                     .rna = row_of(rna, gene),
                     .rp = row_of(rp, gene),
                     .rp_background = -0.01f * static_cast<float>(gene)});
  }
  const Sampler from_memory("00112233445566ff", kCells, genes, options);
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

TEST(SamplerOnADataset, AsksForAtacOnlyWhereThereIsSome) {
  const test::TemporaryDirectory folder;
  write(folder / "rna.h5", false);
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
