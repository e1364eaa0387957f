// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/nepdf_images.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "encoded_columns.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::size_t kPixels = kImageBins * kImageBins;
constexpr double kOffset = 0.01;
constexpr double kFloor = 1e-4;
// Tables that take turns: with one, an addition would wait for the one before it to the same bin.
constexpr std::size_t kTables = 4;

using Histogram = std::array<std::uint32_t, kPixels>;

// Eight cells at a time; those in the first bin of both genes, which hold most cells of sparse data, are
// counted without a look at each.
void count_cells(const std::uint8_t* tf, const std::uint8_t* gene, std::size_t cells, Histogram& histogram) {
  std::array<Histogram, kTables> tables{};
  std::uint32_t in_first = 0;
  std::size_t cell = 0;
  for (; cell + 8 <= cells; cell += 8) {
    std::uint64_t tf_bins = 0, gene_bins = 0;
    std::memcpy(&tf_bins, tf + cell, sizeof tf_bins);
    std::memcpy(&gene_bins, gene + cell, sizeof gene_bins);
    if ((tf_bins | gene_bins) == 0) {
      in_first += 8;
      continue;
    }
    for (std::size_t i = 0; i < 8; ++i) {
      ++tables[i % kTables][gene[cell + i] * kImageBins + tf[cell + i]];
    }
  }
  for (; cell < cells; ++cell) {
    ++tables[0][gene[cell] * kImageBins + tf[cell]];
  }
  for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
    histogram[pixel] = tables[0][pixel] + tables[1][pixel] + tables[2][pixel] + tables[3][pixel];
  }
  histogram[0] += in_first;
}

}  // namespace

void nepdf_bins(std::span<const double> values, std::span<std::uint8_t> bins) {
  std::vector<double> logs(values.size());
  const double log_of_zero = std::log10(kOffset);
  std::transform(values.begin(), values.end(), logs.begin(),
                 [&](double value) { return value == 0 ? log_of_zero : std::log10(value + kOffset); });
  const auto [least, most] = std::minmax_element(logs.begin(), logs.end());
  double first = *least, last = *most;
  if (first == last) {
    first -= 0.5;
    last += 0.5;
  }
  // numpy.linspace and searchsorted, so that a value on an edge falls to the same side.
  std::array<double, kImageBins + 1> edges{};
  const double width = (last - first) / static_cast<double>(kImageBins);
  for (std::size_t i = 0; i < edges.size(); ++i) {
    edges[i] = static_cast<double>(i) * width + first;
  }
  edges.back() = last;
  const auto bin_of = [&](double log) {
    const auto above = std::upper_bound(edges.begin(), edges.end(), log) - edges.begin();
    return static_cast<std::uint8_t>(log == last ? kImageBins - 1 : static_cast<std::size_t>(above) - 1);
  };
  const std::uint8_t zero_bin = bin_of(std::clamp(log_of_zero, first, last));
  for (std::size_t i = 0; i < logs.size(); ++i) {
    bins[i] = logs[i] == log_of_zero ? zero_bin : bin_of(logs[i]);
  }
}

struct NepdfImages::State {
  std::uint32_t cells;
  std::vector<float> value_of_count;  // [cells + 1]
  EncodedColumns bins;
};

NepdfImages::NepdfImages(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read,
                         ImageScale scale, comm::Communicator& communicator) {
  const auto encode = [](std::span<const double> values, std::span<std::byte> column) {
    nepdf_bins(values, {reinterpret_cast<std::uint8_t*>(column.data()), column.size()});
  };
  std::vector<float> value_of_count(cells + std::size_t{1});
  for (std::size_t count = 1; count < value_of_count.size(); ++count) {
    const double share = static_cast<double>(count) / cells;
    value_of_count[count] = static_cast<float>(scale == ImageScale::log ? (std::log10(share + kFloor) + 4) / 4
                                                                        : static_cast<double>(count));
  }
  state_ = std::make_unique<State>(
      State{cells, std::move(value_of_count),
            EncodedColumns(cells, std::move(genes), read, cells, encode, communicator)});
}

NepdfImages::~NepdfImages() = default;

bool NepdfImages::has_sample(std::uint32_t tf, std::uint32_t gene) const {
  return state_->bins.has(tf) && state_->bins.has(gene);
}

bool NepdfImages::shares_cells(std::uint32_t tf, std::uint32_t gene) const {
  return state_->bins.share_cells(tf, gene);
}

bool NepdfImages::gather(const pairs::SampleName& name, std::span<float> out) const {
  const auto* tf = reinterpret_cast<const std::uint8_t*>(state_->bins.at(name.tf));
  const auto* gene = reinterpret_cast<const std::uint8_t*>(state_->bins.at(name.gene));
  Histogram histogram;
  count_cells(tf, gene, state_->cells, histogram);
  for (std::size_t pixel = 0; pixel < kPixels; ++pixel) {
    out[pixel] = state_->value_of_count[histogram[pixel]];
  }
  return true;
}

}  // namespace mgrn::baselines
