// SPDX-License-Identifier: Apache-2.0
// Everything that the command line and a config file can say, as the settings of the rooms that use it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/baselines/options.hpp"
#include "multigrnformer/comm/watchdog.hpp"
#include "multigrnformer/prepare/settings.hpp"
#include "multigrnformer/simulate/settings.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::cli {

struct InspectOptions {
  std::filesystem::path dataset;
  bool json = false;
  bool verify = false;  ///< read everything and compare checksums
};

struct EvaluateOptions {
  std::filesystem::path run;                 ///< a run's folder, or
  std::vector<std::filesystem::path> edges;  ///< any tool's ranked edges, several for stability, against
  std::filesystem::path network;             ///< this ground truth,
  std::filesystem::path tfs;
  std::filesystem::path split;  ///< protocol pairs: the labelled pairs
  std::string protocol = "beeline";
  bool all_regulators = false;  ///< EPR's universe: all ordered pairs instead of the network's TFs x genes
};

struct PredictOptions {
  std::filesystem::path run;
  std::filesystem::path dataset;  ///< empty: the run's own
  bool known_only = false;
  int votes = 5;
  double precision = 0;
  std::uint64_t edges = 0;
  double prior = 0;
};

struct SampleOptions {
  std::string tf;
  std::string gene;
  std::string set = "train";
  int epoch = 0;
  int augmentation = 0;
  int vote = 0;
};

struct BenchOptions {
  std::vector<std::string> stages = {"all"};
  std::vector<int> cells = {500};               ///< N
  std::vector<std::string> engines = {"auto"};  ///< as train.engine
  std::vector<double> ranges = {1, 2, 4, 8, 16};
  std::filesystem::path run;  ///< a finished run whose weights and samples are measured; empty: none
  double seconds = 2;         ///< of each measurement
  int rounds = 3;
};

struct GridOptions {
  std::string action;         ///< plan, run, status, report
  std::int64_t task = -1;     ///< run: this task alone, and what it needs; -1: all
  std::string chunk = "0/1";  ///< run: share I of N
  int ranks_per_task = 1;
  bool isolate = false;
  std::string launcher = "auto";
  int at_once = 0;  ///< --isolate: processes side by side; 0: as the job has room for
  bool retry = false;
  bool json = false;
  std::string settings, strategies, methods, omics, variants,
      runs;                    ///< win over [grid]; empty: as the file says
  std::filesystem::path data;  ///< what {data} stands for in the file
  std::string pdf = "auto";    ///< report: auto, yes, no
};

struct Config {
  std::string command;
  std::vector<std::string> command_line;
  std::filesystem::path config_file;
  std::string log_rank = "0";  ///< "0" or "all"
  std::string log_level = "info";
  comm::WatchSettings watch;
  train::Hooks hooks;  ///< empty but in fault drills
  std::filesystem::path out;
  int runs = 1;
  bool help = false;
  std::set<std::string> given;  ///< keys that the user set, by file or command line

  prepare::Settings prepare;
  simulate::Settings simulate;
  train::Settings train;
  baselines::Options baseline;
  InspectOptions inspect;
  EvaluateOptions evaluate;
  PredictOptions predict;
  SampleOptions sample;
  BenchOptions bench;
  GridOptions grid;
};

}  // namespace mgrn::cli
