// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/score.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <optional>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/unit_samples.hpp"

namespace mgrn::train {
namespace {

// Units per rank between two looks at the stop signal. A constant: ranks must agree on the number of rounds.
constexpr std::size_t kUnitsPerRound = 64;

}  // namespace

double probability(double logit) {
  return 1.0 / (1.0 + std::exp(-logit));
}

double cross_entropy(double logit, double label) {
  return std::max(logit, 0.0) - logit * label + std::log1p(std::exp(-std::fabs(logit)));
}

std::vector<float> compute_logits(ComputeTeam& team, const model::Parameters& parameters, std::size_t items,
                                  const std::function<ScoringItem(std::size_t)>& item,
                                  comm::Communicator& communicator, const std::string& task, bool stoppable) {
  const auto unit_samples = static_cast<std::size_t>(team.micro_batch());
  const auto ranks = static_cast<std::size_t>(communicator.size());
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const auto threads = static_cast<std::size_t>(team.threads());
  const std::size_t units = (items + unit_samples - 1) / unit_samples;
  const std::size_t my_units = units > rank ? (units - rank - 1) / ranks + 1 : 0;
  const std::size_t most_units = (units + ranks - 1) / ranks;

  std::vector<float> mine(my_units * unit_samples);
  std::optional<base::Progress> progress;
  if (!task.empty()) {
    progress.emplace(task, items, "samples");
  }
  for (std::size_t first = 0; first < most_units; first += kUnitsPerRound) {
    const std::size_t last = std::min(first + kUnitsPerRound, my_units);
    std::exception_ptr failure;
    try {
      team.run([&](int thread) {
        UnitSamples unit;
        std::vector<ScoringItem> wanted;
        for (std::size_t i = first + static_cast<std::size_t>(thread); i < last; i += threads) {
          const std::size_t begin = (rank + i * ranks) * unit_samples;
          const std::size_t samples = std::min(unit_samples, items - begin);
          wanted.clear();
          for (std::size_t s = 0; s < samples; ++s) {
            wanted.push_back(item(begin + s));
          }
          unit.bring(team.held(), wanted, unit_samples);
          const auto logits = std::span(mine).subspan(i * unit_samples, unit_samples);
          if (unit.held().empty()) {
            team.engine(thread).predict(parameters, team.micro_batch(), unit.inputs(), logits);
          } else {
            team.engine(thread).predict_held(parameters, unit.held(), logits.first(samples));
          }
        }
      });
    } catch (...) {
      failure = std::current_exception();
    }
    std::array<std::int64_t, 2> word = {failure ? 1 : 0, stoppable ? base::stop_signal() : 0};
    communicator.all_reduce(word, comm::Reduction::maximum);
    if (word[0] != 0) {
      comm::throw_agreed(communicator, failure);
    }
    if (word[1] != 0) {
      throw base::Stopped({.what = "stopped on signal " + std::to_string(word[1]) + " while scoring pairs",
                           .hint = "give the same command again: it goes on from the last checkpoint"});
    }
    if (progress) {
      const std::size_t done = std::min(first + kUnitsPerRound, most_units) - first;
      progress->advance(
          std::min(done * ranks * unit_samples, items - std::min(items, first * ranks * unit_samples)));
    }
  }

  std::vector<float> logits(units * unit_samples);
  const auto parts = communicator.all_gather(std::as_bytes(std::span(mine)));
  for (std::size_t r = 0; r < ranks; ++r) {
    const auto part = comm::from_bytes<float>(parts[r]);
    for (std::size_t i = 0; i * unit_samples < part.size(); ++i) {
      std::copy_n(part.begin() + static_cast<std::ptrdiff_t>(i * unit_samples), unit_samples,
                  logits.begin() + static_cast<std::ptrdiff_t>((r + i * ranks) * unit_samples));
    }
  }
  logits.resize(items);
  return logits;
}

std::vector<double> vote(ComputeTeam& team, const model::Parameters& parameters,
                         std::span<const VotedPair> voted, pairs::Purpose purpose, int votes,
                         comm::Communicator& communicator, const std::string& task) {
  std::vector<std::size_t> scored;
  for (std::size_t i = 0; i < voted.size(); ++i) {
    if (voted[i].sampler != nullptr) {
      scored.push_back(i);
    }
  }
  const auto per_pair = static_cast<std::size_t>(votes);
  const auto item = [&](std::size_t i) {
    const VotedPair& pair = voted[scored[i / per_pair]];
    return ScoringItem{.sampler = pair.sampler,
                       .name = {.tf = pair.tf,
                                .gene = pair.gene,
                                .purpose = purpose,
                                .epoch = 0,
                                .variant = static_cast<std::uint32_t>(i % per_pair)}};
  };
  const auto logits =
      compute_logits(team, parameters, scored.size() * per_pair, item, communicator, task, true);
  std::vector<double> scores(voted.size(), 0.0);
  for (std::size_t i = 0; i < scored.size(); ++i) {
    double sum = 0;
    for (std::size_t v = 0; v < per_pair; ++v) {
      sum += probability(static_cast<double>(logits[i * per_pair + v]));
    }
    scores[scored[i]] = sum / static_cast<double>(votes);
  }
  return scores;
}

}  // namespace mgrn::train
