// SPDX-License-Identifier: Apache-2.0
// baseline: another method on the split that `train` with the same keys would have.
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/baselines/run.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/train/repeat.hpp"

namespace mgrn::cli {
namespace {

void add_keys(KeyTable& table, Config& config) {
  table.text("method", "NAME", config.baseline.method, "one of " + baselines::method_names());
  table.file("out", config.out, "folder of the run; one that holds a finished run is left alone").result =
      false;
  table.integer("runs", config.runs, 1, 1000, "repeats, each with its own split and seed").result = false;
  add_baseline_keys(table, config);
  add_training_keys(table, config);
  add_common_keys(table, config);
}

void set_method_defaults(Config& config) {
  if (!config.baseline.method.empty()) {
    if (const auto defaults = baselines::find_method(config.baseline.method).defaults) {
      defaults(config.train, config.baseline, config.given);
    }
  }
}

void run(Config& config, comm::Communicator& world) {
  const base::Json result = perform_baseline(config, world);
  print_result(world, metrics_table(result, config.baseline.method) + "results in " + config.out.string() +
                          (config.runs == 1 ? "/result.json\n" : "/summary.json\n"));
}

}  // namespace

void check_baseline(const Config& config) {
  baselines::find_method(config.baseline.method);
  check_training(config, train::Job::train);
}

base::Json perform_baseline(Config& config, comm::Communicator& world) {
  auto& settings = config.train;
  settings.job = train::Job::train;
  settings.out = config.out;
  settings.collective_limit_s = config.watch.limit_s;
  check_baseline(config);
  const auto run_once = [&](const train::Settings& own) {
    return baselines::run_baseline(own, config.baseline, world, config.hooks);
  };
  return config.runs == 1 ? run_once(settings) : train::run_repeats(settings, config.runs, world, run_once);
}

Command baseline_command() {
  return {.name = "baseline",
          .summary = "another method, or a control, on the same split as `train`",
          .usage = "--method NAME --data.dataset D.h5 --data.network NET.csv --data.tfs TFS.csv --out DIR",
          .positional = "",
          .keys = add_keys,
          .run = run,
          .on_all_ranks = true,
          .own_config = false,
          .complete = set_method_defaults};
}

}  // namespace mgrn::cli
