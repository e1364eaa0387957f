// SPDX-License-Identifier: Apache-2.0
// Stages of training: the sampler, the whole step, the gradient sum in its surroundings, checkpoints.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <string>
#include <utility>

#include "bench.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/adam.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/reduction.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/trainer.hpp"

namespace mgrn::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

train::Settings settings_for(const Config& config, int cells, const std::string& engine) {
  train::Settings settings = config.train;
  settings.shape.cells = cells;
  settings.engine.kind = engine;
  settings.keep_checkpoints = 1;
  return settings;
}

/// What training works on, one per number of cells and engine.
struct Setup {
  train::Settings settings;
  std::shared_ptr<train::Task> task;
  train::ComputeTeam team;
  Setup(const train::Settings& given, std::shared_ptr<train::Task> pairs)
      : settings(given), task(std::move(pairs)), team(settings) {}

  std::size_t sample_size() const {
    return static_cast<std::size_t>(settings.shape.cells) * static_cast<std::size_t>(settings.shape.width);
  }
  /// Training sample number `index` of an endless row of epochs.
  void gather(std::uint64_t index, std::span<float> out) const {
    const auto& training = task->training;
    // A stride coprime to most counts: neighbours in the list share their TF, those of a batch do not.
    const train::TaskPair& pair = training[index * 7919 % training.size()];
    task->sources[pair.source].sampler->gather({.tf = pair.tf,
                                                .gene = pair.gene,
                                                .purpose = pairs::Purpose::train,
                                                .epoch = static_cast<std::uint32_t>(index / training.size()),
                                                .variant = 0},
                                               out);
  }
};

/// Collective. Every pair of cells and engine; datasets are drawn or read once per number of cells.
std::vector<std::shared_ptr<Setup>> setups(const Config& config, const std::vector<std::string>& engines,
                                           comm::Communicator& world) {
  std::vector<std::shared_ptr<Setup>> list;
  comm::agree(world, [&] {
    for (const int cells : config.bench.cells) {
      std::shared_ptr<train::Task> task;
      for (const std::string& engine : engines) {
        const train::Settings settings = settings_for(config, cells, engine);
        model::validate(settings.shape);
        task = task ? task : bench_task(settings);
        list.push_back(std::make_shared<Setup>(settings, task));
      }
    }
  });
  return list;
}

// ---- sampler -----------------------------------------------------------------------------------------

struct SamplerState {
  std::shared_ptr<Setup> setup;
  std::vector<std::vector<float>> rows;  // one per thread
  std::uint64_t next = 0;
};

// ---- step --------------------------------------------------------------------------------------------

/// The trainer itself on epochs as long as a round: metrics.jsonl then holds the speed of training alone.
class StepRun {
 public:
  StepRun(const Config& config, std::shared_ptr<Setup> setup, comm::Communicator& world)
      : setup_(std::move(setup)),
        world_(world),
        temporary_(config.out, world),
        folder_(temporary_.path()),
        state_(setup_->settings.shape),
        all_pairs_(setup_->task->training),
        identity_{.config_text = "",
                  .engine = setup_->team.engine_name(),
                  .inputs = base::Json::object(),
                  .build_id = train::build_id()} {
    model::initialise(state_.parameters, setup_->settings.seed);
  }

  /// Samples per second of one epoch of about so many seconds.
  double round(double seconds) {
    const auto batch = static_cast<double>(setup_->settings.batch);
    if (steps_ == 0) {
      double speed = epoch(1);
      for (const double share : {0.03, 0.15}) {
        speed = epoch(static_cast<std::int64_t>(std::ceil(share * seconds * speed / batch)));
      }
      steps_ = std::max<std::int64_t>(1, std::llround(seconds * speed / batch));
      world_.broadcast(std::as_writable_bytes(std::span(&steps_, 1)), 0);
    }
    return epoch(steps_);
  }

 private:
  /// Collective. Trains for an epoch of so many full batches.
  double epoch(std::int64_t steps) {
    // Pairs are repeated or cut off to fill the epoch; the sampler draws other cells in every epoch.
    train::Task& task = *setup_->task;
    const auto samples = static_cast<std::size_t>(std::max<std::int64_t>(1, steps) * setup_->settings.batch);
    task.training.resize(samples);
    for (std::size_t i = 0; i < samples; ++i) {
      task.training[i] = all_pairs_[i % all_pairs_.size()];
    }
    task.training_of_source = {static_cast<std::uint32_t>(samples)};
    train::Settings settings = setup_->settings;
    settings.augment = 1;
    settings.epochs = static_cast<int>(state_.epoch) + 1;
    settings.checkpoint_every = 0;
    train::train_model(settings, task, setup_->team, folder_, identity_, state_, world_, {});
    double speed = 0;
    comm::agree(world_, [&] {
      if (world_.rank() == 0) {
        const std::string lines = base::read_file(folder_.metrics());
        const auto last = lines.rfind('\n', lines.size() - 2);
        speed = base::Json::parse(lines.substr(last == std::string::npos ? 0 : last + 1))
                    .at("samples_per_s")
                    .get<double>();
      }
    });
    world_.broadcast(std::as_writable_bytes(std::span(&speed, 1)), 0);
    return speed;
  }

  std::shared_ptr<Setup> setup_;
  comm::Communicator& world_;
  BenchFolder temporary_;
  train::RunFolder folder_;
  train::TrainingState state_;
  std::vector<train::TaskPair> all_pairs_;
  train::Identity identity_;
  std::int64_t steps_ = 0;
};

// ---- the gradient sum --------------------------------------------------------------------------------

/// A step made of the trainer's parts, to see what each takes where caches are as full as they are there.
class StepParts {
 public:
  struct Seconds {
    double all = 0;     ///< the step
    double add = 0;     ///< converting and adding gradients, on the busiest thread
    double reduce = 0;  ///< merging threads, all-reduce, back to float
  };

  StepParts(std::shared_ptr<Setup> setup, comm::Communicator& world)
      : setup_(std::move(setup)),
        world_(world),
        parameters_(setup_->settings.shape),
        adam_(parameters_, setup_->settings.adam),
        gradient_(parameters_.values().size()) {
    model::initialise(parameters_, setup_->settings.seed);
    const auto rows = static_cast<std::size_t>(setup_->team.micro_batch());
    for (int thread = 0; thread < setup_->team.threads(); ++thread) {
      sums_.push_back(train::make_exact_sum(gradient_.size()));
      workers_.push_back({.inputs = std::vector<float>(rows * setup_->sample_size()),
                          .labels = std::vector<float>(rows),
                          .weights = std::vector<float>(rows, 1.0f),
                          .names = std::vector<std::uint64_t>(rows),
                          .gradient = std::vector<float>(gradient_.size())});
      for (std::size_t row = 0; row < rows; ++row) {
        workers_.back().labels[row] = static_cast<float>(row % 2);
      }
    }
  }

  std::size_t parameters() const { return gradient_.size(); }
  std::int64_t units() const {
    const auto micro_batch = static_cast<std::int64_t>(setup_->team.micro_batch());
    return (setup_->settings.batch + micro_batch - 1) / micro_batch;
  }
  /// Micro-batches that the busiest thread adds up.
  std::int64_t units_of_thread() const {
    const std::int64_t workers = std::int64_t{world_.size()} * setup_->team.threads();
    return (units() + workers - 1) / workers;
  }

  /// Collective.
  void step() {
    const auto start = Clock::now();
    const std::int64_t ranks = world_.size();
    const std::int64_t stride = ranks * setup_->team.threads();
    setup_->team.run([&](int thread) {
      Worker& worker = workers_[static_cast<std::size_t>(thread)];
      train::GradientSum& sum = *sums_[static_cast<std::size_t>(thread)];
      sum.start(train::kScales[0]);
      worker.add = 0;
      for (std::int64_t unit = world_.rank() + thread * ranks; unit < units(); unit += stride) {
        compute_unit(setup_->team.engine(thread), worker, unit, sum);
      }
    });
    const auto computed = Clock::now();
    for (std::size_t thread = 1; thread < sums_.size(); ++thread) {
      sums_[0]->merge(*sums_[thread]);
    }
    const train::ReductionOutcome outcome = sums_[0]->reduce(world_, gradient_);
    seconds_.reduce += seconds_since(computed);
    if (outcome.usable()) {
      const float scale = 1.0f / static_cast<float>(setup_->settings.batch);
      for (float& value : gradient_) {
        value *= scale;
      }
      adam_.step(parameters_, gradient_);
    }
    double add = 0;
    for (const Worker& worker : workers_) {
      add = std::max(add, worker.add);
    }
    seconds_.add += add;
    seconds_.all += seconds_since(start);
    ++steps_;
    first_sample_ += units() * setup_->team.micro_batch();
  }

  /// Since the last call, per step.
  Seconds take() {
    const double steps = static_cast<double>(std::exchange(steps_, 0));
    const Seconds total = std::exchange(seconds_, {});
    return {.all = total.all / steps, .add = total.add / steps, .reduce = total.reduce / steps};
  }

 private:
  struct Worker {
    std::vector<float> inputs, labels, weights;
    std::vector<std::uint64_t> names;
    std::vector<float> gradient;
    double add = 0;
  };

  void compute_unit(model::Engine& engine, Worker& worker, std::int64_t unit, train::GradientSum& sum) {
    const std::int64_t rows = setup_->team.micro_batch();
    for (std::int64_t row = 0; row < rows; ++row) {
      setup_->gather(
          static_cast<std::uint64_t>(first_sample_ + unit * rows + row),
          std::span(worker.inputs)
              .subspan(static_cast<std::size_t>(row) * setup_->sample_size(), setup_->sample_size()));
    }
    const model::StepStatistics statistics = engine.gradient(parameters_,
                                                             {.samples = static_cast<int>(rows),
                                                              .inputs = worker.inputs,
                                                              .labels = worker.labels,
                                                              .weights = worker.weights,
                                                              .names = worker.names},
                                                             worker.gradient);
    const auto start = Clock::now();
    sum.add(worker.gradient, {.loss = statistics.loss, .live_hidden = statistics.live_hidden});
    worker.add += seconds_since(start);
  }

  std::shared_ptr<Setup> setup_;
  comm::Communicator& world_;
  model::Parameters parameters_;
  train::Adam adam_;
  std::vector<float> gradient_;
  std::vector<std::unique_ptr<train::GradientSum>> sums_;
  std::vector<Worker> workers_;
  std::int64_t first_sample_ = 0;
  Seconds seconds_;
  std::int64_t steps_ = 0;
};

}  // namespace

BenchCases sampler_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  for (auto& setup : setups(config, {"auto"}, world)) {
    auto state = std::make_shared<SamplerState>();
    state->setup = setup;
    state->rows.assign(static_cast<std::size_t>(setup->team.threads()),
                       std::vector<float>(setup->sample_size()));
    base::Json facts = bench_facts(config, world, "sampler", "gather", nullptr, setup->settings.shape.cells);
    facts["dataset_cells"] = setup->task->sources.front().header.barcodes.size();
    facts["pairs"] = setup->task->training.size();
    cases.push_back(
        {.facts = std::move(facts), .unit = "samples/s", .round = [&world, state](double seconds) {
           const auto threads = static_cast<std::uint64_t>(state->setup->team.threads());
           constexpr std::uint64_t kSamples = 64;  // per thread and call: starting threads then costs nothing
           const double call = seconds_per_call(world, seconds, [&] {
             state->setup->team.run([&](int thread) {
               for (std::uint64_t i = 0; i < kSamples; ++i) {
                 state->setup->gather(state->next + i * threads + static_cast<std::uint64_t>(thread),
                                      state->rows[static_cast<std::size_t>(thread)]);
               }
             });
             state->next += kSamples * threads;
           });
           return static_cast<double>(kSamples * threads) * world.size() / call;
         }});
  }
  return cases;
}

BenchCases step_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  for (auto& setup : setups(config, config.bench.engines, world)) {
    auto run = std::make_shared<StepRun>(config, setup, world);
    base::Json facts = bench_facts(config, world, "step", "gather, forward, backward, sum, Adam",
                                   setup->team.engine_name(), setup->settings.shape.cells);
    facts["reduction"] = setup->settings.exact_reduction ? "exact" : "float";
    cases.push_back({.facts = std::move(facts), .unit = "samples/s", .round = [run](double seconds) {
                       return run->round(seconds);
                     }});
  }
  return cases;
}

BenchCases reduction_cases(const Config& config, comm::Communicator& world) {
  BenchCases cases;
  for (auto& setup : setups(config, config.bench.engines, world)) {
    std::shared_ptr<StepParts> parts;
    comm::agree(world, [&] { parts = std::make_shared<StepParts>(setup, world); });
    // One round measures all three; the first case of a round runs it for the others.
    auto latest = std::make_shared<StepParts::Seconds>();
    const double elements = static_cast<double>(parts->parameters());
    const auto add_case = [&](const char* measure, const char* unit, std::function<double()> figure,
                              bool runs) {
      base::Json facts = bench_facts(config, world, "reduction", measure, setup->team.engine_name(),
                                     setup->settings.shape.cells);
      facts["parameters"] = parts->parameters();
      cases.push_back({.facts = std::move(facts),
                       .unit = unit,
                       .round = [&world, parts, latest, runs, figure = std::move(figure)](double seconds) {
                         if (runs) {
                           parts->step();
                           parts->take();  // the first one, which fills caches and pages
                           seconds_per_call(world, seconds, [&] { parts->step(); });
                           *latest = parts->take();
                           std::array<double, 3> slowest = {latest->all, latest->add, latest->reduce};
                           world.all_reduce(slowest, comm::Reduction::maximum);
                           *latest = {.all = slowest[0], .add = slowest[1], .reduce = slowest[2]};
                         }
                         return figure();
                       }});
    };
    const double units = static_cast<double>(parts->units_of_thread());
    add_case(
        "add one micro-batch", "ns per element",
        [latest, elements, units] { return latest->add / units / elements * 1e9; }, true);
    add_case(
        "merge, all-reduce, back to float", "ns per element",
        [latest, elements] { return latest->reduce / elements * 1e9; }, false);
    add_case(
        "share of the step", "share", [latest] { return (latest->add + latest->reduce) / latest->all; },
        false);
  }
  return cases;
}

BenchCases checkpoint_cases(const Config& config, comm::Communicator& world) {
  struct State {
    BenchFolder folder;
    train::CheckpointStore store;
    train::TrainingState training;
    train::Identity identity;
    double megabytes = 0;
    State(const Config& from, const model::Shape& shape, comm::Communicator& communicator)
        : folder(from.out, communicator),
          store(folder.path(), 1),
          training(shape),
          identity{.config_text = "",
                   .engine = "none",
                   .inputs = base::Json::object(),
                   .build_id = train::build_id()} {
      model::initialise(training.parameters, 1);
    }
  };
  BenchCases cases;
  for (const int cells : config.bench.cells) {
    model::Shape shape = config.train.shape;
    shape.cells = cells;
    comm::agree(world, [&] { model::validate(shape); });
    auto state = std::make_shared<State>(config, shape, world);
    const auto write = [&world, state] {
      comm::agree(world, [&] {
        ++state->training.step;
        if (world.rank() == 0) {
          state->store.write(state->training, state->identity);
        }
      });
    };
    write();
    comm::agree(world, [&] {
      if (world.rank() == 0) {
        for (const auto& entry :
             std::filesystem::directory_iterator(state->store.folder_of(state->training.step))) {
          state->megabytes += static_cast<double>(entry.file_size()) / 1e6;
        }
      }
    });
    world.broadcast(std::as_writable_bytes(std::span(&state->megabytes, 1)), 0);
    const auto add_case = [&](const char* measure, std::function<void()> work) {
      base::Json facts = bench_facts(config, world, "checkpoint", measure, nullptr, cells);
      facts["megabytes"] = std::round(state->megabytes * 100) / 100;
      facts["threads"] = 1;
      cases.push_back({.facts = std::move(facts),
                       .unit = "MB/s",
                       .round = [&world, state, work = std::move(work)](double seconds) {
                         return state->megabytes / seconds_per_call(world, seconds, work);
                       }});
    };
    add_case("write", write);
    add_case("verify and read", [&world, state] {
      if (!state->store.restore(world, state->identity, state->training)) {
        throw base::InternalError({.what = "a checkpoint just written cannot be read"});
      }
    });
  }
  return cases;
}

}  // namespace mgrn::cli
