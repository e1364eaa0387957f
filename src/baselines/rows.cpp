// SPDX-License-Identifier: Apache-2.0
#include "rows.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::baselines {
namespace {

// Rows per thread between two looks at the stop signal.
constexpr std::size_t kRowsPerRound = 4;

void on_threads(int threads, const std::function<void()>& work) {
  std::exception_ptr failure;
  std::mutex mutex;
  const auto guarded = [&] {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = failure ? failure : std::current_exception();
    }
  };
  {
    std::vector<std::jthread> helpers;
    try {
      for (int thread = 1; thread < threads; ++thread) {
        helpers.emplace_back(guarded);
      }
    } catch (const std::system_error& error) {
      throw base::UsageError({.what = "the system refuses to start threads",
                              .file = "train.threads",
                              .expected = std::to_string(threads) + " threads",
                              .got = error.what(),
                              .hint = "lower train.threads"});
    }
    guarded();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

std::size_t place_of(const std::vector<std::uint32_t>& genes, std::uint32_t gene) {
  const auto found = std::lower_bound(genes.begin(), genes.end(), gene);
  if (found == genes.end() || *found != gene) {
    throw base::InternalError({.what = "gene " + std::to_string(gene) + " has no place in a score table",
                               .hint = "report this as a defect"});
  }
  return static_cast<std::size_t>(found - genes.begin());
}

}  // namespace

std::vector<double> compute_rows(const std::string& task, const std::string& unit, std::size_t rows,
                                 std::size_t columns, int threads,
                                 const std::function<void(std::size_t row, std::span<double> values)>& fill,
                                 comm::Communicator& communicator) {
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const std::size_t mine = rows > rank ? (rows - rank - 1) / ranks + 1 : 0;
  const std::size_t most = (rows + ranks - 1) / ranks;
  const std::size_t round = kRowsPerRound * static_cast<std::size_t>(threads);
  std::vector<double> own(mine * columns);
  base::Progress progress(task, rows, unit);
  for (std::size_t first = 0; first < most; first += round) {
    std::exception_ptr failure;
    std::atomic<std::size_t> next = first;
    const std::size_t last = std::min(first + round, mine);
    try {
      on_threads(threads, [&] {
        for (std::size_t i = next++; i < last; i = next++) {
          fill(rank + i * ranks, std::span(own).subspan(i * columns, columns));
        }
      });
    } catch (...) {
      failure = std::current_exception();
    }
    std::array<std::int64_t, 2> word = {failure ? 1 : 0, base::stop_signal()};
    communicator.all_reduce(std::span<std::int64_t>(word), comm::Reduction::maximum);
    if (word[0] != 0) {
      comm::throw_agreed(communicator, failure);
    }
    if (word[1] != 0) {
      throw base::Stopped({.what = "stopped on signal " + std::to_string(word[1]) + ": " + task,
                           .hint = "give the same command again"});
    }
    progress.advance(std::min(rows, (first + round) * ranks) - std::min(rows, first * ranks));
  }
  progress.finish();
  std::vector<double> all(rows * columns);
  const auto parts = communicator.all_gather(std::as_bytes(std::span(own)));
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto part = comm::from_bytes<double>(parts[r]);
    for (std::size_t i = 0; columns > 0 && i < part.size() / columns; ++i) {
      std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(i * columns), columns,
                  all.begin() + static_cast<std::ptrdiff_t>((r + i * ranks) * columns));
    }
  }
  return all;
}

ScoreTable::ScoreTable(std::vector<std::uint32_t> regulators, std::vector<std::uint32_t> targets,
                       std::vector<double> weights)
    : regulators_(std::move(regulators)), targets_(std::move(targets)), weights_(std::move(weights)) {
  if (weights_.size() != regulators_.size() * targets_.size()) {
    throw base::InternalError({.what = "a score table of the wrong size",
                               .expected = std::to_string(regulators_.size() * targets_.size()),
                               .got = std::to_string(weights_.size()),
                               .hint = "report this as a defect"});
  }
}

double ScoreTable::score(std::uint32_t tf, std::uint32_t gene) const {
  return std::fabs(weight(tf, gene));
}

double ScoreTable::weight(std::uint32_t tf, std::uint32_t gene) const {
  return weights_[place_of(regulators_, tf) * targets_.size() + place_of(targets_, gene)];
}

}  // namespace mgrn::baselines
