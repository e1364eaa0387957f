// SPDX-License-Identifier: Apache-2.0
// What a user wants to know before a long job: versions, ranks and hosts, whether folders can be written and
// locked, how fast ranks add up a gradient.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <thread>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/nccl.hpp"
#include "multigrnformer/comm/parallel_hdf5.hpp"
#include "multigrnformer/comm/slurm_job.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "multigrnformer/model/devices.hpp"

namespace mgrn::cli {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kGradient = 257'000;  // weights of the default model

/// Sums a gradient-sized buffer for about a second. Collective; rank 0 decides when to stop, for all.
std::string reduction_report(comm::Communicator& world) {
  std::vector<std::int64_t> buffer(kGradient, 1);
  const auto start = Clock::now();
  double seconds = 0;
  std::int64_t rounds = 0;
  std::int64_t more = 1;
  while (more != 0) {
    std::fill(buffer.begin(), buffer.end(), 1);
    world.all_reduce(buffer, comm::Reduction::sum);
    if (buffer.front() != world.size() || buffer.back() != world.size()) {
      throw base::CommunicationError({.what = "all-reduce gives a wrong sum",
                                      .expected = std::to_string(world.size()),
                                      .got = std::to_string(buffer.front()),
                                      .hint = "the MPI library or its transport is broken: try another one"});
    }
    ++rounds;
    seconds = std::chrono::duration<double>(Clock::now() - start).count();
    more = seconds < 1 ? 1 : 0;
    world.broadcast(std::as_writable_bytes(std::span(&more, 1)), 0);
  }
  return fmt::format("{:.0f} us for the gradient of the default model ({} int64), right sum on all ranks",
                     seconds / static_cast<double>(rounds) * 1e6, kGradient);
}

std::string cores_report() {
  return fmt::format("{} on this host", std::thread::hardware_concurrency());
}

std::string folder_report(comm::Communicator& world, const std::filesystem::path& folder) {
  comm::agree(world, [&] {
    const auto file = folder / (".multigrnformer-doctor-" + std::to_string(world.rank()));
    base::write_file_atomically(file, "doctor\n");
    std::filesystem::remove(file);
  });
  return "every rank can write, rename and flush in " + folder.string();
}

std::string slurm_report(const std::optional<comm::SlurmJob>& job) {
  if (!job) {
    return "this is not a Slurm job";
  }
  std::string text = "job " + job->id;
  const auto add = [&](int count, const std::string& what) {
    if (count > 0) {
      text += fmt::format(", {} {}", count, what);
    }
  };
  add(job->tasks, job->tasks == 1 ? "task" : "tasks");
  add(job->cores_per_task, job->cores_per_task == 1 ? "core each" : "cores each");
  add(job->gpus_on_node, job->gpus_on_node == 1 ? "GPU on this node" : "GPUs on this node");
  add(job->restarts, "times requeued");
  return text;
}

void run(Config& config, comm::Communicator& world) {
  const comm::Topology topology = comm::find_topology(world);
  const std::string here = fmt::format("rank {} on {}, {} of {} there", world.rank(), topology.host,
                                       topology.node_rank + 1, topology.node_ranks);
  const auto places = world.gather(comm::to_bytes(std::span<const char>(here)), 0);
  std::string text = version_text();
  const auto line = [&](const std::string& name, const std::string& value) {
    text += fmt::format("{:<16} {}\n", name, value);
  };
  line("communication",
       fmt::format("{}, {} rank{} on {} host{}", world.backend(), world.size(), world.size() == 1 ? "" : "s",
                   topology.nodes, topology.nodes == 1 ? "" : "s"));
  for (const auto& place : places) {
    const auto letters = comm::from_bytes<char>(place);
    line("", std::string(letters.begin(), letters.end()));
  }
  line("parallel HDF5", comm::has_parallel_hdf5(world) ? "ranks write one file together"
                                                       : "one rank writes (run under mpirun for more)");
  line("cores", cores_report());
  const auto job = comm::find_slurm_job();
  line("Slurm", slurm_report(job));
  line("CUDA", model::describe_cuda());
  line("NCCL", comm::describe_nccl());
  line("folder", folder_report(world, config.out.empty() ? std::filesystem::current_path() : config.out));
  line("all-reduce", reduction_report(world));
  print_result(world, text);
  // After all else, for a fault explains figures above; on the rank whose node has it.
  comm::agree(world, [&] {
    const auto faults = job ? comm::faults_of_job(*job, world.backend(), world.size(), model::usable_gpus())
                            : std::vector<base::ErrorText>();
    if (!faults.empty()) {
      throw base::CommunicationError(faults.front());
    }
  });
}

}  // namespace

Command doctor_command() {
  return {.name = "doctor",
          .summary = "check libraries, ranks, folders and communication before a long job",
          .usage = "[--out DIR]",
          .positional = "",
          .keys =
              [](KeyTable& table, Config& config) {
                table.file("out", config.out, "folder to try writing in (default: this one)");
                add_common_keys(table, config);
              },
          .run = run};
}

}  // namespace mgrn::cli
