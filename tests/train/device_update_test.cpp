// SPDX-License-Identifier: Apache-2.0
// Weights in the memory of an emulated GPU take the optimiser's step with the host's bits.
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "model/cuda/cuda_engine.hpp"
#include "model/emulated_device.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/optimizer.hpp"
#include "update_parts.hpp"

namespace mgrn::train {
namespace {

constexpr int kScale = 40;
constexpr double kSamples = 3;

template <model::test::Order kOrder>
std::unique_ptr<model::Engine> emulated_engine(const Settings& settings) {
  const auto* api = model::cuda::api_of<model::test::EmulatedDevice<kOrder>>(model::cuda::kApiVersion);
  return model::cuda::make_cuda_engine(settings.shape, settings.micro_batch, {}, *api);
}

std::vector<std::uint64_t> fixed_point(std::uint64_t seed, std::size_t count) {
  std::vector<std::uint64_t> sum(count);
  auto gradient = test::unit_gradient(seed, count);
  gradient[0] = 0;
  gradient[1] = -1e-12f;  // the least that the sum can tell, and below
  gradient[2] = 900;
  model::add_fixed_point(gradient, kScale, sum);
  return sum;
}

std::vector<float> values_of(const TrainingState& state) {
  std::vector<float> all(state.parameters.values().begin(), state.parameters.values().end());
  all.insert(all.end(), state.first_moment.begin(), state.first_moment.end());
  all.insert(all.end(), state.second_moment.begin(), state.second_moment.end());
  return all;
}

template <model::test::Order kOrder>
void expect_the_hosts_bits(const test::Variant& variant) {
  const Settings settings = test::small_settings(1, variant);
  TrainingState host = test::small_state(settings), device = test::small_state(settings);
  const auto on_host = make_optimizer(host.parameters, settings, host.first_moment, host.second_moment);
  const auto rates = make_optimizer(device.parameters, settings, device.first_moment, device.second_moment);
  const auto engine = emulated_engine<kOrder>(settings);
  const auto on_device = engine->make_device_weights(host.second_moment.empty() ? 1 : 2);
  ASSERT_NE(on_device, nullptr);
  on_device->put(std::as_const(device.parameters).values(), device.first_moment, device.second_moment);
  const std::size_t count = host.first_moment.size();
  std::vector<float> gradient(count);
  std::vector<double> squares(Optimizer::blocks(count));
  for (std::uint64_t step = 0; step < 4; ++step) {
    const double warm = 0.25 * static_cast<double>(step + 1);
    auto sum = fixed_point(2 * step, count);
    const auto other = fixed_point(2 * step + 1, count);
    on_device->add(sum, other);
    auto total = fixed_point(2 * step, count);
    for (std::size_t i = 0; i < count; ++i) {
      total[i] += other[i];
    }
    ASSERT_EQ(sum, total);
    model::to_float_scalar(total, 2, kScale, kSamples, gradient);
    const double expected_norm = on_host->step(host.parameters, gradient, warm);
    rates->begin_step(warm);
    on_device->take_gradient(sum, 2, kScale, kSamples, rates->groups(count));
    on_device->squares(squares);
    const double norm = Optimizer::norm(squares);
    on_device->step(rates->clip_factor(norm));
    EXPECT_EQ(norm, expected_norm);
    on_device->fetch(device.parameters.values(), device.first_moment, device.second_moment);
    ASSERT_TRUE(values_of(device) == values_of(host)) << "step " << step;
  }
  EXPECT_NE(values_of(host), values_of(test::small_state(settings)));
}

class DeviceWeightsOf : public testing::TestWithParam<std::pair<const char*, test::Variant>> {};

TEST_P(DeviceWeightsOf, GivesTheHostsBitsInAnyOrderOfThreads) {
  expect_the_hosts_bits<model::test::Order::ascending>(GetParam().second);
  expect_the_hosts_bits<model::test::Order::descending>(GetParam().second);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, DeviceWeightsOf,
    testing::Values(std::pair("Adam", test::Variant{}), std::pair("ClippedAdam", test::Variant{.clip = 0.25}),
                    std::pair("AdamOnTheEncoder", test::Variant{.freeze = Freeze::predictor}),
                    std::pair("ClippedAdamOnThePredictor",
                              test::Variant{.clip = 0.25, .freeze = Freeze::encoder}),
                    std::pair("Sgd", test::Variant{.optimizer = OptimizerKind::sgd}),
                    std::pair("ClippedSgd", test::Variant{.optimizer = OptimizerKind::sgd, .clip = 0.25})),
    [](const auto& one) { return one.param.first; });

TEST(DeviceWeights, AreReadByEnginesUntilTheyAreToldOtherwise) {
  const Settings settings = test::small_settings(1, {});
  model::Parameters held(settings.shape), given(settings.shape);
  model::initialise(held, 1);
  model::initialise(given, 2);
  const auto engine = emulated_engine<model::test::Order::ascending>(settings);
  const auto on_device = engine->make_device_weights(1);
  const std::size_t count = held.values().size();
  const std::vector<float> zero(count);
  on_device->put(std::as_const(held).values(), zero, {});
  std::vector<float> inputs(2 * 40 * 4), labels{0, 1}, weights{1, 1};
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    inputs[i] = std::sin(static_cast<float>(i));
  }
  const model::MicroBatch batch{
      .samples = 2, .inputs = inputs, .labels = labels, .weights = weights, .names = {}};
  const auto sum_of = [&](const model::Parameters& parameters) {
    std::vector<std::uint64_t> bits(count);
    model::FixedPointSum sum{.values = bits, .scale = kScale, .fresh = true, .largest = {}};
    engine->accumulate(parameters, batch, sum);
    std::vector<float> logits(2);
    engine->predict(given, 2, inputs, logits);  // brings its own weights and leaves the sum alone
    engine->finish(sum);
    return bits;
  };
  const auto of_held = sum_of(held), of_given = sum_of(given);
  ASSERT_NE(of_held, of_given);
  engine->use_weights(on_device);
  EXPECT_EQ(sum_of(given), of_held);
  EXPECT_EQ(sum_of(given), of_held) << "prediction's weights must not stay";
  engine->use_weights(nullptr);
  EXPECT_EQ(sum_of(given), of_given);
}

TEST(DeviceWeights, AreNotOfEnginesOfTheProcessor) {
  const Settings settings = test::small_settings(1, {});
  const auto engine = model::make_engine(settings.shape, settings.micro_batch, {});
  EXPECT_EQ(engine->make_device_weights(2), nullptr);
  ComputeTeam team(settings);
  TrainingState state = test::small_state(settings);
  const auto self = comm::make_self_communicator();
  EXPECT_EQ(make_device_update(team, state, settings, *self, nullptr), nullptr);
}

}  // namespace
}  // namespace mgrn::train
