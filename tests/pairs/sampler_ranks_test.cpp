// SPDX-License-Identifier: Apache-2.0
// One copy of the columns per node, filled by its ranks: under MPI, and with ranks as threads.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "pairs/random_dataset.hpp"
#include "support/mpi_world.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::pairs {
namespace {

constexpr std::uint32_t kGenes = 40;

/// From dense genes to nearly empty ones: ranks get different numbers of them.
const test::RandomDataset kDataset{
    .cells = 900, .genes = kGenes, .seed = 6, .stored = [](base::PhiloxStream& random, std::uint32_t gene) {
      return random.below(kGenes) >= gene;
    }};

void on_ranks(const std::function<void(comm::Communicator&)>& program) {
  program(mgrn::test::world());
  if (mgrn::test::world().size() == 1) {
    comm::run_ranks(3, program);
  }
}

std::string shared_file(comm::Communicator& world, std::unique_ptr<mgrn::test::TemporaryDirectory>& folder) {
  std::string file;
  if (world.rank() == 0) {
    folder = std::make_unique<mgrn::test::TemporaryDirectory>();
    file = (*folder / "D.h5").string();
    kDataset.write(file);
  }
  return comm::broadcast_text(world, file);
}

TEST(SamplerOnRanks, SamplesAreThoseOfOneRankForEveryPrecisionAndOrderOfGenes) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<mgrn::test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    std::vector<std::uint32_t> genes;
    for (std::uint32_t gene = kGenes; gene > 0; --gene) {
      genes.push_back((gene * 7) % kGenes);
      genes.push_back((gene * 7) % kGenes);  // repeats
    }
    for (const auto& [precision, pair_cells] : {std::pair{Precision::float32, PairCells::both},
                                                {Precision::int16, PairCells::both},
                                                {Precision::int16, PairCells::either},
                                                {Precision::float32, PairCells::all}}) {
      const SamplerOptions options{.cells = 50, .seed = 3, .precision = precision, .pair_cells = pair_cells};
      const Sampler alone(dataset, genes, options);
      const Sampler shared(dataset, genes, options, world);
      EXPECT_EQ(alone.bytes(), shared.bytes());
      int samples = 0;
      for (std::uint32_t tf = 0; tf < kGenes; tf += 3) {
        for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
          EXPECT_EQ(alone.pair_cells(tf, gene), shared.pair_cells(tf, gene));
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

TEST(SamplerOnRanks, ContextFeaturesAreThoseOfOneRank) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<mgrn::test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    const std::vector<std::uint32_t> genes{1, 5, 2, 9};
    const ContextOptions context{.cell = true, .gene = true};
    const SamplerOptions options{.cells = 20, .width = 4 + context_columns(context), .context = context};
    const Sampler alone(dataset, genes, options);
    const Sampler shared(dataset, genes, options, world);
    for (const std::uint32_t gene : {5u, 9u}) {
      std::vector<float> one(shared.sample_size()), other(shared.sample_size());
      EXPECT_TRUE(alone.gather({.tf = 1, .gene = gene}, one));
      EXPECT_TRUE(shared.gather({.tf = 1, .gene = gene}, other));
      EXPECT_EQ(one, other);
    }
    world.barrier();
  });
}

TEST(SamplerOnRanks, FewerGenesThanRanksAndNone) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<mgrn::test::TemporaryDirectory> folder;
    const store::Dataset dataset(shared_file(world, folder));
    const std::vector<std::uint32_t> one{4};
    const Sampler sampler(dataset, one, {.cells = 5}, world);
    EXPECT_GT(sampler.pair_cells(4, 4), 0u);
    const Sampler none(dataset, {}, {.cells = 5}, world);
    EXPECT_EQ(none.bytes(), 0u);
    world.barrier();
  });
}

TEST(SamplerOnRanks, AnErrorOnOneRankIsThrownOnAll) {
  on_ranks([](comm::Communicator& world) {
    std::unique_ptr<mgrn::test::TemporaryDirectory> folder;
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
