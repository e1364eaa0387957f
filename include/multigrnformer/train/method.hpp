// SPDX-License-Identifier: Apache-2.0
// The seam between the training loop and what it trains: weights, samples and the engine of one network.
// Batches, reduction, optimiser, checkpoints, predictions and results are the loop's and the same for all.
// MultiGRNFormer is the method that this room brings; other rooms bring theirs through Settings::method.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

/// Immutable: one serves all threads, ranks and runs. Everything depends on the settings alone.
class Method {
 public:
  virtual ~Method() = default;

  /// "cnnc", as the result names it.
  virtual std::string name() const = 0;
  /// Throws UsageError for settings that this network cannot follow.
  virtual void check(const Settings& settings) const = 0;
  /// Zero weights, with views and with what a weights file says of the network.
  virtual model::Parameters parameters(const Settings& settings) const = 0;
  /// Initial weights from Philox, the same on every machine.
  virtual void initialise(model::Parameters& parameters, std::uint64_t seed) const = 0;
  /// The learning rate to lower where the output does not move any more.
  virtual std::string rate_key() const { return "train.learning_rate"; }
  /// Units of the hidden layer whose live ones the engine counts (StepStatistics::live_hidden).
  virtual int hidden_units(const Settings& settings) const = 0;
  /// For one thread, on the processor or GPU number `gpu` (settings.device). Throws UsageError.
  virtual std::unique_ptr<model::Engine> engine(const Settings& settings, int gpu) const = 0;
  /// Whether a pair has many samples, by epoch, variant and vote, or one that is the same under all names.
  virtual bool draws_samples() const { return true; }
  /// Collective. Samples of any pairs of these genes (dataset indices, in any order). Throws DataError and
  /// UsageError, the same on every rank.
  virtual std::unique_ptr<pairs::SampleSource> samples(const Settings& settings,
                                                       const std::filesystem::path& dataset,
                                                       std::vector<std::uint32_t> genes,
                                                       comm::Communicator& communicator) const = 0;
};

/// settings.method, or MultiGRNFormer where it is null.
const Method& method_of(const Settings& settings);

}  // namespace mgrn::train
