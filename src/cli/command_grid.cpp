// SPDX-License-Identifier: Apache-2.0
// grid: many trainings as tasks in one folder, which any number of ranks, jobs and hosts work off together.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>

#include "multigrnformer/base/environment.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/grid_file.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/parse.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/slurm_job.hpp"
#include "multigrnformer/experiments/scheduler.hpp"
#include "multigrnformer/experiments/tables.hpp"

namespace mgrn::cli {
namespace {

namespace fs = std::filesystem;
using experiments::Plan;
using experiments::PlannedTask;
using experiments::TaskState;

constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();

void add_keys(KeyTable& table, Config& config) {
  auto& options = config.grid;
  table
      .choice<std::string>("action", options.action,
                           {{"plan", "plan"}, {"run", "run"}, {"status", "status"}, {"report", "report"}},
                           "what to do; stands without --action behind `grid`")
      .result = false;
  table.file("out", config.out, "folder of the grid: plan.json, tasks/, results.csv").result = false;
  table
      .number_or_word<std::int64_t>("task", options.task, 0, kMany, "all", -1,
                                    "run: the task of this index in plan.json, and what it needs")
      .result = false;
  table
      .text("chunk", "I/N", options.chunk,
            "run: every N-th task beginning with index I, from 0, and what these need")
      .result = false;
  table
      .integer("ranks-per-task", options.ranks_per_task, 1, kMany,
               "run: ranks that work on one task together")
      .result = false;
  table.flag("isolate", options.isolate, "run: each task as a job step (srun) or mpirun of its own").result =
      false;
  table
      .text("launcher", "auto|none|\"COMMAND {ranks}\"", options.launcher,
            "--isolate: what starts a task; auto: srun in a Slurm job, else mpirun where a task has several "
            "ranks")
      .result = false;
  table
      .integer("at-once", options.at_once, 0, kMany,
               "--isolate: tasks side by side; 0: as many as the Slurm job has room for, else 1")
      .result = false;
  table.flag("retry", options.retry, "run: take up failed tasks again").result = false;
  table.flag("json", options.json, "status: as JSON").result = false;
  add_report_keys(table, config);
  table.text("grid.settings", "NAME[,NAME...]", options.settings, "instead of the file's settings").result =
      false;
  table.text("grid.strategies", "NAME[,NAME...]", options.strategies, "instead of the file's strategies")
      .result = false;
  table.text("grid.methods", "NAME[,NAME...]", options.methods, "instead of the file's methods").result =
      false;
  table.text("grid.omics", "rna+atac[,rna]", options.omics, "instead of the file's omics").result = false;
  table.text("grid.variants", "plain|NAME[,NAME...]", options.variants, "instead of the file's variants")
      .result = false;
  table.file("grid.data", options.data, "folder that {data} stands for in the file's paths").result = false;
  table.text("grid.runs", "1..5|1,2,7", options.runs, "instead of the file's runs: seeds").result = false;
  add_baseline_keys(table, config);
  add_training_keys(table, config);
  add_common_keys(table, config);
}

train::Job job_named(const std::string& command) {
  return command == "pretrain"   ? train::Job::pretrain
         : command == "finetune" ? train::Job::finetune
                                 : train::Job::train;
}

/// A task's arguments, parsed as those of the command that it is.
void parse_task(const PlannedTask& task, const fs::path& out, Invocation& invocation) {
  parse(task.arguments(out), invocation);
}

/// Relative work, from the keys alone: whether the data are there yet or not, the plan is the same.
std::uint64_t cost_of(const PlannedTask& task, const Config& config) {
  constexpr double kUnit = 1e5;  // cells of samples
  constexpr double kAllGenes = 5000;
  if (task.command == "simulate") {
    return static_cast<std::uint64_t>(
        static_cast<double>(config.simulate.cells) * static_cast<double>(config.simulate.genes) / kUnit + 1);
  }
  if (task.command == "prepare" || task.command == "inspect") {
    return 100;
  }
  const auto& settings = config.train;
  // Positive and negative pairs grow with the genes; every dataset brings its own.
  const double genes = settings.gene_set.variable_genes < 0
                           ? kAllGenes
                           : static_cast<double>(settings.gene_set.variable_genes);
  if (task.command == "baseline" && !baselines::trains(config.baseline.method)) {
    return static_cast<std::uint64_t>(genes / 500 + 1);
  }
  const double samples = genes * settings.augment * static_cast<double>(settings.datasets.size());
  return static_cast<std::uint64_t>(
      samples * settings.epochs * settings.shape.cells * settings.shape.layers / kUnit + 1);
}

std::uint64_t check_task(const PlannedTask& task) {
  Invocation invocation;
  parse_task(task, "grid", invocation);
  if (task.command == "simulate") {
    simulate::check(invocation.config.simulate);
  } else if (task.command == "baseline") {
    check_baseline(invocation.config);
  } else if (task.command != "prepare" && task.command != "inspect") {
    check_training(invocation.config, job_named(task.command));
  }
  return cost_of(task, invocation.config);
}

/// While a task runs, only what is amiss in it is said: groups would talk all at once.
class Quiet {
 public:
  explicit Quiet(const Config& config) : level_(config.log_level) {
    if (level_ == "info") {
      base::set_log_level(base::LogLevel::warning);
    }
  }
  ~Quiet() {
    if (level_ == "info") {
      base::set_log_level(base::LogLevel::info);
    }
  }
  Quiet(const Quiet&) = delete;
  Quiet& operator=(const Quiet&) = delete;

 private:
  std::string level_;
};

void perform_task(const PlannedTask& task, const fs::path& out, comm::Communicator& group) {
  Invocation invocation;
  comm::agree(group, [&] { parse_task(task, out, invocation); });
  Config& config = invocation.config;
  if (task.command == "simulate") {
    perform_simulation(config, group);
  } else if (task.command == "prepare") {
    perform_preparation(config, group);
  } else if (task.command == "inspect") {
    perform_inspection(config, group);
  } else if (task.command == "baseline") {
    perform_baseline(config, group);
  } else {
    perform_training(config, group, job_named(task.command));
  }
}

fs::path grid_folder(const Config& config) {
  if (config.out.empty()) {
    throw base::UsageError({.what = "key out is missing",
                            .expected = "--out DIR",
                            .got = "nothing",
                            .hint = "give the folder of the grid"});
  }
  return fs::absolute(config.out).lexically_normal();
}

/// Not collective: one rank plans.
Plan plan_from_file(Config& config, const fs::path& out) {
  KeyTable table;
  add_keys(table, config);
  Plan plan = experiments::make_plan(read_grid_file(config.config_file, config, table),
                                     experiments::CheckTask(check_task));
  experiments::write_plan(out, plan);
  return plan;
}

void run_plan(Config& config, comm::Communicator& world) {
  std::string text;
  comm::agree(world, [&] {
    if (config.config_file.empty()) {
      throw base::UsageError({.what = "key config is missing",
                              .expected = "--config FILE",
                              .got = "nothing",
                              .hint = "give the grid file; configs/ holds examples"});
    }
    const fs::path out = grid_folder(config);
    if (world.rank() == 0) {
      const Plan plan = plan_from_file(config, out);
      std::map<std::string, int> counts;
      for (const auto& task : plan.tasks) {
        ++counts[task.command];
      }
      text = fmt::format("{} tasks:", plan.tasks.size());
      for (const auto& [command, count] : counts) {
        text += fmt::format("{} {} {}", counts.begin()->first == command ? "" : ",", count, command);
      }
      text += fmt::format("; plan in {}\n", experiments::plan_file(out).string());
    }
  });
  print_result(world, text);
}

std::vector<std::size_t> selected_tasks(const GridOptions& options, const Plan& plan) {
  const auto count = static_cast<std::int64_t>(plan.tasks.size());
  const auto refuse = [&](const std::string& key, const std::string& expected, const std::string& got) {
    throw base::UsageError({.what = "illegal value of " + key,
                            .expected = expected,
                            .got = got,
                            .hint = "plan.json lists the tasks with their indices, from 0"});
  };
  const auto slash = options.chunk.find('/');
  std::int64_t first = -1, step = 0;
  const auto number = [](const std::string& word, std::int64_t& value) {
    if (!word.empty() && word.size() < 10 && word.find_first_not_of("0123456789") == std::string::npos) {
      value = std::stoll(word);
    }
  };
  if (slash != std::string::npos) {
    number(options.chunk.substr(0, slash), first);
    number(options.chunk.substr(slash + 1), step);
  }
  if (step < 1 || first < 0 || first >= step) {
    refuse("chunk", "I/N with I from 0 to N - 1", "\"" + options.chunk + "\"");
  }
  if (options.task >= count) {
    refuse("task", "0 to " + std::to_string(count - 1), std::to_string(options.task));
  }
  if (options.task >= 0 && step > 1) {
    refuse("task", "--task or --chunk", "both");
  }
  std::vector<std::size_t> chosen;
  for (std::int64_t i = first; i < count; i += step) {
    if (options.task < 0 || options.task == i) {
      chosen.push_back(static_cast<std::size_t>(i));
    }
  }
  return experiments::with_needs(plan, chosen);
}

std::vector<std::string> launcher_words(const GridOptions& options) {
  const bool in_slurm = base::environment(base::Variable::slurm_job).has_value();
  std::string text = options.launcher;
  if (text == "auto") {
    text = in_slurm                     ? "srun --exact --ntasks={ranks}"
           : options.ranks_per_task > 1 ? "mpirun -n {ranks}"
                                        : "none";
  }
  if (text == "none") {
    if (options.ranks_per_task > 1) {
      throw base::UsageError({.what = "tasks of several ranks need a launcher",
                              .file = "launcher",
                              .expected = "\"COMMAND {ranks}\"",
                              .got = "none",
                              .hint = "leave --launcher out, or --ranks-per-task"});
    }
    return {};
  }
  const std::string place = "{ranks}";
  if (const auto at = text.find(place); at != std::string::npos) {
    text.replace(at, place.size(), std::to_string(options.ranks_per_task));
  } else if (options.ranks_per_task > 1) {
    throw base::UsageError({.what = "the launcher is not told the number of ranks",
                            .file = "launcher",
                            .expected = "{ranks} in it",
                            .got = text,
                            .hint = "write --launcher \"mpirun -n {ranks}\", say"});
  }
  std::vector<std::string> words;
  std::string word;
  for (const char letter : text + " ") {
    if (letter != ' ') {
      word += letter;
    } else if (!word.empty()) {
      words.push_back(std::exchange(word, {}));
    }
  }
  return words;
}

experiments::IsolateOptions isolate_options(const GridOptions& options, const comm::Communicator& world) {
  if (world.backend() != "self") {
    throw base::UsageError(
        {.what = "--isolate starts the ranks of each task itself",
         .expected = "`multigrnformer grid run --isolate` without mpirun or srun before it",
         .got = fmt::format("{} rank{} of a launcher", world.size(), world.size() == 1 ? "" : "s"),
         .hint = "take the launcher away; --ranks-per-task says how many ranks a task gets"});
  }
  int at_once = options.at_once;
  if (at_once == 0) {
    const auto tasks = base::environment(base::Variable::slurm_tasks);
    at_once = std::max(1, (tasks ? std::atoi(tasks->c_str()) : 0) / options.ranks_per_task);
  }
  return {.program = fs::read_symlink("/proc/self/exe").string(),
          .launcher = launcher_words(options),
          .at_once = at_once};
}

std::map<std::string, int> state_counts(const std::vector<experiments::GridTask>& tasks) {
  std::map<std::string, int> counts;
  for (const auto& task : tasks) {
    ++counts[task.blocked ? "blocked" : experiments::state_name(task.status.state)];
  }
  return counts;
}

std::string counts_line(const std::vector<experiments::GridTask>& tasks) {
  std::string text = fmt::format("{} tasks:", tasks.size());
  bool first = true;
  const auto counts = state_counts(tasks);
  for (const char* state :
       {"done", "discarded", "running", "waiting", "interrupted", "stopped", "killed", "failed", "blocked"}) {
    if (const auto place = counts.find(state); place != counts.end()) {
      text += fmt::format("{} {} {}", first ? "" : ",", place->second, state);
      first = false;
    }
  }
  return text + "\n";
}

/// Throws unless all tasks are done: the error of the first that is not.
void require_done(const Plan& plan, const fs::path& out, const std::vector<experiments::GridTask>& tasks,
                  bool stopped) {
  const auto done = std::count_if(tasks.begin(), tasks.end(), [](const experiments::GridTask& task) {
    return experiments::is_over(task.status.state);
  });
  if (static_cast<std::size_t>(done) == tasks.size()) {
    return;
  }
  if (stopped) {
    throw base::Stopped({.what = "the grid was stopped on a signal",
                         .file = out.string(),
                         .expected = fmt::format("{} tasks done", tasks.size()),
                         .got = std::to_string(done),
                         .hint = "start the same command again: it goes on"});
  }
  const auto failed = std::find_if(tasks.begin(), tasks.end(), [](const experiments::GridTask& task) {
    return task.status.state == TaskState::failed;
  });
  const auto unfinished = std::find_if(tasks.begin(), tasks.end(), [](const experiments::GridTask& task) {
    return !experiments::is_over(task.status.state);
  });
  const auto& example = failed != tasks.end() ? *failed : *unfinished;
  const auto& ending = example.status.ending;
  base::ErrorText text{
      .what = fmt::format("{} of {} tasks are not done", tasks.size() - static_cast<std::size_t>(done),
                          tasks.size()),
      .file = experiments::task_folder(out, plan.tasks[example.task].name).string(),
      .expected = "done",
      .got =
          experiments::state_name(example.status.state) + (ending.error.empty() ? "" : ": " + ending.error),
      .hint = failed != tasks.end()
                  ? "mend the cause, then `grid run --retry`; `grid status` lists all failures"
                  : "start `grid run` again: it takes these tasks up"};
  const auto code = failed != tasks.end() ? static_cast<base::ExitCode>(ending.code)
                                          : base::ExitCode::communication;  // killed, with its ranks
  base::throw_error(code, std::move(text), -1);
}

void warn_of_idle_gpus(const Plan& plan, const std::vector<std::size_t>& selection) {
  const auto job = comm::find_slurm_job();
  const bool idle = job && job->gpus_on_node > 0 &&
                    std::any_of(selection.begin(), selection.end(),
                                [&](std::size_t task) { return plan.tasks[task].leaves_device_open(); });
  if (idle) {
    base::warn("the job holds GPUs, and tasks of a grid use them only with train.device = cuda in its file");
  }
}

void run_run(Config& config, comm::Communicator& world) {
  const GridOptions& options = config.grid;
  fs::path out;
  Plan plan;
  std::vector<std::size_t> selection;
  std::optional<experiments::IsolateOptions> isolate;
  comm::agree(world, [&] {
    out = grid_folder(config);
    if (options.isolate) {
      isolate = isolate_options(options, world);
    }
    if (!config.config_file.empty() && world.rank() == 0) {
      plan_from_file(config, out);
    }
  });
  comm::agree(world, [&] {
    plan = experiments::read_plan(out);
    selection = selected_tasks(options, plan);
  });
  warn_of_idle_gpus(plan, selection);
  experiments::QueueOptions queue{.out = out,
                                  .selection = selection,
                                  .retry = options.retry,
                                  .launch = experiments::make_launch_name(),
                                  .evidence = experiments::system_evidence()};
  bool stopped = false;
  if (isolate) {
    stopped = experiments::run_isolated(plan, std::move(queue), *isolate);
  } else {
    const auto execute = [&](const PlannedTask& task, comm::Communicator& group) {
      const Quiet quiet(config);
      perform_task(task, out, group);
    };
    stopped = experiments::run_on_groups(plan, std::move(queue), options.ranks_per_task, execute, world);
  }
  std::string text;
  std::vector<experiments::GridTask> tasks;
  comm::agree(world, [&] {
    if (world.rank() == 0) {
      experiments::write_tables(plan, out);
      for (auto& task : experiments::grid_status(plan, out, experiments::system_evidence())) {
        if (std::binary_search(selection.begin(), selection.end(), task.task)) {
          tasks.push_back(std::move(task));
        }
      }
      // A share of the grid says little by itself.
      text =
          (selection.size() == plan.tasks.size() ? experiments::tables_summary(plan, out) : std::string()) +
          counts_line(tasks) + experiments::tables_line(plan, out);
    }
  });
  print_result(world, text);
  comm::agree(world, [&] {
    if (world.rank() == 0) {
      require_done(plan, out, tasks, stopped);
    }
  });
}

std::string status_text(const Plan& plan, const std::vector<experiments::GridTask>& tasks) {
  std::string text = counts_line(tasks);
  for (const auto& task : tasks) {
    const auto& name = plan.tasks[task.task].name;
    const auto& status = task.status;
    if (task.blocked) {
      text += fmt::format("blocked      {}: needs {}, which failed\n", name, task.blocked_by);
    } else if (status.state == TaskState::failed || status.state == TaskState::killed) {
      text +=
          fmt::format("{:<12} {}: {}\n", experiments::state_name(status.state), name, status.ending.error);
    } else if (status.state == TaskState::running || status.state == TaskState::interrupted ||
               status.state == TaskState::stopped) {
      text += fmt::format("{:<12} {}\n", experiments::state_name(status.state), name);
    }
  }
  return text;
}

base::Json status_json(const Plan& plan, const std::vector<experiments::GridTask>& tasks) {
  base::Json list = base::Json::array();
  for (const auto& task : tasks) {
    const auto& status = task.status;
    list.push_back({{"index", task.task},
                    {"name", plan.tasks[task.task].name},
                    {"state", task.blocked ? "blocked" : experiments::state_name(status.state)},
                    {"attempts", status.attempt},
                    {"code", status.ending.code},
                    {"error", status.ending.error},
                    {"hint", status.ending.hint},
                    {"seconds", status.ending.seconds}});
  }
  return {{"counts", state_counts(tasks)}, {"tasks", std::move(list)}};
}

void run_status(Config& config, comm::Communicator& world) {
  std::string text;
  comm::agree(world, [&] {
    const fs::path out = grid_folder(config);
    const Plan plan = experiments::read_plan(out);
    if (world.rank() == 0) {
      const auto tasks = experiments::grid_status(plan, out, experiments::system_evidence());
      text = config.grid.json ? base::json_text(status_json(plan, tasks)) : status_text(plan, tasks);
    }
  });
  print_result(world, text);
}

/// The first rank of each group speaks, under the group's number.
void start_group_log(const Config& config, const comm::Communicator& world) {
  const int per_task = std::clamp(config.grid.ranks_per_task, 1, world.size());
  const int group = experiments::group_of(world.rank(), world.size(), per_task);
  const bool leads =
      world.rank() == 0 || experiments::group_of(world.rank() - 1, world.size(), per_task) != group;
  if (config.log_rank != "all" && experiments::group_of(world.size() - 1, world.size(), per_task) > 0) {
    base::set_log_speaker(leads, "group " + std::to_string(group) + ": ");
  }
}

void run(Config& config, comm::Communicator& world) {
  const std::string& action = config.grid.action;
  if (action == "plan") {
    run_plan(config, world);
  } else if (action == "run") {
    start_group_log(config, world);
    run_run(config, world);
  } else if (action == "status") {
    run_status(config, world);
  } else if (action == "report") {
    perform_report(config, world);
  } else {
    throw base::UsageError({.what = "grid is not told what to do",
                            .expected = "plan, run, status or report",
                            .got = "nothing",
                            .hint = "write `multigrnformer grid plan --config FILE --out DIR`, say"});
  }
}

}  // namespace

Command grid_command() {
  return {.name = "grid",
          .summary = "many trainings as tasks: settings x methods x strategies x runs",
          .usage = "{plan|run|status|report} [--config GRID.ini] --out DIR",
          .positional = "action",
          .keys = add_keys,
          .run = run,
          .own_config = true};
}

}  // namespace mgrn::cli
