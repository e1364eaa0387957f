// SPDX-License-Identifier: Apache-2.0
#include "cells.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "parameters.hpp"
#include "stream.hpp"

namespace mgrn::simulate {
namespace {

double exponential(base::PhiloxStream& random) {
  return -std::log1p(-random.uniform());
}

// Odd, of slope 1 at 0, tending to +-most; a hyperbolic tangent costs several times as much.
double saturate(double value, double most) {
  const double part = value / most;
  return value / std::sqrt(1.0 + part * part);
}

// Logarithmic (log-series) distribution by inversion: the size of one cluster of a negative binomial.
std::uint32_t logarithmic(double p, base::PhiloxStream& random) {
  double left = random.uniform();
  double probability = -p / std::log1p(-p);
  std::uint32_t size = 1;
  // The bound is far beyond any count; it ends the search where rounding leaves a rest.
  while (left > probability && size < 1'000'000) {
    left -= probability;
    probability *= p * static_cast<double>(size) / static_cast<double>(size + 1);
    ++size;
  }
  return size;
}

}  // namespace

CellGenerator::CellGenerator(const Settings& settings, const Genome& genome, const Rules& rules)
    : settings_(settings), genome_(genome), rules_(rules) {
  double until = 0.0;
  for (const double share : rules.state_share) {
    until += share;
    state_until_.push_back(until);
  }
  for (const std::vector<double>& deviation : rules.state_peak) {
    std::vector<double> rate(genome.peaks.size());
    double total = 0.0;
    for (std::size_t p = 0; p < rate.size(); ++p) {
      rate[p] = std::exp(rules.peak_level[p] + deviation[p]);
      total += rate[p];
    }
    for (double& value : rate) {
      value /= total;
    }
    peak_rate_.push_back(std::move(rate));
  }

  std::vector<const Rule*> by_gene;
  for (const Rule& rule : rules.edges) {
    by_gene.push_back(&rule);
  }
  std::stable_sort(by_gene.begin(), by_gene.end(),
                   [](const Rule* a, const Rule* b) { return a->gene < b->gene; });
  std::vector<std::uint32_t> number(genome.peaks.size(), 0);  // 1 + number of the bound peak
  gene_edges_.assign(genome.regulated + std::size_t{1}, 0);
  for (const Rule* rule : by_gene) {
    const double sign = rule->activates ? 1.0 : -1.0;
    Edge edge{.tf = rule->tf,
              .first_peak = static_cast<std::uint32_t>(edge_peaks_.size()),
              .last_peak = 0,
              .effect = sign * settings.regulation * rule->weight,
              .opening = sign * rules.opening[rule->tf]};
    for (const std::uint32_t peak : rule->peaks) {
      if (number[peak] == 0) {
        bound_.push_back(peak);
        number[peak] = static_cast<std::uint32_t>(bound_.size());
      }
      edge_peaks_.push_back(number[peak] - 1);
    }
    edge.last_peak = static_cast<std::uint32_t>(edge_peaks_.size());
    edges_.push_back(edge);
    gene_edges_[rule->gene + std::size_t{1}] = static_cast<std::uint32_t>(edges_.size());
  }
  for (std::size_t g = 1; g < gene_edges_.size(); ++g) {
    gene_edges_[g] = std::max(gene_edges_[g], gene_edges_[g - 1]);
  }

  for (const std::vector<double>& deviation : rules.state_peak) {
    std::vector<double> openness;
    openness.reserve(edges_.size());
    for (const Edge& edge : edges_) {
      double sum = 0.0;
      for (std::uint32_t i = edge.first_peak; i < edge.last_peak; ++i) {
        sum += deviation[bound_[edge_peaks_[i]]];
      }
      openness.push_back(sum / std::max(1.0, static_cast<double>(edge.last_peak - edge.first_peak)));
    }
    state_openness_.push_back(std::move(openness));
  }

  double total = 0.0;
  for (std::size_t g = genome.regulated; g < genome.genes.size(); ++g) {
    mitochondrial_share_.push_back(
        std::exp(0.5 * stream(settings.rules_seed, "mitochondrial level", g - genome.regulated).normal()));
    total += mitochondrial_share_.back();
  }
  for (double& share : mitochondrial_share_) {
    share /= total;
  }
  activity_.resize(genome.tfs);
  opening_.resize(bound_.size());
  level_.resize(genome.regulated);
  rna_rate_.resize(genome.genes.size());
  atac_rate_.resize(genome.peaks.size());
}

CellIdentity CellGenerator::identity(std::uint64_t cell) const {
  base::PhiloxStream random = stream(settings_.seed, "cell", cell);
  const auto draw_state = [&] {
    const auto found = std::upper_bound(state_until_.begin(), state_until_.end(), random.uniform());
    return static_cast<std::uint32_t>(
        std::min<std::ptrdiff_t>(found - state_until_.begin(), std::ssize(state_until_) - 1));
  };
  CellIdentity identity;
  identity.state = draw_state();
  identity.second_state = draw_state();
  const double kind = random.uniform();
  if (kind < settings_.low_quality) {
    identity.quality = CellQuality::low;
  } else if (kind < settings_.low_quality + settings_.doublets) {
    identity.quality = CellQuality::doublet;
  }
  return identity;
}

void CellGenerator::add_rates(std::uint64_t cell, std::uint32_t state, std::uint32_t which, bool damaged) {
  base::PhiloxStream random = stream(settings_.seed, "activity", cell, which);
  const double rna_normal = random.normal();
  const double atac_normal = kDepthCorrelation * rna_normal +
                             std::sqrt(1.0 - kDepthCorrelation * kDepthCorrelation) * random.normal();
  const double kept = damaged ? kDamagedDepth : 1.0;
  const double rna_depth = kept * settings_.rna_counts * std::exp(settings_.depth_spread * rna_normal);
  const double atac_depth = kept * settings_.atac_counts * std::exp(settings_.depth_spread * atac_normal);

  std::array<double, kPrograms> program{};
  for (double& value : program) {
    value = random.normal();
  }
  for (std::uint32_t k = 0; k < genome_.tfs; ++k) {
    double common = 0.0;
    for (std::size_t j = 0; j < kPrograms; ++j) {
      common += rules_.program_loading[k][j] * program[j];
    }
    activity_[k] = rules_.state_activity[state][k] +
                   settings_.cell_activity *
                       (std::sqrt(kProgramShare) * common + std::sqrt(1.0 - kProgramShare) * random.normal());
  }

  std::fill(opening_.begin(), opening_.end(), 0.0);
  for (const Edge& edge : edges_) {
    const double opens = edge.opening * activity_[edge.tf];
    for (std::uint32_t i = edge.first_peak; i < edge.last_peak; ++i) {
      opening_[edge_peaks_[i]] += opens;
    }
  }
  for (double& value : opening_) {
    value = saturate(value, kOpeningSaturation);
  }

  // Without ATAC, or with the effect of accessibility off, an edge acts with its full weight.
  const bool gated = settings_.accessibility > 0.0;
  const std::vector<double>& state_openness = state_openness_[state];
  double total = 0.0;
  // What no rule explains varies with the activity's spread, so that the mRNA level keeps it.
  const double activity_spread = std::sqrt(settings_.state_activity * settings_.state_activity +
                                           settings_.cell_activity * settings_.cell_activity);
  const double own_noise = std::sqrt(1.0 - kCouplingOfMrna * kCouplingOfMrna) * activity_spread;
  for (std::uint32_t g = 0; g < genome_.regulated; ++g) {
    double regulation = 0.0;
    for (std::uint32_t e = gene_edges_[g]; e < gene_edges_[g + std::size_t{1}]; ++e) {
      const Edge& edge = edges_[e];
      double openness = 1.0;
      if (gated && edge.last_peak > edge.first_peak) {
        double mean = 0.0;
        for (std::uint32_t i = edge.first_peak; i < edge.last_peak; ++i) {
          mean += opening_[edge_peaks_[i]];
        }
        mean = state_openness[e] + mean / static_cast<double>(edge.last_peak - edge.first_peak);
        openness = std::clamp(std::exp(settings_.accessibility * mean), kLeastOpenness, kMostOpenness);
      }
      regulation += edge.effect * activity_[edge.tf] * openness;
    }
    double level = rules_.gene_level[g] + rules_.state_gene[state][g] + saturate(regulation, kSaturation);
    if (g < genome_.tfs) {
      level += kCouplingOfMrna * activity_[g] + own_noise * random.normal();
    }
    level_[g] = std::exp(level);
    total += level_[g];
  }
  const double mitochondrial =
      mitochondrial_share_.empty() ? 0.0 : kMitochondrialShare * (damaged ? kDamagedMitochondria : 1.0);
  for (std::uint32_t g = 0; g < genome_.regulated; ++g) {
    rna_rate_[g] += rna_depth * (1.0 - mitochondrial) * level_[g] / total;
  }
  for (std::size_t m = 0; m < mitochondrial_share_.size(); ++m) {
    rna_rate_[genome_.regulated + m] += rna_depth * mitochondrial * mitochondrial_share_[m];
  }

  const std::vector<double>& peaks = peak_rate_[state];
  for (std::size_t p = 0; p < peaks.size(); ++p) {
    atac_rate_[p] += atac_depth * peaks[p];
  }
  for (std::size_t b = 0; b < bound_.size(); ++b) {
    atac_rate_[bound_[b]] += atac_depth * peaks[bound_[b]] * std::expm1(opening_[b]);
  }
}

void CellGenerator::draw_counts(std::uint64_t cell, formats::CellBlock& block) {
  // One walk along the features: the arrivals of a Poisson process with unit rate on the cumulated rates are
  // the features' independent Poisson counts, and only what is not zero costs random numbers.
  {
    base::PhiloxStream random = stream(settings_.seed, "RNA", cell);
    const double dispersion = settings_.dispersion;
    double until = 0.0;
    double arrival = exponential(random);
    for (std::uint32_t g = 0; g < rna_rate_.size(); ++g) {
      // A negative binomial is a Poisson number of clusters, each with a logarithmic number of counts.
      const double excess = dispersion * rna_rate_[g];
      until += dispersion > 0.0 ? std::log1p(excess) / dispersion : rna_rate_[g];
      std::uint64_t count = 0;
      while (arrival < until) {
        count += dispersion > 0.0 ? logarithmic(excess / (1.0 + excess), random) : 1;
        arrival += exponential(random);
      }
      if (count > 0 && !(settings_.dropout > 0.0 && random.uniform() < settings_.dropout)) {
        block.feature.push_back(g);
        block.value.push_back(static_cast<float>(count));
        ++rna_entries_;
      }
    }
  }
  base::PhiloxStream random = stream(settings_.seed, "ATAC", cell);
  const auto first_peak = static_cast<std::uint32_t>(genome_.genes.size());
  double until = 0.0;
  double arrival = exponential(random);
  for (std::uint32_t p = 0; p < atac_rate_.size(); ++p) {
    until += atac_rate_[p];
    std::uint32_t count = 0;
    while (arrival < until) {
      ++count;
      arrival += exponential(random);
    }
    if (count > 0) {
      block.feature.push_back(first_peak + p);
      block.value.push_back(static_cast<float>(count));
      ++atac_entries_;
    }
  }
}

void CellGenerator::append(std::uint64_t cell, formats::CellBlock& block) {
  const CellIdentity cell_identity = identity(cell);
  std::fill(rna_rate_.begin(), rna_rate_.end(), 0.0);
  std::fill(atac_rate_.begin(), atac_rate_.end(), 0.0);
  add_rates(cell, cell_identity.state, 0, cell_identity.quality == CellQuality::low);
  if (cell_identity.quality == CellQuality::doublet) {
    add_rates(cell, cell_identity.second_state, 1, false);
  }
  if (block.offsets.empty()) {
    block.first_cell = cell;
    block.offsets.push_back(0);
  }
  draw_counts(cell, block);
  block.offsets.push_back(block.feature.size());
}

std::string barcode(std::uint64_t seed, std::uint64_t cell) {
  // Multiplication by an odd number permutes the 32-bit words, so barcodes never repeat.
  const auto offset = static_cast<std::uint32_t>(base::NameHash().add("barcode").add(seed).value());
  auto word = static_cast<std::uint32_t>(cell) * 2654435769u + offset;
  std::string text(16, 'A');
  for (char& letter : text) {
    letter = "ACGT"[word >> 30];
    word <<= 2;
  }
  return text + "-1";
}

}  // namespace mgrn::simulate
