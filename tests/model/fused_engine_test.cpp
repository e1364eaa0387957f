// SPDX-License-Identifier: Apache-2.0
// What holds for the fused engines whatever the numbers are: bits, padding, errors, and agreement of the
// instruction sets. engine_parity_test.cpp holds the numbers.
#include "model/cpu/fused_engine.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "model/available_kernels.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/model/attention.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

constexpr Shape kShape{.cells = 100, .width = 4, .heads = 4, .layers = 2, .hidden = 64};

std::vector<EngineOptions> all_options() {
  std::vector<EngineOptions> result;
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const char* kind : {"quadratic", "linear"}) {
      for (const double dropout : {0.0, 0.2}) result.push_back({kind, kernels->name, dropout});
    }
  }
  return result;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST(FusedEngine, GradientHasTheSameBitsFromAnyCallEngineAndBuffer) {
  const Samples samples = make_samples(kShape, 16, 5);
  const Parameters parameters = make_parameters(kShape, 5);
  for (const EngineOptions& options : all_options()) {
    const auto engine = cpu::make_fused_engine(kShape, 16, options);
    std::vector<float> first(parameters.values().size(), std::nanf(""));
    const StepStatistics statistics = engine->gradient(parameters, samples.batch(), first);
    for (const float value : first) ASSERT_TRUE(std::isfinite(value)) << "every element is written";

    // Other work in between leaves no trace.
    const Samples other = make_samples(kShape, 7, 99);
    std::vector<float> scrap(first.size());
    engine->gradient(make_parameters(kShape, 6, 3.0), other.batch(), scrap);
    std::vector<float> again(first.size(), 7.0f);
    EXPECT_EQ(engine->gradient(parameters, samples.batch(), again).loss, statistics.loss);
    EXPECT_TRUE(same_bits(first, again)) << engine->name();

    // A second engine, with inputs and gradient at another alignment.
    std::vector<float> shifted_inputs(samples.inputs.size() + 3), shifted(first.size() + 5);
    std::ranges::copy(samples.inputs, shifted_inputs.begin() + 3);
    MicroBatch batch = samples.batch();
    batch.inputs = std::span<const float>(shifted_inputs).subspan(3);
    cpu::make_fused_engine(kShape, 16, options)
        ->gradient(parameters, batch, std::span<float>(shifted).subspan(5));
    EXPECT_TRUE(same_bits(first, std::span<const float>(shifted).subspan(5))) << engine->name();
  }
}

// More micro-batches than may wait for the predictor's weight gradient, so that it is summed in two parts.
TEST(FusedEngine, TheFusedExactSumHasTheBitsOfGradientsConvertedOneByOne) {
  for (const Shape& shape : {kShape, Shape{.cells = 37, .width = 6, .heads = 3, .layers = 1, .hidden = 13}}) {
    for (const EngineOptions& options : all_options()) {
      if (options.kind == "linear" && shape.heads != shape.width) continue;
      const auto engine = cpu::make_fused_engine(shape, 6, options);
      // A second one, since an engine that holds back a sum must not be asked for anything else.
      const auto summing = cpu::make_fused_engine(shape, 6, options);
      const Parameters parameters = make_parameters(shape, 5);
      const std::size_t size = parameters.values().size();
      std::vector<std::uint64_t> separate(size, 0), fused(size, 77);
      FixedPointSum sum{.values = fused, .scale = 36, .fresh = true, .largest = {}};
      std::vector<std::uint32_t> largest;
      for (std::uint64_t unit = 0; unit < 11; ++unit) {
        Samples samples = make_samples(shape, 6, unit);
        if (unit == 4) samples.weights.back() = 0.0f;
        std::vector<float> gradient(size);
        const StepStatistics expected = engine->gradient(parameters, samples.batch(), gradient);
        largest.push_back(add_fixed_point(gradient, 36, separate));
        EXPECT_EQ(summing->accumulate(parameters, samples.batch(), sum).loss, expected.loss);
        if (unit == 10) summing->finish(sum);
      }
      EXPECT_EQ(fused, separate) << engine->name();
      EXPECT_EQ(sum.largest, largest) << engine->name();
      EXPECT_FALSE(sum.fresh);
    }
  }
}

TEST(FusedEngine, AnUnfinishedSumIsNotForgotten) {
  const auto engine = cpu::make_fused_engine(kShape, 4, {});
  const Parameters parameters = make_parameters(kShape, 5);
  const Samples samples = make_samples(kShape, 4, 1);
  std::vector<std::uint64_t> values(parameters.values().size());
  FixedPointSum sum{.values = values, .scale = 40, .fresh = true, .largest = {}};
  std::vector<float> gradient(values.size());
  engine->accumulate(parameters, samples.batch(), sum);
  EXPECT_THROW(engine->gradient(parameters, samples.batch(), gradient), base::InternalError);
  engine->finish(sum);
  EXPECT_NO_THROW(engine->gradient(parameters, samples.batch(), gradient));
}

TEST(FusedEngine, PaddingRowsContributeNothingWhateverTheyHold) {
  const Samples real = make_samples(kShape, 5, 8);
  const Parameters parameters = make_parameters(kShape, 8);
  Samples padded = make_samples(kShape, 16, 8);
  for (std::size_t row = 5; row < 16; ++row) padded.weights[row] = 0.0f;
  std::fill(padded.inputs.begin() + 5 * kShape.cells * kShape.width, padded.inputs.end(), std::nanf(""));
  for (const EngineOptions& options : all_options()) {
    const auto engine = cpu::make_fused_engine(kShape, 16, options);
    std::vector<float> expected(parameters.values().size()), got(expected.size());
    const StepStatistics short_batch = engine->gradient(parameters, real.batch(), expected);
    const StepStatistics full_batch = engine->gradient(parameters, padded.batch(), got);
    EXPECT_EQ(short_batch.loss, full_batch.loss);
    EXPECT_EQ(short_batch.live_hidden, full_batch.live_hidden);
    EXPECT_TRUE(same_bits(expected, got)) << engine->name();
    std::ranges::fill(padded.weights, 0.0f);
    EXPECT_EQ(engine->gradient(parameters, padded.batch(), got).loss, 0.0);
    for (const float value : got) ASSERT_EQ(value, 0.0f);
    std::fill(padded.weights.begin(), padded.weights.begin() + 5, 1.0f);
  }
}

TEST(FusedEngine, ALogitDoesNotDependOnTheBatchAroundIt) {
  const Samples samples = make_samples(kShape, 21, 3);
  const Parameters parameters = make_parameters(kShape, 3);
  const std::size_t size = static_cast<std::size_t>(kShape.cells * kShape.width);
  for (const EngineOptions& options : all_options()) {
    const auto engine = cpu::make_fused_engine(kShape, 16, options);
    const auto small = cpu::make_fused_engine(kShape, 3, options);
    std::vector<float> together(21), apart(21), threes(21);
    engine->predict(parameters, 21, samples.inputs, together);
    small->predict(parameters, 21, samples.inputs, threes);
    for (std::size_t i = 0; i < 21; ++i) {
      engine->predict(parameters, 1, std::span<const float>(samples.inputs).subspan(i * size, size),
                      std::span<float>(apart).subspan(i, 1));
    }
    EXPECT_TRUE(same_bits(together, apart)) << engine->name();
    EXPECT_TRUE(same_bits(together, threes)) << engine->name();
  }
}

TEST(FusedEngine, PredictIsTheForwardPassOfTheGradient) {
  const Samples samples = make_samples(kShape, 16, 4);
  const Parameters parameters = make_parameters(kShape, 4);
  for (const EngineOptions& options : all_options()) {
    if (options.dropout > 0) continue;
    const auto engine = cpu::make_fused_engine(kShape, 16, options);
    std::vector<float> logits(16), gradient(parameters.values().size());
    engine->predict(parameters, 16, samples.inputs, logits);
    double loss = 0;
    for (std::size_t i = 0; i < 16; ++i) {
      const double z = logits[i];
      loss += std::max(z, 0.0) - z * samples.labels[i] + std::log1p(std::exp(-std::fabs(z)));
    }
    EXPECT_DOUBLE_EQ(engine->gradient(parameters, samples.batch(), gradient).loss, loss) << engine->name();
  }
}

TEST(FusedEngine, InstructionSetsAndKindsAgree) {
  for (const double dropout : {0.0, 0.2}) {
    const Samples samples = make_samples(kShape, 16, 6);
    const Parameters parameters = make_parameters(kShape, 6, 1.5);
    std::vector<float> expected(parameters.values().size()), got(expected.size());
    cpu::make_fused_engine(kShape, 16, {"quadratic", "baseline", dropout})
        ->gradient(parameters, samples.batch(), expected);
    for (const EngineOptions& options : all_options()) {
      if (options.dropout != dropout) continue;
      const auto engine = cpu::make_fused_engine(kShape, 16, options);
      engine->gradient(parameters, samples.batch(), got);
      EXPECT_LE(test::relative_error(got, expected), 3e-6) << engine->name() << " dropout " << dropout;
    }
  }
}

TEST(FusedEngine, HeadsAreVisitedInOrderAndAsTheyAreComputed) {
  const Samples samples = make_samples(kShape, 5, 5);
  const auto half = [](std::span<const float> row) {
    const auto [low, high] = std::ranges::minmax(row);
    return (static_cast<double>(high) - static_cast<double>(low)) / 2;
  };
  for (const cpu::Kernels* kernels : test::available_kernels()) {
    for (const std::string kind : {"linear", "quadratic"}) {
      // Fewer rows than samples, so that they go through in parts.
      const auto engine = cpu::make_fused_engine(kShape, 2, {kind, kernels->name});
      std::set<int> panels;
      // From flat heads to such as only the quadratic way can compute.
      for (const double sharpness : {0.5, 2.0, 4.0, 16.0}) {
        int visited = 0;
        engine->visit_heads(make_parameters(kShape, 5, sharpness), 5, samples.inputs,
                            [&](const HeadView& view) {
                              ASSERT_EQ(view.sample, visited / (kShape.heads * kShape.layers));
                              ASSERT_EQ(view.layer, visited / kShape.heads % kShape.layers);
                              ASSERT_EQ(view.head, visited % kShape.heads);
                              ++visited;
                              panels.insert(std::min(view.path.panels, 2));
                              Attention alone(kShape.cells, 1, {.kind = kind, .isa = kernels->name});
                              alone.forward(view.queries, view.keys, view.values);
                              EXPECT_EQ(alone.path(0).panels, view.path.panels) << view.path.range;
                              EXPECT_EQ(alone.path(0).terms, view.path.terms) << view.path.range;
                              const double range = half(view.queries) * half(view.keys);
                              EXPECT_NEAR(view.path.range, range, 1e-5 * range);
                            });
        EXPECT_EQ(visited, 5 * kShape.layers * kShape.heads) << engine->name();
      }
      EXPECT_EQ(panels, kind == "linear" ? std::set<int>({0, 1, 2}) : std::set<int>({0})) << engine->name();
    }
  }
}

TEST(FusedEngine, WideHeadsHaveNoWayToChooseAndAreNotVisited) {
  const Shape shape{.cells = 10, .heads = 2, .hidden = 8};
  const Samples samples = make_samples(shape, 1, 5);
  const auto engine = cpu::make_fused_engine(shape, 2, {});
  engine->visit_heads(make_parameters(shape, 5), 1, samples.inputs,
                      [](const HeadView& view) { FAIL() << "head " << view.head << " is visited"; });
}

TEST(FusedEngine, NonFiniteInputsAndWeightsShowInTheGradient) {
  for (const EngineOptions& options : all_options()) {
    const auto engine = cpu::make_fused_engine(kShape, 16, options);
    Samples samples = make_samples(kShape, 16, 12);
    Parameters parameters = make_parameters(kShape, 12);
    std::vector<float> gradient(parameters.values().size());
    const auto has_nan = [&] {
      return std::ranges::any_of(gradient, [](float value) { return !std::isfinite(value); });
    };
    samples.inputs[1234] = std::nanf("");
    const StepStatistics statistics = engine->gradient(parameters, samples.batch(), gradient);
    EXPECT_FALSE(std::isfinite(statistics.loss)) << engine->name();
    EXPECT_TRUE(has_nan());
    samples = make_samples(kShape, 16, 12);
    for (const ParameterView& view : parameters.views()) {
      float& weight = parameters.tensor(view.name)[0];
      const float before = weight;
      weight = std::nanf("");
      engine->gradient(parameters, samples.batch(), gradient);
      EXPECT_TRUE(has_nan()) << engine->name() << ' ' << view.name;
      weight = before;
    }
    engine->gradient(parameters, samples.batch(), gradient);
    EXPECT_FALSE(has_nan()) << "and leave nothing behind";
  }
}

TEST(FusedEngine, KeyBiasesGetExactlyNoGradient) {
  const Samples samples = make_samples(kShape, 4, 2);
  const Parameters parameters = make_parameters(kShape, 2);
  std::vector<float> gradient(parameters.values().size());
  cpu::make_fused_engine(kShape, 16, {})->gradient(parameters, samples.batch(), gradient);
  const ParameterView& bias = parameters.view("encoder.layers.1.self_attn.in_proj_bias");
  for (std::size_t c = 0; c < 12; ++c) EXPECT_EQ(gradient[bias.offset + c] == 0.0f, c >= 4 && c < 8) << c;
}

TEST(FusedEngine, CountsUnitsThatAnySampleWakes) {
  const Shape shape{.cells = 16, .hidden = 8};
  const Samples samples = make_samples(shape, 4, 2);
  Parameters parameters = make_parameters(shape, 2);
  std::ranges::fill(parameters.tensor("predictor.0.weight"), 0.0f);
  const std::span<float> bias = parameters.tensor("predictor.0.bias");
  std::ranges::fill(bias, -1.0f);
  bias[1] = bias[5] = 0.5f;
  std::vector<float> gradient(parameters.values().size());
  EXPECT_EQ(cpu::make_fused_engine(shape, 4, {})->gradient(parameters, samples.batch(), gradient).live_hidden,
            2u);
}

TEST(FusedEngine, NamesItselfAndRefusesWhatItCannotDo) {
  EXPECT_EQ(cpu::make_fused_engine(kShape, 16, {.isa = "baseline"})->name(), "linear/baseline");
  EXPECT_EQ(cpu::make_fused_engine(kShape, 16, {"quadratic", "baseline", 0})->name(), "quadratic/baseline");
  Shape wide = kShape;
  wide.heads = 2;
  EXPECT_EQ(cpu::make_fused_engine(wide, 16, {.isa = "baseline"})->name(), "quadratic/baseline");
  const auto key_of = [](const Shape& shape, int micro_batch, const EngineOptions& options) -> std::string {
    try {
      cpu::make_fused_engine(shape, micro_batch, options);
    } catch (const base::UsageError& error) {
      EXPECT_FALSE(error.text().hint.empty());
      return error.text().file;
    }
    return "accepted";
  };
  EXPECT_EQ(key_of(wide, 16, {.kind = "linear"}), "train.engine");
  EXPECT_EQ(key_of(kShape, 16, {.kind = "flash"}), "train.engine");
  EXPECT_EQ(key_of(kShape, 16, {.isa = "neon"}), "train.isa");
  EXPECT_EQ(key_of(kShape, 0, {}), "train.micro_batch");
  Shape vast = kShape;
  vast.cells = 1'000'000;
  vast.hidden = 1;
  EXPECT_EQ(key_of(vast, 4096, {}), "train.micro_batch");  // before it asks for the memory
  EXPECT_EQ(key_of(kShape, 16, {.dropout = 1.0}), "model.dropout");
  EXPECT_EQ(key_of(kShape, 16, {.dropout = -0.1}), "model.dropout");
  EXPECT_EQ(key_of(kShape, 16, {.dropout = std::nan("")}), "model.dropout");

  const auto engine = cpu::make_fused_engine(kShape, 4, {});
  const Samples samples = make_samples(kShape, 5, 1);
  const Parameters parameters(kShape);
  std::vector<float> gradient(parameters.values().size()), logits(5);
  EXPECT_THROW(engine->gradient(parameters, samples.batch(), gradient), base::InternalError);
  EXPECT_THROW(engine->predict(parameters, 4, samples.inputs, logits), base::InternalError);
  EXPECT_THROW(engine->predict(Parameters(wide), 5, samples.inputs, logits), base::InternalError);
}

}  // namespace
}  // namespace mgrn::model
