// SPDX-License-Identifier: Apache-2.0
// The order of an epoch's samples. A pure function of (numbers of pairs, augmentation, mixing, seed, epoch):
// ranks and threads only choose which micro-batches of it they compute. Immutable; any number of threads may
// read.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace mgrn::pairs {

/// How several datasets share an epoch.
enum class Mixing {
  proportional,  ///< all samples of every dataset, each once
  balanced,      ///< as many samples as proportional in all, divided evenly between the datasets
};

/// Which sample: `variant` is the augmentation index that enters its name.
struct PlannedSample {
  std::uint32_t dataset = 0;
  std::uint32_t pair = 0;  ///< index into that dataset's list of training pairs with cells
  std::uint32_t variant = 0;
  bool operator==(const PlannedSample&) const = default;
};

struct BatchOptions {
  int augment = 1;  ///< samples per pair
  Mixing mixing = Mixing::proportional;
  int batch = 32;        ///< samples per step, over all ranks
  int micro_batch = 16;  ///< samples per unit of the gradient sum
  std::uint64_t seed = 1;
};

class BatchPlan {
 public:
  /// `pairs_of_dataset[d]` training pairs of dataset d. With `balanced` a dataset with too many samples
  /// contributes a random choice of them, a new one every epoch; one with too few repeats its pairs under
  /// further variants (augment, augment + 1, ...), as if it were augmented more. Throws UsageError for
  /// illegal options, DataError when there are no pairs.
  BatchPlan(std::span<const std::uint32_t> pairs_of_dataset, const BatchOptions& options,
            std::uint32_t epoch);

  std::uint64_t samples() const { return order_.size(); }
  std::uint64_t steps() const;
  /// Samples of a step; the last step of an epoch may have fewer.
  std::span<const PlannedSample> batch(std::uint64_t step) const;
  /// Micro-batches of a step.
  std::uint64_t units(std::uint64_t step) const;
  /// Samples of a micro-batch; the last one of a step may have fewer than micro_batch: its remaining rows are
  /// padding with weight 0.
  std::span<const PlannedSample> unit(std::uint64_t step, std::uint64_t unit) const;

 private:
  std::uint64_t batch_;
  std::uint64_t micro_batch_;
  std::vector<PlannedSample> order_;
};

}  // namespace mgrn::pairs
