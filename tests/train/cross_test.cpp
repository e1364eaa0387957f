// SPDX-License-Identifier: Apache-2.0
// Pretraining on some datasets and fine-tuning on another, without leaking test pairs.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/train/run.hpp"
#include "multigrnformer/train/weights.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

const std::string kTarget = "00000000000000aa";  // A.h5

class CrossTest : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_inputs(folder_.path());
    test::write_tiny_dataset(folder_ / "B.h5", "00000000000000bb", 6);
    test::write_tiny_dataset(folder_ / "C.h5", "00000000000000cc", 7);
    // Another ground truth: with the same one and the same seed all datasets would have the same split.
    test::write_tiny_network(folder_ / "other.csv", folder_ / "tfs.csv", 12);
  }

  // A is the target.
  Settings pretraining(const std::string& out) const {
    Settings settings = test::tiny_settings(folder_.path(), folder_ / out);
    settings.job = Job::pretrain;
    settings.datasets = {folder_ / "A.h5", folder_ / "B.h5", folder_ / "C.h5"};
    settings.networks = {folder_ / "network.csv", folder_ / "other.csv", folder_ / "other.csv"};
    settings.target = folder_ / "A.h5";
    settings.split.seed = 3;
    return settings;
  }
  Settings finetuning(const std::string& out, const fs::path& weights) const {
    Settings settings = test::tiny_settings(folder_.path(), folder_ / out);
    settings.job = Job::finetune;
    settings.init = weights;
    settings.split.seed = 3;
    return settings;
  }

  static base::Json run(const Settings& settings, int ranks = 1) {
    base::Json result;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      base::Json mine = run_training(settings, communicator);
      if (communicator.rank() == 0) {
        result = std::move(mine);
      }
    });
    return result;
  }
  template <typename Error>
  static std::string error_of(const Settings& settings) {
    try {
      run(settings);
    } catch (const Error& error) {
      return error.what();
    }
    return "no such error";
  }

  static std::set<std::string> pairs_of(const fs::path& split, const std::string& set) {
    const auto table = formats::Table::read(split);
    std::set<std::string> pairs;
    for (std::size_t row = 0; row < table.rows(); ++row) {
      if (table.column("set")[row] == set) {
        pairs.insert(table.column("tf")[row] + ">" + table.column("gene")[row]);
      }
    }
    return pairs;
  }

  mgrn::test::TemporaryDirectory folder_;
};

TEST_F(CrossTest, TestPairsOfTheTargetAreInNoPretrainingSample) {
  const auto result = run(pretraining("pre"));
  run(finetuning("fine", folder_ / "pre" / "model.safetensors"));
  const auto test = pairs_of(folder_ / "fine" / "split.csv", "test");
  for (const char* set : {"train", "validation"}) {
    for (const auto& pair : pairs_of(folder_ / "pre" / "split.csv", set)) {
      EXPECT_FALSE(test.contains(pair)) << pair;
    }
  }
  EXPECT_TRUE(pairs_of(folder_ / "pre" / "split.csv", "test").empty());
  EXPECT_GT(result["pairs_left_out_as_test_pairs"], 0);
  EXPECT_EQ(result["target_left_out"], true);
  EXPECT_EQ(result["datasets"], (base::Json{"00000000000000bb", "00000000000000cc"}));
  EXPECT_FALSE(result.contains("auroc"));
}

// Two rules: none of the target's test pairs anywhere, or none of them in the target's own dataset.
TEST_F(CrossTest, TheWeakerRuleLeavesOutTestPairsOfTheTargetsOwnDatasetAlone) {
  Settings target = finetuning("target", "");
  target.job = Job::train;
  run(target);
  const auto test = pairs_of(target.out / "split.csv", "test");
  const auto seen = [&](const Settings& settings) {
    std::map<std::string, std::size_t> count;  // by dataset
    const auto table = formats::Table::read(settings.out / "split.csv");
    for (std::size_t row = 0; row < table.rows(); ++row) {
      const auto pair = table.column("tf")[row] + ">" + table.column("gene")[row];
      count[table.column("dataset")[row]] += test.contains(pair) ? 1 : 0;
    }
    return count;
  };
  for (const bool include_target : {false, true}) {
    const std::string suffix = include_target ? "-with-target" : "";
    Settings strict = pretraining("strict" + suffix);
    strict.include_target = include_target;
    run(strict);
    for (const auto& [dataset, count] : seen(strict)) {
      EXPECT_EQ(count, 0U) << dataset;
    }
    Settings weak = strict;
    weak.out = folder_ / ("weak" + suffix);
    weak.leak = Leak::same_dataset;
    run(weak);
    std::size_t elsewhere = 0;
    for (const auto& [dataset, count] : seen(weak)) {
      elsewhere += dataset == kTarget ? 0 : count;
      EXPECT_TRUE(dataset != kTarget || count == 0) << dataset;
    }
    EXPECT_GT(elsewhere, 0U) << "the two rules do not differ here";
    EXPECT_EQ(seen(weak).contains(kTarget), include_target);

    // Fine-tuning judges the weights by its own rule.
    Settings fine = finetuning("fine" + suffix, weak.out / "model.safetensors");
    EXPECT_NE(error_of<base::DataError>(fine).find("in common"), std::string::npos);
    fine.leak = Leak::same_dataset;
    run(fine);
  }
}

TEST_F(CrossTest, PretrainingGivesTheSameBytesOnAnyRanks) {
  for (const Mixing mixing : {Mixing::proportional, Mixing::balanced}) {
    const std::string suffix = mixing == Mixing::balanced ? "-balanced" : "";
    Settings one = pretraining("one" + suffix);
    Settings three = pretraining("three" + suffix);
    one.mixing = three.mixing = mixing;
    run(one, 1);
    run(three, 3);
    EXPECT_EQ(test::promised_bytes(one.out), test::promised_bytes(three.out));
  }
}

TEST_F(CrossTest, WeightsThatHaveSeenTestPairsAreRefused) {
  Settings leaky = pretraining("leaky");
  leaky.target.clear();
  leaky.datasets = {folder_ / "B.h5"};
  leaky.networks = {folder_ / "other.csv"};
  run(leaky);
  Settings fine = finetuning("fine", leaky.out / "model.safetensors");
  const std::string error = error_of<base::DataError>(fine);
  EXPECT_NE(error.find("in common"), std::string::npos) << error;
  EXPECT_NE(error.find("cross.leak"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(fine.out / "checkpoints"));
  fine.leak = Leak::same_dataset;
  run(fine);
}

TEST_F(CrossTest, WeightsOfTheSameDatasetAreRefusedEvenByTheWeakerRule) {
  Settings leaky = pretraining("leaky");
  leaky.target.clear();
  leaky.split.seed = 4;
  run(leaky);
  Settings fine = finetuning("fine", leaky.out / "model.safetensors");
  fine.leak = Leak::same_dataset;
  EXPECT_NE(error_of<base::DataError>(fine).find("in common"), std::string::npos);
}

TEST_F(CrossTest, WeightsWithoutTheirSplitAreRefused) {
  run(pretraining("pre"));
  fs::copy_file(folder_ / "pre" / "model.safetensors", folder_ / "loose.safetensors");
  Settings fine = finetuning("fine", folder_ / "loose.safetensors");
  EXPECT_NE(error_of<base::DataError>(fine).find("cross.leak = same-dataset"), std::string::npos);
  fine.leak = Leak::same_dataset;
  run(fine);
}

TEST_F(CrossTest, WeightsOfAnotherShapeAreRefusedByKey) {
  run(pretraining("pre"));
  Settings fine = finetuning("fine", folder_ / "pre" / "model.safetensors");
  fine.shape.cells = 32;
  EXPECT_NE(error_of<base::DataError>(fine).find("model.cells"), std::string::npos);
}

TEST_F(CrossTest, WithoutEpochsTheGivenWeightsAreTested) {
  run(pretraining("pre"));
  Settings zero = finetuning("zero", folder_ / "pre" / "model.safetensors");
  zero.epochs = 0;
  const auto result = run(zero, 2);
  EXPECT_EQ(result["steps"], 0);
  EXPECT_TRUE(result["chosen_epoch"].is_null());
  EXPECT_TRUE(result.contains("auroc"));
  EXPECT_EQ(base::read_json(zero.out / "result.json"), result);
  EXPECT_FALSE(fs::exists(zero.out / "checkpoints"));
  const auto predictions = formats::Table::read(zero.out / "predictions.csv");
  EXPECT_EQ(predictions.rows(), pairs_of(zero.out / "split.csv", "test").size());
  const Weights before = read_weights(folder_ / "pre" / "model.safetensors", zero.shape);
  const Weights after = read_weights(zero.out / "model.safetensors", zero.shape);
  EXPECT_TRUE(std::ranges::equal(before.parameters.values(), after.parameters.values()));

  // One rank gives the same bytes, and the same command again is answered from what is there.
  Settings alone = zero;
  alone.out = folder_ / "alone";
  run(alone);
  EXPECT_EQ(test::promised_bytes(alone.out), test::promised_bytes(zero.out));
  EXPECT_EQ(run(zero), result);
}

TEST_F(CrossTest, FrozenWeightsAreThoseOfThePretrainingByteForByte) {
  run(pretraining("pre"));
  const fs::path init = folder_ / "pre" / "model.safetensors";
  for (const Freeze freeze : {Freeze::encoder, Freeze::predictor}) {
    const std::string name = freeze == Freeze::encoder ? "encoder" : "predictor";
    Settings fine = finetuning("fine-" + name, init);
    fine.adam.freeze = freeze;
    fine.adam.weight_decay = 0.01;  // does not touch them either
    run(fine, 2);
    const Weights before = read_weights(init, fine.shape);
    const Weights after = read_weights(fine.out / "model.safetensors", fine.shape);
    for (const auto& view : before.parameters.views()) {
      EXPECT_EQ(std::ranges::equal(before.parameters.tensor(view.name), after.parameters.tensor(view.name)),
                view.name.starts_with(name))
          << view.name;
    }
    // A run that goes on from a checkpoint is no different.
    Settings stopped = fine;
    stopped.out = folder_ / ("stopped-" + name);
    Hooks hooks;
    hooks.stop_after_step = 2;
    const auto self = comm::make_self_communicator();
    EXPECT_THROW(run_training(stopped, *self, hooks), base::Stopped);
    run(stopped);
    EXPECT_EQ(test::promised_bytes(stopped.out), test::promised_bytes(fine.out));
  }
}

TEST_F(CrossTest, OnlyFinetuneDoesWithoutEpochs) {
  Settings pre = pretraining("pre");
  pre.epochs = 0;
  EXPECT_NE(error_of<base::UsageError>(pre).find("train.epochs"), std::string::npos);
  pre.epochs = 1;
  run(pre);
  Settings own = finetuning("own", folder_ / "pre" / "model.safetensors");
  own.job = Job::train;
  own.epochs = 0;
  const std::string error = error_of<base::UsageError>(own);
  EXPECT_NE(error.find("`train` learns nothing"), std::string::npos) << error;
  EXPECT_NE(error.find("`finetune` with train.epochs = 0"), std::string::npos) << error;
  EXPECT_FALSE(fs::exists(own.out));
}

TEST_F(CrossTest, TheTargetsSplitFileServesAsWell) {
  Settings target = test::tiny_settings(folder_.path(), folder_ / "target");
  target.split.seed = 3;
  run(target);
  Settings pre = pretraining("pre");
  pre.target_split = folder_ / "target" / "split.csv";
  run(pre);
  Settings drawn = pretraining("drawn");
  run(drawn);
  EXPECT_EQ(base::read_file(pre.out / "split.csv"), base::read_file(drawn.out / "split.csv"));
}

TEST_F(CrossTest, OnlyTheTargetIsNothingToPretrainOn) {
  Settings pre = pretraining("pre");
  pre.datasets = {folder_ / "A.h5"};
  pre.networks = {folder_ / "network.csv"};
  EXPECT_NE(error_of<base::UsageError>(pre).find("no dataset is left"), std::string::npos);
  pre.include_target = true;
  run(pre);
}

}  // namespace
}  // namespace mgrn::train
