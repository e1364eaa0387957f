// SPDX-License-Identifier: Apache-2.0
// What CNNC and STGRNS share as methods of the training loop: settings that they cannot follow, and loading
// of whole columns. Internal to the room.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/baselines/cell_values.hpp"
#include "multigrnformer/train/method.hpp"

namespace mgrn::baselines {

/// Throws UsageError for what a network on whole columns cannot follow: a GPU, other engines than `auto`,
/// several samples per pair.
void check_neural_settings(const std::string& method, const train::Settings& settings);

/// Makes samples of a dataset's cells and genes; `read` is good for the call alone.
using MakeSamples = std::function<std::unique_ptr<pairs::SampleSource>(
    std::uint32_t cells, std::vector<std::uint32_t> genes,
    const std::function<void(std::uint32_t, std::span<double>)>& read)>;

/// Collective. Opens the dataset, has `check` look at it, and hands its values to `make`, which is collective
/// too.
std::unique_ptr<pairs::SampleSource> load_neural_samples(
    const std::string& method, const std::filesystem::path& file, std::vector<std::uint32_t> genes,
    Values chosen, Values own, comm::Communicator& communicator,
    const std::function<void(const store::Dataset&)>& check, const MakeSamples& make);

}  // namespace mgrn::baselines
