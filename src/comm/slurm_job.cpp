// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/comm/slurm_job.hpp"

#include <cstdlib>

namespace mgrn::comm {
namespace {

std::string ranks_text(int ranks) {
  return std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
}

}  // namespace

std::optional<SlurmJob> find_slurm_job(
    const std::function<std::optional<std::string>(base::Variable)>& environment) {
  using base::Variable;
  const auto id = environment(Variable::slurm_job);
  if (!id) {
    return std::nullopt;
  }
  const auto number = [&](Variable variable) {
    const auto text = environment(variable);
    return text ? std::atoi(text->c_str()) : 0;
  };
  return SlurmJob{.id = *id,
                  .tasks = number(Variable::slurm_tasks),
                  .cores_per_task = number(Variable::slurm_task_cores),
                  .gpus_on_node = number(Variable::slurm_node_gpus),
                  .restarts = number(Variable::slurm_restarts),
                  .unattended = environment(Variable::slurm_process).has_value()};
}

std::optional<base::ErrorText> started_alone(const SlurmJob& job, const std::string& backend, int ranks) {
  // Ranks that MPI knows of were started by a launcher, with a number that somebody chose.
  if (!job.unattended || backend == "mpi" || job.tasks <= ranks) {
    return std::nullopt;
  }
  return base::ErrorText{.what = "Slurm job " + job.id + " has " + std::to_string(job.tasks) +
                                 " tasks, and the program was started as one process",
                         .expected = ranks_text(job.tasks),
                         .got = ranks_text(ranks),
                         .hint =
                             "put `srun --mpi=pmix` (or mpirun) before the program's name, as "
                             "slurm/submit-train.sh does; set SLURM_NTASKS=1 where one rank is meant"};
}

std::vector<base::ErrorText> faults_of_job(const SlurmJob& job, const std::string& backend, int ranks,
                                           int usable_gpus) {
  std::vector<base::ErrorText> faults;
  if (auto fault = started_alone(job, backend, ranks)) {
    faults.push_back(std::move(*fault));
  } else if (job.tasks > 0 && job.tasks != ranks) {
    faults.push_back({.what = "Slurm job " + job.id + " and the launcher disagree",
                      .expected = ranks_text(job.tasks) + ", the tasks that the job asked for",
                      .got = ranks_text(ranks),
                      .hint = "give mpirun `-n " + std::to_string(job.tasks) +
                              "`, or ask for --ntasks=" + std::to_string(ranks)});
  }
  if (job.gpus_on_node > 0 && usable_gpus == 0) {
    faults.push_back({.what = "the job holds GPUs that the program cannot use",
                      .expected = std::to_string(job.gpus_on_node) + " on this node",
                      .got = "none",
                      .hint = "see the line CUDA above: load the CUDA module, build with nvcc, or do not ask "
                              "for GPUs"});
  }
  return faults;
}

}  // namespace mgrn::comm
