// SPDX-License-Identifier: Apache-2.0
// One copy of the columns per node, filled by its ranks: under MPI, and with ranks as threads.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "support/mpi_world.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::pairs {
namespace {

constexpr std::uint32_t kCells = 900;
constexpr std::uint32_t kGenes = 40;

store::GeneRows random_rows(bool rna) {
  store::GeneRows rows;
  rows.offsets.push_back(0);
  base::PhiloxStream random(6, rna ? 1 : 2);
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      if (random.below(kGenes) >= gene) {  // from dense to nearly empty: ranks get different numbers of genes
        rows.cell.push_back(cell);
        rows.value.push_back(static_cast<float>(random.normal()));
        if (rna) {
          rows.count.push_back(static_cast<float>(random.below(5)));
        }
      }
    }
    rows.offsets.push_back(rows.cell.size());
  }
  return rows;
}

void write(const std::filesystem::path& file) {
  store::DatasetHeader header;
  header.id = "00112233445566ff";
  header.has_atac = true;
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    header.genes.push_back("G" + std::to_string(1000 + gene));
    header.variance.push_back(1);
    header.vst.push_back(1);
    header.rna_background.push_back(0);
    header.rp_background.push_back(-0.01f * static_cast<float>(gene));
  }
  for (std::uint32_t cell = 0; cell < kCells; ++cell) {
    header.barcodes.push_back("cell" + std::to_string(cell));
  }
  header.settings = header.sources = header.quality = "{}";
  const auto self = comm::make_self_communicator();
  store::DatasetWriter writer(*self, file);
  writer.append(store::Layer::rna, random_rows(true));
  writer.append(store::Layer::rp, random_rows(false));
  writer.finish(header);
}

void on_ranks(const std::function<void(comm::Communicator&)>& program) {
  program(test::world());
  if (test::world().size() == 1) {
    comm::run_ranks(3, program);
  }
}

std::string shared_file(comm::Communicator& world, std::unique_ptr<test::TemporaryDirectory>& folder) {
  std::string file;
  if (world.rank() == 0) {
    folder = std::make_unique<test::TemporaryDirectory>();
    file = (*folder / "D.h5").string();
    write(file);
  }
  return comm::broadcast_text(world, file);
}

TEST(SamplerOnRanks, SamplesAreThoseOfOneRankForEveryPrecisionAndOrderOfGenes) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    std::vector<std::uint32_t> genes;
    for (std::uint32_t gene = kGenes; gene > 0; --gene) {
      genes.push_back((gene * 7) % kGenes);
      genes.push_back((gene * 7) % kGenes);  // repeats
    }
    for (const Precision precision : {Precision::float32, Precision::int16}) {
      const SamplerOptions options{.cells = 50, .seed = 3, .precision = precision};
      const Sampler alone(dataset, genes, options);
      const Sampler shared(dataset, genes, options, world);
      EXPECT_EQ(alone.bytes(), shared.bytes());
      int samples = 0;
      for (std::uint32_t tf = 0; tf < kGenes; tf += 3) {
        for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
          EXPECT_EQ(alone.shared_cells(tf, gene), shared.shared_cells(tf, gene));
          std::vector<float> one(200), other(200);
          const SampleName name{.tf = tf, .gene = gene};
          EXPECT_EQ(alone.gather(name, one), shared.gather(name, other));
          EXPECT_EQ(one, other);
          ++samples;
        }
      }
      EXPECT_GT(samples, 100);
      world.barrier();
    }
  });
}

TEST(SamplerOnRanks, FewerGenesThanRanksAndNone) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    const std::vector<std::uint32_t> one{4};
    const Sampler sampler(dataset, one, {.cells = 5}, world);
    EXPECT_GT(sampler.shared_cells(4, 4), 0u);
    const Sampler none(dataset, {}, {.cells = 5}, world);
    EXPECT_EQ(none.bytes(), 0u);
    world.barrier();
  });
}

TEST(SamplerOnRanks, AnErrorOnOneRankIsThrownOnAll) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    std::vector<std::uint32_t> genes{1, 2, 3};
    if (world.rank() == world.size() - 1) {
      genes.push_back(kGenes);  // no such gene
    }
    bool thrown = false;
    try {
      const Sampler sampler(dataset, genes, {.cells = 5}, world);
    } catch (const base::InternalError& error) {
      thrown = true;
      EXPECT_EQ(error.rank(), world.size() - 1);
    }
    EXPECT_TRUE(thrown);
    world.barrier();
  });
}

}  // namespace
}  // namespace mgrn::pairs
