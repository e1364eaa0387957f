// SPDX-License-Identifier: Apache-2.0
// One slow rank makes all wait in every step, and nothing else shows which. Ranks put the time that they
// compute into the small reduction that each step has anyway; every 20 steps the slowest is compared with
// the fastest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace mgrn::train {

class StragglerWatch {
 public:
  explicit StragglerWatch(int rank) : rank_(rank) {}

  /// What this rank contributes to a reduction by maximum, one in every step, after it computed `units`
  /// micro-batches, one after the other, in `seconds`.
  std::array<std::int64_t, 2> contribute(double seconds, std::size_t units);
  /// The reduced words: a warning, the same on every rank, where a rank is slow; else empty. A rank is named
  /// once, until another is.
  std::string conclude(const std::array<std::int64_t, 2>& reduced);

 private:
  int rank_;
  int steps_ = 0;
  double seconds_ = 0;
  std::size_t units_ = 0;
  std::int64_t named_ = -1;
};

}  // namespace mgrn::train
