// SPDX-License-Identifier: Apache-2.0
// The one place that reads environment variables. Each variable has an entry here; nothing else calls getenv.
#pragma once

#include <optional>
#include <string>

namespace mgrn::base {

enum class Variable {
  ompi_world_size,   ///< OMPI_COMM_WORLD_SIZE: set by Open MPI's mpirun
  pmi_size,          ///< PMI_SIZE: set by MPICH's and Slurm's PMI launchers
  pmix_namespace,    ///< PMIX_NAMESPACE: set where a PMIx server started this process
  slurm_step_tasks,  ///< SLURM_STEP_NUM_TASKS: ranks of the running Slurm step
  slurm_job,         ///< SLURM_JOB_ID
  slurm_tasks,       ///< SLURM_NTASKS: tasks that the job asked for; under srun, those of the step
  slurm_process,     ///< SLURM_PROCID: set in batch scripts and steps, not in the shell that salloc opens
  slurm_task_cores,  ///< SLURM_CPUS_PER_TASK
  slurm_node_gpus,   ///< SLURM_GPUS_ON_NODE: GPUs that the job holds on this node
  slurm_restarts,    ///< SLURM_RESTART_COUNT: how often the job was requeued; unset: never
};

/// The variable's value; nothing when it is unset or empty.
std::optional<std::string> environment(Variable variable);
/// The name under which the environment knows it, for messages.
const char* environment_name(Variable variable);

}  // namespace mgrn::base
