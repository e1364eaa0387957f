// SPDX-License-Identifier: Apache-2.0
// What the stages of training work on: settings, pairs with their sampler, weights and engines, either made
// for measuring or those of a finished run (`--run`).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench.hpp"
#include "multigrnformer/comm/gpu_binding.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/train/compute_team.hpp"

namespace mgrn::cli {

/// One per number of cells and engine; those that differ in the engine alone share their pairs.
struct Setup {
  train::Settings settings;
  std::shared_ptr<train::Task> task;
  model::Parameters weights;  ///< what measuring starts from
  comm::GpuBinding gpu;
  train::ComputeTeam team;
  /// Throws DataError, UsageError.
  Setup(const train::Settings& given, std::shared_ptr<train::Task> pairs, const std::filesystem::path& run,
        const comm::GpuBinding& bound);

  std::size_t sample_size() const {
    return static_cast<std::size_t>(settings.shape.cells) *
           static_cast<std::size_t>(settings.shape.columns());
  }
  /// Training sample number `index` of an endless row of epochs.
  void gather(std::uint64_t index, std::span<float> out) const;
};

/// Collective. Every pair of cells and engine; datasets are drawn or read once per number of cells.
std::vector<std::shared_ptr<Setup>> setups(const Config& config, const std::vector<std::string>& engines,
                                           comm::Communicator& world);

}  // namespace mgrn::cli
