// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/sample.hpp"

namespace mgrn::cli {
namespace {

void add_keys(KeyTable& table, Config& config) {
  table.text("tf", "SYMBOL", config.sample.tf, "transcription factor");
  table.text("gene", "SYMBOL", config.sample.gene, "target gene");
  table.choice<std::string>("set", config.sample.set, {{"train", "train"}, {"test", "test"}},
                            "a training sample or a test sample");
  table.integer("epoch", config.sample.epoch, 0, 1 << 30, "epoch of a training sample, from 0");
  table.integer("augmentation", config.sample.augmentation, 0, 1000, "copy of a training sample, from 0");
  table.integer("vote", config.sample.vote, 0, 1000, "which sample of a test pair, from 0");
  add_training_keys(table, config);
  add_common_keys(table, config);
}

void run(Config& config, comm::Communicator& world) {
  std::string text;
  comm::agree(world, [&] {
    if (config.sample.tf.empty() || config.sample.gene.empty() || config.train.datasets.empty()) {
      throw base::UsageError({.what = "a key is missing",
                              .expected = "--tf SYMBOL --gene SYMBOL --data.dataset FILE",
                              .hint = "give the keys of the training run whose sample you want to see"});
    }
    if (world.rank() == 0) {
      text = train::sample_csv(train::make_sample(
          config.train, {.tf = config.sample.tf,
                         .gene = config.sample.gene,
                         .set = config.sample.set == "test" ? pairs::Set::test : pairs::Set::train,
                         .epoch = config.sample.epoch,
                         .augmentation = config.sample.augmentation,
                         .vote = config.sample.vote}));
    }
  });
  print_result(world, text);
}

}  // namespace

Command sample_command() {
  return {.name = "sample",
          .summary = "print the sample of cells that a pair gets",
          .usage = "--tf A --gene B --set {train,test} --data.dataset D.h5 [train's keys]",
          .positional = "",
          .keys = add_keys,
          .run = run};
}

}  // namespace mgrn::cli
