// SPDX-License-Identifier: Apache-2.0
// How `bench` measures. A stage is a list of cases; rounds go over all of them in turn, so that a disturbance
// of the machine falls on all, and each gives the least, middle and largest of its rounds.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/cli/config.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/sources.hpp"

namespace mgrn::cli {

struct BenchCase {
  base::Json facts;  ///< what the line says besides unit and figures
  std::string unit;
  /// Collective. The figure of one round of about so many seconds, the same on every rank.
  std::function<double(double seconds)> round;
};
using BenchCases = std::vector<BenchCase>;

struct BenchStage {
  const char* name;
  const char* help;
  BenchCases (*cases)(const Config& config, comm::Communicator& world);
};

/// In the order in which `--stage all` runs them.
const std::vector<BenchStage>& bench_stages();

// Each makes what it measures; collective, since a rank may fail.
BenchCases sampler_cases(const Config& config, comm::Communicator& world);
BenchCases attention_cases(const Config& config, comm::Communicator& world);
BenchCases step_cases(const Config& config, comm::Communicator& world);
BenchCases reduction_cases(const Config& config, comm::Communicator& world);
BenchCases adam_cases(const Config& config, comm::Communicator& world);
BenchCases checkpoint_cases(const Config& config, comm::Communicator& world);
BenchCases rp_cases(const Config& config, comm::Communicator& world);
BenchCases allreduce_cases(const Config& config, comm::Communicator& world);

/// The facts that every line has; engine null where none takes part, cells 0 where none are drawn.
base::Json bench_facts(const Config& config, comm::Communicator& world, const std::string& stage,
                       const std::string& measure, const base::Json& engine, int cells);

/// Collective. Calls `work` for about so many seconds, equally often on every rank, after having called it
/// for a part of that time to warm up. The time of one call on the slowest rank, in seconds. `work` may throw
/// only when it does so on every rank.
double seconds_per_call(comm::Communicator& world, double seconds, const std::function<void()>& work);

/// Processor, GPUs where one is measured, instruction sets, compiler, build: collective, one line per run.
/// Rank 0's host speaks for all.
base::Json machine_facts(const Config& config, comm::Communicator& world);

/// Collective. The pairs to learn on, with their sampler: those of --dataset, or drawn in memory with the
/// statistics that default preparation gives a real dataset. `settings` are those of a training run.
std::shared_ptr<train::Task> bench_task(const train::Settings& settings, comm::Communicator& world);

/// A folder that is gone when this is; on rank 0 only.
class BenchFolder {
 public:
  /// Collective. Inside `parent`, or inside the system's folder for temporary files when that is empty.
  BenchFolder(const std::filesystem::path& parent, comm::Communicator& world);
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  bool mine_ = false;
};

/// Memory of this process in bytes, as the system counts pages: now, and its peak since `forget_peak_memory`.
/// 0 where the system does not tell.
std::uint64_t resident_memory();
std::uint64_t peak_memory();
void forget_peak_memory();

}  // namespace mgrn::cli
