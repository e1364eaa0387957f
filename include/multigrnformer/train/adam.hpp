// SPDX-License-Identifier: Apache-2.0
// Adam (Kingma and Ba, arXiv 1412.6980) as torch.optim.Adam computes it, with one learning rate for the
// encoder and one for the predictor, weight decay added to the gradient, and clipping by the global L2 norm.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/train/optimizer.hpp"

namespace mgrn::train {

/// Weights that keep the value they start from, to the last bit.
enum class Freeze { none, encoder, predictor };

struct AdamOptions {
  double learning_rate = 3e-3;            ///< encoder
  double predictor_learning_rate = 1e-4;  ///< predictor
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double clip = 0;  ///< largest L2 norm of the whole gradient; 0: none
  Freeze freeze = Freeze::none;
};

class Adam final : public Optimizer {
 public:
  /// Throws UsageError for rates, betas, epsilon, decay or clip outside their range.
  Adam(const model::Parameters& parameters, const AdamOptions& options);

  /// One update, with both learning rates times `rate_factor`. `gradient` is the mean gradient (already
  /// divided by the number of samples); changed by clipping, and zero afterwards where weights are frozen:
  /// those take no part in norm, clipping and weight decay, as parameters without a gradient in PyTorch.
  /// Returns its L2 norm before clipping.
  /// Element-wise and in a fixed order: the same bits on every rank and every instruction set. Throws
  /// NumericError, before anything changed, when the norm is not finite.
  double step(model::Parameters& parameters, std::span<float> gradient, double rate_factor = 1) override;

  std::int64_t steps() const override { return steps_; }
  std::span<float> first_moment() override { return first_; }
  std::span<float> second_moment() override { return second_; }
  void set_steps(std::int64_t steps) override { steps_ = steps; }

 private:
  /// Consecutive values with one learning rate.
  struct Group {
    std::size_t first = 0;
    std::size_t last = 0;
    double learning_rate = 0;
    bool frozen = false;
  };

  AdamOptions options_;
  std::vector<Group> groups_;
  base::LargeArray<float> first_;
  base::LargeArray<float> second_;
  std::int64_t steps_ = 0;
};

}  // namespace mgrn::train
