// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/batch_plan.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {

namespace {

void require_positive(int value, const char* key) {
  if (value < 1) {
    throw base::UsageError({.what = "illegal number of samples",
                            .file = key,
                            .expected = "1 or more",
                            .got = std::to_string(value),
                            .hint = std::string("Set ") + key + " to a whole number above 0."});
  }
}

/// A dataset's `count` samples for this epoch: whole rounds over all its samples, each under new variants,
/// then a random part of one more.
void add_samples(std::uint32_t dataset, std::uint32_t pairs, std::uint32_t augment, std::uint64_t count,
                 base::PhiloxStream& random, std::vector<PlannedSample>& order) {
  for (std::uint32_t round = 0; count > 0; ++round) {
    std::vector<PlannedSample> all;
    all.reserve(std::size_t{pairs} * augment);
    for (std::uint32_t pair = 0; pair < pairs; ++pair) {
      for (std::uint32_t copy = 0; copy < augment; ++copy) {
        all.push_back({.dataset = dataset, .pair = pair, .variant = round * augment + copy});
      }
    }
    if (count < all.size()) {
      base::shuffle(all, random);
      all.resize(count);
    }
    order.insert(order.end(), all.begin(), all.end());
    count -= all.size();
  }
}

}  // namespace

BatchPlan::BatchPlan(std::span<const std::uint32_t> pairs_of_dataset, const BatchOptions& options,
                     std::uint32_t epoch) {
  require_positive(options.augment, "pairs.augment");
  require_positive(options.batch, "train.batch");
  require_positive(options.micro_batch, "train.micro_batch");
  batch_ = static_cast<std::uint64_t>(options.batch);
  micro_batch_ = static_cast<std::uint64_t>(options.micro_batch);
  const auto augment = static_cast<std::uint32_t>(options.augment);
  std::uint64_t total = 0;
  std::uint64_t contributors = 0;
  for (const std::uint32_t pairs : pairs_of_dataset) {
    total += std::uint64_t{pairs} * augment;
    contributors += pairs > 0 ? 1 : 0;
  }
  if (total == 0) {
    throw base::DataError({.what = "there are no pairs to train on",
                           .expected = "training pairs whose genes are expressed in a common cell",
                           .got = "none",
                           .hint = "Check the split and the dataset with inspect."});
  }
  if (total > std::numeric_limits<std::uint32_t>::max()) {
    throw base::UsageError({.what = "an epoch has too many samples",
                            .file = "pairs.augment",
                            .expected = "at most 2^32 - 1",
                            .got = std::to_string(total),
                            .hint = "Lower pairs.augment."});
  }
  base::PhiloxStream random(options.seed, base::NameHash().add("batch plan").add(epoch).value());
  order_.reserve(total);
  std::uint64_t contributor = 0;
  for (std::uint32_t dataset = 0; dataset < pairs_of_dataset.size(); ++dataset) {
    const std::uint32_t pairs = pairs_of_dataset[dataset];
    if (pairs == 0) {
      continue;
    }
    std::uint64_t count = std::uint64_t{pairs} * augment;
    if (options.mixing == Mixing::balanced) {
      // The first (total mod contributors) datasets take one sample more.
      count = total / contributors + (contributor < total % contributors ? 1 : 0);
    }
    ++contributor;
    add_samples(dataset, pairs, augment, count, random, order_);
  }
  base::shuffle(order_, random);
}

std::uint64_t BatchPlan::steps() const {
  return (order_.size() + batch_ - 1) / batch_;
}

std::span<const PlannedSample> BatchPlan::batch(std::uint64_t step) const {
  const std::uint64_t first = std::min<std::uint64_t>(step * batch_, order_.size());
  return std::span(order_).subspan(first, std::min<std::uint64_t>(batch_, order_.size() - first));
}

std::uint64_t BatchPlan::units(std::uint64_t step) const {
  return (batch(step).size() + micro_batch_ - 1) / micro_batch_;
}

std::span<const PlannedSample> BatchPlan::unit(std::uint64_t step, std::uint64_t unit) const {
  const auto samples = batch(step);
  const std::uint64_t first = std::min<std::uint64_t>(unit * micro_batch_, samples.size());
  return samples.subspan(first, std::min<std::uint64_t>(micro_batch_, samples.size() - first));
}

}  // namespace mgrn::pairs
