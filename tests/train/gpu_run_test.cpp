// SPDX-License-Identifier: Apache-2.0
// Whole runs with train.device = cuda and no GPU: kernels are emulated (tests/model), NCCL is a stand-in
// (tests/comm/fake_gpu), ranks are threads, and everything between is the program's: binding, the sum in the
// GPU's memory, its reduction, Adam, checkpoints.
#include <gtest/gtest.h>

#include <cmath>

#include "fake_gpu.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/predict.hpp"
#include "multigrnformer/train/run.hpp"
#include "multigrnformer/train/weights.hpp"
#include "support/temporary_directory.hpp"
#include "train/tiny_run.hpp"

namespace mgrn::train {
namespace {

namespace fake = mgrn::test::fake_gpu;
using test::promised_bytes;

constexpr int kRemoteError = 6;  // ncclRemoteError

class GpuRun : public testing::Test {
 protected:
  void SetUp() override {
    test::write_tiny_inputs(folder_.path());
    fake::reset_report();
  }
  void TearDown() override {
    const fake::Report report = fake::report();
    EXPECT_EQ(report.misuses, std::vector<std::string>());
    EXPECT_EQ(report.communicators + report.streams + report.allocations, 0);
  }

  Settings settings(const std::string& out) const {
    Settings settings = test::tiny_settings(folder_.path(), folder_ / out);
    settings.device = "cuda";
    // About ten steps: emulation takes a millisecond for a block.
    settings.epochs = 1;
    settings.batch = 16;
    settings.micro_batch = 4;
    return settings;
  }
  using Preparation = std::function<void(int rank)>;
  base::Json run(const Settings& settings, int ranks, const Hooks& hooks = {},
                 const Preparation& prepare = {}) const {
    base::Json result;
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      if (prepare) {
        prepare(communicator.rank());
      }
      base::Json mine = run_training(settings, communicator, hooks);
      if (communicator.rank() == 0) {
        result = std::move(mine);
      }
    });
    return result;
  }
  std::string bytes(const std::string& out) const { return promised_bytes(folder_ / out); }
  std::string reference() const {
    run(settings("reference"), 1);
    return bytes("reference");
  }
  std::string info_of(const std::string& out) const {
    return base::read_file(folder_ / out / "run_info.json");
  }
  std::string engine_of(const std::string& out) const {
    return base::Json::parse(info_of(out)).at("engine").get<std::string>();
  }
  std::vector<float> weights(const std::string& out) const {
    const auto file = read_weights(folder_ / out / "model.safetensors", settings(out).shape);
    const auto values = file.parameters.values();
    return {values.begin(), values.end()};
  }

  mgrn::test::TemporaryDirectory folder_;
};

TEST_F(GpuRun, GivesTheSameBytesOnAnyNumberOfRanksAndThreads) {
  const std::string expected = reference();
  EXPECT_EQ(fake::report().inits, 0) << "a single rank needs no NCCL";
  for (const int ranks : {2, 3}) {
    for (const int threads : {1, 2}) {
      const std::string out = std::to_string(ranks) + "x" + std::to_string(threads);
      Settings more = settings(out);
      more.threads = threads;
      fake::reset_report();
      const base::Json result = run(more, ranks);
      EXPECT_EQ(bytes(out), expected) << out;
      // One sum for each rank, of all its threads; nothing else goes over NCCL.
      const int steps = result.at("steps").get<int>();
      EXPECT_EQ(fake::report().collectives, ranks * steps) << out;
      EXPECT_EQ(fake::report().destroys, ranks);
      EXPECT_EQ(fake::report().aborts, 0);
    }
  }
}

TEST_F(GpuRun, MakesItsSamplesOnTheGpu) {
  testing::internal::CaptureStderr();
  run(settings("told"), 1);
  EXPECT_NE(testing::internal::GetCapturedStderr().find("makes the samples"), std::string::npos);
  Settings processor = settings("cpu");
  processor.device = "cpu";
  testing::internal::CaptureStderr();
  run(processor, 1);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("makes the samples"), std::string::npos);
}

TEST_F(GpuRun, TakesTheOptimisersStepOnTheGpuWithTheBytesOfTheHosts) {
  // A gradient that a hook has seen is added, and its step taken, on the host.
  const Hooks on_host{.tamper = [](std::int64_t, std::int64_t, std::span<float>) {}};
  const auto expect_equal = [&](const std::string& name, Settings chosen) {
    chosen.votes = 1;  // what is left shows any difference
    chosen.out = folder_ / (name + "-host");
    run(chosen, 1, on_host);
    chosen.out = folder_ / (name + "-gpu");
    chosen.threads = 2;
    run(chosen, 1);
    EXPECT_EQ(bytes(name + "-gpu"), bytes(name + "-host")) << name;
  };
  expect_equal("adam", settings("adam"));
  Settings clipped = settings("clipped");
  clipped.adam.clip = 0.01;
  clipped.adam.weight_decay = 0.1;
  clipped.adam.freeze = Freeze::encoder;
  clipped.warmup = 3;
  expect_equal("clipped", clipped);
  Settings descent = settings("descent");
  descent.optimizer = OptimizerKind::sgd;
  descent.sgd.clip = 0.01;
  expect_equal("descent", descent);
}

TEST_F(GpuRun, ACheckpointHoldsWhatIsOnTheGpu) {
  // The optimiser's moments and weights come back with it, on the processor too.
  const Settings resumed = settings("resumed");
  EXPECT_THROW(run(resumed, 1, {.stop_after_step = 4}), base::Stopped);
  const Hooks on_host{.tamper = [](std::int64_t, std::int64_t, std::span<float>) {}};
  run(resumed, 1, on_host);
  EXPECT_EQ(bytes("resumed"), reference());
}

TEST_F(GpuRun, ComesCloseToTheProcessorsWeights) {
  run(settings("gpu"), 2);
  Settings processor = settings("cpu");
  processor.device = "cpu";
  run(processor, 2);
  const std::vector<float> got = weights("gpu"), expected = weights("cpu");
  ASSERT_EQ(got.size(), expected.size());
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
    norm += std::pow(static_cast<double>(expected[i]), 2);
  }
  EXPECT_GT(difference, 0) << "these are not two runs on the processor";
  EXPECT_LE(std::sqrt(difference), 1e-3 * std::sqrt(norm));
}

TEST_F(GpuRun, GoesOnOnAnotherNumberOfRanksWithTheSameBytes) {
  const std::string expected = reference();
  const Settings resumed = settings("resumed");
  EXPECT_THROW(run(resumed, 3, {.stop_after_step = 5}), base::Stopped);
  run(resumed, 2);
  EXPECT_EQ(bytes("resumed"), expected);
}

TEST_F(GpuRun, ReducesFloatsOverNcclToo) {
  Settings floats = settings("floats");
  floats.exact_reduction = false;
  const base::Json result = run(floats, 2);
  EXPECT_EQ(fake::report().collectives, 2 * result.at("steps").get<int>());
  run(settings("exact"), 2);
  const std::vector<float> got = weights("floats"), expected = weights("exact");
  for (std::size_t i = 0; i < got.size(); ++i) {
    ASSERT_NEAR(got[i], expected[i], 1e-3);
  }
}

TEST_F(GpuRun, AGradientOutOfRangeIsSummedAgainWithASmallerScaleAndASpoiltOneSkipped) {
  // A tampered gradient is added by the host, so these sums pass through NCCL from there.
  const auto hooks_with = [](float value) {
    return Hooks{.tamper = [value](std::int64_t step, std::int64_t unit, std::span<float> gradient) {
      if (step == 2 && unit == 1) {
        gradient[3] = value;
      }
    }};
  };
  for (const float value : {5000.0f, std::nanf("")}) {
    const std::string name = std::to_string(std::isnan(value));
    const base::Json alone = run(settings("alone" + name), 1, hooks_with(value));
    const base::Json three = run(settings("three" + name), 3, hooks_with(value));
    EXPECT_EQ(alone.at("skipped_steps"), std::isnan(value) ? 1 : 0);
    EXPECT_EQ(bytes("alone" + name), bytes("three" + name));
  }
}

TEST_F(GpuRun, WhereTasksSeeOneGpuEachTheBytesAreTheSameAndTheFactsTellTheGpus) {
  const std::string expected = reference();
  run(settings("own"), 2, {}, [](int rank) { fake::show({rank == 0 ? "a" : "b"}); });
  EXPECT_EQ(bytes("own"), expected);
  const auto info = base::Json::parse(base::read_file(folder_ / "own" / "run_info.json"));
  const base::Json gpus = {fake::uuid_of("a"), fake::uuid_of("b")};
  EXPECT_NE(info.dump().find(gpus.dump()), std::string::npos) << info.dump(1);
}

TEST_F(GpuRun, AutoComputesOnAGpuForEachRankWhereAllCanHaveOne) {
  const std::string expected = reference();
  for (const int ranks : {1, 2}) {
    const std::string out = "auto" + std::to_string(ranks);
    Settings chosen = settings(out);
    chosen.device = "auto";
    run(chosen, ranks);
    EXPECT_EQ(bytes(out), expected) << ranks;
    EXPECT_EQ(engine_of(out), "linear/cuda");
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_NE(info_of(out).find("emulated " + std::to_string(rank)), std::string::npos) << info_of(out);
    }
  }
}

TEST_F(GpuRun, AutoComputesOnTheProcessorAndSaysWhyWhereNotAllCanHaveAGpu) {
  Settings processor = settings("cpu");
  processor.device = "cpu";
  run(processor, 2);
  const auto expect_processor = [&](const Settings& chosen, int ranks, const Preparation& prepare,
                                    const std::string& why) {
    testing::internal::CaptureStderr();
    run(chosen, ranks, {}, prepare);
    const std::string log = testing::internal::GetCapturedStderr();
    EXPECT_NE(log.find("the processor computes although there are GPUs: " + why), std::string::npos) << log;
  };
  Settings crowded = settings("crowded");
  crowded.device = "auto";
  expect_processor(
      crowded, 2, [](int) { fake::show({"a"}); }, "there is no GPU left for this rank");
  EXPECT_EQ(bytes("crowded"), bytes("cpu"));
  Settings unconnected = settings("unconnected");
  unconnected.device = "auto";
  expect_processor(
      unconnected, 2, [](int) { fake::set_version(2708); }, "NCCL is too old");
  EXPECT_EQ(bytes("unconnected"), bytes("cpu"));
  Settings quadratic = settings("quadratic");
  quadratic.device = "auto";
  quadratic.engine.kind = "quadratic";
  expect_processor(quadratic, 1, {}, "this engine runs on the processor only");
  EXPECT_EQ(engine_of("quadratic").substr(0, 10), "quadratic/");
}

TEST_F(GpuRun, AutoGoesOnWhereTheRunBegan) {
  for (const std::string device : {"cpu", "cuda"}) {
    Settings whole = settings(device);
    whole.device = device;
    run(whole, 1);
    Settings resumed = settings(device + "-resumed");
    resumed.device = device;
    EXPECT_THROW(run(resumed, 1, {.stop_after_step = 4}), base::Stopped);
    resumed.device = "auto";
    run(resumed, 2);
    EXPECT_EQ(bytes(device + "-resumed"), bytes(device)) << device;
  }
}

TEST_F(GpuRun, MoreRanksThanGpusAreRefusedBeforeAnythingIsWritten) {
  try {
    run(settings("crowded"), 3, {}, [](int) { fake::show({"a", "b"}); });
    FAIL() << "three ranks on two GPUs";
  } catch (const base::UsageError& error) {
    EXPECT_NE(std::string(error.what()).find("(rank 2, file train.device)"), std::string::npos)
        << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(folder_ / "crowded"));
}

TEST_F(GpuRun, ARankWhoseCollectiveHangsOrFailsEndsTheRunWithACommunicationError) {
  Settings limited = settings("hangs");
  limited.collective_limit_s = 0.3;
  try {
    run(limited, 2, {}, [](int rank) {
      if (rank == 1) {
        fake::hang(fake::Site::collective);
      }
    });
    FAIL() << "it cannot have ended well";
  } catch (const base::CommunicationError& error) {
    EXPECT_NE(std::string(error.what()).find("ncclAllReduce over NCCL did not end"), std::string::npos)
        << error.what();
  }
  EXPECT_EQ(fake::report().aborts, 2);
  limited.out = folder_ / "fails";
  try {
    run(limited, 2, {}, [](int rank) {
      if (rank == 0) {
        fake::fail_later(fake::Site::collective, kRemoteError);
      }
    });
    FAIL() << "it cannot have ended well";
  } catch (const base::CommunicationError& error) {
    EXPECT_NE(std::string(error.what()).find("remote process exited"), std::string::npos) << error.what();
  }
}

TEST_F(GpuRun, PredictsOnTheRanksGpusWithoutNccl) {
  run(settings("run"), 1);
  fake::reset_report();
  const auto predicted = [&](const std::string& out, const std::string& device, int ranks) {
    const PredictRequest request{.run = folder_ / "run", .votes = 1, .out = folder_ / out};
    comm::run_ranks(ranks, [&](comm::Communicator& communicator) {
      Settings chosen = settings(out);
      chosen.device = device;
      run_prediction(chosen, request, communicator);
    });
    return base::read_file(folder_ / out / "rankedEdges.csv");
  };
  const std::string alone = predicted("alone", "cuda", 1);
  EXPECT_EQ(predicted("two", "cuda", 2), alone);
  EXPECT_EQ(predicted("auto", "auto", 2), alone);
  EXPECT_NE(predicted("cpu", "cpu", 2), alone) << "it was the processor that computed";
  EXPECT_EQ(fake::report().inits, 0);
}

}  // namespace
}  // namespace mgrn::train
