// SPDX-License-Identifier: Apache-2.0
// What Slurm's environment says about the job that this process belongs to, and where that contradicts the
// ranks there are. Reads the environment only; asks no Slurm command.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "multigrnformer/base/environment.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::comm {

struct SlurmJob {
  std::string id;
  int tasks = 0;            ///< asked for by the job; under srun those of the step; 0: not said
  int cores_per_task = 0;   ///< 0: not said
  int gpus_on_node = 0;     ///< GPUs that the job holds on this node
  int restarts = 0;         ///< how often it was requeued
  bool unattended = false;  ///< in a batch script or a step, not in the shell that salloc opens
};

/// Nothing outside of a job. `environment` is base::environment, or a stand-in in tests.
std::optional<SlurmJob> find_slurm_job(
    const std::function<std::optional<std::string>(base::Variable)>& environment = base::environment);

/// The fault when a batch script of several tasks started the program without srun or mpirun. `backend` and
/// `ranks` are the world's.
std::optional<base::ErrorText> started_alone(const SlurmJob& job, const std::string& backend, int ranks);

/// All faults that `doctor` tells of: the above, a launcher that uses other than the job's tasks, GPUs that
/// the job holds and the program cannot use (`usable_gpus`: those that it sees on this host). Empty: none.
std::vector<base::ErrorText> faults_of_job(const SlurmJob& job, const std::string& backend, int ranks,
                                           int usable_gpus);

}  // namespace mgrn::comm
