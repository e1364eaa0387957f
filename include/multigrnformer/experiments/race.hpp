// SPDX-License-Identifier: Apache-2.0
// The race of a parameter search: after each fold the worse points leave it (successive halving with folds as
// the budget; Jamieson and Talwalkar, arXiv 1502.07943). Who goes on follows from result.json of the folds
// before, so every rank, job and later start of the program decides alike, and nothing is written down.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/experiments/plan.hpp"
#include "multigrnformer/experiments/task_state.hpp"

namespace mgrn::experiments {

class Races {
 public:
  /// Refers to `plan`. Not collective.
  Races(const Plan& plan, std::filesystem::path out);

  /// Tasks whose results decide whether `task` is run: those of the fold before. Empty where nothing decides.
  std::vector<std::size_t> judges(std::size_t task) const;

  enum class Verdict {
    runs,       ///< its point is in the race, or it takes part in none
    waits,      ///< a judge is not done yet
    discarded,  ///< its point has left the race
    blocked,    ///< a judge will not be done
  };
  /// `state_of` gives a task's state once it is settled, nothing before. Throws DataError for a result.json
  /// that cannot be read.
  Verdict verdict(std::size_t task, const std::function<std::optional<TaskState>(std::size_t)>& state_of);

  /// A point of one race, as far as it got.
  struct Standing {
    std::uint64_t point = 0;
    std::vector<std::size_t> tasks;     ///< its finished folds, in order
    std::vector<double> metric;         ///< of each; NaN where a run has none
    std::uint64_t discarded_after = 0;  ///< folds; 0: it was not
    double mean() const;
  };
  /// Every race by name, its points in order. Reads what is finished.
  std::map<std::string, std::vector<Standing>> standings() const;

 private:
  using Fold = std::map<std::uint64_t, std::size_t>;  // point -> task

  double metric_of(std::size_t task) const;
  /// Points that enter `fold`; all folds before must be done.
  const std::set<std::uint64_t>& entering(const std::string& race, std::uint64_t fold);

  const Plan& plan_;
  std::filesystem::path out_;
  std::map<std::string, std::vector<Fold>> races_;  // name -> folds, the first one at 0
  std::map<std::pair<std::string, std::uint64_t>, std::set<std::uint64_t>> entering_;
};

/// The best `keep` of the points (a share from 0 to 1, rounded up, at least one) by mean over folds; of
/// equals the first. NaN is worse than any number.
std::set<std::uint64_t> best_points(const std::map<std::uint64_t, double>& means, double keep);

}  // namespace mgrn::experiments
