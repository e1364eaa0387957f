// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/method.hpp"

#include <utility>

#include "multigrnformer/train/sources.hpp"

namespace mgrn::train {
namespace {

class MultiGrnFormer final : public Method {
 public:
  std::string name() const override { return "multigrnformer"; }

  void check(const Settings& settings) const override { model::validate(settings.shape); }

  model::Parameters parameters(const Settings& settings) const override {
    return model::Parameters(settings.shape);
  }

  void initialise(model::Parameters& parameters, std::uint64_t seed) const override {
    model::initialise(parameters, seed);
  }

  std::string rate_key() const override { return "train.predictor_learning_rate"; }

  int hidden_units(const Settings& settings) const override { return settings.shape.hidden; }

  std::unique_ptr<model::Engine> engine(const Settings& settings, int gpu) const override {
    model::EngineOptions options = settings.engine;
    options.device = settings.device;
    options.gpu = gpu;
    return model::make_engine(settings.shape, settings.micro_batch, options);
  }

  std::unique_ptr<pairs::SampleSource> samples(const Settings& settings, const std::filesystem::path& dataset,
                                               std::vector<std::uint32_t> genes,
                                               comm::Communicator& communicator) const override {
    return make_sampler(settings, dataset, std::move(genes), communicator);
  }
};

}  // namespace

const Method& method_of(const Settings& settings) {
  static const MultiGrnFormer own;
  return settings.method ? *settings.method : own;
}

}  // namespace mgrn::train
