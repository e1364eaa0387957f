// SPDX-License-Identifier: Apache-2.0
// The NCCL communicator against the fake library, ranks as threads: the contract of all communicators, then
// what NCCL adds: a life in order, and an end to everything that fails or hangs.
#include <chrono>
#include <mutex>
#include <thread>

#include "communicator_contract.hpp"
#include "fake_gpu.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "support/time_limit.hpp"

namespace mgrn::comm {
namespace {

namespace fake = mgrn::test::fake_gpu;
using fake::Site;

// Values of ncclResult_t and cudaError_t.
constexpr int kSystemError = 2;
constexpr int kRemoteError = 6;
constexpr int kOutOfMemory = 2;

/// Nothing is left alive and nothing was done out of order.
void expect_clean() {
  const fake::Report report = fake::report();
  EXPECT_EQ(report.misuses, std::vector<std::string>());
  EXPECT_EQ(report.communicators, 0);
  EXPECT_EQ(report.streams, 0);
  EXPECT_EQ(report.allocations, 0);
  EXPECT_EQ(report.finalizes - report.destroys, 0) << "only what is finalised is destroyed";
}

World nccl_over_threads(int ranks, int questions) {
  return {"nccl" + std::to_string(ranks) + "asked" + std::to_string(questions),
          [=](const std::function<void(Communicator&)>& program) {
            fake::reset_report();
            run_ranks(ranks, [&](Communicator& host) {
              fake::set_questions(questions);
              const auto world = make_nccl_communicator(host, {.device = host.rank()});
              program(*world);
              world->close();
            });
            expect_clean();
            EXPECT_EQ(fake::report().destroys, ranks);
            EXPECT_EQ(fake::report().aborts, 0);
          }};
}

INSTANTIATE_TEST_SUITE_P(FakeNccl, CommunicatorContract,
                         testing::Values(nccl_over_threads(1, 2), nccl_over_threads(2, 0),
                                         nccl_over_threads(2, 2), nccl_over_threads(3, 2),
                                         nccl_over_threads(4, 5)),
                         name_of);

class Nccl : public testing::Test {
 protected:
  void SetUp() override { fake::reset_report(); }
  void TearDown() override { expect_clean(); }
};

/// What each rank threw, by rank; empty where it threw nothing. `before` prepares a rank's faults.
struct Outcome {
  std::vector<std::string> messages;
  std::vector<base::ExitCode> codes;
};
Outcome outcome_of(int ranks, const std::function<void(Communicator& host)>& program) {
  Outcome outcome{std::vector<std::string>(static_cast<std::size_t>(ranks)),
                  std::vector<base::ExitCode>(static_cast<std::size_t>(ranks), base::ExitCode::done)};
  run_ranks(ranks, [&](Communicator& host) {
    try {
      program(host);
    } catch (const base::Error& error) {
      outcome.messages[static_cast<std::size_t>(host.rank())] = error.what();
      outcome.codes[static_cast<std::size_t>(host.rank())] = error.code();
    }
  });
  return outcome;
}

NcclOptions options_of(const Communicator& host, double time_limit_s = 60) {
  return {.device = host.rank(), .time_limit = std::chrono::duration<double>(time_limit_s)};
}

void sum_once(Communicator& world) {
  std::vector<std::int64_t> values{1, world.rank()};
  world.all_reduce(std::span<std::int64_t>(values), Reduction::sum);
}

void expect_in_all(const Outcome& outcome, const std::string& part, base::ExitCode code) {
  for (std::size_t rank = 0; rank < outcome.messages.size(); ++rank) {
    EXPECT_NE(outcome.messages[rank].find(part), std::string::npos)
        << "rank " << rank << ": " << outcome.messages[rank];
    EXPECT_EQ(outcome.codes[rank], code) << "rank " << rank;
    EXPECT_NE(outcome.messages[rank].find("\nhint: "), std::string::npos);
  }
}

TEST_F(Nccl, SumsInTheMemoryOfTheGpu) {
  run_ranks(3, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    EXPECT_EQ(world->backend(), "nccl");
    EXPECT_EQ(world->device(), host.rank());
    // The fake's device memory is the host's.
    std::vector<std::int64_t> integers{std::numeric_limits<std::int64_t>::max(), -host.rank()};
    world->all_reduce_on_device(std::span<std::int64_t>(integers), Reduction::sum);
    EXPECT_EQ(static_cast<std::uint64_t>(integers[0]),
              3 * static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max()));
    EXPECT_EQ(integers[1], -3);
    std::vector<float> floats{0.5F + static_cast<float>(host.rank())};
    world->all_reduce_on_device(std::span<float>(floats), Reduction::maximum);
    EXPECT_EQ(floats[0], 2.5F);
    world->all_reduce_on_device(std::span<float>(), Reduction::sum);
  });
  EXPECT_EQ(fake::report().destroys, 3) << "the destructor ends in order too";
  EXPECT_EQ(fake::report().aborts, 0);
}

TEST_F(Nccl, PassesMoreThanItsStageInParts) {
  run_ranks(2, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    std::vector<std::int64_t> values((std::size_t{40} << 20) / sizeof(std::int64_t), 1 + host.rank());
    world->all_reduce(std::span<std::int64_t>(values), Reduction::sum);
    EXPECT_EQ(std::ranges::count(values, 3), static_cast<std::ptrdiff_t>(values.size()));
  });
  EXPECT_EQ(fake::report().collectives, 2 * 2);
}

TEST_F(Nccl, ASecondCloseDoesNothingAndACallAfterItIsRefused) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    world->close();
    world->close();
    sum_once(*world);
  });
  expect_in_all(outcome, "after its communicator has ended", base::ExitCode::communication);
}

TEST_F(Nccl, AbortsWhileAnErrorIsLeaving) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    sum_once(*world);
    throw base::NumericError({.what = "loss is not finite", .hint = "x"});
  });
  expect_in_all(outcome, "loss is not finite", base::ExitCode::numeric);
  EXPECT_EQ(fake::report().aborts, 2) << "finalising would wait for the other ranks";
  EXPECT_EQ(fake::report().finalizes, 0);
}

TEST_F(Nccl, OtherVersionsOnOtherRanksAreRefusedByName) {
  const auto outcome = outcome_of(3, [](Communicator& host) {
    if (host.rank() == 2) {
      fake::set_version(22703);
    }
    make_nccl_communicator(host, options_of(host));
  });
  expect_in_all(outcome, "expected NCCL 2.28.9 as on rank 0, got 2.27.3 on rank 2", base::ExitCode::usage);
  EXPECT_EQ(fake::report().inits, 0);
}

TEST_F(Nccl, AVersionWithoutNonBlockingCommunicatorsIsRefused) {
  const auto outcome = outcome_of(1, [](Communicator& host) {
    fake::set_version(2708);
    make_nccl_communicator(host, options_of(host));
  });
  expect_in_all(outcome, "expected 2.14.3 or newer, got 2.7.8", base::ExitCode::usage);
}

TEST_F(Nccl, AnIdThatCannotBeMadeIsEveryRanksError) {
  const auto outcome = outcome_of(3, [](Communicator& host) {
    fake::fail_call(Site::get_unique_id, kSystemError);
    make_nccl_communicator(host, options_of(host));
  });
  expect_in_all(outcome, "ncclGetUniqueId failed (rank 0): got unhandled system error",
                base::ExitCode::communication);
}

TEST_F(Nccl, ADeviceThatCannotBeSelectedIsEveryRanksError) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    make_nccl_communicator(
        host, {.device = host.rank() == 1 ? 7 : 0, .time_limit = std::chrono::milliseconds(300)});
  });
  expect_in_all(outcome, "cudaSetDevice failed on GPU 7 (rank 1): got invalid device ordinal",
                base::ExitCode::communication);
}

TEST_F(Nccl, AConnectionThatFailsOnOneRankIsNamedOnAll) {
  for (const bool later : {false, true}) {
    const auto outcome = outcome_of(3, [&](Communicator& host) {
      if (host.rank() == 1) {
        later ? fake::fail_later(Site::init, kRemoteError) : fake::fail_call(Site::init, kRemoteError);
      }
      make_nccl_communicator(host, options_of(host, 0.3));
    });
    // Ranks 0 and 2 wait in vain; the cause is told, not that.
    expect_in_all(outcome,
                  "ncclCommInitRankConfig failed on GPU 1 (rank 1): got remote process exited or there was a "
                  "network error",
                  base::ExitCode::communication);
  }
}

TEST_F(Nccl, RanksThatDoNotConnectInTimeSaySo) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    if (host.rank() == 1) {
      fake::hang(Site::init);
    }
    make_nccl_communicator(host, options_of(host, 0.2));
  });
  expect_in_all(outcome,
                "ncclCommInitRankConfig over NCCL did not end on GPU 0 (rank 0): expected all 2 ranks "
                "within 0.2 s",
                base::ExitCode::communication);
  EXPECT_EQ(fake::report().aborts, 2);
}

TEST_F(Nccl, TwoRanksOnOneGpuAreNcclsErrorUnlessTheyMayShare) {
  const auto outcome = outcome_of(2, [](Communicator& host) { make_nccl_communicator(host, {.device = 0}); });
  expect_in_all(outcome, "Duplicate GPU detected", base::ExitCode::communication);
}

TEST_F(Nccl, AHangingCollectiveIsAbortedAtTheTimeLimit) {
  for (const bool on_device : {false, true}) {
    fake::reset_report();
    const auto start = std::chrono::steady_clock::now();
    const auto outcome = outcome_of(3, [&](Communicator& host) {
      const auto world = make_nccl_communicator(host, options_of(host, 0.2));
      sum_once(*world);
      if (host.rank() == 2) {
        fake::hang(Site::collective);
      }
      std::vector<std::int64_t> values(3);
      on_device ? world->all_reduce_on_device(std::span<std::int64_t>(values), Reduction::sum)
                : world->all_reduce(std::span<std::int64_t>(values), Reduction::sum);
    });
    expect_in_all(outcome, "ncclAllReduce over NCCL did not end", base::ExitCode::communication);
    expect_in_all(outcome, "expected all 3 ranks within 0.2 s, got an operation still in progress",
                  base::ExitCode::communication);
    EXPECT_EQ(fake::report().aborts, 3);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::duration<double>(test::time_limit(30)));
  }
}

// Where a kernel hangs, so may ncclCommAbort: nobody waits for it, and what it still uses is not freed under
// it.
TEST_F(Nccl, AnAbortThatHangsIsLeftBehindAfterItsLimit) {
  const auto start = std::chrono::steady_clock::now();
  const auto outcome = outcome_of(2, [](Communicator& host) {
    fake::hang(Site::abort);
    NcclOptions options = options_of(host, 0.2);
    options.abort_limit = std::chrono::milliseconds(200);
    const auto world = make_nccl_communicator(host, options);
    if (host.rank() == 1) {
      fake::hang(Site::collective);
    }
    sum_once(*world);
  });
  expect_in_all(outcome, "ncclAllReduce over NCCL did not end", base::ExitCode::communication);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::duration<double>(test::time_limit(30)));
  EXPECT_EQ(fake::report().communicators, 2);
  EXPECT_EQ(fake::report().streams, 2);
  EXPECT_EQ(fake::report().allocations, 2);
  // One that ends late frees the rest, in order.
  fake::let_aborts_end();
  for (int tries = 0; tries < 3000 && fake::report().streams > 0; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

TEST_F(Nccl, ARankThatNeverComesIsWaitedForNoLongerThanTheTimeLimit) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host, 0.2));
    if (host.rank() == 0) {
      sum_once(*world);
    } else {
      std::this_thread::sleep_for(std::chrono::milliseconds(600));
      throw base::DataError({.what = "elsewhere"});
    }
  });
  EXPECT_NE(outcome.messages[0].find("did not end on GPU 0"), std::string::npos) << outcome.messages[0];
  EXPECT_NE(outcome.messages[1].find("elsewhere"), std::string::npos);
}

TEST_F(Nccl, AnErrorWhileACollectiveRunsIsFoundByAsking) {
  const auto outcome = outcome_of(2, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host, host.rank() == 0 ? 0.3 : 60));
    if (host.rank() == 1) {
      fake::fail_later(Site::collective, kRemoteError);
    }
    sum_once(*world);
  });
  EXPECT_NE(
      outcome.messages[1].find("ncclAllReduce failed on GPU 1: got remote process exited or there was a "
                               "network error: injected while it ran"),
      std::string::npos)
      << outcome.messages[1];
  EXPECT_NE(outcome.messages[0].find("did not end"), std::string::npos) << outcome.messages[0];
}

TEST_F(Nccl, ACallThatIsRefusedAndMemoryThatIsShortAreErrors) {
  const auto refused = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_call(Site::collective, kSystemError);
    sum_once(*world);
  });
  expect_in_all(refused, "ncclAllReduce failed on GPU 0: got unhandled system error: injected at the call",
                base::ExitCode::communication);
  const auto short_of_memory = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_call(Site::allocate, kOutOfMemory);
    sum_once(*world);
  });
  expect_in_all(short_of_memory, "cudaMalloc failed on GPU 0: got out of memory",
                base::ExitCode::communication);
  const auto no_copy = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_call(Site::copy, kOutOfMemory);
    sum_once(*world);
  });
  expect_in_all(no_copy, "copying to the GPU failed", base::ExitCode::communication);
}

TEST_F(Nccl, AfterAFailureEveryCallIsRefused) {
  const auto outcome = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_later(Site::collective, kSystemError);
    EXPECT_THROW(sum_once(*world), base::CommunicationError);
    sum_once(*world);
  });
  expect_in_all(outcome, "after its communicator has ended", base::ExitCode::communication);
  EXPECT_EQ(fake::report().collectives, 1);
}

TEST_F(Nccl, AnEndThatFailsOrHangsIsThrownByCloseAndLoggedByTheDestructor) {
  const auto failing = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_later(Site::finalize, kSystemError);
    world->close();
  });
  expect_in_all(failing,
                "ncclCommFinalize failed on GPU 0: got unhandled system error: injected while finalising",
                base::ExitCode::communication);
  fake::reset_report();
  const auto hanging = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host, 0.2));
    fake::hang(Site::finalize);
    world->close();
  });
  expect_in_all(hanging, "ncclCommFinalize over NCCL did not end", base::ExitCode::communication);
  const auto silent = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host, 0.2));
    fake::hang(Site::finalize);
  });
  EXPECT_EQ(silent.messages[0], "");
  EXPECT_EQ(fake::report().aborts, 2);
  fake::reset_report();
  const auto destroy = outcome_of(1, [](Communicator& host) {
    const auto world = make_nccl_communicator(host, options_of(host));
    fake::fail_call(Site::destroy, kSystemError);
    world->close();
  });
  expect_in_all(destroy, "ncclCommDestroy failed", base::ExitCode::communication);
}

TEST_F(Nccl, ListsTheVisibleGpusByUuid) {
  fake::show({"a", "b"});
  EXPECT_EQ(visible_gpus(), (std::vector<std::string>{fake::uuid_of("a"), fake::uuid_of("b")}));
  EXPECT_EQ(fake::uuid_of("a"), "GPU-00000000-0000-0000-0000-000000000061");
  fake::show({});
  EXPECT_EQ(visible_gpus(), std::vector<std::string>());
  fake::reset_thread();
}

TEST_F(Nccl, RanksThatSeeOneGpuEachAreBoundByUuid) {
  run_ranks(3, [](Communicator& host) {
    fake::show({"of rank " + std::to_string(host.rank())});
    const GpuBinding mine = bind_gpu(host, visible_gpus(), GpuSharing::refused);
    EXPECT_EQ(mine.device, 0);
    const auto world = make_nccl_communicator(host, {.device = mine.device});
    sum_once(*world);
  });
}

TEST_F(Nccl, DescribesTheLibraryByVersionAndPath) {
  EXPECT_EQ(describe_nccl().substr(0, 8), "2.28.9, ");
  EXPECT_NE(describe_nccl().find("fake_gpu/libnccl.so.2"), std::string::npos) << describe_nccl();
}

}  // namespace
}  // namespace mgrn::comm
