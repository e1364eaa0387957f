// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/repeat.hpp"

#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/train/resolved_config.hpp"
#include "multigrnformer/train/run.hpp"

namespace mgrn::train {

Settings settings_of_run(const Settings& settings, int run) {
  Settings own = settings;
  const auto shift = static_cast<std::uint64_t>(run - 1);
  own.split.seed += shift;
  own.seed += shift;
  own.out = settings.out / ("run-" + std::to_string(run));
  own.config_text = with_config_value(own.config_text, "pairs.seed", std::to_string(own.split.seed));
  own.config_text = with_config_value(own.config_text, "train.seed", std::to_string(own.seed));
  own.config_text = with_config_value(own.config_text, "runs", "1");
  return own;
}

base::Json run_repeats(const Settings& settings, int runs, comm::Communicator& communicator,
                       const Hooks& hooks) {
  return run_repeats(settings, runs, communicator,
                     [&](const Settings& own) { return run_training(own, communicator, hooks); });
}

base::Json run_repeats(const Settings& settings, int runs, comm::Communicator& communicator,
                       const std::function<base::Json(const Settings&)>& run_once) {
  comm::agree(communicator, [&] {
    if (runs < 1) {
      throw base::UsageError({.what = "illegal number of runs",
                              .file = "runs",
                              .expected = "at least 1",
                              .got = std::to_string(runs),
                              .hint = "give --runs 1 or more"});
    }
    if (runs > 1 && !settings.split_file.empty()) {
      throw base::UsageError({.what = "repeated runs would all have the split of one file",
                              .file = "pairs.split_file",
                              .expected = "one run, or no split file",
                              .got = std::to_string(runs) + " runs",
                              .hint = "leave pairs.split_file out, or give --runs 1"});
    }
  });
  std::vector<base::Json> results;
  for (int run = 1; run <= runs; ++run) {
    base::info("run " + std::to_string(run) + " of " + std::to_string(runs));
    results.push_back(run_once(settings_of_run(settings, run)));
  }
  base::Json summary = evaluate::summary(results);
  comm::agree(communicator, [&] {
    if (communicator.rank() == 0) {
      base::write_file_atomically(settings.out / "summary.json", base::json_text(summary));
    }
  });
  return summary;
}

}  // namespace mgrn::train
