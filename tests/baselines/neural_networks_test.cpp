// SPDX-License-Identifier: Apache-2.0
// CNNC's and STGRNS's networks: against PyTorch's modules in float64 (golden/make_neural_golden.py), and,
// with dropout, against modules written here.
#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "baselines/uniform_numbers.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/cnnc.hpp"
#include "multigrnformer/baselines/dropout_masks.hpp"
#include "multigrnformer/baselines/stgrns.hpp"
#include "neural/network.hpp"
#include "support/paths.hpp"

namespace mgrn::baselines {
namespace {

constexpr int kSamples = 3;
const std::vector<std::uint64_t> kNames = {11, 12, 13};

struct Case {
  std::string name;
  std::shared_ptr<const train::Method> method;
  std::shared_ptr<const Network> network;
};

Case case_of(const std::string& name) {
  if (name == "cnnc") {
    return {name, make_cnnc({}), cnnc_network()};
  }
  return {name, make_stgrns({}), stgrns_network(100)};
}

base::Json golden(const std::string& name) {
  return base::read_json(mgrn::test::source_path("tests/baselines/golden/networks.json")).at(name);
}

// The weights of the script, which numbers tensors as nn.Module.named_parameters() lists them: in the order
// of the views.
model::Parameters weights_of(const Case& which) {
  model::Parameters parameters = which.method->parameters({});
  std::uint64_t number = 0;
  for (const auto& view : parameters.views()) {
    const auto u = test::uniform_numbers(++number, view.size);
    double factor = 0.1, shift = 0;
    if (view.name.find("norm") != std::string::npos) {
      shift = view.name.ends_with("weight") ? 1 : 0;
    } else if (view.shape.size() > 1) {
      const std::int64_t field = view.shape.size() == 4 ? 9 : 1;
      factor = std::sqrt(6.0 / static_cast<double>(field * (view.shape[0] + view.shape[1])));
    }
    const auto values = parameters.values().subspan(view.offset, view.size);
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>((u[i] * 2 - 1) * factor + shift);
    }
  }
  return parameters;
}

std::vector<float> inputs_of(const base::Json& expected) {
  const auto u = test::uniform_numbers(99, kSamples * expected.at("size").get<std::size_t>());
  std::vector<float> inputs(u.size());
  for (std::size_t i = 0; i < u.size(); ++i) {
    inputs[i] =
        static_cast<float>(u[i] * expected.at("range").get<double>() + expected.at("least").get<double>());
  }
  return inputs;
}

std::vector<torch::Tensor> double_leaves(model::Parameters& parameters) {
  std::vector<torch::Tensor> leaves;
  for (const auto& view : parameters.views()) {
    leaves.push_back(torch::from_blob(parameters.values().data() + view.offset, view.shape, torch::kFloat32)
                         .to(torch::kFloat64)
                         .set_requires_grad(true));
  }
  return leaves;
}

torch::Tensor double_inputs(std::vector<float>& inputs) {
  return torch::from_blob(inputs.data(), {kSamples, static_cast<std::int64_t>(inputs.size()) / kSamples},
                          torch::kFloat32)
      .to(torch::kFloat64);
}

// A gradient against what the script stored of it: norm, product with a fixed vector, some entries.
void expect_gradient(const base::Json& expected, std::span<const double> gradient, double tolerance,
                     const std::string& name) {
  const double norm = expected.at("norm").get<double>();
  ASSERT_EQ(gradient.size(), expected.at("size").get<std::size_t>());
  const auto probe = test::uniform_numbers(7, gradient.size());
  double squares = 0, product = 0, probe_squares = 0;
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    squares += gradient[i] * gradient[i];
    product += gradient[i] * (probe[i] - 0.5);
    probe_squares += (probe[i] - 0.5) * (probe[i] - 0.5);
  }
  EXPECT_NEAR(std::sqrt(squares), norm, tolerance * norm) << name;
  EXPECT_NEAR(product, expected.at("probe").get<double>(), tolerance * norm * std::sqrt(probe_squares))
      << name;
  const auto at = expected.at("at").get<std::vector<std::size_t>>();
  const auto values = expected.at("values").get<std::vector<double>>();
  for (std::size_t i = 0; i < at.size(); ++i) {
    EXPECT_NEAR(gradient[at[i]], values[i], tolerance * norm) << name << " [" << at[i] << "]";
  }
}

class NeuralNetwork : public ::testing::TestWithParam<const char*> {};

TEST_P(NeuralNetwork, HasThePublishedNumberOfWeights) {
  const Case which = case_of(GetParam());
  EXPECT_EQ(which.method->parameters({}).count(), which.name == "cnnc" ? 549'601u : 305'058u);
  EXPECT_EQ(golden(which.name).at("parameters").get<std::size_t>(), which.method->parameters({}).count());
}

TEST_P(NeuralNetwork, GivesPyTorchsLogitsAndGradientsInDoublePrecision) {
  const Case which = case_of(GetParam());
  const base::Json expected = golden(which.name);
  model::Parameters parameters = weights_of(which);
  auto inputs = inputs_of(expected);
  const auto leaves = double_leaves(parameters);
  const torch::Tensor logits = which.network->forward(leaves, double_inputs(inputs), {}).logits;
  const auto wanted = expected.at("logits").get<std::vector<double>>();
  for (int i = 0; i < kSamples; ++i) {
    EXPECT_NEAR(logits[i].item<double>(), wanted[static_cast<std::size_t>(i)], 1e-10);
  }
  const torch::Tensor loss = at::binary_cross_entropy_with_logits(
      logits, torch::tensor({1.0, 0.0, 1.0}, torch::kFloat64), {}, {}, at::Reduction::Sum);
  EXPECT_NEAR(loss.item<double>(), expected.at("loss").get<double>(), 1e-10);
  const auto gradients = torch::autograd::grad({loss}, leaves);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const torch::Tensor dense = gradients[i].contiguous();
    const std::string& name = parameters.views()[i].name;
    expect_gradient(expected.at("tensors").at(name),
                    {dense.data_ptr<double>(), static_cast<std::size_t>(dense.numel())}, 1e-9, name);
  }
}

TEST_P(NeuralNetwork, EngineGivesThemInSinglePrecisionAndLeavesPaddingOut) {
  const Case which = case_of(GetParam());
  const base::Json expected = golden(which.name);
  const model::Parameters parameters = weights_of(which);
  auto inputs = inputs_of(expected);
  train::Settings settings;
  settings.micro_batch = 4;
  settings.engine.dropout = 0;
  const auto engine = which.method->engine(settings, 0);
  inputs.resize(inputs.size() / kSamples * 4, 1e30f);  // a row of padding that would spoil everything
  const std::vector<float> labels = {1, 0, 1, 0}, weights = {1, 1, 1, 0};
  std::vector<float> gradient(parameters.values().size(), 7.0f);
  const auto step = engine->gradient(
      parameters, {.samples = 4, .inputs = inputs, .labels = labels, .weights = weights, .names = {}},
      gradient);
  EXPECT_NEAR(step.loss, expected.at("loss").get<double>(), 1e-5);
  EXPECT_GT(step.live_hidden, 0u);
  EXPECT_LE(step.live_hidden, static_cast<std::uint64_t>(which.method->hidden_units({})));
  for (const auto& view : parameters.views()) {
    const std::vector<double> part(gradient.begin() + static_cast<std::ptrdiff_t>(view.offset),
                                   gradient.begin() + static_cast<std::ptrdiff_t>(view.offset + view.size));
    expect_gradient(expected.at("tensors").at(view.name), part, 1e-5, view.name);
  }
  std::vector<float> logits(kSamples);
  engine->predict(parameters, kSamples, std::span(inputs).first(inputs.size() / 4 * kSamples), logits);
  const auto wanted = expected.at("logits").get<std::vector<double>>();
  for (std::size_t i = 0; i < logits.size(); ++i) {
    EXPECT_NEAR(static_cast<double>(logits[i]), wanted[i], 1e-5);
  }
}

TEST_P(NeuralNetwork, EngineRepeatsItsBitsAndDropsBySampleName) {
  const Case which = case_of(GetParam());
  const model::Parameters parameters = weights_of(which);
  const auto inputs = inputs_of(golden(which.name));
  train::Settings settings;
  settings.micro_batch = kSamples;
  settings.engine.dropout = 0.25;
  const std::vector<float> labels = {1, 0, 1}, weights(kSamples, 1.0f);
  const auto gradient = [&](const std::vector<std::uint64_t>& names) {
    std::vector<float> result(parameters.values().size());
    which.method->engine(settings, 0)
        ->gradient(
            parameters,
            {.samples = kSamples, .inputs = inputs, .labels = labels, .weights = weights, .names = names},
            result);
    return result;
  };
  const auto first = gradient(kNames);
  EXPECT_EQ(first, gradient(kNames));
  EXPECT_NE(first, gradient({11, 12, 14}));
}

// The directional derivative of the loss with dropout, in double precision, against differences: masks that
// changed between the ways forward and back would show.
TEST_P(NeuralNetwork, GradientWithDropoutIsThatOfFiniteDifferences) {
  const Case which = case_of(GetParam());
  model::Parameters parameters = weights_of(which);
  auto inputs = inputs_of(golden(which.name));
  const torch::Tensor x = double_inputs(inputs);
  const Dropout dropout(kNames, 0.25);
  const auto leaves = double_leaves(parameters);
  const auto loss_at = [&](double step) {
    std::vector<torch::Tensor> moved;
    std::uint64_t number = 50;
    for (const auto& leaf : leaves) {
      const auto u = test::uniform_numbers(++number, static_cast<std::size_t>(leaf.numel()));
      moved.push_back(leaf + step * (torch::tensor(u, torch::kFloat64) - 0.5).view(leaf.sizes()));
    }
    return which.network->forward(moved, x, dropout).logits.sum();
  };
  const torch::Tensor at_zero = loss_at(0);
  const auto gradients = torch::autograd::grad({at_zero}, leaves);
  double slope = 0;
  std::uint64_t number = 50;
  for (std::size_t i = 0; i < leaves.size(); ++i) {
    const auto u = test::uniform_numbers(++number, static_cast<std::size_t>(leaves[i].numel()));
    slope += (gradients[i].flatten() * (torch::tensor(u, torch::kFloat64) - 0.5)).sum().item<double>();
  }
  const double h = 1e-7;
  const double difference = (loss_at(h) - loss_at(-h)).item<double>() / (2 * h);
  EXPECT_NEAR(slope, difference, 1e-4 * std::fabs(slope) + 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Of, NeuralNetwork, ::testing::Values("cnnc", "stgrns"),
                         [](const auto& one) { return std::string(one.param); });

torch::Tensor masks(std::uint32_t place, double share, std::vector<std::int64_t> shape) {
  torch::Tensor all = torch::empty(shape);
  const auto each = static_cast<std::size_t>(all.numel()) / kNames.size();
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    dropout_mask(kNames[i], place, share, {all.data_ptr<float>() + i * each, each});
  }
  return all.to(torch::kFloat64);
}

TEST(CnncNetwork, DropsBehindEachMaximumAndHalfOfTheDenseLayer) {
  const Case which = case_of("cnnc");
  model::Parameters parameters = weights_of(which);
  auto inputs = inputs_of(golden("cnnc"));
  const auto w = double_leaves(parameters);
  torch::Tensor x = double_inputs(inputs).view({kSamples, 1, 32, 32});
  namespace F = torch::nn::functional;
  const int sides[] = {15, 6, 2}, channels[] = {32, 64, 128};
  for (int block = 0; block < 3; ++block) {
    const auto first = static_cast<std::size_t>(4 * block);
    x = F::relu(F::conv2d(x, w[first], F::Conv2dFuncOptions().bias(w[first + 1]).padding(1)));
    x = F::relu(F::conv2d(x, w[first + 2], F::Conv2dFuncOptions().bias(w[first + 3])));
    x = F::max_pool2d(x, F::MaxPool2dFuncOptions(2));
    // Masks are drawn by place, then channel.
    x = x * masks(static_cast<std::uint32_t>(block), 0.25,
                  {kSamples, sides[block], sides[block], channels[block]})
                .permute({0, 3, 1, 2});
  }
  x = F::relu(F::linear(x.flatten(1), w[12], w[13])) * masks(3, 0.5, {kSamples, 512});
  const torch::Tensor expected = F::linear(x, w[14], w[15]).squeeze(1);
  auto again = inputs_of(golden("cnnc"));
  const torch::Tensor logits = which.network->forward(w, double_inputs(again), Dropout(kNames, 0.25)).logits;
  EXPECT_LT((logits - expected).abs().max().item<double>(), 1e-10);
}

TEST(StgrnsNetwork, DropsAtPyTorchsPlaces) {
  const Case which = case_of("stgrns");
  model::Parameters parameters = weights_of(which);
  auto inputs = inputs_of(golden("stgrns"));
  const auto w = double_leaves(parameters);
  constexpr std::int64_t kWindows = 5, kWidth = 200, kHead = 100;
  constexpr double kShare = 0.1;
  torch::Tensor x = double_inputs(inputs).view({kSamples, kWindows, kWidth});
  torch::Tensor table = torch::zeros({kWindows, kWidth}, torch::kFloat64);
  for (std::int64_t window = 0; window < kWindows; ++window) {
    for (std::int64_t pair = 0; pair < kWidth / 2; ++pair) {
      const double angle = static_cast<double>(window) *
                           std::pow(10000.0, -2.0 * static_cast<double>(pair) / static_cast<double>(kWidth));
      table[window][2 * pair] = std::sin(angle);
      table[window][2 * pair + 1] = std::cos(angle);
    }
  }
  x = (x + table) * masks(0, kShare, {kSamples, kWindows, kWidth});
  const torch::Tensor probabilities = masks(1, kShare, {kSamples, 2, kWindows, kWindows});
  std::vector<torch::Tensor> mixed;
  for (std::int64_t head = 0; head < 2; ++head) {
    const auto part = [&](std::int64_t which_of_three) {
      const std::int64_t first = which_of_three * kWidth + head * kHead;
      return torch::matmul(x, w[0].slice(0, first, first + kHead).t()) + w[1].slice(0, first, first + kHead);
    };
    const torch::Tensor scores = torch::bmm(part(0), part(1).transpose(1, 2)) / std::sqrt(100.0);
    mixed.push_back(torch::bmm(torch::softmax(scores, 2) * probabilities.select(1, head), part(2)));
  }
  namespace F = torch::nn::functional;
  const auto norm = F::LayerNormFuncOptions({kWidth});
  torch::Tensor added = F::linear(torch::cat(mixed, 2), w[2], w[3]);
  x = x + added * masks(2, kShare, {kSamples, kWindows, kWidth});
  x = F::layer_norm(x, F::LayerNormFuncOptions({kWidth}).weight(w[8]).bias(w[9]));
  added = F::relu(F::linear(x, w[4], w[5])) * masks(3, kShare, {kSamples, kWindows, 256});
  x = x + F::linear(added, w[6], w[7]) * masks(4, kShare, {kSamples, kWindows, kWidth});
  x = F::layer_norm(x, F::LayerNormFuncOptions({kWidth}).weight(w[10]).bias(w[11]));
  const torch::Tensor classes = F::linear(F::relu(F::linear(x.mean(1), w[12], w[13])), w[14], w[15]);
  auto again = inputs_of(golden("stgrns"));
  const torch::Tensor logits =
      which.network->forward(w, double_inputs(again), Dropout(kNames, kShare)).logits;
  EXPECT_LT((logits - (classes.select(1, 1) - classes.select(1, 0))).abs().max().item<double>(), 1e-10);
}

TEST(CnncWeights, StartAsKerasStartsThem) {
  const Case which = case_of("cnnc");
  model::Parameters parameters = which.method->parameters({});
  which.method->initialise(parameters, 5);
  for (const auto& view : parameters.views()) {
    double largest = 0, sum = 0;
    for (const float value : parameters.tensor(view.name)) {
      largest = std::max(largest, std::fabs(static_cast<double>(value)));
      sum += static_cast<double>(value);
    }
    if (view.shape.size() == 1) {
      EXPECT_EQ(largest, 0) << view.name;
      continue;
    }
    const std::int64_t field = view.shape.size() == 4 ? 9 : 1;
    const double bound = std::sqrt(6.0 / static_cast<double>(field * (view.shape[0] + view.shape[1])));
    EXPECT_LE(largest, bound) << view.name;
    EXPECT_GT(largest, 0.95 * bound) << view.name;
    const auto count = static_cast<double>(view.size);
    EXPECT_LT(std::fabs(sum), 5 * bound * std::sqrt(count / 3)) << view.name;
  }
}

}  // namespace
}  // namespace mgrn::baselines
