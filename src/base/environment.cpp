// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/environment.hpp"

#include <cstdlib>

namespace mgrn::base {

const char* environment_name(Variable variable) {
  switch (variable) {
    case Variable::ompi_world_size:
      return "OMPI_COMM_WORLD_SIZE";
    case Variable::pmi_size:
      return "PMI_SIZE";
    case Variable::pmix_namespace:
      return "PMIX_NAMESPACE";
    case Variable::slurm_step_tasks:
      return "SLURM_STEP_NUM_TASKS";
    case Variable::slurm_job:
      return "SLURM_JOB_ID";
    case Variable::slurm_tasks:
      return "SLURM_NTASKS";
    case Variable::slurm_process:
      return "SLURM_PROCID";
    case Variable::slurm_task_cores:
      return "SLURM_CPUS_PER_TASK";
    case Variable::slurm_node_gpus:
      return "SLURM_GPUS_ON_NODE";
    case Variable::slurm_restarts:
      return "SLURM_RESTART_COUNT";
  }
  return "";
}

std::optional<std::string> environment(Variable variable) {
  const char* value = std::getenv(environment_name(variable));
  if (value == nullptr || *value == '\0') {
    return std::nullopt;
  }
  return std::string(value);
}

}  // namespace mgrn::base
