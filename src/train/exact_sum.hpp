// SPDX-License-Identifier: Apache-2.0
// The exact sum (REDUCTION: int64 fixed point) and where it lies in memory, for those who read the sums of
// other threads, and of other ranks of the node, in place. Private to the room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "multigrnformer/base/large_array.hpp"
#include "multigrnformer/model/fixed_point.hpp"
#include "multigrnformer/train/reduction.hpp"

namespace mgrn::train {

class ExactSum final : public GradientSum {
 public:
  /// What follows the gradient in memory. The loss travels in two words, units of 1 and of 2^-44: one word
  /// could hold neither the loss of a diverged run nor the last digits of a converged one.
  enum Counter : std::size_t {
    kSums,    ///< 1, so that a total tells of how many sums it is
    kFilled,  ///< 1 where micro-batches were added; else the gradient's words hold anything
    kUnits,
    kNonFinite,
    kOutOfRange,
    kLossWhole,
    kLossFraction,
    kLiveHidden,
    kScale,  ///< with its square a total shows whether all sums have one scale
    kScaleSquared,
    kCounters
  };
  /// Words of memory that a sum takes, whole cache lines.
  static constexpr std::size_t words(std::size_t parameters) {
    return (parameters + kCounters + kWordsOfLine - 1) / kWordsOfLine * kWordsOfLine;
  }

  explicit ExactSum(std::size_t parameters);
  /// In words(parameters) words of the caller's.
  ExactSum(std::size_t parameters, std::span<std::uint64_t> memory);

  void start(int scale) override;
  void add(std::span<const float> gradient, const UnitStatistics& statistics) override;
  model::FixedPointSum* direct() override { return &sum_; }
  void note(const UnitStatistics& statistics) override { statistics_.push_back(statistics); }
  void set_reduced() override { reduced_ = true; }
  void merge(GradientSum& other) override;
  ReductionOutcome reduce(comm::Communicator& communicator, double divisor,
                          std::span<float> gradient) override;

  /// Writes the counters. The memory then holds all of the sum, until start().
  void close();
  int scale() const { return sum_.scale; }

  /// What the counters of one or more closed sums, added up, say. Throws InternalError where the sums had
  /// different scales or hold more than kMostUnits units.
  static ReductionOutcome outcome(std::span<const std::uint64_t, kCounters> counters);

 private:
  static constexpr std::size_t kWordsOfLine = 8;

  std::span<std::uint64_t, kCounters> counters() { return memory_.subspan(parameters_).first<kCounters>(); }
  void require_size(std::size_t size) const;
  void require_values();

  std::size_t parameters_;
  base::LargeArray<std::uint64_t> own_;  // the memory, unless it is the caller's
  std::span<std::uint64_t> memory_;      // unsigned because it wraps
  model::FixedPointSum sum_;             // of the memory's gradient
  std::vector<UnitStatistics> statistics_;
  bool reduced_ = false;
};

}  // namespace mgrn::train
