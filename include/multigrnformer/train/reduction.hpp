// SPDX-License-Identifier: Apache-2.0
// The sum of micro-batch gradients, exact and therefore the same bits however the micro-batches are spread
// over ranks and threads: each float becomes a 64-bit fixed-point integer, integers add in any order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/model/fixed_point.hpp"

namespace mgrn::train {

/// What one micro-batch contributes besides its gradient; summed exactly like it.
struct UnitStatistics {
  double loss = 0;
  std::uint64_t live_hidden = 0;
};

/// What is known, on every rank alike, after a reduction. Loss and live_hidden are those of the units whose
/// gradients are usable; a unit that was non-finite or out of range adds nothing but its count to them.
struct ReductionOutcome {
  std::int64_t units = 0;               ///< micro-batches that arrived
  std::int64_t units_non_finite = 0;    ///< held NaN or Inf: the step must be skipped
  std::int64_t units_out_of_range = 0;  ///< too large for the scale: repeat the step with a smaller scale
  double loss = 0;                      ///< summed loss
  std::int64_t live_hidden = 0;         ///< summed over micro-batches
  bool usable() const { return units_non_finite == 0 && units_out_of_range == 0; }
};

/// Sums gradients of the micro-batches that this thread computed. One per thread; merge, then reduce.
class GradientSum {
 public:
  virtual ~GradientSum() = default;
  /// Forgets everything; `scale` is the number of fractional bits (40, 32 or 24; ignored by the float kind).
  virtual void start(int scale) = 0;
  /// One micro-batch. A loss that is not finite (or beyond 2^50) makes the unit non-finite.
  virtual void add(std::span<const float> gradient, const UnitStatistics& statistics) = 0;
  /// Where an engine adds its gradients itself (Engine::accumulate), each with a note() of its statistics in
  /// the same order; null for the float kind.
  virtual model::FixedPointSum* direct() { return nullptr; }
  virtual void note(const UnitStatistics& statistics) = 0;
  /// direct()'s values are the sums over all ranks already (their GPUs reduced them): reduce() leaves them as
  /// they are. On every rank alike, once all of this rank's micro-batches are noted; lasts until start().
  virtual void set_reduced() {}
  /// Takes over another thread's sum (same kind and size).
  virtual void merge(GradientSum& other) = 0;
  /// Collective: one all-reduce in place. Then writes the sum over `divisor` as float32 (only when usable).
  /// Consumes the sum: start() comes before the next add(). Throws InternalError, on every rank alike, when
  /// ranks used different scales or there are more than kMostUnits units.
  virtual ReductionOutcome reduce(comm::Communicator& communicator, double divisor,
                                  std::span<float> gradient) = 0;
};

/// Exact (REDUCTION: int64 fixed point, the product's default) or float (train.reduction=float: sums in
/// float32, bits depend on the number of ranks).
std::unique_ptr<GradientSum> make_exact_sum(std::size_t parameters);
std::unique_ptr<GradientSum> make_float_sum(std::size_t parameters);

/// Micro-batches of one step, over all ranks, that the exact sum has room for: 2^50 * 4096 = 2^62.
inline constexpr std::int64_t kMostUnits = 4096;

/// Scales tried in turn when a gradient is out of range: limits 1024, 2.6e5, 6.7e7.
inline constexpr int kScales[] = {40, 32, 24};

}  // namespace mgrn::train
