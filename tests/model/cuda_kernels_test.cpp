// SPDX-License-Identifier: Apache-2.0
// The bodies of the CUDA kernels, run on the processor (block_emulation.hpp), against the CPU engine: logits,
// loss and the gradient of every tensor. No test here needs or uses a GPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <utility>

#include "model/block_emulation.hpp"
#include "model/cpu/fused_engine.hpp"
#include "model/cuda/cuda_engine.hpp"
#include "model/emulated_device.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/model/devices.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

const cuda::Api& emulation() {
  return *cuda::api_of<test::EmulatedDevice<>>(cuda::kApiVersion);
}

struct Case {
  Shape shape;
  int samples = 2;
  double sharpness = 1;
  double dropout = 0;
};

void expect_parity(const Case& at, const Samples& samples) {
  const Shape& shape = at.shape;
  const std::string where = "N " + std::to_string(shape.cells) + " width " + std::to_string(shape.width) +
                            " layers " + std::to_string(shape.layers) + " sharpness " +
                            std::to_string(at.sharpness) + " dropout " + std::to_string(at.dropout);
  const Parameters parameters = make_parameters(shape, 31, at.sharpness);
  const EngineOptions options{"linear", "auto", at.dropout};
  const auto cpu = cpu::make_fused_engine(shape, at.samples, options);
  const auto gpu = cuda::make_cuda_engine(shape, at.samples, options, emulation());
  std::vector<float> expected(parameters.values().size()), got(expected.size());
  const StepStatistics want = cpu->gradient(parameters, samples.batch(), expected);
  const StepStatistics have = gpu->gradient(parameters, samples.batch(), got);
  EXPECT_NEAR(have.loss, want.loss, 2e-6 * at.sharpness) << where;
  EXPECT_EQ(have.live_hidden, want.live_hidden) << where;
  std::vector<float> logits(static_cast<std::size_t>(at.samples)), exact(logits.size());
  gpu->predict(parameters, at.samples, samples.inputs, logits);
  cpu->predict(parameters, at.samples, samples.inputs, exact);
  EXPECT_LE(test::relative_error(logits, exact), 2e-6 * at.sharpness) << where;
  double encoder_norm = 0;
  for (const ParameterView& view : parameters.views()) {
    for (std::size_t i = 0; i < view.size && !view.predictor; ++i)
      encoder_norm += std::pow(static_cast<double>(expected[view.offset + i]), 2);
  }
  double worst = 0;
  for (const ParameterView& view : parameters.views()) {
    double difference = 0, norm = 0;
    for (std::size_t i = 0; i < view.size; ++i) {
      const double value = expected[view.offset + i];
      difference += std::pow(static_cast<double>(got[view.offset + i]) - value, 2);
      norm += value * value;
    }
    const double error = std::sqrt(difference) / std::max(std::sqrt(norm), 0.02 * std::sqrt(encoder_norm));
    EXPECT_LE(error, 1e-5 * at.sharpness) << where << ' ' << view.name;
    worst = std::max(worst, error);
    if (view.name.find("in_proj_bias") != std::string::npos) {
      for (int key = shape.width; key < 2 * shape.width; ++key) {
        EXPECT_EQ(got[view.offset + static_cast<std::size_t>(key)], 0.0f)
            << where << ": softmax sees no shift";
      }
    }
  }
  if (std::getenv("MGRN_TEST_VERBOSE") != nullptr) {
    std::printf("%-70s logits %.1e worst tensor %.1e\n", where.c_str(), test::relative_error(logits, exact),
                worst);
  }
}

void expect_parity(const Case& at) {
  expect_parity(at, make_samples(at.shape, at.samples, 31));
}

TEST(CudaKernels, MatchTheCpuEngineInEveryTensor) {
  for (const int cells : {100, 331, 500}) {
    for (const int layers : {1, 2, 3}) {
      expect_parity({.shape = {.cells = cells, .layers = layers, .hidden = 32}});
    }
  }
}

TEST(CudaKernels, MatchTheCpuEngineAtOddSizes) {
  for (const int cells : {1, 3, 32, 33, 65}) expect_parity({.shape = {.cells = cells, .hidden = 33}});
}

TEST(CudaKernels, MatchTheCpuEngineAtOtherWidths) {
  expect_parity({.shape = {.cells = 100, .width = 6, .heads = 6, .layers = 2, .hidden = 16}});
  expect_parity({.shape = {.cells = 101, .width = 8, .heads = 8, .layers = 2, .hidden = 16}});
}

TEST(CudaKernels, MatchTheCpuEngineWithDropout) {
  expect_parity({.shape = {.cells = 100, .hidden = 32}, .dropout = 0.3});
}

TEST(CudaKernels, MatchTheCpuEngineWithPanelsAndQuadraticHeads) {
  expect_parity({.shape = {.cells = 300, .hidden = 32}, .samples = 3, .sharpness = 2.0});
  expect_parity({.shape = {.cells = 300, .hidden = 32}, .samples = 3, .sharpness = 3.5});
  expect_parity({.shape = {.cells = 100, .hidden = 32}, .samples = 2, .sharpness = 12});
}

// Panels that the kernels try first, of all heads together, in the sample and layer that have most.
int most_panels(const Case& at) {
  const Samples samples = make_samples(at.shape, at.samples, 31);
  const Parameters parameters = make_parameters(at.shape, 31, at.sharpness);
  std::map<std::pair<int, int>, int> panels;
  cpu::make_fused_engine(at.shape, at.samples, {"linear"})
      ->visit_heads(parameters, at.samples, samples.inputs, [&](const HeadView& head) {
        const double range = head.path.range;
        const bool quadratic = range >= 3.4 * cuda::kPanels;
        panels[{head.sample, head.layer}] += quadratic    ? 0
                                             : range <= 6 ? 1
                                                          : static_cast<int>(range * 0.3) + 1;
      });
  int most = 0;
  for (const auto& [place, count] : panels) most = std::max(most, count);
  return most;
}

TEST(CudaKernels, MatchTheCpuEngineWithMorePanelsThanSlots) {
  const Case four{.shape = {.cells = 150, .layers = 1, .hidden = 16}, .samples = 2, .sharpness = 5};
  ASSERT_GT(most_panels(four), cuda::kSlots);
  expect_parity(four);
  const Case eight{.shape = {.cells = 100, .width = 8, .heads = 8, .layers = 1, .hidden = 16},
                   .samples = 2,
                   .sharpness = 3};
  ASSERT_GT(most_panels(eight), cuda::kSlots);
  expect_parity(eight);
}

// Keys at two points, and queries between: with as many panels as the range asks for, terms of both signs
// cancel.
TEST(CudaKernels, MatchTheCpuEngineWhereMorePanelsAreNeededThanTheRangeSays) {
  const Case at{.shape = {.cells = 200, .layers = 1, .hidden = 16}, .samples = 2, .sharpness = 0.95};
  Samples samples = make_samples(at.shape, at.samples, 31);
  for (std::size_t i = 0; i < samples.inputs.size(); ++i) {
    samples.inputs[i] = i / 4 % 16 == 0 ? 0.0f : i / 4 % 2 == 0 ? 3.0f : -3.0f;
  }
  bool more = false;
  cpu::make_fused_engine(at.shape, at.samples, {"linear"})
      ->visit_heads(
          make_parameters(at.shape, 31, at.sharpness), at.samples, samples.inputs,
          [&](const HeadView& head) { more = more || (head.path.range <= 6 && head.path.panels > 1); });
  ASSERT_TRUE(more);
  expect_parity(at, samples);
}

TEST(CudaKernels, MatchTheCpuEngineWithSoManySamplesThatBlocksAreSmaller) {
  expect_parity({.shape = {.cells = 66, .layers = 1, .hidden = 40}, .samples = cuda::kFewSamples + 1});
}

TEST(CudaKernels, HaveTheSameBitsFromAnyCall) {
  const Shape shape{.cells = 70, .hidden = 16};
  const Samples samples = make_samples(shape, 5, 5);
  const Parameters parameters = make_parameters(shape, 5);
  const auto engine = cuda::make_cuda_engine(shape, 5, {}, emulation());
  const auto second = cuda::make_cuda_engine(shape, 5, {}, emulation());
  std::vector<float> first(parameters.values().size(), std::nanf("")), again(first.size());
  const StepStatistics statistics = engine->gradient(parameters, samples.batch(), first);
  for (const float value : first) ASSERT_TRUE(std::isfinite(value)) << "every element is written";
  engine->gradient(make_parameters(shape, 6, 3.0), make_samples(shape, 3, 9).batch(), again);
  EXPECT_EQ(engine->gradient(parameters, samples.batch(), again).loss, statistics.loss);
  EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0);
  second->gradient(parameters, samples.batch(), again);
  EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0);
}

TEST(CudaKernels, DoNotDependOnTheOrderOfThreads) {
  for (const double sharpness : {1.0, 3.5}) {
    const Shape shape{.cells = 150, .hidden = 16};
    const EngineOptions options{.dropout = 0.1};
    const Samples samples = make_samples(shape, 2, 5);
    const Parameters parameters = make_parameters(shape, 5, sharpness);
    const auto ascending = cuda::make_cuda_engine(shape, 2, options, emulation());
    const auto descending = cuda::make_cuda_engine(
        shape, 2, options, *cuda::api_of<test::EmulatedDevice<test::Order::descending>>(cuda::kApiVersion));
    std::vector<float> first(parameters.values().size()), second(first.size());
    EXPECT_EQ(ascending->gradient(parameters, samples.batch(), first).loss,
              descending->gradient(parameters, samples.batch(), second).loss);
    EXPECT_EQ(std::memcmp(first.data(), second.data(), first.size() * sizeof(float)), 0)
        << "no barrier is missing";
  }
}

TEST(CudaKernels, PaddingRowsContributeNothingWhateverTheyHold) {
  const Shape shape{.cells = 40, .hidden = 16};
  const Samples real = make_samples(shape, 2, 8);
  const Parameters parameters = make_parameters(shape, 8);
  Samples padded = make_samples(shape, 4, 8);
  padded.weights[2] = padded.weights[3] = 0.0f;
  std::fill(padded.inputs.begin() + 2 * shape.cells * shape.width, padded.inputs.end(), std::nanf(""));
  const auto engine = cuda::make_cuda_engine(shape, 4, {}, emulation());
  std::vector<float> expected(parameters.values().size()), got(expected.size());
  const StepStatistics short_batch = engine->gradient(parameters, real.batch(), expected);
  const StepStatistics full_batch = engine->gradient(parameters, padded.batch(), got);
  EXPECT_EQ(short_batch.loss, full_batch.loss);
  EXPECT_EQ(short_batch.live_hidden, full_batch.live_hidden);
  EXPECT_EQ(std::memcmp(expected.data(), got.data(), got.size() * sizeof(float)), 0);
}

TEST(CudaKernels, NonFiniteInputsShowInTheGradient) {
  const Shape shape{.cells = 40, .hidden = 16};
  Samples samples = make_samples(shape, 2, 12);
  const Parameters parameters = make_parameters(shape, 12);
  samples.inputs[123] = std::nanf("");
  std::vector<float> gradient(parameters.values().size());
  const auto engine = cuda::make_cuda_engine(shape, 2, {}, emulation());
  EXPECT_FALSE(std::isfinite(engine->gradient(parameters, samples.batch(), gradient).loss));
  EXPECT_TRUE(std::ranges::any_of(gradient, [](float value) { return !std::isfinite(value); }));
}

TEST(CudaKernels, FixedPointIsRoundedToEvenAndSummedExactly) {
  constexpr int kScale = 40;
  base::PhiloxStream random(3, 3);
  std::vector<float> values{0.0f, -0.0f, 1e-30f, 0.5f * 0x1p-40f, 1.5f * 0x1p-40f, -2.5f * 0x1p-40f, 1023.0f};
  while (values.size() < 1000) {
    // Up to 2^10, where this scale's range ends.
    const double value = random.normal() * std::exp(6 * random.normal() - 8);
    values.push_back(static_cast<float>(std::clamp(value, -1000.0, 1000.0)));
  }
  std::vector<std::uint64_t> sum(values.size());
  std::vector<std::int64_t> expected(values.size());
  std::uint32_t largest = 0;
  constexpr std::uint64_t kBias = 0x4338000000000000ull;
  for (int addition = 1; addition <= 3; ++addition) {
    const cuda::AddFixedPoint body{{static_cast<std::int64_t>(values.size()), std::ldexp(1.0, kScale),
                                    values.data(), sum.data(), &largest}};
    test::run_blocks(2, 64, 0, [&](test::EmulatedBlock& block) { body(block); });
    float most = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      // Half to even, the mode of the processor.
      expected[i] += std::llrint(std::ldexp(static_cast<double>(values[i]), kScale));
      const auto additions = static_cast<std::uint64_t>(addition);
      ASSERT_EQ(static_cast<std::int64_t>(sum[i] - additions * kBias), expected[i]) << values[i];
      most = std::max(most, std::fabs(values[i]));
    }
    EXPECT_EQ(largest, std::bit_cast<std::uint32_t>(most));
    for (float& value : values) value *= -0.75f;
    largest = 0;
  }
}

/// gradient() and add_fixed_point(), as an engine without an accumulate() of its own does it.
StepStatistics add_apart(Engine& engine, const Parameters& parameters, const MicroBatch& batch,
                         FixedPointSum& sum) {
  return engine.Engine::accumulate(parameters, batch, sum);
}

struct Sum {
  explicit Sum(const Parameters& parameters) : bits(parameters.values().size(), 0xdeadbeefu) {
    sum.values = bits;
    sum.scale = 40;
  }
  std::vector<std::uint64_t> bits;
  FixedPointSum sum;
};

TEST(CudaKernels, TheSumOnTheDeviceHasTheBitsOfTheHosts) {
  for (const int width : {4, 6, 8}) {
    for (const double dropout : {0.0, 0.3}) {
      const Shape shape{.cells = 20, .width = width, .heads = width, .layers = 2, .hidden = 16};
      const Parameters parameters = make_parameters(shape, 5);
      const EngineOptions options{.dropout = dropout};
      const auto engine = cuda::make_cuda_engine(shape, 4, options, emulation());
      const auto apart = cuda::make_cuda_engine(shape, 4, options, emulation());
      Sum got(parameters), expected(parameters);
      for (const std::uint64_t seed : {3, 4, 5}) {
        // The last micro-batch is a short one.
        const Samples samples = make_samples(shape, seed == 5 ? 2 : 4, seed);
        const StepStatistics have = engine->accumulate(parameters, samples.batch(), got.sum);
        const StepStatistics want = add_apart(*apart, parameters, samples.batch(), expected.sum);
        EXPECT_EQ(have.loss, want.loss);
        EXPECT_EQ(have.live_hidden, want.live_hidden);
      }
      EXPECT_FALSE(got.sum.fresh);
      engine->finish(got.sum);
      EXPECT_EQ(got.sum.largest, expected.sum.largest);
      EXPECT_TRUE(got.bits == expected.bits) << "width " << width << " dropout " << dropout;
      // Twice is once: nothing waits any longer.
      engine->finish(got.sum);
      EXPECT_TRUE(got.bits == expected.bits);
    }
  }
}

TEST(CudaKernels, TheSumIsThatOfTheCpuEngineToTheGradientsTolerance) {
  const Shape shape{.cells = 100, .hidden = 32};
  const Parameters parameters = make_parameters(shape, 31);
  const auto cpu = cpu::make_fused_engine(shape, 2, {.kind = "linear"});
  const auto gpu = cuda::make_cuda_engine(shape, 2, {.kind = "linear"}, emulation());
  Sum got(parameters), expected(parameters);
  for (const std::uint64_t seed : {3, 4, 5}) {
    const Samples samples = make_samples(shape, 2, seed);
    gpu->accumulate(parameters, samples.batch(), got.sum);
    cpu->accumulate(parameters, samples.batch(), expected.sum);
  }
  gpu->finish(got.sum);
  cpu->finish(expected.sum);
  std::vector<float> have(got.bits.size()), want(got.bits.size());
  to_float(got.bits, 3, 40, 1, have);
  to_float(expected.bits, 3, 40, 1, want);
  for (const ParameterView& view : parameters.views()) {
    double difference = 0, norm = 1e-6;
    for (std::size_t i = view.offset; i < view.offset + view.size; ++i) {
      difference += std::pow(static_cast<double>(have[i]) - static_cast<double>(want[i]), 2);
      norm += std::pow(static_cast<double>(want[i]), 2);
    }
    EXPECT_LE(std::sqrt(difference), 1e-5 * std::sqrt(norm)) << view.name;
  }
}

TEST(CudaKernels, TheSumOnTheDeviceMayBeReducedThereAndStartsAnewWithTheCallers) {
  const Shape shape{.cells = 20, .layers = 1, .hidden = 8};
  const Samples samples = make_samples(shape, 2, 5);
  const Parameters parameters = make_parameters(shape, 5);
  const auto engine = cuda::make_cuda_engine(shape, 2, {}, emulation());
  const auto apart = cuda::make_cuda_engine(shape, 2, {}, emulation());
  Sum once(parameters), sum(parameters);
  add_apart(*apart, parameters, samples.batch(), once.sum);
  // A step that is given up leaves its sum behind on the device; the next one does not see it.
  engine->accumulate(parameters, samples.batch(), sum.sum);
  sum.sum.fresh = true;
  engine->accumulate(parameters, samples.batch(), sum.sum);
  const std::span<std::uint64_t> place = engine->device_sum(sum.sum);
  ASSERT_EQ(place.size(), sum.bits.size());
  EXPECT_TRUE(std::ranges::equal(place, once.bits));
  for (std::uint64_t& value : place) value *= 3;  // two more ranks with the same sum
  engine->finish(sum.sum);
  for (std::size_t i = 0; i < place.size(); ++i) ASSERT_EQ(sum.bits[i], 3 * once.bits[i]);
  // What the host has already is added to.
  engine->accumulate(parameters, samples.batch(), sum.sum);
  engine->finish(sum.sum);
  for (std::size_t i = 0; i < place.size(); ++i) ASSERT_EQ(sum.bits[i], 4 * once.bits[i]);
  // A rank without a micro-batch takes part with zeros.
  sum.sum.fresh = true;
  const std::span<std::uint64_t> zeros = engine->device_sum(sum.sum);
  EXPECT_EQ(std::ranges::count(zeros, 0u), static_cast<std::ptrdiff_t>(zeros.size()));
  EXPECT_FALSE(sum.sum.fresh);
  engine->finish(sum.sum);
  EXPECT_EQ(std::ranges::count(sum.bits, 0u), static_cast<std::ptrdiff_t>(sum.bits.size()));
  EXPECT_TRUE(cpu::make_fused_engine(shape, 2, {})->device_sum(sum.sum).empty());
}

TEST(CudaKernels, ASumOutOfRangeOrNotFiniteShowsInItsLargestBits) {
  const Shape shape{.cells = 20, .layers = 1, .hidden = 8};
  Samples samples = make_samples(shape, 2, 5);
  const Parameters parameters = make_parameters(shape, 5);
  const auto engine = cuda::make_cuda_engine(shape, 2, {}, emulation());
  Sum sum(parameters);
  engine->accumulate(parameters, samples.batch(), sum.sum);
  EXPECT_LT(sum.sum.largest.back(), fixed_point_limit(40));
  samples.inputs[7] = std::nanf("");
  engine->accumulate(parameters, samples.batch(), sum.sum);
  EXPECT_GE(sum.sum.largest.back(), 0x7f800000u);
  sum.sum.values = std::span(sum.bits).first(3);
  EXPECT_THROW(engine->accumulate(parameters, samples.batch(), sum.sum), base::InternalError);
}

TEST(CudaKernels, LayoutIsThatOfTheWeights) {
  const auto expect_layout = [](const auto layer, int width) {
    const Parameters parameters(Shape{.cells = 2, .width = width, .heads = width, .layers = 2, .hidden = 2});
    const int offsets[] = {layer.kInWeight,    layer.kInBias,    layer.kOutWeight,   layer.kOutBias,
                           layer.kInnerWeight, layer.kInnerBias, layer.kOuterWeight, layer.kOuterBias,
                           layer.kNorm1Weight, layer.kNorm1Bias, layer.kNorm2Weight, layer.kNorm2Bias};
    for (std::size_t i = 0; i < 12; ++i) {
      EXPECT_EQ(parameters.views()[i].offset, static_cast<std::size_t>(offsets[i]));
      EXPECT_EQ(parameters.views()[12 + i].offset, static_cast<std::size_t>(layer.kFloats + offsets[i]));
    }
  };
  expect_layout(cuda::LayerLayout<4>{}, 4);
  expect_layout(cuda::LayerLayout<6>{}, 6);
  expect_layout(cuda::LayerLayout<8>{}, 8);
}

std::string key_of(const Shape& shape, const EngineOptions& options, const cuda::Api& api) {
  try {
    cuda::make_cuda_engine(shape, 2, options, api);
  } catch (const base::UsageError& error) {
    EXPECT_FALSE(error.text().hint.empty());
    return error.text().file;
  }
  return "accepted";
}

TEST(CudaEngine, NamesItselfAndRefusesWhatItCannotDo) {
  const Shape shape{.cells = 20, .hidden = 4};
  EXPECT_EQ(cuda::make_cuda_engine(shape, 2, {}, emulation())->name(), "linear/cuda");
  EXPECT_EQ(key_of(shape, {.kind = "quadratic"}, emulation()), "train.engine");
  EXPECT_EQ(key_of({.cells = 20, .heads = 2}, {}, emulation()), "train.engine");
  EXPECT_EQ(key_of({.cells = 20, .width = 10, .heads = 10}, {}, emulation()), "train.engine");
  EXPECT_EQ(key_of(shape, {.isa = "avx2"}, emulation()), "train.isa");
  EXPECT_EQ(key_of({.cells = 50000, .hidden = 4}, {}, emulation()), "train.device")
      << "too large for a block";
  EXPECT_EQ(cuda::api_of<test::EmulatedDevice<>>(cuda::kApiVersion + 1), nullptr);
  cuda::Api nothing = emulation();
  EXPECT_THROW(cuda::make_cuda_engine(shape, 2, {.gpu = 4}, nothing), base::InternalError);
  cuda::Message name{}, message{};
  EXPECT_EQ(nothing.device_name(3, &name, &message), 0);
  EXPECT_STREQ(name.text, "emulated 3");
  EXPECT_NE(nothing.device_name(4, &name, &message), 0);
  EXPECT_STREQ(message.text, "no such device");
  nothing.device_count = [](cuda::Message*) { return 0; };
  EXPECT_EQ(key_of(shape, {}, nothing), "train.device");
  EXPECT_THROW(cuda::open_module("no/such/module.so"), base::UsageError);
  EXPECT_NO_THROW(gpu_name(0)) << "a name must not end a run, also where there is no module";
}

// ---- the emulation itself ------------------------------------------------------------------------

TEST(BlockEmulation, BarriersOrderSharedMemory) {
  std::vector<int> result(96);
  test::run_blocks(2, 96, 96, [&](test::EmulatedBlock& block) {
    block.shared()[block.thread()] = static_cast<float>(block.thread());
    block.sync();
    result[static_cast<std::size_t>(block.thread())] = static_cast<int>(block.shared()[95 - block.thread()]);
  });
  for (int i = 0; i < 96; ++i) EXPECT_EQ(result[static_cast<std::size_t>(i)], 95 - i);
}

TEST(BlockEmulation, LanesExchangeWithinTheirWarp) {
  std::vector<float> result(64);
  test::run_blocks(1, 64, 0, [&](test::EmulatedBlock& block) {
    float value = static_cast<float>(block.thread());
    for (int lanes = 16; lanes > 0; lanes /= 2) value += block.shuffle_xor(value, lanes);
    result[static_cast<std::size_t>(block.thread())] = value;
  });
  for (std::size_t i = 0; i < 64; ++i) EXPECT_EQ(result[i], i < 32 ? 496.0f : 1520.0f);
}

TEST(BlockEmulation, SharedMemoryStartsAsNaN) {
  test::run_blocks(1, 32, 4, [&](test::EmulatedBlock& block) { EXPECT_TRUE(std::isnan(block.shared()[3])); });
}

TEST(BlockEmulation, ThreadsThatMissABarrierAreAnError) {
  // Not inside the macro, where all lines are one.
  const auto one_stays_away = [](test::EmulatedBlock& block) {
    if (block.thread() != 7) block.sync();
  };
  const auto two_barriers = [](test::EmulatedBlock& block) {
    if (block.thread() < 32) {
      block.sync();
    } else {
      block.sync();
    }
  };
  const auto half_a_warp = [](test::EmulatedBlock& block) {
    if (block.thread() % 2 == 0) block.shuffle_xor(1.0f, 1);
  };
  EXPECT_THROW(test::run_blocks(1, 64, 0, one_stays_away), test::DivergentBarrier);
  EXPECT_THROW(test::run_blocks(1, 64, 0, two_barriers), test::DivergentBarrier);
  EXPECT_THROW(test::run_blocks(1, 32, 0, half_a_warp), test::DivergentBarrier);
}

TEST(BlockEmulation, AMissingBarrierShowsInAnotherOrderOfThreads) {
  const auto race = [](test::Order order) {
    float seen = 0;
    test::run_blocks(
        1, 64, 64,
        [&](test::EmulatedBlock& block) {
          block.shared()[block.thread()] = 1.0f;
          if (block.thread() == 63) seen = block.shared()[0];
        },
        order);
    return seen;
  };
  EXPECT_EQ(race(test::Order::ascending), 1.0f);
  EXPECT_TRUE(std::isnan(race(test::Order::descending)));
}

TEST(BlockEmulation, WhatABodyThrowsComesOut) {
  EXPECT_THROW(test::run_blocks(1, 32, 0,
                                [](test::EmulatedBlock& block) {
                                  block.sync();
                                  if (block.thread() == 5) throw std::runtime_error("five");
                                }),
               std::runtime_error);
}

}  // namespace
}  // namespace mgrn::model
