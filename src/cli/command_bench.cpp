// SPDX-License-Identifier: Apache-2.0
// How fast each stage is on this machine: one line of JSON per figure on stdout, progress on stderr.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "bench/bench.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/run_settings.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::cli {
namespace {

constexpr int kMostCells = 1 << 20;

template <typename T>
std::string number_text(T value) {
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return code == std::errc() ? std::string(buffer, end) : std::string();
}

/// A comma list; each item is read and written by the functions given. An empty list is an illegal value.
template <typename T, typename Read, typename Write>
Key list_key(const std::string& name, const std::string& placeholder, const std::string& help,
             std::vector<T>& field, Read read, Write write) {
  return {.name = name,
          .placeholder = placeholder,
          .help = help,
          .set =
              [&field, name, placeholder, read](const std::string& text) {
                std::vector<T> values;
                for (const std::string& item : split_list(text)) {
                  values.push_back(read(item));
                }
                if (values.empty()) {
                  throw base::UsageError({.what = "illegal value of " + name,
                                          .expected = placeholder,
                                          .got = "nothing",
                                          .hint = "give --" + name + " at least one value"});
                }
                field = values;
              },
          .get =
              [&field, write] {
                std::string text;
                for (const T& value : field) {
                  text += (text.empty() ? "" : ",") + write(value);
                }
                return text;
              }};
}

std::string known_stage(const std::string& name) {
  std::vector<std::string> names = {"all"};
  std::string list = "all";
  for (const BenchStage& stage : bench_stages()) {
    names.emplace_back(stage.name);
    list += std::string(", ") + stage.name;
  }
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    const std::string near = nearest_name(name, names);
    throw base::UsageError({.what = "unknown stage " + name,
                            .file = "stage",
                            .expected = near.empty() ? "stages of: " + list : near,
                            .got = name,
                            .hint = "multigrnformer bench --help lists the stages"});
  }
  return name;
}

std::string stages_help() {
  std::string text = "what to measure:";
  for (const BenchStage& stage : bench_stages()) {
    text += std::string(text.back() == ':' ? " " : "; ") + stage.name + " (" + stage.help + ")";
  }
  return text;
}

void add_keys(KeyTable& table, Config& config) {
  BenchOptions& bench = config.bench;
  const auto same = [](const std::string& text) { return text; };
  table.custom(list_key("stage", "NAME[,NAME...]|all", stages_help(), bench.stages, known_stage, same));
  table.custom(list_key(
      "cells-per-sample", "N[,N...]", "cells per sample", bench.cells,
      [](const std::string& text) {
        int value = 0;
        KeyTable number;
        number.integer("cells-per-sample", value, 1, kMostCells, "").set(text);
        return value;
      },
      number_text<int>));
  table.integer("batch", config.train.batch, 1, 1 << 20, "samples per step, over all ranks");
  table.integer("micro-batch", config.train.micro_batch, 1, 1024,
                "samples computed together, as train.micro_batch");
  table.integer("threads", config.train.threads, 1, 1024, "threads per rank");
  config.train.device = "cpu";
  table.choice<std::string>("device", config.train.device, {{"cpu", "cpu"}, {"cuda", "cuda"}},
                            "step: where the model is computed");
  table.custom(list_key("engine", "auto|linear|quadratic|tensor|reference[,...]", "what computes the model",
                        bench.engines, same, same));
  table.text("isa", "auto|avx2|baseline|avx512", config.train.engine.isa, "instruction set of the kernels");
  table.custom(list_key(
      "range", "R[,R...]", "attention: half the range of queries times that of keys", bench.ranges,
      [](const std::string& text) {
        double value = 0;
        KeyTable number;
        number.real("range", value, 0, 1e9, "").set(text);
        return value;
      },
      number_text<double>));
  table.integer("layers", config.train.shape.layers, 1, 64, "encoder layers");
  table.integer("hidden", config.train.shape.hidden, 1, 1 << 16, "hidden units of the predictor");
  table.choice<bool>("reduction", config.train.exact_reduction, {{"exact", true}, {"float", false}},
                     "step: how gradients are summed");
  table.real("seconds", bench.seconds, 0.001, 86400, "time of each measurement");
  table.integer("rounds", bench.rounds, 1, 100000, "measurements of each figure, by turns");
  table.files("dataset", config.train.datasets,
              "dataset file to draw samples from; default: data like it, made in memory");
  table.files("network", config.train.networks, "its ground truth");
  table.files("tfs", config.train.tf_lists, "its transcription factors");
  add_gene_set_keys(table, config, "genes", "variable");
  table.file("run", config.bench.run,
             "folder of a finished run: its weights, which stay as they are, and its samples");
  table.file("rna", config.prepare.rna, "rp: raw counts, as for `prepare`; default: made in memory");
  table.file("atac", config.prepare.atac, "rp: peak counts, where they are in a file of their own");
  table.file("annotation", config.prepare.annotation, "rp: genes on the genome");
  table.file("out", config.out,
             "checkpoint, step: folder on the file system to write to (default: temporary)");
  add_common_keys(table, config);
}

/// With --run the run's own config says what is computed and on which data; the command line only how.
void take_run(Config& config) {
  for (const char* key :
       {"cells-per-sample", "layers", "hidden", "dataset", "network", "tfs", "genes", "variable", "range"}) {
    if (config.given.contains(key)) {
      throw base::UsageError({.what = std::string("both --run and --") + key,
                              .file = key,
                              .expected = "one of them",
                              .hint = "the run's config.ini decides: leave out --" + std::string(key)});
    }
  }
  train::Settings settings = settings_of_finished_run(config.bench.run);
  settings.threads = config.train.threads;
  settings.engine.isa = config.train.engine.isa;
  settings.device = config.train.device;
  if (config.given.contains("batch")) {
    settings.batch = config.train.batch;
  }
  if (config.given.contains("micro-batch")) {
    settings.micro_batch = config.train.micro_batch;
  }
  if (config.given.contains("reduction")) {
    settings.exact_reduction = config.train.exact_reduction;
  }
  config.train = std::move(settings);
  config.bench.cells = {config.train.shape.cells};
}

void check(Config& config) {
  if (!config.bench.run.empty()) {
    take_run(config);
  }
  if (config.train.datasets.size() > 1) {
    throw base::UsageError({.what = "several datasets",
                            .file = "dataset",
                            .expected = "one",
                            .got = std::to_string(config.train.datasets.size()),
                            .hint = "measure one after another"});
  }
  if (!config.train.datasets.empty() && (config.train.networks.empty() || config.train.tf_lists.empty())) {
    throw base::UsageError({.what = "a dataset without its network and TFs",
                            .file = "dataset",
                            .expected = "--dataset D.h5 --network CSV --tfs CSV",
                            .hint = "give all three, or none for data made in memory"});
  }
  if (config.train.device == "cuda") {
    for (const std::string& stage : config.bench.stages) {
      if (stage != "step") {
        throw base::UsageError({.what = "a GPU is measured by whole steps alone",
                                .file = "stage",
                                .expected = "step, with --device cuda",
                                .got = stage,
                                .hint = "give --stage step, or leave --device out"});
      }
    }
  }
}

std::string figure_text(double value, int digits) {
  char buffer[64];
  std::snprintf(buffer, sizeof buffer, "%.*g", digits, value);
  return buffer;
}

/// Six digits: more than any clock is good for.
double rounded(double value) {
  return std::strtod(figure_text(value, 6).c_str(), nullptr);
}

void run_stage(const BenchStage& stage, const Config& config, comm::Communicator& world) {
  base::info(std::string("bench: preparing ") + stage.name);
  BenchCases cases = stage.cases(config, world);
  std::vector<std::vector<double>> figures(cases.size());
  for (int round = 0; round < config.bench.rounds; ++round) {
    for (std::size_t i = 0; i < cases.size(); ++i) {
      const double figure = cases[i].round(config.bench.seconds);
      figures[i].push_back(figure);
      const base::Json& facts = cases[i].facts;
      base::info("bench: round " + std::to_string(round + 1) + "/" + std::to_string(config.bench.rounds) +
                 ", " + stage.name + ", " + facts["measure"].get<std::string>() +
                 (facts["engine"].is_string() ? ", " + facts["engine"].get<std::string>() : "") +
                 ", N = " + facts["cells"].dump() + ": " + figure_text(figure, 4) + " " + cases[i].unit);
    }
  }
  std::string lines;
  for (std::size_t i = 0; i < cases.size(); ++i) {
    std::vector<double>& values = figures[i];
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    base::Json line = std::move(cases[i].facts);
    line["unit"] = cases[i].unit;
    line["rounds"] = config.bench.rounds;
    line["seconds"] = config.bench.seconds;
    line["min"] = rounded(values.front());
    line["median"] =
        rounded(values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2);
    line["max"] = rounded(values.back());
    lines += base::json_line(line) + "\n";
  }
  print_result(world, lines);
}

void run(Config& config, comm::Communicator& world) {
  comm::agree(world, [&] { check(config); });
  const auto asked = [&](const std::string& name) {
    return std::find(config.bench.stages.begin(), config.bench.stages.end(), name) !=
           config.bench.stages.end();
  };
  print_result(world, base::json_line(machine_facts(config, world)) + "\n");
  for (const BenchStage& stage : bench_stages()) {
    if (asked("all") || asked(stage.name)) {
      run_stage(stage, config, world);
    }
  }
}

}  // namespace

const std::vector<BenchStage>& bench_stages() {
  static const std::vector<BenchStage> stages = {
      {"sampler", "samples drawn and gathered", sampler_cases},
      {"attention", "one layer's attention of one sample", attention_cases},
      {"step", "whole training steps", step_cases},
      {"reduction", "the gradient sum within a step", reduction_cases},
      {"adam", "the optimiser", adam_cases},
      {"checkpoint", "written and verified", checkpoint_cases},
      {"rp", "regulatory potential", rp_cases},
      {"allreduce", "a gradient summed over the ranks", allreduce_cases},
  };
  return stages;
}

Command bench_command() {
  return {.name = "bench",
          .summary = "measure how fast each stage is on this machine",
          .usage = "[--stage NAME,...] [--cells-per-sample N,...] [--threads N] [--seconds X] [--rounds N]",
          .positional = "",
          .keys = add_keys,
          .run = run};
}

}  // namespace mgrn::cli
