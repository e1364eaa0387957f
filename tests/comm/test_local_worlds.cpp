// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <chrono>
#include <map>
#include <optional>
#include <thread>

#include "communicator_contract.hpp"
#include "multigrnformer/comm/mpi_session.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/comm/watchdog.hpp"

namespace mgrn::comm {
namespace {

World self_world() {
  return {"self", [](const std::function<void(Communicator&)>& program) {
            const auto self = make_self_communicator();
            program(*self);
          }};
}

World thread_world(int ranks) {
  return {"threads" + std::to_string(ranks),
          [ranks](const std::function<void(Communicator&)>& program) { run_ranks(ranks, program); }};
}

World compared_threads(int ranks) {
  return {"compared" + std::to_string(ranks), [ranks](const std::function<void(Communicator&)>& program) {
            run_ranks(ranks, [&](Communicator& world) {
              const auto watched = make_watched(world.split(0), {.compare = true});
              program(*watched);
            });
          }};
}

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract,
                         testing::Values(self_world(), thread_world(1), thread_world(2), thread_world(3),
                                         thread_world(4), compared_threads(1), compared_threads(3)),
                         name_of);

TEST(ThreadWorld, ARankThatThrowsWakesTheOthers) {
  std::atomic<int> woken = 0;
  try {
    run_ranks(3, [&](Communicator& world) {
      if (world.rank() == 1) {
        throw base::NumericError({.what = "loss is not finite"});
      }
      try {
        world.barrier();
      } catch (const base::CommunicationError& error) {
        EXPECT_NE(std::string(error.what()).find("rank 1 failed"), std::string::npos) << error.what();
        ++woken;
        throw;
      }
    });
    FAIL() << "the error was lost";
  } catch (const base::NumericError& error) {
    EXPECT_EQ(error.rank(), 1);  // the cause, not the woken ones
  }
  EXPECT_EQ(woken, 2);
}

TEST(ThreadWorld, ARankThatThrowsWakesThoseThatWaitInAPart) {
  EXPECT_THROW(run_ranks(4,
                         [](Communicator& world) {
                           const auto part = world.split(world.rank() / 2);
                           if (world.rank() == 3) {
                             throw base::DataError({.what = "bad"});
                           }
                           for (;;) {
                             part->barrier();
                           }
                         }),
               base::DataError);
}

TEST(ThreadWorld, ARankThatReturnsTooEarlyIsNamed) {
  try {
    run_ranks(3, [](Communicator& world) {
      if (world.rank() != 2) {
        world.barrier();
      }
    });
    FAIL() << "the others must not wait for ever";
  } catch (const base::CommunicationError& error) {
    EXPECT_NE(std::string(error.what()).find("rank 2 ended without entering it"), std::string::npos)
        << error.what();
  }
}

TEST(ThreadWorld, DifferentCollectivesAreNamedOnEveryRank) {
  std::atomic<int> caught = 0;
  run_ranks(2, [&](Communicator& world) {
    try {
      std::vector<std::int64_t> values(3);
      if (world.rank() == 0) {
        world.all_reduce(std::span<std::int64_t>(values), Reduction::sum);
      } else {
        world.barrier();
      }
    } catch (const base::CommunicationError& error) {
      EXPECT_NE(std::string(error.what()).find("barrier"), std::string::npos) << error.what();
      ++caught;
    }
    world.barrier();  // still in step
  });
  EXPECT_EQ(caught, 2);
}

TEST(ThreadWorld, SizesThatDifferAreRefused) {
  EXPECT_THROW(run_ranks(2,
                         [](Communicator& world) {
                           std::vector<float> values(static_cast<std::size_t>(3 + world.rank()));
                           world.all_reduce(std::span<float>(values), Reduction::sum);
                         }),
               base::CommunicationError);
}

// The message of what ranks throw that enter `calls` after ten collectives in common, by rank.
std::string compared_message(const std::vector<std::function<void(Communicator&)>>& calls) {
  std::string message;
  std::atomic<int> thrown = 0;
  run_ranks(static_cast<int>(calls.size()), [&](Communicator& world) {
    const auto watched = make_watched(world.split(0), {.compare = true});
    for (int i = 0; i < 10; ++i) {
      watched->barrier();
    }
    try {
      calls[static_cast<std::size_t>(world.rank())](*watched);
    } catch (const base::CommunicationError& error) {
      ++thrown;
      if (world.rank() == 0) {
        message = error.what();
      }
    }
    world.barrier();
  });
  EXPECT_TRUE(thrown == 0 || thrown == static_cast<int>(calls.size())) << thrown;
  return message.substr(0, message.find('\n'));
}

template <typename T>
std::function<void(Communicator&)> sum_of(std::size_t values) {
  return [values](Communicator& world) {
    std::vector<T> sum(values);
    world.all_reduce(std::span<T>(sum), Reduction::sum);
  };
}

TEST(ComparedCollectives, TheFirstDifferenceIsNamedByNumberNameSizeAndType) {
  const std::string start = "error: ranks entered different collectives (rank 2): expected as on rank 0 ";
  const auto barrier = [](Communicator& world) { world.barrier(); };
  EXPECT_EQ(compared_message({barrier, barrier, sum_of<float>(2)}),
            start + "barrier, number 11 of world, got all_reduce of 2 float (sum), number 11 of world");
  EXPECT_EQ(compared_message({sum_of<float>(5), sum_of<float>(5), sum_of<float>(6)}),
            start +
                "all_reduce of 5 float (sum), number 11 of world, got all_reduce of 6 float (sum), number 11 "
                "of world");
  EXPECT_EQ(
      compared_message({sum_of<std::int64_t>(5), sum_of<std::int64_t>(5), sum_of<double>(5)}),
      start +
          "all_reduce of 5 int64 (sum), number 11 of world, got all_reduce of 5 double (sum), number 11 "
          "of world");
  const auto from = [](int root) {
    return [root](Communicator& world) { broadcast_text(world, "text", root); };
  };
  EXPECT_EQ(compared_message({from(1), from(1), from(2)}),
            start +
                "broadcast of 8 bytes from rank 1, number 11 of world, got broadcast of 8 bytes from rank 2, "
                "number 11 of world");
}

TEST(ComparedCollectives, WhatRanksGatherMayDifferInSize) {
  const auto gather = [](Communicator& world) {
    const std::vector<std::byte> mine(static_cast<std::size_t>(world.rank()));
    world.all_gather(mine);
  };
  EXPECT_EQ(compared_message({gather, gather, gather}), "");
}

TEST(ThreadWorld, FloatSumsAreTakenInRankOrder) {
  // (1e8 + 1) - 1e8 is 0 in float when 1 is added second, and 1 in another order.
  const std::vector<float> of_ranks{1e8F, 1.0F, -1e8F};
  for (int trial = 0; trial < 20; ++trial) {
    run_ranks(3, [&](Communicator& world) {
      std::this_thread::sleep_for(std::chrono::microseconds((2 - world.rank()) * trial * 10));
      std::vector<float> value{of_ranks[static_cast<std::size_t>(world.rank())]};
      world.all_reduce(std::span<float>(value), Reduction::sum);
      EXPECT_EQ(value[0], 0.0F);
    });
  }
}

TEST(ThreadWorld, AbortWakesTheOthers) {
  EXPECT_THROW(run_ranks(2,
                         [](Communicator& world) {
                           if (world.rank() == 0) {
                             world.abort(base::ExitCode::numeric);
                           } else {
                             world.barrier();
                           }
                         }),
               base::CommunicationError);
}

TEST(SelfCommunicator, AbortEndsTheProcessWithTheExitCode) {
  EXPECT_EXIT(make_self_communicator()->abort(base::ExitCode::numeric), testing::ExitedWithCode(77), "");
}

TEST(ParallelHdf5, IsRefusedWithoutMpi) {
  const auto self = make_self_communicator();
  EXPECT_FALSE(has_parallel_hdf5(*self));
  EXPECT_THROW(parallel_file_access(*self), base::InternalError);
  EXPECT_THROW(with_chunk_bytes(*self, 8), base::InternalError);
}

using base::Variable;

Launch launch_of(const std::map<Variable, std::string>& variables) {
  return detect_launch([&](Variable variable) -> std::optional<std::string> {
    const auto found = variables.find(variable);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(Launch, IsReadFromWhatLaunchersLeaveInTheEnvironment) {
  EXPECT_FALSE(launch_of({}).parallel);
  EXPECT_FALSE(launch_of({{Variable::slurm_job, "7"}}).parallel);
  EXPECT_FALSE(launch_of({{Variable::slurm_step_tasks, "1"}}).parallel);
  const auto mpirun = launch_of({{Variable::ompi_world_size, "4"}, {Variable::slurm_step_tasks, "2"}});
  EXPECT_TRUE(mpirun.parallel);
  EXPECT_EQ(mpirun.ranks, 4);
  const auto srun =
      launch_of({{Variable::pmix_namespace, "slurm.pmix.1.0"}, {Variable::slurm_step_tasks, "8"}});
  EXPECT_TRUE(srun.parallel);
  EXPECT_EQ(srun.ranks, 8);
  EXPECT_EQ(launch_of({{Variable::pmi_size, "2"}}).ranks, 2);
}

TEST(Launch, SeveralSlurmTasksWithoutAnMpiPluginAreRefused) {
  try {
    launch_of({{Variable::slurm_step_tasks, "4"}});
    FAIL() << "four processes would each do the whole job";
  } catch (const base::CommunicationError& error) {
    EXPECT_NE(std::string(error.what()).find("srun --mpi=pmix"), std::string::npos);
  }
}

TEST(LibraryVersions, AreKnownWithoutASession) {
  const auto versions = library_versions();
  ASSERT_EQ(versions.size(), 2U);
  EXPECT_EQ(versions[0].name, "MPI");
  EXPECT_NE(versions[0].version, "unknown");
  EXPECT_EQ(versions[0].version.find_first_of("\n\t"), std::string::npos) << versions[0].version;
  EXPECT_EQ(versions[1].name, "HDF5");
  EXPECT_EQ(versions[1].version.find('\n'), std::string::npos);
}

}  // namespace
}  // namespace mgrn::comm
