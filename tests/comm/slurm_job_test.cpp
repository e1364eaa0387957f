// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/slurm_job.hpp"

#include <gtest/gtest.h>

#include <map>

namespace mgrn::comm {
namespace {

using base::Variable;

std::optional<SlurmJob> job_of(const std::map<Variable, std::string>& variables) {
  return find_slurm_job([&](Variable variable) -> std::optional<std::string> {
    const auto found = variables.find(variable);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

SlurmJob batch_job(int tasks, int gpus = 0) {
  return *job_of({{Variable::slurm_job, "42"},
                  {Variable::slurm_tasks, std::to_string(tasks)},
                  {Variable::slurm_process, "0"},
                  {Variable::slurm_node_gpus, std::to_string(gpus)}});
}

TEST(SlurmJobTest, OutsideOfAJobThereIsNone) {
  EXPECT_FALSE(job_of({}));
  EXPECT_FALSE(job_of({{Variable::slurm_tasks, "4"}}));
}

TEST(SlurmJobTest, TheEnvironmentTellsWhatTheJobHolds) {
  const auto job = job_of({{Variable::slurm_job, "42"},
                           {Variable::slurm_tasks, "8"},
                           {Variable::slurm_task_cores, "2"},
                           {Variable::slurm_node_gpus, "4"},
                           {Variable::slurm_restarts, "3"}});
  ASSERT_TRUE(job);
  EXPECT_EQ(job->id, "42");
  EXPECT_EQ(job->tasks, 8);
  EXPECT_EQ(job->cores_per_task, 2);
  EXPECT_EQ(job->gpus_on_node, 4);
  EXPECT_EQ(job->restarts, 3);
  EXPECT_FALSE(job->unattended);
}

TEST(SlurmJobTest, ABatchScriptThatForgotTheLauncherIsAFaultWithItsRemedy) {
  const auto fault = started_alone(batch_job(8), "self", 1);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->expected, "8 ranks");
  EXPECT_EQ(fault->got, "1 rank");
  EXPECT_NE(fault->hint.find("srun --mpi=pmix"), std::string::npos);
}

TEST(SlurmJobTest, OneRankIsNoFaultWhereItWasMeant) {
  EXPECT_FALSE(started_alone(batch_job(1), "self", 1));
  EXPECT_FALSE(started_alone(batch_job(8), "mpi", 1)) << "mpirun -n 1 is somebody's choice";
  SlurmJob at_a_prompt = batch_job(8);
  at_a_prompt.unattended = false;
  EXPECT_FALSE(started_alone(at_a_prompt, "self", 1)) << "salloc's shell";
}

TEST(SlurmJobTest, DoctorNamesRanksThatAreNotTheJobs) {
  EXPECT_TRUE(faults_of_job(batch_job(4), "mpi", 4, 0).empty());
  const auto faults = faults_of_job(batch_job(4), "mpi", 2, 0);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_NE(faults[0].hint.find("-n 4"), std::string::npos);
}

TEST(SlurmJobTest, DoctorNamesGpusThatTheProgramCannotUse) {
  EXPECT_TRUE(faults_of_job(batch_job(2, 2), "mpi", 2, 2).empty());
  const auto faults = faults_of_job(batch_job(2, 2), "mpi", 2, 0);
  ASSERT_EQ(faults.size(), 1u);
  EXPECT_EQ(faults[0].got, "none");
}

}  // namespace
}  // namespace mgrn::comm
