// SPDX-License-Identifier: Apache-2.0
// Samples that an engine makes itself from columns that it holds, against those that the sampler gathers: the
// kernels' bodies run on the processor here (tests/model/block_emulation.hpp).
#include "multigrnformer/train/held_sources.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "model/block_emulation.hpp"
#include "model/cuda/cuda_engine.hpp"
#include "model/cuda/gather.hpp"
#include "model/cuda/held_table.hpp"
#include "model/emulated_device.hpp"
#include "model/samples.hpp"
#include "model/tensor/tensor_engine.hpp"
#include "model/tensor/value_table.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/train/unit_samples.hpp"

namespace mgrn::train {
namespace {

namespace cuda = model::cuda;
using model::test::Order;

constexpr std::uint32_t kGenes = 6;

/// Gene i is expressed in its share of the cells, the last one in none.
pairs::Sampler make_sampler(std::uint32_t cells, const pairs::SamplerOptions& options) {
  constexpr double kShares[kGenes] = {0.9, 0.04, 0.5, 0.3, 1.0, 0.0};
  std::vector<pairs::SamplerGene> genes;
  for (std::uint32_t index = 0; index < kGenes; ++index) {
    base::PhiloxStream random(index, 1234);
    pairs::SamplerGene gene;
    gene.index = 3 * index + 1;
    gene.symbol = "Gene" + std::to_string(index);
    gene.rp_background = -0.5f;
    gene.rna_background = 0.125f;
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      if (random.uniform() < kShares[index]) {
        gene.rna.cell.push_back(cell);
        gene.rna.value.push_back(static_cast<float>(random.normal()));
        gene.rna.count.push_back(1);
      }
      if (random.uniform() < 0.4) {
        gene.rp.cell.push_back(cell);
        gene.rp.value.push_back(static_cast<float>(random.normal()));
      }
    }
    genes.push_back(std::move(gene));
  }
  return {"0123456789abcdef", cells, genes, options};
}

std::vector<float> gathered(const pairs::Sampler& sampler, const pairs::SampleName& name) {
  std::vector<float> values(sampler.sample_size());
  EXPECT_TRUE(sampler.gather(name, values));
  return values;
}

std::vector<cuda::GeneColumns> columns_of(const pairs::ColumnImage& image) {
  std::vector<cuda::GeneColumns> genes;
  for (const pairs::GeneImage& gene : image.genes) {
    genes.push_back({.cell_set = gene.cell_set.data(),
                     .values = gene.values.data(),
                     .value_bytes = gene.values.size(),
                     .rna_step = gene.rna.step,
                     .rp_step = gene.rp.step,
                     .rna_zero = gene.rna.zero,
                     .rp_zero = gene.rp.zero});
  }
  return genes;
}

std::int32_t number_of(pairs::PairCells rule) {
  return rule == pairs::PairCells::both     ? cuda::kFromBoth
         : rule == pairs::PairCells::either ? cuda::kFromEither
                                            : cuda::kFromAll;
}

/// The kernel on a device of its own.
template <Order kOrder = Order::ascending>
class Gathering {
 public:
  using Device = model::test::EmulatedDevice<kOrder>;

  explicit Gathering(const pairs::Sampler& sampler)
      : sampler_(sampler), genes_(columns_of(sampler.image())), table_(table(), sampler.options().cells, 0) {}

  std::vector<float> sample(const pairs::SampleName& name) {
    const pairs::SampleRecipe recipe = sampler_.recipe(name);
    return make(cuda::gather_row({.table = &table_,
                                  .tf = recipe.tf,
                                  .gene = recipe.gene,
                                  .cells_key = recipe.cells_key,
                                  .order_key = recipe.order_key,
                                  .reordered = recipe.reordered ? 1 : 0}));
  }
  std::vector<float> make(const cuda::GatherRow& row) {
    std::vector<float> values(sampler_.sample_size(), 7.0f);
    device_.launch(
        cuda::Gather{{&row, sampler_.options().cells, sampler_.options().width, values.data(), &without_}}, 1,
        cuda::kThreads, cuda::gather_words(sampler_.options().cells, row.blocks) * sizeof(float));
    return values;
  }
  std::uint32_t without() const { return without_; }

 private:
  cuda::GeneTable table() const {
    const std::uint32_t cells = sampler_.image().cells;
    return {.genes = genes_.data(),
            .gene_count = static_cast<std::int64_t>(genes_.size()),
            .cells = cells,
            .blocks = static_cast<std::uint32_t>(sampler_.image().genes[0].cell_set.size() / 32),
            .from = number_of(sampler_.options().pair_cells),
            .atac = sampler_.options().atac ? 1 : 0};
  }

  const pairs::Sampler& sampler_;
  std::vector<cuda::GeneColumns> genes_;
  cuda::HeldTableOf<Device> table_;
  Device device_{0};
  std::uint32_t without_ = 0;
};

/// Pairs of common, rare and silent genes, as far as they have samples.
template <Order kOrder = Order::ascending>
void expect_the_samplers_bits(const pairs::Sampler& sampler, const std::string& where) {
  Gathering<kOrder> gathering(sampler);
  int samples = 0;
  for (const std::uint32_t tf : {0u, 1u, 5u}) {
    for (const std::uint32_t gene : {1u, 2u, 4u}) {
      if (!sampler.has_sample(3 * tf + 1, 3 * gene + 1)) {
        continue;
      }
      for (const auto purpose : {pairs::Purpose::train, pairs::Purpose::test}) {
        const pairs::SampleName name{
            .tf = 3 * tf + 1, .gene = 3 * gene + 1, .purpose = purpose, .epoch = tf, .variant = gene};
        ASSERT_EQ(gathering.sample(name), gathered(sampler, name)) << where << " " << tf << " " << gene;
        ++samples;
      }
    }
  }
  EXPECT_GT(samples, 0) << where;
  EXPECT_EQ(gathering.without(), 0u);
}

TEST(HeldSamples, HaveTheBitsOfTheHostsSamplerUnderEveryRuleAndPrecision) {
  for (const auto rule : {pairs::PairCells::both, pairs::PairCells::either, pairs::PairCells::all}) {
    for (const auto resample : {pairs::Resample::once, pairs::Resample::copies, pairs::Resample::epoch}) {
      for (const auto precision : {pairs::Precision::float32, pairs::Precision::int16}) {
        for (const bool atac : {true, false}) {
          expect_the_samplers_bits(
              make_sampler(700, {.cells = 60,
                                 .width = atac ? 6 : 4,
                                 .atac = atac,
                                 .resample = resample,
                                 .precision = precision,
                                 .pair_cells = rule}),
              std::to_string(static_cast<int>(rule)) + " " + std::to_string(static_cast<int>(resample)));
        }
      }
    }
  }
}

TEST(HeldSamples, HaveThemForAnyNumberOfCells) {
  for (const int wanted : {1, 2, 3, 255, 256, 257, 500}) {
    for (const std::uint32_t cells : {1u, 31u, 224u, 225u, 1100u}) {
      for (const auto resample : {pairs::Resample::once, pairs::Resample::epoch}) {
        expect_the_samplers_bits(make_sampler(cells, {.cells = wanted, .resample = resample}),
                                 std::to_string(wanted) + " of " + std::to_string(cells));
      }
    }
  }
}

TEST(HeldSamples, HaveThemInCellSetsOfMoreBlocksThanThreads) {
  expect_the_samplers_bits(make_sampler(224 * 600 + 5, {.cells = 40}), "600 blocks");
}

TEST(HeldSamples, DoNotDependOnTheOrderOfThreads) {
  expect_the_samplers_bits<Order::descending>(
      make_sampler(1100, {.cells = 300, .resample = pairs::Resample::once}), "descending");
}

/// Ranks as the sampler draws them, one by one.
std::vector<std::uint32_t> written_out(std::uint32_t count, std::uint32_t wanted, std::uint64_t key) {
  base::PhiloxStream random(key, 0);
  std::vector<std::uint32_t> ranks;
  std::map<std::uint32_t, std::uint32_t> moved;  // the identity but for these
  const auto at = [&](std::uint32_t place) -> std::uint32_t& {
    return moved.emplace(place, place).first->second;
  };
  for (std::uint32_t i = 0; i < wanted; ++i) {
    if (count < wanted) {
      ranks.push_back(random.below(count));
      continue;
    }
    const std::uint32_t other = i + random.below(count - i);
    std::swap(at(i), at(other));
    ranks.push_back(at(i));
  }
  return ranks;
}

std::vector<std::uint32_t> drawn_by_a_block(std::uint32_t count, int wanted, std::uint64_t key,
                                            bool reordered) {
  std::vector<std::uint32_t> ranks(static_cast<std::size_t>(wanted));
  model::test::run_blocks(
      1, cuda::kThreads, cuda::rank_words(wanted), [&](model::test::EmulatedBlock& block) {
        const cuda::RankDraw<model::test::EmulatedBlock> draw{block, wanted, block.shared()};
        draw.draw(key, count);
        if (reordered) {
          draw.reorder(key + 1);
        }
        for (int i = block.thread(); i < wanted; i += block.threads()) {
          ranks[static_cast<std::size_t>(i)] = draw.ranks()[i];
        }
      });
  return ranks;
}

TEST(RanksOfABlock, AreDrawnAgainWhereANumberWouldBeBiased) {
  // With bounds of this size a quarter of the numbers is rejected, which shifts all that follow.
  for (std::uint64_t key = 0; key < 5; ++key) {
    EXPECT_EQ(drawn_by_a_block(3u << 30, 100, key, false), written_out(3u << 30, 100, key));
  }
}

TEST(RanksOfABlock, AreThoseOfTheShuffleWrittenOutAndItsReordering) {
  for (const int wanted : {1, 2, 7, 300}) {
    for (const std::uint32_t count : {1u, 6u, 299u, 300u, 301u, 5000u}) {
      auto expected = written_out(count, static_cast<std::uint32_t>(wanted), 11);
      EXPECT_EQ(drawn_by_a_block(count, wanted, 11, false), expected) << wanted << " of " << count;
      base::PhiloxStream order(12, 0);
      base::shuffle(expected, order);
      EXPECT_EQ(drawn_by_a_block(count, wanted, 11, true), expected) << wanted << " of " << count;
    }
  }
}

TEST(HeldSamples, OfAPairWithoutCellsAreZeroAndSaid) {
  const auto sampler = make_sampler(100, {.cells = 10});
  Gathering<> gathering(sampler);
  const pairs::SampleName silent{.tf = 1, .gene = 3 * (kGenes - 1) + 1};
  ASSERT_FALSE(sampler.has_sample(silent.tf, silent.gene));
  EXPECT_EQ(gathering.sample(silent), std::vector<float>(40, 0.0f));
  EXPECT_EQ(gathering.without(), 1u);
}

TEST(HeldSamples, RowsOfPaddingAreZero) {
  const auto sampler = make_sampler(100, {.cells = 10});
  Gathering<> gathering(sampler);
  EXPECT_EQ(gathering.make({}), std::vector<float>(40, 0.0f));
  EXPECT_EQ(gathering.without(), 0u);
}

TEST(HeldSamples, OfTheTensorEngineHaveTheSamplersBits) {
  constexpr int kRows = 5;
  for (const auto rule : {pairs::PairCells::both, pairs::PairCells::either, pairs::PairCells::all}) {
    for (const auto precision : {pairs::Precision::float32, pairs::Precision::int16}) {
      for (const bool atac : {true, false}) {
        const pairs::SamplerOptions options{
            .cells = 60, .width = 6, .atac = atac, .precision = precision, .pair_cells = rule};
        const auto first = make_sampler(700, options), second = make_sampler(230, options);
        const auto engine = model::tensor::make_tensor_engine(
            {.cells = 60, .width = 6, .heads = 6}, kRows, {.kind = "tensor"}, model::tensor::Holds::anywhere);
        HeldSources held;
        held.hold(first, *engine);
        held.hold(second, *engine);
        // A micro-batch of two datasets, and a row of padding.
        const std::vector<pairs::SampleRequest> requests{{.sampler = &first, .name = {.tf = 1, .gene = 7}},
                                                         {.sampler = &second, .name = {.tf = 4, .gene = 13}},
                                                         {.sampler = &second, .name = {.tf = 1, .gene = 10}},
                                                         {.sampler = &first, .name = {.tf = 13, .gene = 1}}};
        NamedSamples named;
        ASSERT_TRUE(held.name(requests, named));
        const at::Tensor taken =
            model::tensor::take_samples(named.samples, kRows, 60, 6, at::kCPU).contiguous();
        std::vector<float> expected(kRows * first.sample_size());
        ASSERT_EQ(pairs::gather_samples(requests, std::span(expected).first(4 * first.sample_size())), 4u);
        EXPECT_EQ(std::vector<float>(taken.data_ptr<float>(), taken.data_ptr<float>() + taken.numel()),
                  expected);
      }
    }
  }
}

// ---- through the engine -------------------------------------------------------------------------------

class HeldByAnEngine : public testing::Test {
 protected:
  static constexpr int kUnit = 4;
  static constexpr int kCells = 50;

  std::unique_ptr<model::Engine> engine() const {
    return cuda::make_cuda_engine(shape_, kUnit, {.kind = "linear"}, api_);
  }
  std::unique_ptr<model::Engine> tensor_engine() const {
    return model::tensor::make_tensor_engine(shape_, kUnit, {.kind = "tensor"},
                                             model::tensor::Holds::anywhere);
  }
  pairs::SampleRequest request(std::uint32_t variant) const {
    return {.sampler = &sampler_, .name = {.tf = 1, .gene = 7, .variant = variant}};
  }

  void expect_the_bits_of_samples_that_are_brought(model::Engine& gpu) const {
    HeldSources held;
    held.hold(sampler_, gpu);
    HeldSources nothing;
    // Three rows of four: the last is padding.
    const std::vector<pairs::SampleRequest> requests{request(0), request(1), request(2)};
    UnitSamples named, brought;
    named.bring(held, requests, kUnit);
    brought.bring(nothing, requests, kUnit);
    ASSERT_EQ(named.held().size(), 3u);
    ASSERT_TRUE(named.inputs().empty());
    ASSERT_TRUE(brought.held().empty());
    const std::vector<float> labels{1, 0, 1, 0}, weights{1, 1, 1, 0};
    model::MicroBatch batch{
        .samples = kUnit, .inputs = brought.inputs(), .labels = labels, .weights = weights, .names = {}};
    std::vector<float> expected(parameters_.values().size()), got(expected.size());
    const auto want = gpu.gradient(parameters_, batch, expected);
    batch.inputs = {};
    batch.held = named.held();
    const auto have = gpu.gradient(parameters_, batch, got);
    EXPECT_EQ(have.loss, want.loss);
    EXPECT_EQ(have.live_hidden, want.live_hidden);
    EXPECT_EQ(got, expected);

    std::vector<float> logits(kUnit), of_held(3);
    gpu.predict(parameters_, kUnit, brought.inputs(), logits);
    gpu.predict_held(parameters_, named.held(), of_held);
    EXPECT_EQ(of_held, std::vector<float>(logits.begin(), logits.begin() + 3));
  }

  const cuda::Api& api_ = *cuda::api_of<model::test::EmulatedDevice<>>(cuda::kApiVersion);
  model::Shape shape_{.cells = kCells, .layers = 1, .hidden = 8};
  pairs::Sampler sampler_ = make_sampler(600, {.cells = kCells});
  model::Parameters parameters_ = model::test::make_parameters(shape_, 3, 1);
};

TEST_F(HeldByAnEngine, SamplesGiveTheBitsOfThoseThatAreBrought) {
  expect_the_bits_of_samples_that_are_brought(*engine());
  expect_the_bits_of_samples_that_are_brought(*tensor_engine());
}

TEST_F(HeldByAnEngine, SamplesOfASourceThatIsNotHeldAreGathered) {
  const auto gpu = engine();
  HeldSources held;
  held.hold(sampler_, *gpu);
  const auto other = make_sampler(300, {.cells = kCells});
  const std::vector<pairs::SampleRequest> requests{request(0),
                                                   {.sampler = &other, .name = {.tf = 1, .gene = 7}}};
  UnitSamples unit;
  unit.bring(held, requests, kUnit);
  EXPECT_TRUE(unit.held().empty());
  std::vector<float> expected(2 * sampler_.sample_size());
  ASSERT_EQ(pairs::gather_samples(requests, expected), 2u);
  expected.resize(kUnit * sampler_.sample_size());
  EXPECT_EQ(std::vector<float>(unit.inputs().begin(), unit.inputs().end()), expected);
}

TEST_F(HeldByAnEngine, APairWithoutCellsIsADefectOfTheCaller) {
  const auto gpu = engine();
  HeldSources held;
  held.hold(sampler_, *gpu);
  const std::vector<pairs::SampleRequest> silent{
      {.sampler = &sampler_, .name = {.tf = 1, .gene = 3 * (kGenes - 1) + 1}}};
  UnitSamples unit;
  unit.bring(held, silent, kUnit);
  std::vector<float> logit(1);
  EXPECT_THROW(gpu->predict_held(parameters_, unit.held(), logit), base::InternalError);
  UnitSamples gathered;
  EXPECT_THROW(gathered.bring({}, silent, kUnit), base::InternalError);
}

TEST_F(HeldByAnEngine, WhatTheDeviceCannotHoldIsGatheredByTheHost) {
  // A cell set of so many blocks leaves a thread block of the device no room for its counts.
  const auto gpu = engine();
  HeldSources held;
  pairs::SamplerGene gene{.index = 1, .symbol = "Gene", .rna = {}, .rp = {}};
  gene.rna.cell.push_back(5);
  gene.rna.value.push_back(1.0f);
  gene.rna.count.push_back(1);
  const pairs::Sampler wide("0123456789abcdef", 224 * 41'000, std::vector{gene}, {.cells = kCells});
  held.hold(wide, *gpu);
  NamedSamples named;
  const std::vector<pairs::SampleRequest> requests{{.sampler = &wide, .name = {.tf = 1, .gene = 1}}};
  EXPECT_FALSE(held.name(requests, named));
}

TEST_F(HeldByAnEngine, EnginesOfTheProcessorHoldNothingAndRefuseNames) {
  const auto cpu = model::make_engine(shape_, kUnit, {});
  HeldSources held;
  held.hold(sampler_, *cpu);
  NamedSamples named;
  const std::vector<pairs::SampleRequest> requests{request(0)};
  EXPECT_FALSE(held.name(requests, named));
  named.samples.resize(1);
  std::vector<float> logit(1);
  EXPECT_THROW(cpu->predict_held(parameters_, named.samples, logit), base::InternalError);
  const std::vector<float> labels(kUnit), weights(kUnit);
  std::vector<float> gradient(parameters_.values().size());
  EXPECT_THROW(cpu->gradient(parameters_,
                             {.samples = kUnit,
                              .inputs = {},
                              .labels = labels,
                              .weights = weights,
                              .names = {},
                              .held = named.samples},
                             gradient),
               base::InternalError);
}

}  // namespace
}  // namespace mgrn::train
