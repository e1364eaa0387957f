// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/quality_control.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/symbol.hpp"

namespace mgrn::prepare {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Makes the median absolute deviation of a normal distribution its standard deviation, as R's mad() does.
constexpr double kMadScale = 1.4826;

struct Measure {
  const char* name;
  std::function<double(const CellStatistics&)> value;
};

double share(double part, double whole) {
  return whole > 0.0 ? part / whole : 0.0;
}

const Measure kRnaCounts = {"RNA counts", [](const CellStatistics& cell) { return cell.rna_counts; }};
const Measure kAtacCounts = {"ATAC counts", [](const CellStatistics& cell) { return cell.atac_counts; }};
const Measure kGenes = {"detected genes",
                        [](const CellStatistics& cell) { return static_cast<double>(cell.genes); }};
const Measure kMito = {"mitochondrial share",
                       [](const CellStatistics& cell) { return share(cell.mito_counts, cell.rna_counts); }};
const Measure kBlacklist = {"blacklist share", [](const CellStatistics& cell) {
                              return share(cell.blacklist_counts, cell.atac_counts);
                            }};

// Drops, in `fails`, the cells of `alive` outside the limit, and counts them in it.
void apply(Limit& limit, std::span<const double> values, std::span<const std::size_t> alive,
           std::vector<std::uint8_t>& fails) {
  for (std::size_t i = 0; i < alive.size(); ++i) {
    if (values[i] < limit.low) {
      ++limit.below;
      fails[alive[i]] = 1;
    } else if (values[i] > limit.high) {
      ++limit.above;
      fails[alive[i]] = 1;
    }
  }
}

std::vector<double> values_of(const Measure& measure, bool logged, std::span<const CellStatistics> cells,
                              std::span<const std::size_t> alive) {
  std::vector<double> values;
  values.reserve(alive.size());
  for (const std::size_t cell : alive) {
    const double value = measure.value(cells[cell]);
    values.push_back(logged ? std::log10(value) : value);
  }
  return values;
}

Limit mad_limit(const Measure& measure, bool logged, std::span<const CellStatistics> cells,
                std::span<const std::size_t> alive, double mads, std::vector<std::uint8_t>& fails) {
  std::vector<double> values = values_of(measure, logged, cells, alive);
  Limit limit{.measure = measure.name, .logged = logged, .low = -kInfinity, .high = kInfinity};
  limit.median = median(values);
  std::vector<double> distances(values.size());
  std::transform(values.begin(), values.end(), distances.begin(),
                 [&](double value) { return std::abs(value - limit.median); });
  limit.mad = kMadScale * median(std::move(distances));
  // More than half of the cells share one value (a matrix without mitochondrial genes, say): the spread is
  // unknown, and every other cell would fall.
  limit.applied = limit.mad > 0.0;
  if (limit.applied) {
    limit.low = limit.median - mads * limit.mad;
    limit.high = limit.median + mads * limit.mad;
    apply(limit, values, alive, fails);
  }
  return limit;
}

Limit bound_limit(const Measure& measure, std::span<const CellStatistics> cells,
                  std::span<const std::size_t> alive, double low, double high,
                  std::vector<std::uint8_t>& fails) {
  const std::vector<double> values = values_of(measure, false, cells, alive);
  Limit limit{.measure = measure.name, .low = low, .high = high};
  limit.median = median(values);
  apply(limit, values, alive, fails);
  return limit;
}

}  // namespace

double median(std::vector<double> values) {
  if (values.empty()) {
    return 0.0;
  }
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) {
    return *middle;
  }
  return 0.5 * (*std::max_element(values.begin(), middle) + *middle);
}

std::int64_t least_values(std::uint64_t total, double share) {
  // The small allowance keeps 0.001 * 3000 at 3, whichever way the product rounds.
  return static_cast<std::int64_t>(std::ceil(static_cast<double>(total) * share * (1.0 - 1e-12)));
}

std::vector<std::uint8_t> frequent_features(std::span<const std::int64_t> cells_with_value,
                                            std::uint64_t cells, double share) {
  const std::int64_t least = least_values(cells, share);
  std::vector<std::uint8_t> keep(cells_with_value.size());
  std::transform(cells_with_value.begin(), cells_with_value.end(), keep.begin(),
                 [least](std::int64_t count) { return static_cast<std::uint8_t>(count >= least); });
  return keep;
}

CellQuality judge_cells(std::span<const CellStatistics> cells, std::uint64_t genes, std::uint64_t peaks,
                        bool has_blacklist, const Settings& settings) {
  CellQuality quality;
  quality.keep.assign(cells.size(), 1);
  // A cell without any value cannot be scaled to a library size, whatever the share.
  const std::int64_t least_genes = std::max<std::int64_t>(1, least_values(genes, settings.min_cell_share));
  const std::int64_t least_peaks = std::max<std::int64_t>(1, least_values(peaks, settings.min_cell_share));
  std::vector<std::size_t> alive;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const bool few_genes = cells[i].genes < least_genes;
    const bool few_peaks = peaks > 0 && cells[i].peaks < least_peaks;
    quality.few_genes += few_genes ? 1u : 0u;
    quality.few_peaks += few_peaks ? 1u : 0u;
    if (few_genes || few_peaks) {
      quality.keep[i] = 0;
      ++quality.few_values;
    } else {
      alive.push_back(i);
    }
  }

  std::vector<std::uint8_t> fails(cells.size(), 0);
  const bool has_atac = peaks > 0;
  if (settings.qc == QcRule::mad || settings.qc == QcRule::mad_linear) {
    const bool logged = settings.qc == QcRule::mad;
    quality.limits.push_back(mad_limit(kRnaCounts, logged, cells, alive, settings.mads, fails));
    if (has_atac) {
      quality.limits.push_back(mad_limit(kAtacCounts, logged, cells, alive, settings.mads, fails));
    }
    quality.limits.push_back(mad_limit(kMito, false, cells, alive, settings.mads, fails));
  } else if (settings.qc == QcRule::bounds) {
    const Bounds& bounds = settings.bounds;
    quality.limits.push_back(
        bound_limit(kRnaCounts, cells, alive, bounds.min_rna_counts, bounds.max_rna_counts, fails));
    quality.limits.push_back(bound_limit(kGenes, cells, alive, bounds.min_genes, bounds.max_genes, fails));
    if (has_atac) {
      quality.limits.push_back(
          bound_limit(kAtacCounts, cells, alive, bounds.min_atac_counts, bounds.max_atac_counts, fails));
    }
    quality.limits.push_back(bound_limit(kMito, cells, alive, -kInfinity, bounds.max_mito, fails));
  }
  if (settings.qc != QcRule::none && has_atac && has_blacklist) {
    quality.limits.push_back(
        bound_limit(kBlacklist, cells, alive, -kInfinity, settings.max_blacklist_share, fails));
  }
  for (const std::size_t cell : alive) {
    if (fails[cell] != 0) {
      quality.keep[cell] = 0;
      ++quality.by_rule;
    }
  }
  quality.kept = alive.size() - quality.by_rule;
  return quality;
}

bool is_mitochondrial(const std::string& symbol, const std::vector<std::string>& prefixes) {
  const std::string key = base::symbol_key(symbol);
  return std::any_of(prefixes.begin(), prefixes.end(), [&key](const std::string& prefix) {
    return !prefix.empty() && key.starts_with(base::symbol_key(prefix));
  });
}

base::Json limit_json(const Limit& limit) {
  // JSON has no infinity: no limit is null.
  const auto finite = [](double value) { return std::isfinite(value) ? base::Json(value) : base::Json(); };
  return {{"measure", limit.measure}, {"logged", limit.logged},   {"median", limit.median},
          {"mad", limit.mad},         {"low", finite(limit.low)}, {"high", finite(limit.high)},
          {"below", limit.below},     {"applied", limit.applied}, {"above", limit.above}};
}

}  // namespace mgrn::prepare
