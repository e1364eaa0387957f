// SPDX-License-Identifier: Apache-2.0
// Stages of training: the sampler, the whole step, the gradient sum in its surroundings, checkpoints.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <string>
#include <utility>

#include "heads.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/checkpoint_writer.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/trainer.hpp"
#include "multigrnformer/train/update.hpp"
#include "setup.hpp"

namespace mgrn::cli {
namespace {

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
                  .build_id = train::build_id()},
        between_gpus_(train::connect_gpus(setup_->settings, setup_->gpu, world)) {
    state_.parameters = setup_->weights;
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
    train::train_model(settings, task, setup_->team, folder_, identity_, state_, world_, between_gpus_.get(),
                       {});
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
  std::unique_ptr<comm::DeviceCommunicator> between_gpus_;
  std::int64_t steps_ = 0;
};

// ---- the gradient sum --------------------------------------------------------------------------------

/// A step made of the trainer's parts, with the exact sum and without any: gradients then stay where their
/// micro-batch left them, which costs as little as a sum of floats can, and Adam goes over one of them.
/// Engines convert gradients in the kernel that computes them, so what the sum takes shows only in the
/// difference.
class StepParts {
 public:
  StepParts(std::shared_ptr<Setup> setup, comm::Communicator& world)
      : setup_(std::move(setup)),
        world_(world),
        state_(starting_from(setup_->weights)),
        update_(train::make_sliced_update(setup_->team, state_, setup_->settings, world)),
        plain_adam_(state_.parameters, setup_->settings.adam) {
    const auto rows = static_cast<std::size_t>(setup_->team.micro_batch());
    for (int thread = 0; thread < setup_->team.threads(); ++thread) {
      workers_.push_back({.inputs = std::vector<float>(rows * setup_->sample_size()),
                          .labels = std::vector<float>(rows),
                          .weights = std::vector<float>(rows, 1.0f),
                          .names = std::vector<std::uint64_t>(rows),
                          .gradient = std::vector<float>(parameters()),
                          .squares = 0});
      for (std::size_t row = 0; row < rows; ++row) {
        workers_.back().labels[row] = static_cast<float>(row % 2);
      }
    }
  }

  std::size_t parameters() const { return state_.parameters.values().size(); }
  std::int64_t units() const {
    const auto micro_batch = static_cast<std::int64_t>(setup_->team.micro_batch());
    return (setup_->settings.batch + micro_batch - 1) / micro_batch;
  }
  /// Collective.
  void step(bool exact) {
    const std::int64_t ranks = world_.size();
    const std::int64_t stride = ranks * setup_->team.threads();
    setup_->team.run([&](int thread) {
      Worker& worker = workers_[static_cast<std::size_t>(thread)];
      train::GradientSum& sum = update_->sum(thread);
      model::Engine& engine = setup_->team.engine(thread);
      sum.start(train::kScales[0]);
      for (std::int64_t unit = world_.rank() + thread * ranks; unit < units(); unit += stride) {
        const model::MicroBatch batch = gather(worker, unit);
        if (!exact) {
          engine.gradient(state_.parameters, batch, worker.gradient);
          continue;
        }
        const auto statistics = engine.accumulate(state_.parameters, batch, *sum.direct());
        sum.note({.loss = statistics.loss, .live_hidden = statistics.live_hidden});
      }
      if (exact) {
        update_->close(thread, true);
      }
    });
    world_.barrier();  // as in training, where errors and signals are exchanged
    if (exact) {
      if (update_->reduce(setup_->settings.batch).usable()) {
        update_->apply(1);
      }
    } else {
      plain_update();
    }
    first_sample_ += units() * setup_->team.micro_batch();
  }

 private:
  struct Worker {
    std::vector<float> inputs, labels, weights;
    std::vector<std::uint64_t> names;
    std::vector<float> gradient;
    double squares = 0;
  };

  static train::TrainingState starting_from(const model::Parameters& weights) {
    train::TrainingState state(weights.shape());
    state.parameters = weights;
    return state;
  }

  /// Adam's step on what one thread's last micro-batch left; each thread of each rank takes its part of it.
  void plain_update() {
    using train::Adam;
    const std::size_t blocks = Adam::blocks(parameters());
    const auto threads = static_cast<std::size_t>(setup_->team.threads());
    const std::size_t parts = threads * static_cast<std::size_t>(world_.size());
    plain_adam_.begin_step(1);
    setup_->team.run([&](int thread) {
      const std::size_t part =
          static_cast<std::size_t>(world_.rank()) * threads + static_cast<std::size_t>(thread);
      for (std::size_t block = blocks * part / parts; block < blocks * (part + 1) / parts; ++block) {
        const std::size_t first = block * Adam::kBlock;
        const auto values =
            std::span(workers_[0].gradient).subspan(first, std::min(Adam::kBlock, parameters() - first));
        workers_[static_cast<std::size_t>(thread)].squares += Adam::squares(values);
        plain_adam_.update(first, values, state_.parameters.values());
      }
    });
  }

  model::MicroBatch gather(Worker& worker, std::int64_t unit) {
    const std::int64_t rows = setup_->team.micro_batch();
    for (std::int64_t row = 0; row < rows; ++row) {
      setup_->gather(
          static_cast<std::uint64_t>(first_sample_ + unit * rows + row),
          std::span(worker.inputs)
              .subspan(static_cast<std::size_t>(row) * setup_->sample_size(), setup_->sample_size()));
    }
    return {.samples = static_cast<int>(rows),
            .inputs = worker.inputs,
            .labels = worker.labels,
            .weights = worker.weights,
            .names = worker.names};
  }

  std::shared_ptr<Setup> setup_;
  comm::Communicator& world_;
  train::TrainingState state_;
  std::unique_ptr<train::Update> update_;
  train::Adam plain_adam_;
  std::vector<Worker> workers_;
  std::int64_t first_sample_ = 0;
};

// ---- checkpoints within training ---------------------------------------------------------------------

/// Steps with a checkpoint every so many, written beside them or waited for, against the same steps without.
class StepsWithCheckpoints {
 public:
  static constexpr int kStepsBetween = 20;
  struct Figures {
    double beside = 0;   ///< share that is added to the time of the steps
    double waiting = 0;  ///< likewise
    double held_up = 0;  ///< seconds per checkpoint in which the thread that trains does nothing else
  };

  /// Collective.
  StepsWithCheckpoints(const Config& config, const std::shared_ptr<Setup>& setup, comm::Communicator& world)
      : world_(world),
        temporary_(config.out, world),
        store_(temporary_.path(), 2),
        state_(setup->settings.shape),
        identity_{.config_text = "",
                  .engine = setup->team.engine_name(),
                  .inputs = {},
                  .build_id = train::build_id()},
        writer_(store_, identity_),
        parts_(setup, world) {
    model::initialise(state_.parameters, setup->settings.seed);
  }

  /// Collective. Measures all three in about so many seconds.
  const Figures& round(double seconds) {
    latest_ = {};
    Seconds sum;
    std::int64_t begun = 0;
    const double waited = writer_.seconds_waited();
    // Short turns, so that a change of the machine's speed falls on all.
    constexpr int kTurns = 5;
    for (int turn = 0; turn < kTurns; ++turn) {
      const double share = seconds / (3 * kTurns);
      sum.without += seconds_per_call(world_, share, [&] { steps(); });
      sum.waiting += seconds_per_call(world_, share, [&] {
        save([&] { store_.write(state_, identity_); });
        steps();
      });
      sum.beside += seconds_per_call(world_, share, [&] {
        save([&] {
          writer_.start(state_);
          ++begun;
        });
        steps();
      });
      comm::agree(world_, [&] { writer_.finish(); });
    }
    latest_.beside = (sum.beside - sum.without) / sum.without;
    latest_.waiting = (sum.waiting - sum.without) / sum.without;
    latest_.held_up = begun > 0 ? (writer_.seconds_waited() - waited) / static_cast<double>(begun) : 0.0;
    world_.broadcast(std::as_writable_bytes(std::span(&latest_.held_up, 1)), 0);
    return latest_;
  }
  const Figures& latest() const { return latest_; }

 private:
  struct Seconds {
    double without = 0;
    double waiting = 0;
    double beside = 0;
  };

  void steps() {
    for (int step = 0; step < kStepsBetween; ++step) {
      parts_.step(true);
    }
  }
  template <typename Work>
  void save(Work&& work) {
    comm::agree(world_, [&] {
      ++state_.step;
      if (world_.rank() == 0) {
        work();
      }
    });
  }

  comm::Communicator& world_;
  BenchFolder temporary_;
  train::CheckpointStore store_;
  train::TrainingState state_;
  train::Identity identity_;
  train::CheckpointWriter writer_;
  StepParts parts_;
  Figures latest_;
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
    comm::agree(world, [&] { facts["paths"] = path_facts_by_layer(*setup); });
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
    parts = std::make_shared<StepParts>(setup, world);
    struct Seconds {
      double exact = 0;
      double plain = 0;
    };
    // One round measures all of them; the first case of a round runs it for the others.
    auto latest = std::make_shared<Seconds>();
    const auto add_case = [&](const char* measure, const char* unit, std::function<double()> figure,
                              bool runs) {
      base::Json facts = bench_facts(config, world, "reduction", measure, setup->team.engine_name(),
                                     setup->settings.shape.cells);
      facts["parameters"] = parts->parameters();
      cases.push_back({.facts = std::move(facts),
                       .unit = unit,
                       .round = [&world, parts, latest, runs, figure = std::move(figure)](double seconds) {
                         if (runs) {
                           *latest = {};
                           // Short turns, so that a change of the machine's speed falls on both.
                           constexpr int kTurns = 10;
                           for (int turn = 0; turn < kTurns; ++turn) {
                             const double share = seconds / (2 * kTurns);
                             latest->exact +=
                                 seconds_per_call(world, share, [&] { parts->step(true); }) / kTurns;
                             latest->plain +=
                                 seconds_per_call(world, share, [&] { parts->step(false); }) / kTurns;
                           }
                         }
                         return figure();
                       }});
    };
    const double conversions = static_cast<double>(parts->parameters()) * static_cast<double>(parts->units());
    add_case(
        "conversion, sum, all-reduce, back to float", "ns per element and micro-batch",
        [latest, conversions] { return (latest->exact - latest->plain) / conversions * 1e9; }, true);
    add_case(
        "share of the step", "share", [latest] { return (latest->exact - latest->plain) / latest->exact; },
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
  for (auto& setup : setups(config, config.bench.engines, world)) {
    auto steps = std::make_shared<StepsWithCheckpoints>(config, setup, world);
    const auto add_case = [&](const char* measure, const char* unit, std::function<double(double)> round) {
      base::Json facts = bench_facts(config, world, "checkpoint", measure, setup->team.engine_name(),
                                     setup->settings.shape.cells);
      facts["steps_between"] = StepsWithCheckpoints::kStepsBetween;
      cases.push_back({.facts = std::move(facts), .unit = unit, .round = std::move(round)});
    };
    add_case("what a step's time grows by, written beside training", "share",
             [steps](double seconds) { return steps->round(seconds).beside; });
    add_case("what a step's time grows by, training waiting", "share",
             [steps](double) { return steps->latest().waiting; });
    add_case("training held up by one, written beside it", "ms",
             [steps](double) { return steps->latest().held_up * 1e3; });
  }
  return cases;
}

}  // namespace mgrn::cli
