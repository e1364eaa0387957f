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

INSTANTIATE_TEST_SUITE_P(Local, CommunicatorContract,
                         testing::Values(self_world(), thread_world(1), thread_world(2), thread_world(3),
                                         thread_world(4)),
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
