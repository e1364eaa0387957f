// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/trainer.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <exception>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/base/stop_signal.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/pairs/batch_plan.hpp"
#include "multigrnformer/train/checkpoint_writer.hpp"
#include "multigrnformer/train/method.hpp"
#include "multigrnformer/train/metrics_log.hpp"
#include "multigrnformer/train/optimizer.hpp"
#include "multigrnformer/train/reduction.hpp"
#include "multigrnformer/train/score.hpp"
#include "multigrnformer/train/straggler.hpp"
#include "multigrnformer/train/unit_samples.hpp"
#include "multigrnformer/train/update.hpp"

namespace mgrn::train {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kCleanStepsBeforeLargerScale = 100;
// Logits closer together than this are one constant: the predictor is dead.
constexpr double kConstantOutput = 1e-6;
// An independent trial saw 5 of 128 units alive once training had failed.
constexpr double kFewLiveUnits = 1.0 / 16.0;

struct Validation {
  double loss = 0;    ///< mean binary cross entropy
  double spread = 0;  ///< largest logit minus smallest
};

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

class Trainer {
 public:
  Trainer(const Settings& settings, const Task& task, ComputeTeam& team, const RunFolder& folder,
          const Identity& identity, TrainingState& state, comm::Communicator& communicator,
          comm::DeviceCommunicator* between_gpus, const Hooks& hooks)
      : settings_(settings),
        task_(task),
        team_(team),
        folder_(folder),
        identity_(identity),
        state_(state),
        communicator_(communicator),
        hooks_(hooks),
        checkpoints_(folder.path(), settings.keep_checkpoints),
        update_(make_update(between_gpus)),
        schedule_{.scaling = settings.rate_scaling, .batch = settings.batch, .warmup = settings.warmup},
        stragglers_(communicator.rank()),
        saved_step_(state.step > 0 ? state.step : -1) {
    buffers_.resize(static_cast<std::size_t>(team.threads()));
    comm::agree(communicator, [&] {
      if (communicator.rank() == 0) {
        metrics_ = std::make_unique<MetricsLog>(folder.metrics(), state.step, state.epoch);
        writer_ = std::make_unique<CheckpointWriter>(checkpoints_, identity_);
      }
    });
  }

  TrainingOutcome train() {
    const auto samples = task_.samples_per_epoch(settings_);
    const auto batch = static_cast<std::uint64_t>(settings_.batch);
    const auto steps = static_cast<std::int64_t>((samples + batch - 1) / batch);
    const auto epochs_left =
        static_cast<std::uint64_t>(std::max<std::int64_t>(0, settings_.epochs - state_.epoch));
    base::Progress progress("training",
                            epochs_left * samples - std::min(epochs_left, std::uint64_t{1}) * batch *
                                                        static_cast<std::uint64_t>(state_.step_in_epoch),
                            "samples");
    while (state_.epoch < settings_.epochs) {
      const pairs::BatchPlan plan(
          task_.training_of_source,
          {.augment = settings_.augment,
           .mixing = settings_.mixing,
           .batch = settings_.batch,
           .micro_batch = settings_.micro_batch,
           .seed = settings_.seed},
          static_cast<std::uint32_t>(settings_.shuffle_each_epoch ? state_.epoch : 0));
      timer_ = {};
      timed_samples_ = 0;
      while (state_.step_in_epoch < steps) {
        const auto start = Clock::now();
        const auto at = static_cast<std::uint64_t>(state_.step_in_epoch);
        const std::size_t in_batch = plan.batch(at).size();
        const int signal = run_step(plan, at);
        timer_ += Clock::now() - start;
        timed_samples_ += in_batch;
        progress.advance(in_batch, progress_note());
        ++state_.step;
        ++state_.step_in_epoch;
        const bool stopping = signal != 0 || state_.step == hooks_.stop_after_step;
        const bool epoch_over = state_.step_in_epoch == steps;
        if (epoch_over) {
          end_epoch();
        }
        const bool due =
            settings_.checkpoint_every > 0 ? state_.step % settings_.checkpoint_every == 0 : epoch_over;
        if (stopping || due || state_.epoch == settings_.epochs) {
          save();
        }
        if (stopping) {
          finish_checkpoints();
          stop(signal);
        }
        if (epoch_over) {
          break;
        }
      }
    }
    finish_checkpoints();
    progress.finish();
    return outcome();
  }

 private:
  /// Collective.
  std::unique_ptr<Update> make_update(comm::DeviceCommunicator* between_gpus) {
    // What hooks tamper with lies in the host's memory.
    if (settings_.exact_reduction && settings_.device == "cuda" && !hooks_.tamper) {
      if (auto update = make_device_update(team_, state_, settings_, communicator_, between_gpus)) {
        return update;
      }
    }
    return settings_.exact_reduction && between_gpus == nullptr
               ? make_sliced_update(team_, state_, settings_, communicator_)
               : make_whole_update(team_, state_, settings_, communicator_, between_gpus);
  }

  // ---- one step ------------------------------------------------------------------------------------

  // Returns the signal that asks for a stop, 0 for none; the same on every rank.
  int run_step(const pairs::BatchPlan& plan, std::uint64_t step) {
    const std::uint64_t units = plan.units(step);
    while (true) {
      const int signal = compute_units(plan, step);
      const std::size_t samples = plan.batch(step).size();
      hooks_.pass(Site::reduce, state_.step);
      const ReductionOutcome reduced = update_->reduce(static_cast<double>(samples));
      if (reduced.units != static_cast<std::int64_t>(units)) {
        throw base::InternalError({.what = "micro-batches were lost between the ranks",
                                   .expected = std::to_string(units),
                                   .got = std::to_string(reduced.units),
                                   .hint = "report this as a defect"});
      }
      if (reduced.units_non_finite == 0 && reduced.units_out_of_range > 0 && smaller_scale()) {
        continue;
      }
      if (reduced.usable()) {
        apply(reduced, samples);
        good_step();
      } else {
        bad_step(reduced);
      }
      return signal;
    }
  }

  int compute_units(const pairs::BatchPlan& plan, std::uint64_t step) {
    const std::uint64_t units = plan.units(step);
    const auto start = Clock::now();
    std::exception_ptr failure;
    try {
      hooks_.pass(Site::step, state_.step);
      team_.run([&](int thread) {
        Buffers& buffers = buffers_[static_cast<std::size_t>(thread)];
        buffers.units = 0;
        update_->sum(thread).start(kScales[state_.scale.level]);
        while (const auto unit = update_->next_unit(thread, units)) {
          hooks_.pass(Site::compute, state_.step);
          compute_unit(thread, *unit, plan.unit(step, *unit));
          ++buffers.units;
        }
        update_->close(thread, adds_by_engine(thread));
      });
    } catch (...) {
      failure = std::current_exception();
    }
    if (!failure && writer_) {
      failure = writer_->take_error();
    }
    // One tiny reduction tells all ranks of a failure, here or in the checkpoint that is written meanwhile,
    // which would otherwise leave them waiting in the large one, of a stop signal, and of slow ranks. The
    // busiest thread sets the rank's pace.
    const std::size_t in_a_row = std::ranges::max(buffers_, {}, &Buffers::units).units;
    const auto pace =
        stragglers_.contribute(std::chrono::duration<double>(Clock::now() - start).count(), in_a_row);
    std::array<std::int64_t, 4> word = {failure ? 1 : 0, base::stop_signal(), pace[0], pace[1]};
    communicator_.all_reduce(word, comm::Reduction::maximum);
    if (word[0] != 0) {
      comm::throw_agreed(communicator_, failure);
    }
    if (const std::string warning = stragglers_.conclude({word[2], word[3]}); !warning.empty()) {
      base::warn(warning);
    }
    return static_cast<int>(word[1]);
  }

  bool adds_by_engine(int thread) const { return update_->sum(thread).direct() != nullptr && !hooks_.tamper; }

  struct Buffers {
    std::size_t units = 0;  // computed in this step
    std::vector<pairs::SampleRequest> requests;
    UnitSamples samples;
    std::vector<float> labels;
    std::vector<float> weights;
    std::vector<std::uint64_t> names;
    std::vector<float> gradient;
  };

  void compute_unit(int thread, std::size_t unit, std::span<const pairs::PlannedSample> planned) {
    const auto unit_samples = static_cast<std::size_t>(team_.micro_batch());
    Buffers& buffers = buffers_[static_cast<std::size_t>(thread)];
    // A unit has always the same number of rows: kernels round differently for another one.
    buffers.labels.assign(unit_samples, 0.0f);
    buffers.weights.assign(unit_samples, 0.0f);
    buffers.names.assign(unit_samples, 0);
    buffers.requests.clear();
    for (std::size_t i = 0; i < planned.size(); ++i) {
      const TaskPair& pair = task_.training[task_.first_of_source[planned[i].dataset] + planned[i].pair];
      const Source& source = task_.sources[pair.source];
      const pairs::SampleName name{.tf = pair.tf,
                                   .gene = pair.gene,
                                   .purpose = pairs::Purpose::train,
                                   .epoch = static_cast<std::uint32_t>(state_.epoch),
                                   .variant = planned[i].variant};
      buffers.requests.push_back({.sampler = source.sampler.get(), .name = name});
      buffers.labels[i] = static_cast<float>(pair.label);
      buffers.weights[i] = 1.0f;
      if (settings_.engine.dropout > 0) {
        buffers.names[i] = dropout_name(source, name);
      }
    }
    buffers.samples.bring(team_.held(), buffers.requests, unit_samples);
    const model::MicroBatch batch{.samples = team_.micro_batch(),
                                  .inputs = buffers.samples.inputs(),
                                  .labels = buffers.labels,
                                  .weights = buffers.weights,
                                  .names = buffers.names,
                                  .held = buffers.samples.held()};
    const auto units_of = [](const model::StepStatistics& step) {
      return UnitStatistics{.loss = step.loss, .live_hidden = step.live_hidden};
    };
    GradientSum& sum = update_->sum(thread);
    model::Engine& engine = team_.engine(thread);
    if (adds_by_engine(thread)) {
      sum.note(units_of(engine.accumulate(state_.parameters, batch, *sum.direct())));
      return;
    }
    buffers.gradient.resize(state_.parameters.values().size());
    const auto statistics = engine.gradient(state_.parameters, batch, buffers.gradient);
    if (hooks_.tamper) {
      hooks_.tamper(state_.step, static_cast<std::int64_t>(unit), buffers.gradient);
    }
    sum.add(buffers.gradient, units_of(statistics));
  }

  // Dropout masks are named like samples, but differ from epoch to epoch even where the cells do not.
  std::uint64_t dropout_name(const Source& source, const pairs::SampleName& name) const {
    return base::NameHash()
        .add("dropout")
        .add(settings_.seed)
        .add(source.header.id)
        .add(base::symbol_key(source.header.genes[name.tf]))
        .add(base::symbol_key(source.header.genes[name.gene]))
        .add(name.epoch)
        .add(name.variant)
        .value();
  }

  // ---- what becomes of a step ----------------------------------------------------------------------

  void apply(const ReductionOutcome& reduced, std::size_t samples) {
    const double norm = update_->apply(schedule_.factor(update_->steps() + 1));
    state_.sums.loss += reduced.loss;
    state_.sums.samples += static_cast<std::int64_t>(samples);
    state_.sums.gradient_norm += norm;
    state_.sums.steps += 1;
    state_.sums.live_hidden += reduced.live_hidden;
    state_.sums.units += reduced.units;
    last_loss_ = reduced.loss / static_cast<double>(samples);
    if (hooks_.after_step) {
      hooks_.after_step(state_.step, last_loss_);
    }
  }

  void good_step() {
    state_.bad_steps_in_row = 0;
    if (state_.scale.level > 0 && ++state_.scale.clean_steps >= kCleanStepsBeforeLargerScale) {
      --state_.scale.level;
      state_.scale.clean_steps = 0;
    }
  }

  bool smaller_scale() {
    if (state_.scale.level + 1 >= static_cast<int>(std::size(kScales))) {
      return false;
    }
    ++state_.scale.level;
    state_.scale.clean_steps = 0;
    base::info("step " + std::to_string(state_.step) + ": a gradient is too large for " +
               std::to_string(kScales[state_.scale.level - 1]) + " fractional bits, repeated with " +
               std::to_string(kScales[state_.scale.level]));
    return true;
  }

  void bad_step(const ReductionOutcome& reduced) {
    ++state_.skipped_steps;
    ++state_.sums.skipped_steps;
    ++state_.bad_steps_in_row;
    state_.scale.clean_steps = 0;
    const std::string cause = reduced.units_non_finite > 0 ? std::to_string(reduced.units_non_finite) +
                                                                 " micro-batches gave NaN or Inf"
                                                           : std::string("the gradient exceeds every scale");
    base::warn("step " + std::to_string(state_.step) + " is skipped: " + cause);
    if (state_.bad_steps_in_row >= settings_.stop_after_bad_steps) {
      throw base::NumericError(
          {.what = "training produced non-finite gradients " + std::to_string(state_.bad_steps_in_row) +
                   " steps in a row, the last at step " + std::to_string(state_.step),
           .expected = "finite gradients",
           .got = cause,
           .hint =
               "lower train.learning_rate and train.predictor_learning_rate, set train.clip, or check the "
               "dataset's values (prepare.clip)"});
    }
  }

  // ---- epoch ends ----------------------------------------------------------------------------------

  Validation validate() {
    hooks_.pass(Site::validate, state_.step);
    const auto item = [&](std::size_t i) {
      const TaskPair& pair = task_.validation[i];
      // One fixed sample per pair in every epoch: losses of epochs can then be compared.
      return ScoringItem{.sampler = task_.sources[pair.source].sampler.get(),
                         .name = {.tf = pair.tf,
                                  .gene = pair.gene,
                                  .purpose = pairs::Purpose::validation,
                                  .epoch = 0,
                                  .variant = 0}};
    };
    const auto logits =
        compute_logits(team_, state_.parameters, task_.validation.size(), item, communicator_, {}, false);
    double sum = 0;
    for (std::size_t i = 0; i < logits.size(); ++i) {
      sum += cross_entropy(static_cast<double>(logits[i]), static_cast<double>(task_.validation[i].label));
    }
    const auto [least, most] = std::minmax_element(logits.begin(), logits.end());
    return {.loss = sum / static_cast<double>(logits.size()),
            .spread = static_cast<double>(*most) - static_cast<double>(*least)};
  }

  void end_epoch() {
    update_->store(state_);
    const EpochSums sums = std::exchange(state_.sums, {});
    base::Json line = {{"epoch", state_.epoch},
                       {"step", state_.step},
                       {"samples", sums.samples},
                       {"skipped_steps", sums.skipped_steps},
                       {"loss", mean(sums.loss, sums.samples)},
                       {"gradient_norm", mean(sums.gradient_norm, sums.steps)},
                       {"live_hidden", mean(static_cast<double>(sums.live_hidden), sums.units)},
                       {"validation_loss", nullptr}};
    std::string validation_text;
    if (!task_.validation.empty()) {
      const Validation validation = validate();
      line["validation_loss"] = finite(validation.loss);
      validation_text = ", validation " + short_number(validation.loss);
      if (chooses_best_epoch(settings_, task_) && std::isfinite(validation.loss) &&
          (!state_.best || validation.loss < state_.best->validation_loss)) {
        const auto values = std::as_const(state_.parameters).values();
        state_.best = BestEpoch{.epoch = state_.epoch,
                                .validation_loss = validation.loss,
                                .values = std::vector<float>(values.begin(), values.end())};
      }
      warn_if_constant(validation.spread);
    }
    warn_if_dead(sums);
    const double seconds = std::chrono::duration<double>(timer_).count();
    line["samples_per_s"] = finite(static_cast<double>(timed_samples_) / seconds);
    base::info("epoch " + std::to_string(state_.epoch + 1) + "/" + std::to_string(settings_.epochs) +
               ": loss " +
               short_number(sums.samples > 0 ? sums.loss / static_cast<double>(sums.samples) : std::nan("")) +
               validation_text);
    comm::agree(communicator_, [&] {
      if (metrics_) {
        metrics_->append(line);
      }
    });
    ++state_.epoch;
    state_.step_in_epoch = 0;
  }

  static base::Json finite(double value) {
    return std::isfinite(value) ? base::Json(value) : base::Json(nullptr);
  }
  static base::Json mean(double sum, std::int64_t count) { return finite(sum / static_cast<double>(count)); }

  void warn_if_constant(double spread) {
    if (spread < kConstantOutput && task_.validation.size() > 1 && !std::exchange(warned_constant_, true)) {
      base::warn("the model gives one constant score to all validation pairs: its predictor is dead; lower " +
                 method_of(settings_).rate_key());
    }
  }

  void warn_if_dead(const EpochSums& sums) {
    if (sums.units == 0) {
      return;
    }
    const double live = static_cast<double>(sums.live_hidden) / static_cast<double>(sums.units);
    const int hidden = method_of(settings_).hidden_units(settings_);
    if (live < kFewLiveUnits * hidden && !std::exchange(warned_dead_, true)) {
      base::warn("only " + short_number(live) + " of " + std::to_string(hidden) +
                 " hidden units are alive in an average micro-batch; lower " +
                 method_of(settings_).rate_key());
    }
  }

  // ---- checkpoints ---------------------------------------------------------------------------------

  void save() {
    if (state_.step == saved_step_) {
      return;
    }
    update_->store(state_);
    comm::agree(communicator_, [&] {
      hooks_.pass(Site::save, state_.step);
      if (writer_) {
        folder_.require_own();
        writer_->start(state_);
      }
    });
    saved_step_ = state_.step;
    hooks_.pass(Site::saved, state_.step);
  }

  // What a stop or the end promises is on disk.
  void finish_checkpoints() {
    comm::agree(communicator_, [&] {
      if (writer_) {
        writer_->finish();
        base::debug("checkpoints held training up for " + short_number(writer_->seconds_waited()) + " s");
      }
    });
  }

  [[noreturn]] void stop(int signal) const {
    throw base::Stopped(
        {.what = "stopped " +
                 (signal != 0 ? "on signal " + std::to_string(signal) : std::string("as asked")) +
                 " after step " + std::to_string(state_.step),
         .file = checkpoints_.folder_of(state_.step).string(),
         .hint = "give the same command again: it goes on from this checkpoint"});
  }

  TrainingOutcome outcome() const {
    TrainingOutcome result{.weights = state_.parameters,
                           .chosen_epoch = state_.epoch - 1,
                           .steps = state_.step,
                           .skipped_steps = state_.skipped_steps,
                           .validation_loss = std::nullopt};
    if (state_.best) {
      std::copy(state_.best->values.begin(), state_.best->values.end(), result.weights.values().begin());
      result.chosen_epoch = state_.best->epoch;
      result.validation_loss = state_.best->validation_loss;
    }
    return result;
  }

  std::string progress_note() const {
    return "epoch " + std::to_string(state_.epoch + 1) + ", loss " + short_number(last_loss_);
  }

  const Settings& settings_;
  const Task& task_;
  ComputeTeam& team_;
  const RunFolder& folder_;
  const Identity& identity_;
  TrainingState& state_;
  comm::Communicator& communicator_;
  const Hooks& hooks_;
  CheckpointStore checkpoints_;
  std::unique_ptr<Update> update_;
  LearningRateSchedule schedule_;
  StragglerWatch stragglers_;
  std::vector<Buffers> buffers_;              // one per thread
  std::unique_ptr<MetricsLog> metrics_;       // rank 0 only
  std::unique_ptr<CheckpointWriter> writer_;  // rank 0 only
  std::int64_t saved_step_;                   // newest step on disk or on its way there, -1: none
  Clock::duration timer_{};                   // training alone, this epoch, this session
  std::uint64_t timed_samples_ = 0;
  double last_loss_ = 0;
  bool warned_constant_ = false;
  bool warned_dead_ = false;
};

}  // namespace

bool chooses_best_epoch(const Settings& settings, const Task& task) {
  return !task.validation.empty() &&
         task.validation.size() >= static_cast<std::size_t>(std::max(0, settings.best_epoch_from));
}

TrainingOutcome train_model(const Settings& settings, const Task& task, ComputeTeam& team,
                            const RunFolder& folder, const Identity& identity, TrainingState& state,
                            comm::Communicator& communicator, comm::DeviceCommunicator* between_gpus,
                            const Hooks& hooks) {
  return Trainer(settings, task, team, folder, identity, state, communicator, between_gpus, hooks).train();
}

}  // namespace mgrn::train
