// SPDX-License-Identifier: Apache-2.0
// Samplers whose columns engines hold in the memory of their device, and samples of them by name: the seam
// between pairs, which knows what a sample is, and engines that make samples themselves.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/pairs/sampler.hpp"

namespace mgrn::train {

/// Any number of threads may call name() once all sources are in.
class HeldSources {
 public:
  /// Hands the source's columns to the engine. Where the engine computes in the host's memory, or this kind
  /// of source has no columns, nothing happens; where its device cannot hold them, a warning says so, and
  /// samples go on coming from the host, with the same bits. The source must stay as long as names of it are
  /// asked for.
  void hold(const pairs::SampleSource& source, model::Engine& engine);
  /// The samples' names, in `named`. False, and none, unless the sources of all of them are held.
  bool name(std::span<const pairs::SampleRequest> requests, std::vector<model::HeldSample>& named) const;

 private:
  struct Held {
    const pairs::Sampler* sampler = nullptr;
    std::shared_ptr<const model::HeldColumns> columns;
  };
  std::map<const pairs::SampleSource*, Held> held_;
};

}  // namespace mgrn::train
