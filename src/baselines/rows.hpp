// SPDX-License-Identifier: Apache-2.0
// Tables whose rows (a regulator each, say) are computed independently, over ranks and threads. Internal to
// the room.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::baselines {

/// Collective. Row r is filled by fill(r, row) on one thread of one rank; rows x columns, row-major, the same
/// on every rank. Shows progress as `task` in `unit`. `fill` must depend on r alone. Throws what `fill`
/// throws, on every rank; Stopped on a stop signal.
std::vector<double> compute_rows(const std::string& task, const std::string& unit, std::size_t rows,
                                 std::size_t columns, int threads,
                                 const std::function<void(std::size_t row, std::span<double> values)>& fill,
                                 comm::Communicator& communicator);

/// A score for every regulator and target, looked up.
class ScoreTable : public PairScorer {
 public:
  /// `weights`: regulators x targets, row-major; a score is the weight without its sign.
  ScoreTable(std::vector<std::uint32_t> regulators, std::vector<std::uint32_t> targets,
             std::vector<double> weights);
  double score(std::uint32_t tf, std::uint32_t gene) const override;
  double weight(std::uint32_t tf, std::uint32_t gene) const override;

 private:
  std::vector<std::uint32_t> regulators_;
  std::vector<std::uint32_t> targets_;
  std::vector<double> weights_;
};

}  // namespace mgrn::baselines
