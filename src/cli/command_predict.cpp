// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <limits>

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
  table.file("out", config.out, "folder for rankedEdges.csv, edges.csv, regulons.csv, network.graphml");
  table.flag("known-only", config.predict.known_only, "only TFs and genes of the ground-truth network");
  table.integer("predict.votes", config.predict.votes, 1, 1000, "samples of cells averaged per pair");
  table.real("predict.precision", config.predict.precision, 0, 1,
             "cut the network where its expected precision falls below this; 0: not so");
  table.integer("predict.edges", config.predict.edges, 0, std::numeric_limits<std::int64_t>::max(),
                "cut the network after so many edges; 0: not so");
  table.real("predict.prior", config.predict.prior, 0, 0.999,
             "share of edges among the candidates; 0: as among the network's own pairs");
  add_calibration_key(table, config);
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
    if (config.given.contains("predict.calibration")) {
      settings.calibration = config.train.calibration;
    }
  });
  const base::Json result = train::run_prediction(settings,
                                                  {.run = config.predict.run,
                                                   .dataset = config.predict.dataset,
                                                   .known_only = config.predict.known_only,
                                                   .votes = config.predict.votes,
                                                   .precision = config.predict.precision,
                                                   .edges = config.predict.edges,
                                                   .prior = config.predict.prior,
                                                   .out = config.out},
                                                  world);
  print_result(world, base::json_text(result) + "all pairs in " + (config.out / "rankedEdges.csv").string() +
                          ", those above the cut-off in " + (config.out / "edges.csv").string() + " and " +
                          (config.out / "network.graphml").string() + ", TFs in " +
                          (config.out / "regulons.csv").string() + "\n");
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
