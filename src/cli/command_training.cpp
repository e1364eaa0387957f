// SPDX-License-Identifier: Apache-2.0
// train, pretrain and finetune: one loop, told what it starts from and what it learns on.
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/train/repeat.hpp"
#include "multigrnformer/train/run.hpp"

namespace mgrn::cli {
namespace {

constexpr int kPretrainEpochs = 25;  // paper, section 3.4
constexpr int kFinetuneEpochs = 10;

void require(bool given, const std::string& key, const std::string& hint) {
  if (!given) {
    throw base::UsageError({.what = "key " + key + " is missing",
                            .expected = "--" + key + " FILE",
                            .got = "nothing",
                            .hint = hint});
  }
}

void run_job(Config& config, comm::Communicator& world, train::Job job) {
  const base::Json result = perform_training(config, world, job);
  const std::string table = metrics_table(result);
  print_result(world, (table.empty() ? base::json_text(result) : table) + "results in " +
                          config.out.string() + (config.runs == 1 ? "/result.json\n" : "/summary.json\n"));
}

void add_keys(KeyTable& table, Config& config) {
  table.file("out", config.out, "folder of the run; one that holds a checkpoint is gone on with").result =
      false;
  table.integer("runs", config.runs, 1, 1000, "repeats, each with its own split, weights and cells").result =
      false;
  add_training_keys(table, config);
  add_common_keys(table, config);
}

}  // namespace

void check_training(const Config& config, train::Job job) {
  const auto& settings = config.train;
  require(!settings.datasets.empty(), "data.dataset", "make a dataset file with `multigrnformer prepare`");
  require(!settings.networks.empty(), "data.network", "give the ground truth, a CSV of TF,gene");
  require(!settings.tf_lists.empty(), "data.tfs", "give the list of transcription factors");
  require(!config.out.empty(), "out", "choose a folder for the run");
  if (job != train::Job::pretrain && settings.datasets.size() > 1) {
    throw base::UsageError({.what = "several datasets",
                            .expected = "one data.dataset",
                            .got = std::to_string(settings.datasets.size()),
                            .hint = "only `pretrain` takes several datasets"});
  }
  if (job == train::Job::finetune) {
    require(!settings.init.empty(), "train.init", "give model.safetensors of a pretraining run");
  }
  model::validate(settings.shape);
}

base::Json perform_training(Config& config, comm::Communicator& world, train::Job job) {
  auto& settings = config.train;
  settings.job = job;
  settings.out = config.out;
  settings.collective_limit_s = config.watch.limit_s;
  check_training(config, job);
  return config.runs == 1 ? train::run_training(settings, world, config.hooks)
                          : train::run_repeats(settings, config.runs, world, config.hooks);
}

Command train_command() {
  return {.name = "train",
          .summary = "train on one dataset, then score its test pairs",
          .usage = "--data.dataset D.h5 --data.network NET.csv --data.tfs TFS.csv --out DIR",
          .positional = "",
          .keys = add_keys,
          .run = [](Config& config, comm::Communicator& world) { run_job(config, world, train::Job::train); },
          .on_all_ranks = true};
}

Command pretrain_command() {
  return {
      .name = "pretrain",
      .summary = "train on several datasets together",
      .usage =
          "--data.dataset A.h5,B.h5 --data.network NET.csv --data.tfs TFS.csv --cross.target T.h5 --out DIR",
      .positional = "",
      .keys =
          [](KeyTable& table, Config& config) {
            config.train.epochs = kPretrainEpochs;
            add_keys(table, config);
          },
      .run = [](Config& config, comm::Communicator& world) { run_job(config, world, train::Job::pretrain); },
      .on_all_ranks = true};
}

Command finetune_command() {
  return {
      .name = "finetune",
      .summary = "go on from pretrained weights on the target dataset",
      .usage =
          "--train.init PRETRAINED/model.safetensors --data.dataset T.h5 --data.network NET.csv "
          "--data.tfs TFS.csv --out DIR",
      .positional = "",
      .keys =
          [](KeyTable& table, Config& config) {
            config.train.epochs = kFinetuneEpochs;
            add_keys(table, config);
          },
      .run = [](Config& config, comm::Communicator& world) { run_job(config, world, train::Job::finetune); },
      .on_all_ranks = true};
}

}  // namespace mgrn::cli
