// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/run.hpp"

#include <algorithm>
#include <cmath>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/model/devices.hpp"
#include "multigrnformer/pairs/leak.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/calibrate.hpp"
#include "multigrnformer/train/checkpoint.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/device_choice.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/leak.hpp"
#include "multigrnformer/train/method.hpp"
#include "multigrnformer/train/reduction.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/run_record.hpp"
#include "multigrnformer/train/score.hpp"
#include "multigrnformer/train/sources.hpp"
#include "multigrnformer/train/trainer.hpp"
#include "multigrnformer/train/weights.hpp"

namespace mgrn::train {
namespace {

std::string job_name(Job job) {
  switch (job) {
    case Job::train:
      return "train";
    case Job::pretrain:
      return "pretrain";
    case Job::finetune:
      return "finetune";
  }
  return "train";
}

void require_at_least(std::int64_t value, std::int64_t least, const std::string& key) {
  if (value < least) {
    throw base::UsageError({.what = "illegal value",
                            .file = key,
                            .expected = "at least " + std::to_string(least),
                            .got = std::to_string(value),
                            .hint = "set " + key + " to " + std::to_string(least) + " or more"});
  }
}

void check(const Settings& settings) {
  method_of(settings).check(settings);
  require_at_least(settings.epochs, 0, "train.epochs");
  if (settings.epochs == 0 && settings.job != Job::finetune) {
    throw base::UsageError({.what = "without an epoch `" + job_name(settings.job) + "` learns nothing",
                            .file = "train.epochs",
                            .expected = "at least 1",
                            .got = "0",
                            .hint = "set train.epochs to 1 or more; `finetune` with train.epochs = 0 tests "
                                    "given weights as they are"});
  }
  require_at_least(settings.batch, 1, "train.batch");
  require_at_least(settings.micro_batch, 1, "train.micro_batch");
  require_at_least(settings.warmup, 0, "train.warmup");
  require_at_least(settings.augment, 1, "pairs.augment");
  require_at_least(settings.votes, 1, "predict.votes");
  require_at_least(static_cast<std::int64_t>(settings.datasets.size()), 1, "data.dataset");
  if (settings.job != Job::pretrain && settings.datasets.size() != 1) {
    throw base::UsageError({.what = "several datasets",
                            .file = "data.dataset",
                            .expected = "one",
                            .got = std::to_string(settings.datasets.size()),
                            .hint = "only `pretrain` takes several datasets"});
  }
  if (settings.job != Job::train && (settings.context.cell || settings.context.gene)) {
    throw base::UsageError({.what = "context features are those of one dataset and mean nothing in another",
                            .file = "model.context",
                            .expected = "none, for `" + job_name(settings.job) + "`",
                            .got = "context features",
                            .hint = "leave model.context out, or `train` on this dataset alone"});
  }
  if (settings.job == Job::pretrain && !settings.split_file.empty()) {
    throw base::UsageError(
        {.what = "pretrain draws a split per dataset and cannot read one",
         .file = "pairs.split_file",
         .expected = "nothing",
         .got = settings.split_file.string(),
         .hint = "leave pairs.split_file out; cross.target_split names the target's split"});
  }
  if (settings.job != Job::train && settings.split.folds > 0) {
    throw base::UsageError({.what = "cross-validation is for `train` alone",
                            .file = "pairs.fold",
                            .expected = "none",
                            .got = std::to_string(settings.split.fold) + "/" +
                                   std::to_string(settings.split.folds) + " for `" + job_name(settings.job) +
                                   "`",
                            .hint = "leave pairs.fold out: pretraining leaves out the pairs of the whole "
                                    "split's test set, not those of a fold"});
  }
  if (settings.job == Job::finetune && settings.init.empty()) {
    throw base::UsageError({.what = "finetune needs weights to start from",
                            .file = "train.init",
                            .expected = "model.safetensors of a pretraining run",
                            .got = "nothing",
                            .hint = "set train.init to that file"});
  }
  const std::int64_t units = (std::int64_t{settings.batch} + settings.micro_batch - 1) / settings.micro_batch;
  if (settings.exact_reduction && units > kMostUnits) {
    throw base::UsageError({.what = "a step has more micro-batches than the exact sum has room for",
                            .file = "train.batch",
                            .expected = "at most " + std::to_string(kMostUnits) + " micro-batches of " +
                                        std::to_string(settings.micro_batch) + " samples",
                            .got = std::to_string(units),
                            .hint = "lower train.batch or raise train.micro_batch"});
  }
}

std::string join(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) {
    text += (text.empty() ? "" : ",") + word;
  }
  return text;
}

std::string digest_of(const std::string& text) {
  return base::sha256(std::as_bytes(std::span(text)));
}

std::vector<std::string> dataset_ids(const Task& task) {
  std::vector<std::string> ids;
  for (const auto& source : task.sources) {
    ids.push_back(source.header.id);
  }
  return ids;
}

// The same config, but for keys that say how and not what: those may differ between ranks' command lines.
std::string comparable_text(const Settings& settings, const Identity& identity) {
  return settings.config_text + "\njob = " + job_name(settings.job) + "\nengine = " + identity.engine +
         "\nmicro-batch = " + std::to_string(settings.micro_batch) +
         "\nreduction = " + (settings.exact_reduction ? "exact" : "float") +
         "\nbuild = " + identity.build_id + "\nC library = " + c_library() +
         "\ninputs = " + base::Json(identity.inputs).dump() + "\n";
}

// A micro-batch is computed by one thread of one rank: with fewer of them than threads, some only wait.
void warn_of_idle_ranks(const Settings& settings, int ranks) {
  const std::int64_t units = (std::int64_t{settings.batch} + settings.micro_batch - 1) / settings.micro_batch;
  const std::int64_t workers = std::int64_t{ranks} * settings.threads;
  if (workers <= units) {
    return;
  }
  const std::string what = settings.threads == 1 ? " ranks" : " threads of all ranks";
  base::warn("a step has " + std::to_string(units) + " micro-batch" + (units == 1 ? "" : "es") + ": " +
             std::to_string(workers - units) + " of " + std::to_string(workers) + what +
             " have nothing to do; train.batch = " + std::to_string(workers * settings.micro_batch) +
             " would use them all (another batch gives another result: see train.scale_learning_rate and "
             "train.warmup)");
}

// Each sample of a micro-batch has a multiprocessor for itself: few of them leave most of a GPU idle.
void advise_on_gpu(const Settings& settings) {
  constexpr int kFew = 64;
  if (settings.device == "cuda" && settings.micro_batch < kFew) {
    base::info("micro-batches of " + std::to_string(settings.micro_batch) +
               " samples leave most of a GPU idle: several threads use more of it (train.threads, the same "
               "result), larger micro-batches most (train.micro_batch = 256 with train.batch = 1024, another "
               "result: see train.scale_learning_rate and train.warmup)");
  }
}

void log_task(const Settings& settings, const Task& task, const Identity& identity, int ranks) {
  base::info(job_name(settings.job) + ": " + std::to_string(task.training.size()) + " training, " +
             std::to_string(task.validation.size()) + " validation, " + std::to_string(task.test.size()) +
             " test pairs from " + std::to_string(task.sources.size()) + " dataset" +
             (task.sources.size() == 1 ? "" : "s"));
  if (const auto left_out = task.training_without_sample + task.validation_without_sample; left_out > 0) {
    base::warn(std::to_string(left_out) + " labelled pairs do not have " +
               pairs::wanted_cell(settings.pair_cells) + " and are left out of training");
  }
  base::info("engine " + identity.engine + ", " + std::to_string(ranks) + " rank" + (ranks == 1 ? "" : "s") +
             " of " + std::to_string(settings.threads) + " thread" + (settings.threads == 1 ? "" : "s") +
             ", " + (settings.exact_reduction ? "exact" : "float") + " reduction");
  warn_of_idle_ranks(settings, ranks);
  advise_on_gpu(settings);
  const LearningRateSchedule schedule{
      .scaling = settings.rate_scaling, .batch = settings.batch, .warmup = settings.warmup};
  if (const double factor = schedule.factor(settings.warmup); factor != 1.0 || settings.warmup > 0) {
    base::info("learning rates times " + std::to_string(factor) + " for a batch of " +
               std::to_string(settings.batch) +
               (settings.warmup > 0 ? ", after a warm-up of " + std::to_string(settings.warmup) + " steps"
                                    : std::string()));
  }
  const double bound = std::ldexp(1.0, -(kScales[0] + 1)) /
                       (static_cast<double>(settings.micro_batch) * settings.adam.epsilon);
  if (settings.exact_reduction && bound > 1e-3) {
    base::warn("with this train.micro_batch the exact sum may move an update by " + std::to_string(bound) +
               " of the learning rate; raise train.micro_batch");
  }
}

/// One run, with what its stages share.
class Run {
 public:
  Run(const Settings& settings, comm::Communicator& communicator, const Hooks& hooks)
      : settings_(settings),
        method_(method_of(settings)),
        communicator_(communicator),
        hooks_(hooks),
        folder_(settings.out) {}

  base::Json perform() {
    comm::agree(communicator_, [&] { check(settings_); });
    if (auto result = finished_result(folder_, settings_, communicator_)) {
      return *result;
    }
    task_ = load_task(settings_, communicator_);
    const CheckpointStore checkpoints(folder_.path(), settings_.keep_checkpoints);
    settings_.device =
        choose_device(settings_, Work::training,
                      communicator_.rank() == 0 ? checkpoints.newest_engine() : std::string(), communicator_);
    gpu_ = choose_gpu(settings_, communicator_);
    comm::agree(communicator_, [&] {
      team_ = std::make_unique<ComputeTeam>(settings_, gpu_.device);
      for (const Source& source : task_.sources) {
        team_->hold(*source.sampler);
      }
      identify();
    });
    comm::require_same(communicator_, "the run's settings and inputs", comparable_text(settings_, identity_));
    log_task(settings_, task_, identity_, communicator_.size());

    TrainingState state(method_.parameters(settings_), settings_.optimizer == OptimizerKind::adam ? 2 : 1);
    comm::agree(communicator_, [&] { start_weights(state); });
    on_root([&] { folder_.lock(); });
    // Another job may have held the lock until now, and have done this one's work.
    if (auto result = finished_result(folder_, settings_, communicator_)) {
      return *result;
    }
    const bool resumed = checkpoints.restore(communicator_, identity_, state);
    if (resumed) {
      base::info("going on after step " + std::to_string(state.step));
    }
    begin(state.step);
    try {
      const auto between_gpus = connect_gpus(settings_, gpu_, communicator_);
      const TrainingOutcome outcome = train_model(settings_, task_, *team_, folder_, identity_, state,
                                                  communicator_, between_gpus.get(), hooks_);
      if (between_gpus) {
        between_gpus->close();
      }
      base::Json result = finish(outcome);
      on_root([&] { folder_.end("finished"); });
      base::info("results are in " + folder_.path().string());
      return result;
    } catch (const base::Error& error) {
      record_end(folder_, communicator_, error);
      throw;
    }
  }

 private:
  template <typename Work>
  void on_root(Work&& work) {
    comm::agree(communicator_, [&] {
      if (communicator_.rank() == 0) {
        work();
      }
    });
  }

  void identify() {
    identity_ = {
        .config_text = settings_.config_text,
        .engine = team_->engine_name(),
        .inputs = {{"dataset", join(dataset_ids(task_))}, {"split", digest_of(task_.split_text(true))}},
        .build_id = build_id()};
    if (!settings_.init.empty()) {
      identity_.inputs["initial weights"] = base::sha256_of_file(settings_.init);
    }
  }

  void start_weights(TrainingState& state) const {
    if (settings_.init.empty()) {
      method_.initialise(state.parameters, settings_.seed);
      return;
    }
    state.parameters = read_weights(settings_.init, state.parameters).parameters;
    if (settings_.job != Job::pretrain) {
      const Source& source = task_.sources.front();
      check_leak(settings_.init, pairs::pair_keys(source.header, source.split, pairs::Set::test),
                 source.header.id, settings_.leak);
    }
  }

  void begin(std::int64_t step) {
    const base::Json hosts = gathered_names(communicator_, comm::host_name());
    const base::Json gpus = gathered_names(communicator_, gpu_.uuid);
    const base::Json gpu_names = gathered_names(
        communicator_, model::is_gpu_engine(identity_.engine) ? model::gpu_name(gpu_.device) : std::string());
    on_root([&] {
      base::create_directories(folder_.path());
      // Weights, two moments and the best epoch's weights per checkpoint, one more while writing, and the
      // rest.
      const std::uintmax_t checkpoint = 4 * sizeof(float) * method_.parameters(settings_).values().size();
      base::require_free_space(folder_.path(),
                               checkpoint * (static_cast<std::uintmax_t>(settings_.keep_checkpoints) + 2),
                               "checkpoints");
      base::Json facts = run_facts(settings_, task_.sources);
      facts["job"] = settings_.method ? "baseline" : job_name(settings_.job);
      facts["engine"] = identity_.engine;
      folder_.begin(settings_.config_text, facts,
                    {{"command_line", command_line()},
                     {"hosts", hosts},
                     {"gpus", gpus},
                     {"gpu_names", gpu_names},
                     {"ranks", communicator_.size()},
                     {"backend", communicator_.backend()},
                     {"threads", settings_.threads},
                     {"from_step", step}});
      base::write_file_atomically(folder_.split(), task_.split_text(settings_.job == Job::pretrain));
    });
  }

  base::Json facts(const TrainingOutcome& outcome) const {
    return {
        {"seed", settings_.split.seed},
        {"train_seed", settings_.seed},
        {"epochs", settings_.epochs},
        {"chosen_epoch", outcome.chosen_epoch >= 0 ? base::Json(outcome.chosen_epoch) : base::Json(nullptr)},
        {"steps", outcome.steps},
        {"skipped_steps", outcome.skipped_steps},
        {"samples_per_epoch", task_.samples_per_epoch(settings_)},
        {"training_pairs", task_.training.size()},
        {"validation_pairs", task_.validation.size()},
        {"labelled_pairs_without_cells", task_.labelled_without_cells},
        {"best_validation_loss",
         outcome.validation_loss ? base::Json(*outcome.validation_loss) : base::Json(nullptr)}};
  }

  base::Json finish(const TrainingOutcome& outcome) {
    on_root([&] {
      folder_.require_own();
      base::AtomicFile file(folder_.weights());
      write_weights(file.temporary(), outcome.weights, {{"datasets", join(dataset_ids(task_))}});
      file.commit();
    });
    hooks_.pass(Site::test, outcome.steps);
    base::Json result = settings_.job == Job::pretrain ? pretraining_result(outcome) : tested_result(outcome);
    // Last of all: this file says that the run is complete.
    on_root([&] { base::write_file_atomically(folder_.result(), base::json_text(result)); });
    return result;
  }

  base::Json pretraining_result(const TrainingOutcome& outcome) const {
    base::Json result = facts(outcome);
    result["datasets"] = dataset_ids(task_);
    result["pairs_left_out_as_test_pairs"] = task_.removed_by_leak;
    result["pairs_left_out_by_dataset"] = task_.leak_by_dataset;
    result["target_left_out"] = task_.target_left_out;
    return result;
  }

  base::Json tested_result(const TrainingOutcome& outcome) {
    const Source& source = task_.sources.front();
    std::vector<VotedPair> voted;
    for (const auto& pair : task_.test) {
      voted.push_back(
          {.sampler = pair.has_sample ? source.sampler.get() : nullptr, .tf = pair.tf, .gene = pair.gene});
    }
    const auto scores = vote(*team_, outcome.weights, voted, pairs::Purpose::test, settings_.votes,
                             communicator_, "test pairs");
    warn_if_constant(scores);
    const base::Json calibration = calibration_of(outcome, scores);
    base::Json result;
    // Every rank holds all scores, so each computes the same metrics; only rank 0 writes.
    comm::agree(communicator_, [&] {
      std::vector<evaluate::ScoredPair> scored;
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const TaskPair& pair = task_.test[i];
        scored.push_back({.tf = source.header.genes[pair.tf],
                          .gene = source.header.genes[pair.gene],
                          .label = pair.label,
                          .score = scores[i],
                          .has_cells = pair.has_cells});
      }
      result = evaluate::to_json(
          evaluate::evaluate_pairs(scored, training_positives(source), settings_.split.seed));
      result.update(facts(outcome));
      if (settings_.method) {
        result["method"] = method_.name();
      }
      result["calibration"] = calibration;
      if (communicator_.rank() == 0) {
        evaluate::write_predictions(folder_.predictions(), scored);
      }
    });
    const auto unscored = [](const TaskPair& pair) { return !pair.has_sample; };
    if (const auto count = std::count_if(task_.test.begin(), task_.test.end(), unscored); count > 0) {
      base::warn(std::to_string(count) + " test pairs do not have " +
                 pairs::wanted_cell(settings_.pair_cells) + " and score 0");
    }
    return result;
  }

  /// Collective. How well the test pairs' scores hold as probabilities, before and after calibration.
  base::Json calibration_of(const TrainingOutcome& outcome, const std::vector<double>& scores) {
    const Source& source = task_.sources.front();
    ValidationPairs validation;
    for (const TaskPair& pair : task_.validation) {
      validation.pairs.push_back({.sampler = source.sampler.get(), .tf = pair.tf, .gene = pair.gene});
      validation.labels.push_back(pair.label);
    }
    const bool possible = validation.suffice();
    const auto method = possible ? settings_.calibration : evaluate::CalibrationMethod::none;
    const auto calibration =
        calibrate(*team_, outcome.weights, validation, method, settings_.votes, communicator_);
    std::vector<double> scored;
    std::vector<std::uint8_t> labels;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (task_.test[i].has_cells) {
        scored.push_back(scores[i]);
        labels.push_back(task_.test[i].label);
      }
    }
    base::Json json =
        method == evaluate::CalibrationMethod::none ? base::Json{{"method", "none"}} : calibration.to_json();
    json["test"] = evaluate::calibration_report(calibration, scored, labels);
    if (!possible && settings_.calibration != evaluate::CalibrationMethod::none) {
      json["reason"] = "too few validation pairs: " + std::to_string(validation.positives()) + " positive, " +
                       std::to_string(validation.negatives()) + " negative";
    }
    return json;
  }

  void warn_if_constant(const std::vector<double>& scores) const {
    std::optional<double> first;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      if (task_.test[i].has_sample) {
        if (first && *first != scores[i]) {
          return;
        }
        first = scores[i];
      }
    }
    if (first && scores.size() > 1) {
      base::warn("the model gives one constant score to all test pairs: its predictor is dead; lower " +
                 method_.rate_key());
    }
  }

  Settings settings_;  // their device decided, once the work begins
  const Method& method_;
  comm::Communicator& communicator_;
  const Hooks& hooks_;
  RunFolder folder_;
  Task task_;
  comm::GpuBinding gpu_;
  std::unique_ptr<ComputeTeam> team_;
  Identity identity_;
};

}  // namespace

base::Json run_training(const Settings& settings, comm::Communicator& communicator, const Hooks& hooks) {
  return Run(settings, communicator, hooks).perform();
}

}  // namespace mgrn::train
