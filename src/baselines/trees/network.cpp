// SPDX-License-Identifier: Apache-2.0
#include "network.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <sstream>
#include <system_error>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "../rows.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/baselines/trees/finished_targets.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "target_queue.hpp"

namespace mgrn::baselines {
namespace {

using Clock = std::chrono::steady_clock;

// What a kill may cost. Shorter would load a file server with small files, one per rank each time.
constexpr std::chrono::seconds kBetweenFiles{10};
constexpr std::chrono::milliseconds kLongestWait{1000};

class Scores : public ScoreTable {
 public:
  Scores(const Problem& problem, std::vector<double> weights, std::int64_t trees)
      : ScoreTable(problem.regulators, problem.targets, std::move(weights)),
        facts_({{"trees", trees}, {"targets", problem.targets.size()}}) {}
  base::Json facts() const override { return facts_; }

 private:
  base::Json facts_;
};

/// This rank's threads at work on a queue of targets, and what they have finished.
class Workers {
 public:
  using Work = std::function<FinishedTarget(TreeGrower& grower, std::uint32_t target, const GiveUp& give_up)>;

  Workers(const Regressors& regressors, TargetQueue& queue, Work work, int threads)
      : regressors_(regressors), queue_(queue), work_(std::move(work)) {
    try {
      for (int thread = 0; thread < threads; ++thread) {
        threads_.emplace_back([this] { serve(); });
        const std::lock_guard lock(mutex_);
        ++busy_;
      }
    } catch (const std::system_error& error) {
      give_up_ = true;
      throw base::UsageError({.what = "the system refuses to start threads",
                              .file = "train.threads",
                              .expected = std::to_string(threads) + " threads",
                              .got = error.what(),
                              .hint = "lower train.threads"});
    }
  }
  ~Workers() { give_up_ = true; }  // and the threads are waited for
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  void give_up() { give_up_ = true; }
  /// Returns when all have come to their end, or after `time`; true in the first case.
  bool wait(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    return ended_.wait_for(lock, time, [&] { return busy_ == 0; });
  }
  std::vector<FinishedTarget> take_finished() {
    const std::lock_guard lock(mutex_);
    return std::exchange(finished_, {});
  }
  std::exception_ptr failure() {
    const std::lock_guard lock(mutex_);
    return failure_;
  }

 private:
  void serve() {
    try {
      TreeGrower grower(regressors_);
      const GiveUp give_up = [this] { return give_up_.load(std::memory_order_relaxed); };
      while (!give_up()) {
        const auto target = queue_.next();
        if (!target) {
          break;
        }
        FinishedTarget finished = work_(grower, *target, give_up);
        if (!give_up()) {
          const std::lock_guard lock(mutex_);
          finished_.push_back(std::move(finished));
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = failure_ ? failure_ : std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      --busy_;
    }
    ended_.notify_all();
  }

  const Regressors& regressors_;
  TargetQueue& queue_;
  Work work_;
  std::atomic<bool> give_up_ = false;
  std::mutex mutex_;
  std::condition_variable ended_;
  int busy_ = 0;
  std::exception_ptr failure_;
  std::vector<FinishedTarget> finished_;
  std::vector<std::jthread> threads_;
};

class Inference {
 public:
  Inference(const Problem& problem, const std::string& settings, const RegressTarget& regress,
            comm::Communicator& communicator)
      : problem_(problem),
        regress_(regress),
        communicator_(communicator),
        finished_(problem.options.cache.empty() ? problem.folder / "targets" : problem.options.cache,
                  key_text(settings)) {
    for (std::size_t i = 0; i < problem.regulators.size(); ++i) {
      row_[name(problem.regulators[i])] = i;
    }
    for (std::size_t i = 0; i < problem.targets.size(); ++i) {
      place_[name(problem.targets[i])] = i;
    }
    weights_.resize(problem.regulators.size() * problem.targets.size());
    trees_.resize(problem.targets.size());
  }

  std::unique_ptr<PairScorer> perform() {
    comm::agree(communicator_, [&] {
      require_potential();
      load_regressors();
    });
    const auto left = left_to_do();
    base::info(problem_.options.method + ": " + std::to_string(left.size()) + " of " +
               std::to_string(problem_.targets.size()) + " targets to regress on " +
               std::to_string(regressors_->columns()) + " regressors, " +
               std::to_string(communicator_.size()) + " x " + std::to_string(problem_.settings.threads) +
               " threads");
    if (!left.empty()) {
      regress(left);
    }
    // Each number was set by one rank, and is 0 on the others: the sum is exact.
    communicator_.all_reduce(std::span<double>(weights_), comm::Reduction::sum);
    communicator_.all_reduce(std::span<std::int64_t>(trees_), comm::Reduction::sum);
    comm::agree(communicator_, [&] {
      if (communicator_.rank() == 0) {
        write_network();
        if (problem_.options.cache.empty()) {
          std::error_code stays;  // of no use any more, and no harm
          std::filesystem::remove_all(finished_.folder().parent_path(), stays);
        }
      }
    });
    std::int64_t trees = 0;
    for (const auto of_target : trees_) {
      trees += of_target;
    }
    return std::make_unique<Scores>(problem_, std::move(weights_), trees);
  }

 private:
  const std::string& name(std::uint32_t gene) const { return problem_.header.genes[gene]; }

  std::string key_text(const std::string& settings) const {
    std::string text = problem_.options.method + "\n" + settings + "\ndataset " + problem_.header.id +
                       "\nseed " + std::to_string(problem_.settings.seed) + "\nregressors " +
                       (problem_.options.regress_on_potential ? "rna,atac" : "rna");
    for (const auto regulator : problem_.regulators) {
      text += "\n" + name(regulator);
    }
    return text;
  }

  void require_potential() const {
    if (problem_.options.regress_on_potential && !problem_.expression.has_rp()) {
      throw base::UsageError({.what = "regressors of ATAC without ATAC data",
                              .file = "baseline.regressors",
                              .expected = "rna",
                              .got = "rna,atac",
                              .hint = "set baseline.regressors = rna, or give a dataset with ATAC data and "
                                      "data.modalities = rna,atac"});
    }
  }

  void load_regressors() {
    std::vector<RegressorColumn> columns;
    // The dataset's genes, and so the regulators, are sorted by symbol.
    const auto add = [&](auto&& column_of) {
      for (const auto regulator : problem_.regulators) {
        const Column column = column_of(regulator);
        columns.push_back({.cell = column.cell, .value = column.value, .background = column.background});
      }
    };
    add([&](std::uint32_t gene) { return problem_.expression.rna(gene); });
    if (problem_.options.regress_on_potential) {
      add([&](std::uint32_t gene) { return problem_.expression.rp(gene); });
    }
    regressors_.emplace(columns, problem_.expression.cells());
  }

  /// Collective. Takes over what is on disk; the other targets, the costliest first: those expressed in most
  /// cells, whose trees are largest and go on for most rounds.
  std::vector<std::uint32_t> left_to_do() {
    std::string done;
    comm::agree(communicator_, [&] {
      if (communicator_.rank() == 0) {
        for (const auto& target : finished_.read()) {
          if (place_.contains(target.target)) {
            keep(target);
            done += target.target + "\n";
          }
        }
      }
    });
    std::unordered_set<std::string> skip;
    std::istringstream lines(comm::broadcast_text(communicator_, std::move(done)));
    for (std::string line; std::getline(lines, line);) {
      skip.insert(line);
    }
    std::vector<std::uint32_t> left;
    for (const auto target : problem_.targets) {
      const bool has_regressors = problem_.regulators.size() > 1 || problem_.regulators.front() != target;
      if (has_regressors && !skip.contains(name(target))) {
        left.push_back(target);
      }
    }
    std::stable_sort(left.begin(), left.end(), [&](std::uint32_t a, std::uint32_t b) {
      return problem_.expression.rna(a).cell.size() > problem_.expression.rna(b).cell.size();
    });
    return left;
  }

  FinishedTarget regress_target(TreeGrower& grower, std::uint32_t target, const GiveUp& give_up) const {
    const Column column = problem_.expression.rna(target);
    // Shifted so that most cells are 0, which keeps sums exact where nothing varies.
    std::vector<double> y(problem_.expression.cells(), 0.0);
    for (std::size_t i = 0; i < column.cell.size(); ++i) {
      y[column.cell[i]] = static_cast<double>(column.value[i]) - column.background;
    }
    const std::size_t regulators = problem_.regulators.size();
    std::vector<std::uint32_t> columns;
    for (std::uint32_t i = 0; i < regressors_->columns(); ++i) {
      if (problem_.regulators[i % regulators] != target) {
        columns.push_back(i);
      }
    }
    const std::uint64_t key = base::NameHash()
                                  .add(problem_.settings.seed)
                                  .add(problem_.options.method)
                                  .add(base::symbol_key(name(target)))
                                  .value();
    const auto importance = regress_(grower, columns, y, key, give_up);
    FinishedTarget finished{.target = name(target), .trees = importance.trees};
    for (std::size_t i = 0; i < regulators; ++i) {
      double sum = importance.column[i];
      if (regressors_->columns() > regulators) {
        sum += importance.column[regulators + i];
      }
      if (sum > 0) {
        finished.importance[name(problem_.regulators[i])] = sum;
      }
    }
    return finished;
  }

  void keep(const FinishedTarget& finished) {
    const std::size_t place = place_.at(finished.target);
    trees_[place] = finished.trees;
    for (const auto& [regulator, importance] : finished.importance) {
      weights_[row_.at(regulator) * problem_.targets.size() + place] = importance;
    }
  }

  /// Collective. Between short waits the ranks tell one another how far they are, whether one failed, and
  /// whether a signal asks for a stop: no rank sits in a collective for as long as another's last target
  /// takes.
  void regress(const std::vector<std::uint32_t>& left) {
    TargetQueue queue(left, communicator_);
    std::optional<Workers> workers;
    comm::agree(communicator_, [&] {
      workers.emplace(
          *regressors_, queue,
          [this](TreeGrower& grower, std::uint32_t target, const GiveUp& give_up) {
            return regress_target(grower, target, give_up);
          },
          problem_.settings.threads);
    });
    base::Progress progress(problem_.options.method, left.size(), "targets");
    std::vector<FinishedTarget> unwritten;
    auto written = Clock::now();
    std::chrono::milliseconds wait{10};
    std::exception_ptr failure;
    while (true) {
      const bool ended = workers->wait(wait);
      wait = std::min(2 * wait, kLongestWait);
      auto news = workers->take_finished();
      for (auto& finished : news) {
        keep(finished);
        unwritten.push_back(std::move(finished));
      }
      failure = failure ? failure : workers->failure();
      std::array<std::int64_t, 4> word = {ended ? 0 : 1, failure ? 1 : 0, base::stop_signal() != 0 ? 1 : 0,
                                          static_cast<std::int64_t>(news.size())};
      communicator_.all_reduce(std::span<std::int64_t>(word), comm::Reduction::sum);
      progress.advance(static_cast<std::uint64_t>(word[3]));
      const bool last = word[0] == 0 || word[1] != 0 || word[2] != 0;
      try {
        if (last || Clock::now() - written > kBetweenFiles) {
          finished_.write(std::exchange(unwritten, {}));
          written = Clock::now();
        }
      } catch (...) {
        failure = failure ? failure : std::current_exception();
      }
      if (last) {
        workers->give_up();
        comm::throw_agreed(communicator_, failure);
        if (word[2] != 0) {
          throw base::Stopped({.what = "stopped on signal " + std::to_string(base::stop_signal()) + ": " +
                                       problem_.options.method,
                               .hint = "give the same command again: finished targets are kept"});
        }
        progress.finish();
        return;
      }
      if (failure) {
        workers->give_up();
      }
    }
  }

  void write_network() const {
    formats::EdgeTable table;
    for (const auto regulator : problem_.regulators) {
      table.genes.push_back(name(regulator));
    }
    std::vector<std::uint32_t> number;
    for (const auto target : problem_.targets) {
      const auto known = row_.find(name(target));
      number.push_back(static_cast<std::uint32_t>(known != row_.end() ? known->second : table.genes.size()));
      if (known == row_.end()) {
        table.genes.push_back(name(target));
      }
    }
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      if (weights_[i] > 0) {
        table.edges.push_back({.tf = static_cast<std::uint32_t>(i / problem_.targets.size()),
                               .gene = number[i % problem_.targets.size()],
                               .weight = weights_[i]});
      }
    }
    formats::sort_edges(table);
    formats::write_arboreto(problem_.folder / "network.tsv", table);
  }

  const Problem& problem_;
  const RegressTarget& regress_;
  comm::Communicator& communicator_;
  FinishedTargets finished_;
  std::optional<Regressors> regressors_;
  std::unordered_map<std::string, std::size_t> row_;    ///< of a regulator
  std::unordered_map<std::string, std::size_t> place_;  ///< of a target
  std::vector<double> weights_;                         ///< regulators x targets
  std::vector<std::int64_t> trees_;                     ///< by target
};

}  // namespace

std::unique_ptr<PairScorer> infer_network(const Problem& problem, const std::string& settings,
                                          const RegressTarget& regress, comm::Communicator& communicator) {
  return Inference(problem, settings, regress, communicator).perform();
}

}  // namespace mgrn::baselines
