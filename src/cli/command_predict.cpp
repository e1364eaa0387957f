// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/run_settings.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/predict.hpp"

namespace mgrn::cli {
namespace {

void add_keys(KeyTable& table, Config& config) {
  table.file("run", config.predict.run, "folder of a finished run");
  table.file("dataset", config.predict.dataset, "dataset to score instead of the run's own");
  table.file("out", config.out, "folder for rankedEdges.csv and network.graphml");
  table.flag("known-only", config.predict.known_only, "only TFs and genes of the ground-truth network");
  table.integer("predict.votes", config.predict.votes, 1, 1000, "samples of cells averaged per pair");
  table.integer("train.threads", config.train.threads, 1, 1024, "threads per rank");
  add_common_keys(table, config);
}

void run(Config& config, comm::Communicator& world) {
  train::Settings settings;
  comm::agree(world, [&] {
    if (config.predict.run.empty() || config.out.empty()) {
      throw base::UsageError({.what = "a key is missing",
                              .expected = "--run DIR --out DIR",
                              .hint = "--run is the folder that `train` or `finetune` made"});
    }
    settings = settings_of_finished_run(config.predict.run);
    settings.threads = config.train.threads;
  });
  const base::Json result = train::run_prediction(settings,
                                                  {.run = config.predict.run,
                                                   .dataset = config.predict.dataset,
                                                   .known_only = config.predict.known_only,
                                                   .votes = config.predict.votes,
                                                   .out = config.out},
                                                  world);
  print_result(world, base::json_text(result) + "network in " + (config.out / "rankedEdges.csv").string() +
                          " and " + (config.out / "network.graphml").string() + "\n");
}

}  // namespace

Command predict_command() {
  return {.name = "predict",
          .summary = "score every candidate TF-gene pair: the regulatory network",
          .usage = "--run DIR [--dataset D.h5] --out DIR",
          .positional = "",
          .keys = add_keys,
          .run = run,
          .on_all_ranks = true};
}

}  // namespace mgrn::cli
