// SPDX-License-Identifier: Apache-2.0
// CNNC's input, the normalised empirical probability density image of a pair: a 32 x 32 histogram of all
// cells over the logarithms of both genes' values (Yuan and Bar-Joseph, "Deep learning for inferring gene
// relationships from single-cell expression data", doi 10.1073/pnas.1911536116).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "multigrnformer/baselines/neural_options.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/sample_source.hpp"

namespace mgrn::baselines {

inline constexpr std::size_t kImageBins = 32;

/// Row = the target's bin, column = the TF's. Per gene u = log10(x + 0.01) of every cell falls into one of 32
/// equal bins over the gene's own least and largest u, the last one closed; where they are equal the range is
/// half a unit to either side. Bins are numpy.histogram2d's. An image does not depend on purpose, epoch or
/// variant of its name.
class NepdfImages final : public pairs::SampleSource {
 public:
  /// A gene's values (not logarithms) in all cells; called from the rank that encodes the gene.
  using Read = std::function<void(std::uint32_t gene, std::span<double> values)>;

  /// Collective. `genes` in any order, repeats allowed. Holds one byte per gene and cell, once per node.
  NepdfImages(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read, ImageScale scale,
              comm::Communicator& communicator);
  NepdfImages(const NepdfImages&) = delete;
  NepdfImages& operator=(const NepdfImages&) = delete;
  ~NepdfImages() override;

  std::size_t sample_size() const override { return kImageBins * kImageBins; }
  bool has_sample(std::uint32_t tf, std::uint32_t gene) const override;
  bool shares_cells(std::uint32_t tf, std::uint32_t gene) const override;
  bool gather(const pairs::SampleName& name, std::span<float> out) const override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The bins of one gene's values; `bins` as long as `values`.
void nepdf_bins(std::span<const double> values, std::span<std::uint8_t> bins);

}  // namespace mgrn::baselines
