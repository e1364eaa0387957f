// SPDX-License-Identifier: Apache-2.0
// What drawn numbers cannot promise: accuracy on real samples with weights that training has moved, whose
// heads are wider than fresh ones. Errors are largest error over largest value, against float64.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "model/available_kernels.hpp"
#include "model/exact_attention.hpp"
#include "model/reference.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/run.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/sources.hpp"
#include "multigrnformer/train/weights.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"
#include "train/real_case.hpp"

namespace mgrn::train {
namespace {

using model::test::available_kernels;

constexpr double kOutputTolerance = 1e-6;
/// Of gradients nearly all stay below the first, and all below the second: where softmax saturates, or terms
/// of a sum cancel, float32 ends whatever computes it (LibTorch's own figure stands beside ours).
constexpr double kGradientTolerance = 1e-5;
constexpr double kNearlyAll = 0.98;
constexpr double kLargestGradientError = 5e-5;

/// Errors of gradients, one for each head or tensor.
class GradientErrors {
 public:
  void add(double error, const std::string& where) {
    ++count_;
    within_ += error <= kGradientTolerance ? 1 : 0;
    if (!(error <= largest_)) {
      largest_ = error;
      where_ = where;
    }
  }
  double share_within() const { return within_ / count_; }
  double largest() const { return largest_; }
  void report(const std::string& what, double output) const {
    std::printf("%s: output %.1e, gradients %.1e (%s), %.2f %% of %.0f within %.0e\n", what.c_str(), output,
                largest_, where_.c_str(), 100 * share_within(), count_, kGradientTolerance);
  }
  void expect_small(const std::string& what) const {
    EXPECT_GE(share_within(), kNearlyAll) << what;
    EXPECT_LE(largest_, kLargestGradientError) << what << ' ' << where_;
  }

 private:
  double count_ = 0;
  double within_ = 0;
  double largest_ = 0;
  std::string where_;
};

/// A run's weights and samples of its training pairs.
struct TrainedCase {
  model::Parameters weights;
  std::vector<float> inputs = {};
  std::vector<float> labels = {};
  std::vector<float> counts = {};  // each once
  std::vector<std::uint64_t> names = {};

  model::MicroBatch batch(std::size_t first, std::size_t count) const {
    const std::size_t size = inputs.size() / labels.size();
    return {.samples = static_cast<int>(count),
            .inputs = std::span(inputs).subspan(first * size, count * size),
            .labels = std::span(labels).subspan(first, count),
            .weights = std::span(counts).subspan(first, count),
            .names = std::span(names).subspan(first, count)};
  }
};

TrainedCase train_case(Settings settings, const std::filesystem::path& out, std::size_t samples) {
  settings.out = out;
  const auto self = comm::make_self_communicator();
  run_training(settings, *self);
  TrainedCase result{.weights = finished_weights(out, settings.shape)};
  const Task task = load_task(settings, *self);
  const auto size = static_cast<std::size_t>(settings.shape.cells * settings.shape.width);
  result.inputs.resize(samples * size);
  for (std::size_t i = 0; i < samples; ++i) {
    const TaskPair& pair = task.training[i * 7919 % task.training.size()];
    EXPECT_TRUE(task.sources[0].sampler->gather({.tf = pair.tf, .gene = pair.gene},
                                                std::span(result.inputs).subspan(i * size, size)));
    result.labels.push_back(pair.label);
    result.counts.push_back(1.0f);
    result.names.push_back(i);
  }
  return result;
}

/// Every head of the samples by itself, forward and backward, with an output gradient of random numbers.
void expect_exact_heads(const TrainedCase& trained) {
  std::vector<model::test::Head> heads;
  const auto engine = model::make_engine(trained.weights.shape(), 16, {.kind = "linear"});
  double widest = 0;
  engine->visit_heads(trained.weights, static_cast<int>(trained.labels.size()), trained.inputs,
                      [&](const model::HeadView& view) {
                        model::test::Head head{.q = {view.queries.begin(), view.queries.end()},
                                               .k = {view.keys.begin(), view.keys.end()},
                                               .v = {view.values.begin(), view.values.end()},
                                               .g = {}};
                        base::PhiloxStream random(7, heads.size());
                        for (std::size_t i = 0; i < head.q.size(); ++i)
                          head.g.push_back(static_cast<float>(random.normal()));
                        heads.push_back(std::move(head));
                        widest = std::max(widest, view.path.range);
                      });
  EXPECT_GT(widest, 10) << "trained heads are wide, or the test is about less than it says";
  std::vector<model::test::Gradients> exact;
  for (const auto& head : heads) exact.push_back(model::test::exact_attention(head));
  for (const model::cpu::Kernels* kernels : available_kernels()) {
    for (const std::string kind : {"linear", "quadratic"}) {
      const std::string what =
          "heads, R to " + std::to_string(static_cast<int>(widest)) + ", " + kind + '/' + kernels->name;
      GradientErrors gradients;
      double output = 0;
      std::size_t linear = 0;
      for (std::size_t i = 0; i < heads.size(); ++i) {
        const auto got = model::test::compute(heads[i], kind, kernels->name);
        model::test::LargestErrors errors;
        errors.see(heads[i], got, exact[i]);
        output = std::max(output, errors.output);
        gradients.add(errors.gradient, "head " + std::to_string(i));
        linear += got.panels > 0 ? 1 : 0;
      }
      gradients.report(what, output);
      EXPECT_LE(output, kOutputTolerance) << what;
      gradients.expect_small(what);
      EXPECT_GE(linear, kind == "linear" ? heads.size() / 2 : 0) << what;
    }
  }
}

/// The whole step, sample by sample, so that gradients of samples do not cancel: logits, and every tensor's
/// gradient.
void expect_exact_steps(const TrainedCase& trained) {
  const model::Shape& shape = trained.weights.shape();
  const std::size_t samples = trained.labels.size();
  const std::vector<double> values(trained.weights.values().begin(), trained.weights.values().end());
  std::vector<model::ReferenceStep> exact;
  for (std::size_t i = 0; i < samples; ++i) {
    exact.push_back(model::reference_step(shape, values, trained.batch(i, 1), 0));
  }
  std::vector<float> gradient(values.size());
  const auto measure = [&](const model::EngineOptions& options, bool ours) {
    const auto engine = model::make_engine(shape, 1, options);
    GradientErrors gradients;
    double logit_error = 0;
    for (std::size_t i = 0; i < samples; ++i) {
      const model::MicroBatch batch = trained.batch(i, 1);
      float logit = 0;
      engine->gradient(trained.weights, batch, gradient);
      engine->predict(trained.weights, 1, batch.inputs, std::span(&logit, 1));
      logit_error = std::max(logit_error, std::fabs(logit - exact[i].logits[0]));
      for (const model::ParameterView& view : trained.weights.views()) {
        double difference = 0, size = 0;
        for (std::size_t at = view.offset; at < view.offset + view.size; ++at) {
          difference = std::max(difference, std::fabs(gradient[at] - exact[i].gradient[at]));
          size = std::max(size, std::fabs(exact[i].gradient[at]));
        }
        gradients.add(difference == 0 ? 0 : difference / size, view.name);
      }
    }
    gradients.report("steps, " + engine->name(), logit_error);
    if (ours) {
      EXPECT_LE(logit_error, kOutputTolerance) << engine->name();
      gradients.expect_small(engine->name());
    }
  };
  for (const model::cpu::Kernels* kernels : available_kernels()) {
    for (const std::string kind : {"linear", "quadratic"}) {
      measure({.kind = kind, .isa = kernels->name}, true);
    }
  }
  measure({.kind = "reference"}, false);
}

void expect_exact_run(Settings settings, int epochs, const std::filesystem::path& folder) {
  settings.epochs = epochs;
  const TrainedCase trained = train_case(settings, folder / "run", 32);
  expect_exact_heads(trained);
  expect_exact_steps(trained);
}

TEST(TrainedWeights, HeadsAndStepsOnMultiomeAreExactToRounding) {
  MGRN_REQUIRE_REAL_DATA(mgrn::test::real_data("mouse_cortex_snare"));
  const mgrn::test::TemporaryDirectory folder;
  expect_exact_run(mgrn::test::mouse_cortex(folder.path()), 10, folder.path());
}

TEST(TrainedWeights, HeadsAndStepsOnExpressionAloneAreExactToRounding) {
  MGRN_REQUIRE_REAL_DATA(mgrn::test::real_data("mdc_rna"));
  const mgrn::test::TemporaryDirectory folder;
  expect_exact_run(mgrn::test::dendritic_cells(folder.path()), 5, folder.path());
}

}  // namespace
}  // namespace mgrn::train
