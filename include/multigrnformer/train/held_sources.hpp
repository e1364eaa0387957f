// SPDX-License-Identifier: Apache-2.0
// Samplers whose columns engines hold in the memory of their device, and samples of them by name: the seam
// between pairs, which knows what a sample is, and engines that make samples themselves.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/pairs/sampler.hpp"

namespace mgrn::train {

/// Samples of one micro-batch by name; memory that is kept from one to the next.
struct NamedSamples {
  std::vector<model::HeldSample> samples;
  std::vector<std::uint32_t> cells;  ///< what the samples' spans lie in
};

/// Any number of threads may call name() once all sources are in.
class HeldSources {
 public:
  /// Hands the source's columns to the engine. Where the engine computes in the host's memory, or this kind
  /// of source has no columns, nothing happens; where its device cannot hold them, a warning says so, and
  /// samples go on coming from the host, with the same bits. The source must stay as long as names of it are
  /// asked for.
  void hold(const pairs::SampleSource& source, model::Engine& engine);
  /// The samples' names, in `named`. False, and none, unless the sources of all of them are held. Throws
  /// InternalError for a pair without a sample where it notices; else the engine does.
  bool name(std::span<const pairs::SampleRequest> requests, NamedSamples& named) const;

 private:
  struct Held {
    const pairs::Sampler* sampler = nullptr;
    std::shared_ptr<const model::HeldColumns> columns;
    bool wants_cells = false;
  };
  std::map<const pairs::SampleSource*, Held> held_;
};

}  // namespace mgrn::train
