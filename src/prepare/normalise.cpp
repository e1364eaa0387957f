// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/normalise.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace mgrn::prepare {
namespace {

struct Moments {
  double mean = 0.0;
  double variance = 0.0;
};

// Population moments of a row whose `unstored` further values are zero. Two passes: the one-pass formula
// loses digits on genes that are rich in nearly every cell.
Moments moments(std::span<const double> stored, std::uint64_t cells) {
  Moments result;
  if (cells == 0) {
    return result;
  }
  double sum = 0.0;
  for (const double value : stored) {
    sum += value;
  }
  const auto n = static_cast<double>(cells);
  result.mean = sum / n;
  // The exact answer for a row of one value, which rounding would make a tiny variance, and z-scores noise.
  const bool constant =
      stored.empty() ||
      (stored.size() == cells &&
       std::all_of(stored.begin(), stored.end(), [&](double value) { return value == stored.front(); }));
  if (constant) {
    return result;
  }
  double squares = 0.0;
  for (const double value : stored) {
    const double distance = value - result.mean;
    squares += distance * distance;
  }
  squares += static_cast<double>(cells - stored.size()) * result.mean * result.mean;
  result.variance = squares / n;
  return result;
}

float z_score(double value, const Moments& row, double deviation, double clip) {
  if (deviation == 0.0) {
    return 0.0f;
  }
  const double z = (value - row.mean) / deviation;
  return static_cast<float>(clip > 0.0 ? std::clamp(z, -clip, clip) : z);
}

// z-scores `values` (unstored: 0) into `out`; returns the background.
float z_scores(std::span<const double> values, const Moments& row, double clip, std::span<float> out) {
  const double deviation = std::sqrt(row.variance);
  for (std::size_t i = 0; i < values.size(); ++i) {
    out[i] = z_score(values[i], row, deviation, clip);
  }
  return z_score(0.0, row, deviation, clip);
}

}  // namespace

RowSummary normalise_rna_row(RnaNormalisation normalisation, double clip,
                             std::span<const double> library_size, std::span<const std::uint32_t> cell,
                             std::span<const float> raw, std::span<float> out) {
  constexpr double kLog10Offset = 0.01;
  const bool log_counts =
      normalisation == RnaNormalisation::lognorm_z || normalisation == RnaNormalisation::lognorm;
  // Values relative to what an unstored cell has, so that unstored is 0 throughout.
  const double unstored = normalisation == RnaNormalisation::log10p01 ? std::log10(kLog10Offset) : 0.0;
  std::vector<double> values(raw.size());
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const auto value = static_cast<double>(raw[i]);
    if (log_counts) {
      values[i] = std::log1p(value / library_size[cell[i]] * kCountsPerCell);
    } else if (normalisation == RnaNormalisation::log10p01) {
      values[i] = std::log10(value + kLog10Offset) - unstored;
    } else {
      values[i] = value;
    }
  }
  const Moments row = moments(values, library_size.size());
  RowSummary summary;
  summary.variance = row.variance;
  if (has_z_scores(normalisation)) {
    summary.background = z_scores(values, row, clip, out);
  } else {
    std::transform(values.begin(), values.end(), out.begin(),
                   [unstored](double value) { return static_cast<float>(value + unstored); });
    summary.background = static_cast<float>(unstored);
  }
  return summary;
}

RowSummary normalise_rp_row(RpNormalisation normalisation, double clip, std::uint64_t cells,
                            std::span<const double> rp, std::span<float> out) {
  std::vector<double> values(rp.begin(), rp.end());
  if (normalisation == RpNormalisation::log1p) {
    std::transform(values.begin(), values.end(), values.begin(),
                   [](double value) { return std::log1p(value); });
  } else if (normalisation == RpNormalisation::binary_rowsum_z) {
    double sum = 0.0;
    for (const double value : values) {
      sum += value;
    }
    if (sum > 0.0) {
      std::transform(values.begin(), values.end(), values.begin(),
                     [sum](double value) { return value / sum; });
    }
  }
  const Moments row = moments(values, cells);
  RowSummary summary;
  summary.variance = row.variance;
  if (has_z_scores(normalisation)) {
    summary.background = z_scores(values, row, clip, out);
  } else {
    std::transform(values.begin(), values.end(), out.begin(),
                   [](double value) { return static_cast<float>(value); });
  }
  return summary;
}

}  // namespace mgrn::prepare
