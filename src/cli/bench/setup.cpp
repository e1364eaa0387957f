// SPDX-License-Identifier: Apache-2.0
#include "setup.hpp"

#include <utility>

#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/weights.hpp"

namespace mgrn::cli {
namespace {

train::Settings settings_for(const Config& config, int cells, const std::string& engine) {
  train::Settings settings = config.train;
  settings.shape.cells = cells;
  settings.engine.kind = engine;
  settings.keep_checkpoints = 1;
  if (!config.bench.run.empty()) {
    // A step of the same work that leaves a run's weights as they are: their ranges are what is measured.
    settings.adam.learning_rate = settings.adam.predictor_learning_rate = 0;
  }
  return settings;
}

model::Parameters starting_weights(const train::Settings& settings, const std::filesystem::path& run) {
  if (!run.empty()) {
    return train::finished_weights(run, settings.shape);
  }
  model::Parameters weights(settings.shape);
  model::initialise(weights, settings.seed);
  return weights;
}

}  // namespace

Setup::Setup(const train::Settings& given, std::shared_ptr<train::Task> pairs,
             const std::filesystem::path& run, const comm::GpuBinding& bound)
    : settings(given),
      task(std::move(pairs)),
      weights(starting_weights(given, run)),
      gpu(bound),
      team(settings, gpu.device) {
  for (const train::Source& source : task->sources) {
    team.hold(*source.sampler);
  }
}

void Setup::gather(std::uint64_t index, std::span<float> out) const {
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

std::vector<std::shared_ptr<Setup>> setups(const Config& config, const std::vector<std::string>& engines,
                                           comm::Communicator& world) {
  std::vector<std::shared_ptr<Setup>> list;
  for (const int cells : config.bench.cells) {
    std::shared_ptr<train::Task> task;
    for (const std::string& engine : engines) {
      const train::Settings settings = settings_for(config, cells, engine);
      comm::agree(world, [&] { model::validate(settings.shape); });
      task = task ? task : bench_task(settings, world);
      const comm::GpuBinding gpu = train::choose_gpu(settings, world);
      comm::agree(world,
                  [&] { list.push_back(std::make_shared<Setup>(settings, task, config.bench.run, gpu)); });
    }
  }
  return list;
}

}  // namespace mgrn::cli
