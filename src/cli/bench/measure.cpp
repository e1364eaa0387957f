// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "bench.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "multigrnformer/model/devices.hpp"
#include "multigrnformer/train/build_id.hpp"
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace mgrn::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kWarmUpShare = 0.15;
constexpr std::int64_t kMostCalls = std::int64_t{1} << 40;

/// Collective. Rank 0's decision on every rank.
std::int64_t decided(comm::Communicator& world, std::int64_t value) {
  world.broadcast(std::as_writable_bytes(std::span(&value, 1)), 0);
  return value;
}

/// Collective. Seconds that `calls` calls took on the slowest rank.
double time_calls(comm::Communicator& world, std::int64_t calls, const std::function<void()>& work) {
  world.barrier();
  const auto start = Clock::now();
  for (std::int64_t i = 0; i < calls; ++i) {
    work();
  }
  std::array<double, 1> seconds = {std::chrono::duration<double>(Clock::now() - start).count()};
  world.all_reduce(seconds, comm::Reduction::maximum);
  return seconds[0];
}

/// The number behind `name` in a file of lines "name   value ...", 0 when it is not there.
std::uint64_t number_after(const std::string& file, const std::string& name) {
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind(name, 0) == 0) {
      return std::strtoull(line.c_str() + name.size(), nullptr, 10);
    }
  }
  return 0;
}

std::string processor_name() {
  std::ifstream stream("/proc/cpuinfo");
  for (std::string line; std::getline(stream, line);) {
    const auto colon = line.find(':');
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos && colon + 2 < line.size()) {
      return line.substr(colon + 2);
    }
  }
  return "unknown";
}

/// Those among the instruction sets for which kernels exist that this processor has.
base::Json instruction_sets() {
  base::Json list = base::Json::array();
#if defined(__x86_64__)
  const std::pair<const char*, bool> known[] = {
      {"avx2", static_cast<bool>(__builtin_cpu_supports("avx2"))},
      {"fma", static_cast<bool>(__builtin_cpu_supports("fma"))},
      {"bmi2", static_cast<bool>(__builtin_cpu_supports("bmi2"))},
      {"avx512f", static_cast<bool>(__builtin_cpu_supports("avx512f"))},
      {"avx512dq", static_cast<bool>(__builtin_cpu_supports("avx512dq"))},
      {"avx512bw", static_cast<bool>(__builtin_cpu_supports("avx512bw"))},
      {"avx512vl", static_cast<bool>(__builtin_cpu_supports("avx512vl"))}};
  for (const auto& [name, here] : known) {
    if (here) {
      list.push_back(name);
    }
  }
#endif
  return list;
}

/// The GPUs that this rank sees, where one is measured.
base::Json gpu_names(const Config& config) {
  base::Json list = base::Json::array();
  const int gpus = config.train.device == "cuda" ? model::usable_gpus() : 0;
  for (int gpu = 0; gpu < gpus; ++gpu) {
    list.push_back(model::gpu_name(gpu));
  }
  return list;
}

}  // namespace

base::Json bench_facts(const Config& config, comm::Communicator& world, const std::string& stage,
                       const std::string& measure, const base::Json& engine, int cells) {
  return {{"stage", stage},
          {"measure", measure},
          {"engine", engine},
          {"cells", cells},
          {"batch", config.train.batch},
          {"micro_batch", config.train.micro_batch},
          {"threads", config.train.threads},
          {"ranks", world.size()}};
}

double seconds_per_call(comm::Communicator& world, double seconds, const std::function<void()>& work) {
  std::int64_t calls = 1;
  double taken = time_calls(world, calls, work);
  while (decided(world, taken < kWarmUpShare * seconds && calls < kMostCalls ? 1 : 0) != 0) {
    // Never more than tenfold: the first calls are the slowest and tell little.
    const double wanted = static_cast<double>(calls) * kWarmUpShare * seconds / std::max(taken, 1e-9);
    calls =
        decided(world, std::clamp(static_cast<std::int64_t>(std::ceil(wanted * 1.1)), calls + 1, calls * 10));
    taken = time_calls(world, calls, work);
  }
  const double wanted = static_cast<double>(calls) * seconds / std::max(taken, 1e-9);
  calls = decided(world,
                  std::clamp(static_cast<std::int64_t>(std::llround(wanted)), std::int64_t{1}, kMostCalls));
  return time_calls(world, calls, work) / static_cast<double>(calls);
}

base::Json machine_facts(const Config& config, comm::Communicator& world) {
  const comm::Topology topology = comm::find_topology(world);
  return {{"stage", "machine"},
          {"processor", processor_name()},
          {"cores", std::thread::hardware_concurrency()},
          {"instruction_sets", instruction_sets()},
          {"gpus", gpu_names(config)},
          {"compiler", MGRN_COMPILER},
          {"build_type", MGRN_BUILD_TYPE},
          {"version", train::program_version()},
          {"c_library", train::c_library()},
          {"communication", world.backend()},
          {"ranks", world.size()},
          {"hosts", topology.nodes}};
}

BenchFolder::BenchFolder(const std::filesystem::path& parent, comm::Communicator& world) {
  std::string name;
  comm::agree(world, [&] {
    if (world.rank() != 0) {
      return;
    }
    const auto folder = parent.empty() ? std::filesystem::temp_directory_path() : parent;
    base::create_directories(folder);
    name = (folder / "multigrnformer-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
      throw base::OutputError({.what = "cannot make a folder for what is measured",
                               .file = folder.string(),
                               .hint = "give a folder with --out"});
    }
    path_ = name;
    mine_ = true;
  });
  path_ = comm::broadcast_text(world, name);
}

BenchFolder::~BenchFolder() {
  if (mine_) {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
}

std::uint64_t resident_memory() {
#if defined(__GLIBC__)
  ::malloc_trim(0);  // what was freed but not given back is nobody's
#endif
  return number_after("/proc/self/status", "VmRSS:") * 1024;
}

std::uint64_t peak_memory() {
  return number_after("/proc/self/status", "VmHWM:") * 1024;
}

void forget_peak_memory() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

}  // namespace mgrn::cli
