// SPDX-License-Identifier: Apache-2.0
// The tensor engine: one head against attention in double precision for any range of scores, and what must
// hold whatever the numbers are. engine_parity_test.cpp holds whole steps against the reference.
#include "model/tensor/tensor_engine.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/stack.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "model/exact_attention.hpp"
#include "model/samples.hpp"
#include "model/tensor/attention.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/model/devices.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

constexpr Shape kShape{.cells = 100, .width = 4, .heads = 4, .layers = 2, .hidden = 64};

at::Tensor rows(const std::vector<test::Head>& heads, std::vector<float> test::Head::*part) {
  std::vector<at::Tensor> all;
  for (const test::Head& head : heads) {
    const std::vector<float>& x = head.*part;
    all.push_back(
        at::from_blob(const_cast<float*>(x.data()), {static_cast<std::int64_t>(x.size())}, at::kFloat));
  }
  return at::stack(all);
}

std::vector<float> row(const at::Tensor& x, std::size_t index) {
  const at::Tensor one = x.select(0, static_cast<std::int64_t>(index)).contiguous();
  return {one.data_ptr<float>(), one.data_ptr<float>() + one.numel()};
}

TEST(TensorAttention, HeadsOfManyRangesInOneBatchMatchDoublePrecision) {
  for (const int cells : {33, 500}) {
    std::vector<test::Head> heads;
    std::vector<double> ranges;
    for (const double range : {0.3, 1.0, 2.0, 4.0, 7.0, 10.0, 20.0, 60.0, 100.0, 1000.0}) {
      for (const test::Cloud cloud : {test::Cloud::gaussian, test::Cloud::uniform, test::Cloud::two_points,
                                      test::Cloud::skewed, test::Cloud::sparse}) {
        for (const double offset : {0.0, 0.7}) {
          heads.push_back(
              test::make_head(cells, range, cloud, offset, static_cast<std::uint64_t>(heads.size()) + 5));
          ranges.push_back(range);
        }
      }
    }
    const tensor::ScalarAttention attention(at::kCPU);
    tensor::AttentionState state;
    const at::Tensor o = attention.forward(rows(heads, &test::Head::q), rows(heads, &test::Head::k),
                                           rows(heads, &test::Head::v), state);
    const tensor::QkvGradient back = tensor::scalar_backward(state, rows(heads, &test::Head::g));
    EXPECT_GT(state.batches.size(), 3u) << "several numbers of panels";
    ASSERT_TRUE(state.quadratic.defined());
    EXPECT_GE(state.quadratic.numel(), 10) << "the widest ranges are left to quadratic attention";
    EXPECT_LT(state.quadratic.numel(), static_cast<std::int64_t>(heads.size()) / 2);
    for (std::size_t i = 0; i < heads.size(); ++i) {
      test::Worst error;
      error.see(heads[i], {row(o, i), row(back.query, i), row(back.key, i), row(back.value, i)},
                test::exact_attention(heads[i]));
      // As for the fused kernels (attention_test.cpp): scores carry their own rounding of 6e-8 each.
      const double bound = 2e-5 * std::max(1.0, ranges[i] / 16);
      const std::string where = "cells " + std::to_string(cells) + ", R = " + std::to_string(ranges[i]);
      EXPECT_LE(error.o, bound / 4) << where;
      EXPECT_LE(error.dq, bound) << where;
      EXPECT_LE(error.dk, bound) << where;
      // Twice what the fused kernels meet: batched products sum without lanes.
      EXPECT_LE(error.dv, bound) << where;
    }
  }
}

TEST(TensorEngine, HasTheSameBitsFromAnyCall) {
  const Samples samples = make_samples(kShape, 16, 5);
  const Parameters parameters = make_parameters(kShape, 5);
  for (const double dropout : {0.0, 0.2}) {
    const auto engine = make_engine(kShape, 16, {"tensor", "auto", dropout});
    std::vector<float> first(parameters.values().size(), std::nanf("")), again(first.size()),
        scrap(first.size());
    const StepStatistics statistics = engine->gradient(parameters, samples.batch(), first);
    for (const float value : first) ASSERT_TRUE(std::isfinite(value)) << "every element is written";
    engine->gradient(make_parameters(kShape, 6, 3.0), make_samples(kShape, 7, 99).batch(), scrap);
    EXPECT_EQ(engine->gradient(parameters, samples.batch(), again).loss, statistics.loss);
    EXPECT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0);
  }
}

TEST(TensorEngine, AgreesWithTheLinearEngine) {
  for (const double dropout : {0.0, 0.2}) {
    const Samples samples = make_samples(kShape, 16, 6);
    const Parameters parameters = make_parameters(kShape, 6, 1.5);
    std::vector<float> expected(parameters.values().size()), got(expected.size());
    make_engine(kShape, 16, {"linear", "auto", dropout})->gradient(parameters, samples.batch(), expected);
    make_engine(kShape, 16, {"tensor", "auto", dropout})->gradient(parameters, samples.batch(), got);
    EXPECT_LE(test::relative_error(got, expected), 3e-6) << "dropout " << dropout;
  }
}

TEST(TensorEngine, AgreesWithTheLinearEngineOnAGpu) {
  if (usable_gpus() == 0) GTEST_SKIP() << describe_cuda();
  for (const double dropout : {0.0, 0.3}) {
    const Samples samples = make_samples(kShape, 16, 11);
    const Parameters parameters = make_parameters(kShape, 11);
    std::vector<float> expected(parameters.values().size()), got(expected.size());
    make_engine(kShape, 16, {"linear", "auto", dropout})->gradient(parameters, samples.batch(), expected);
    const auto engine = make_engine(kShape, 16, {.kind = "tensor", .dropout = dropout, .device = "cuda"});
    EXPECT_EQ(engine->name(), "tensor/cuda");
    engine->gradient(parameters, samples.batch(), got);
    EXPECT_LE(test::relative_error(got, expected), 3e-6) << "dropout " << dropout;
  }
}

TEST(TensorEngine, PaddingRowsContributeNothingWhateverTheyHold) {
  const Samples real = make_samples(kShape, 5, 8);
  const Parameters parameters = make_parameters(kShape, 8);
  Samples padded = make_samples(kShape, 16, 8);
  for (std::size_t row = 5; row < 16; ++row) padded.weights[row] = 0.0f;
  std::fill(padded.inputs.begin() + 5 * kShape.cells * kShape.width, padded.inputs.end(), std::nanf(""));
  const auto engine = make_engine(kShape, 16, {"tensor", "auto", 0});
  std::vector<float> expected(parameters.values().size()), got(expected.size());
  const StepStatistics short_batch = engine->gradient(parameters, real.batch(), expected);
  const StepStatistics full_batch = engine->gradient(parameters, padded.batch(), got);
  EXPECT_EQ(short_batch.loss, full_batch.loss);
  EXPECT_EQ(short_batch.live_hidden, full_batch.live_hidden);
  EXPECT_EQ(std::memcmp(expected.data(), got.data(), got.size() * sizeof(float)), 0);
  std::ranges::fill(padded.weights, 0.0f);
  EXPECT_EQ(engine->gradient(parameters, padded.batch(), got).loss, 0.0);
  for (const float value : got) ASSERT_EQ(value, 0.0f);
}

TEST(TensorEngine, NonFiniteInputsShowInTheGradient) {
  const auto engine = make_engine(kShape, 16, {"tensor", "auto", 0});
  Samples samples = make_samples(kShape, 16, 12);
  const Parameters parameters = make_parameters(kShape, 12);
  std::vector<float> gradient(parameters.values().size());
  samples.inputs[1234] = std::nanf("");
  EXPECT_FALSE(std::isfinite(engine->gradient(parameters, samples.batch(), gradient).loss));
  EXPECT_TRUE(std::ranges::any_of(gradient, [](float value) { return !std::isfinite(value); }));
}

TEST(TensorEngine, PredictsWhatTheGradientSaw) {
  const Samples samples = make_samples(kShape, 21, 3);
  const Parameters parameters = make_parameters(kShape, 3);
  std::vector<float> got(21), expected(21);
  make_engine(kShape, 16, {"tensor", "auto", 0})->predict(parameters, 21, samples.inputs, got);
  make_engine(kShape, 16, {"linear", "auto", 0})->predict(parameters, 21, samples.inputs, expected);
  EXPECT_LE(test::relative_error(got, expected), 2e-6);
}

TEST(TensorEngine, NamesItselfAndRefusesWhatItCannotDo) {
  EXPECT_EQ(make_engine(kShape, 16, {.kind = "tensor"})->name(), "tensor/cpu");
  const auto key_of = [](const EngineOptions& options) -> std::string {
    try {
      make_engine(kShape, 16, options);
    } catch (const base::UsageError& error) {
      EXPECT_FALSE(error.text().hint.empty());
      return error.text().file;
    }
    return "accepted";
  };
  EXPECT_EQ(key_of({.kind = "tensor", .isa = "avx2"}), "train.isa");
}

}  // namespace
}  // namespace mgrn::model
