// SPDX-License-Identifier: Apache-2.0
// Adam (Kingma and Ba, arXiv 1412.6980) as torch.optim.Adam computes it, with one learning rate for the
// encoder and one for the predictor, weight decay added to the gradient, and clipping by the global L2 norm.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

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

/// Frozen weights take no part in norm, clipping and weight decay, as parameters without a gradient in
/// PyTorch.
class Adam final : public Optimizer {
 public:
  /// What the values of one group are computed with in a step.
  struct Constants {
    float one_minus_beta1 = 0;
    float beta2 = 0;
    float one_minus_beta2 = 0;
    float weight_decay = 0;
    float step_size = 0;        ///< learning rate / (1 - beta1^t)
    float root_correction = 0;  ///< 1 / sqrt(1 - beta2^t)
    float epsilon = 0;
  };

  /// Throws UsageError for rates, betas, epsilon, decay or clip outside their range.
  Adam(const model::Parameters& parameters, const AdamOptions& options);
  /// With moments in memory of the caller, as many values each as there are weights: ranks of a node share
  /// them.
  Adam(const model::Parameters& parameters, const AdamOptions& options, std::span<float> first_moment,
       std::span<float> second_moment);

  void mask(std::size_t first, std::span<float> gradient) const override;
  void update(std::size_t first, std::span<const float> gradient, std::span<float> weights) override;
  std::vector<model::WeightGroup> groups(std::size_t weights) const override;

 private:
  void set_rates(double rate_factor) override;
  void make_groups(const model::Parameters& parameters);

  /// Consecutive values with one learning rate.
  struct Group {
    std::size_t first = 0;
    std::size_t last = 0;
    double learning_rate = 0;
    bool frozen = false;
    Constants constants = {};  // of the step that was begun
  };
  AdamOptions options_;
  std::vector<Group> groups_;
};

}  // namespace mgrn::train
