// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/regulatory_potential.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/symbol.hpp"

namespace mgrn::prepare {
namespace {

// Inclusive ends, in bp. Positions are doubles because the middle of a peak may lie between two bases; all
// are exact.
struct Body {
  double first = 0.0;
  double last = 0.0;
};

Body body_of(const formats::Transcript& transcript) {
  const auto start = static_cast<double>(transcript.start);
  const auto end = static_cast<double>(transcript.end);
  return transcript.forward ? Body{start - kPromoterReach, end} : Body{start, end + kPromoterReach};
}

struct PlacedPeak {
  double middle = 0.0;
  std::uint32_t peak = 0;
};

double exon_kilobases(const formats::Transcript& transcript) {
  std::int64_t bases = 0;
  for (const formats::Interval& exon : transcript.exons) {
    bases += exon.end - exon.start;
  }
  return static_cast<double>(bases) / 1000.0;
}

bool in_exon(const formats::Transcript& transcript, double position) {
  return std::any_of(
      transcript.exons.begin(), transcript.exons.end(), [position](const formats::Interval& exon) {
        return static_cast<double>(exon.start) <= position && position <= static_cast<double>(exon.end);
      });
}

// The peaks of a chromosome with first <= middle <= last.
std::span<const PlacedPeak> between(const std::vector<PlacedPeak>& peaks, double first, double last) {
  const auto low = std::lower_bound(peaks.begin(), peaks.end(), first,
                                    [](const PlacedPeak& peak, double value) { return peak.middle < value; });
  const auto high = std::upper_bound(
      low, peaks.end(), last, [](double value, const PlacedPeak& peak) { return value < peak.middle; });
  return {low, high};
}

std::string without_version(const std::string& id) {
  return id.substr(0, id.find('.'));
}

}  // namespace

std::vector<std::uint32_t> unique_transcripts(std::span<const formats::Transcript> transcripts) {
  std::unordered_set<std::string> seen;
  seen.reserve(transcripts.size());
  std::vector<std::uint32_t> kept;
  for (std::uint32_t i = 0; i < transcripts.size(); ++i) {
    const formats::Transcript& transcript = transcripts[i];
    const Body body = body_of(transcript);
    std::string name = transcript.symbol + '@' + formats::chromosome_key(transcript.chromosome) + '@' +
                       std::to_string(static_cast<std::int64_t>(body.first)) + '@' +
                       std::to_string(static_cast<std::int64_t>(body.last));
    if (seen.insert(std::move(name)).second) {
      kept.push_back(i);
    }
  }
  return kept;
}

RpModel weigh_peaks(std::span<const formats::Transcript> transcripts,
                    std::span<const formats::GenomicInterval> peaks, const RpOptions& options) {
  // Chromosomes are few and their names repeat: the key of each spelling is worked out once.
  std::unordered_map<std::string, std::size_t> number_of_spelling;
  std::unordered_map<std::string, std::size_t> number_of_key;
  std::vector<std::vector<PlacedPeak>> placed;
  const auto chromosome = [&](const std::string& spelling) {
    const auto known = number_of_spelling.find(spelling);
    if (known != number_of_spelling.end()) {
      return known->second;
    }
    const std::size_t number =
        number_of_key.emplace(formats::chromosome_key(spelling), placed.size()).first->second;
    if (number == placed.size()) {
      placed.emplace_back();
    }
    number_of_spelling.emplace(spelling, number);
    return number;
  };
  for (std::uint32_t peak = 0; peak < peaks.size(); ++peak) {
    const double middle =
        0.5 * (static_cast<double>(peaks[peak].start) + static_cast<double>(peaks[peak].end));
    placed[chromosome(peaks[peak].chromosome)].push_back({middle, peak});
  }
  for (std::vector<PlacedPeak>& on_chromosome : placed) {
    std::sort(on_chromosome.begin(), on_chromosome.end(), [](const PlacedPeak& a, const PlacedPeak& b) {
      return a.middle != b.middle ? a.middle < b.middle : a.peak < b.peak;
    });
  }

  std::vector<std::size_t> chromosome_of(transcripts.size());
  for (std::size_t row = 0; row < transcripts.size(); ++row) {
    chromosome_of[row] = chromosome(transcripts[row].chromosome);
  }
  RpModel model;
  std::vector<std::uint8_t> has_transcripts(placed.size(), 0);
  for (const std::size_t number : chromosome_of) {
    has_transcripts[number] = 1;
  }
  for (std::size_t number = 0; number < placed.size(); ++number) {
    model.peaks_on_chromosomes += has_transcripts[number] != 0 ? placed[number].size() : 0;
  }

  const auto by_distance = [&options](double middle, double start) {
    return std::exp2(-std::abs(middle - start) / options.decay);
  };
  // Pass 1. The claimed weights of a transcript are few; pass 2 needs all claims, so they wait here.
  std::vector<std::uint8_t> claimed(peaks.size(), 0);
  PeakWeights claims;
  for (std::size_t row = 0; row < transcripts.size(); ++row) {
    const formats::Transcript& transcript = transcripts[row];
    const Body body = body_of(transcript);
    const auto start = static_cast<double>(transcript.transcription_start());
    for (const PlacedPeak& peak : between(placed[chromosome_of[row]], body.first, body.last)) {
      double weight = 0.0;
      if (in_exon(transcript, peak.middle)) {
        weight = 1.0 / exon_kilobases(transcript);
        if (options.exon_cap > 0.0) {
          weight = std::min(weight, options.exon_cap);
        }
      } else if (std::abs(peak.middle - start) <= kPromoterReach) {
        weight = by_distance(peak.middle, start);
      } else {
        continue;  // an intron claims nothing
      }
      claimed[peak.peak] = 1;
      claims.peak.push_back(peak.peak);
      claims.weight.push_back(weight);
    }
    claims.offsets.push_back(claims.peak.size());
  }
  model.claimed_peaks = static_cast<std::uint64_t>(std::accumulate(claimed.begin(), claimed.end(), 0L));

  // Pass 2, merged with the claims so that a row's peaks ascend by position whatever gave their weight. A
  // claim may lie beyond the range by distance: an exon far from the start of a long transcript.
  const double range = kRangeInDecays * options.decay;
  for (std::size_t row = 0; row < transcripts.size(); ++row) {
    const formats::Transcript& transcript = transcripts[row];
    const Body body = body_of(transcript);
    const auto start = static_cast<double>(transcript.transcription_start());
    std::uint64_t claim = claims.offsets[row];
    const std::uint64_t claims_end = claims.offsets[row + 1];
    const double first = claim < claims_end ? std::min(start - range, body.first) : start - range;
    const double last = claim < claims_end ? std::max(start + range, body.last) : start + range;
    for (const PlacedPeak& peak : between(placed[chromosome_of[row]], first, last)) {
      if (claim < claims_end && claims.peak[claim] == peak.peak) {
        model.transcripts.peak.push_back(peak.peak);
        model.transcripts.weight.push_back(claims.weight[claim]);
        ++claim;
      } else if (claimed[peak.peak] == 0 && std::abs(peak.middle - start) <= range) {
        model.transcripts.peak.push_back(peak.peak);
        model.transcripts.weight.push_back(by_distance(peak.middle, start));
      }
    }
    model.transcripts.offsets.push_back(model.transcripts.peak.size());
  }
  return model;
}

SymbolMatch match_symbols(std::span<const formats::Transcript> transcripts,
                          std::span<const std::string> symbols, std::span<const std::string> ids) {
  std::unordered_map<std::string, std::vector<std::uint32_t>> of_symbol;
  std::unordered_map<std::string, std::string> spelling;  // key -> the first spelling in the annotation
  for (std::uint32_t i = 0; i < transcripts.size(); ++i) {
    const std::string& symbol = transcripts[i].symbol;
    of_symbol[symbol].push_back(i);
    spelling.emplace(base::symbol_key(symbol), symbol);
    // Ensembl ids as symbols (a GTF without gene_name) may carry a version.
    if (symbol.starts_with("ENS")) {
      spelling.emplace(base::symbol_key(without_version(symbol)), symbol);
    }
  }
  SymbolMatch match;
  match.transcripts.resize(symbols.size());
  for (std::size_t gene = 0; gene < symbols.size(); ++gene) {
    const auto exact = of_symbol.find(symbols[gene]);
    if (exact != of_symbol.end()) {
      match.transcripts[gene] = exact->second;
      ++match.exact;
      continue;
    }
    auto other = spelling.find(base::symbol_key(symbols[gene]));
    if (other != spelling.end()) {
      match.transcripts[gene] = of_symbol.at(other->second);
      ++match.ignoring_case;
      continue;
    }
    if (!ids[gene].empty()) {
      other = spelling.find(base::symbol_key(without_version(ids[gene])));
    }
    if (other != spelling.end()) {
      match.transcripts[gene] = of_symbol.at(other->second);
      ++match.by_id;
    } else {
      ++match.missing;
    }
  }
  return match;
}

PeakWeights choose_isoforms(const PeakWeights& transcripts, const SymbolMatch& match,
                            std::span<const std::int64_t> peak_totals) {
  PeakWeights genes;
  genes.offsets.reserve(match.transcripts.size() + 1);
  for (const std::vector<std::uint32_t>& isoforms : match.transcripts) {
    double best_total = 0.0;
    std::uint32_t best = 0;
    for (const std::uint32_t row : isoforms) {
      double total = 0.0;
      for (std::uint64_t i = transcripts.offsets[row]; i < transcripts.offsets[row + 1]; ++i) {
        total += transcripts.weight[i] * static_cast<double>(peak_totals[transcripts.peak[i]]);
      }
      if (total > best_total) {
        best_total = total;
        best = row;
      }
    }
    if (best_total > 0.0) {
      const auto first = static_cast<std::ptrdiff_t>(transcripts.offsets[best]);
      const auto last = static_cast<std::ptrdiff_t>(transcripts.offsets[best + 1]);
      genes.peak.insert(genes.peak.end(), transcripts.peak.begin() + first, transcripts.peak.begin() + last);
      genes.weight.insert(genes.weight.end(), transcripts.weight.begin() + first,
                          transcripts.weight.begin() + last);
    }
    genes.offsets.push_back(genes.peak.size());
  }
  return genes;
}

}  // namespace mgrn::prepare
