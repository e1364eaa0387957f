// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/regulatory_potential.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"

namespace mgrn::prepare {
namespace {

// Inclusive ends, in bp.
struct Body {
  double first = 0.0;
  double last = 0.0;
};

Body body_of(const formats::Transcript& transcript) {
  const auto start = static_cast<double>(transcript.start);
  const auto end = static_cast<double>(transcript.end);
  return transcript.forward ? Body{start - kPromoterReach, end} : Body{start, end + kPromoterReach};
}

double exon_kilobases(const formats::Transcript& transcript) {
  std::int64_t bases = 0;
  for (const formats::Interval& exon : transcript.exons) {
    bases += exon.end - exon.start;
  }
  return static_cast<double>(bases) / 1000.0;
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
  match.offsets.reserve(symbols.size() + 1);
  const auto add = [&match](std::span<const std::uint32_t> isoforms) {
    match.transcript.insert(match.transcript.end(), isoforms.begin(), isoforms.end());
    match.offsets.push_back(match.transcript.size());
  };
  for (std::size_t gene = 0; gene < symbols.size(); ++gene) {
    const auto exact = of_symbol.find(symbols[gene]);
    if (exact != of_symbol.end()) {
      add(exact->second);
      ++match.exact;
      continue;
    }
    auto other = spelling.find(base::symbol_key(symbols[gene]));
    if (other != spelling.end()) {
      add(of_symbol.at(other->second));
      ++match.ignoring_case;
      continue;
    }
    if (!ids[gene].empty()) {
      other = spelling.find(base::symbol_key(without_version(ids[gene])));
    }
    if (other != spelling.end()) {
      add(of_symbol.at(other->second));
      ++match.by_id;
    } else {
      add({});
      ++match.missing;
    }
  }
  return match;
}

GenomeIndex::GenomeIndex(std::span<const formats::Transcript> transcripts,
                         std::span<const formats::GenomicInterval> peaks, const SymbolMatch& match,
                         std::span<const std::uint8_t> keep) {
  // Chromosomes are few and their names repeat: the key of each spelling is worked out once.
  std::unordered_map<std::string, std::uint32_t> number_of_spelling;
  std::unordered_map<std::string, std::uint32_t> number_of_key;
  const auto chromosome = [&](const std::string& spelling) {
    const auto known = number_of_spelling.find(spelling);
    if (known != number_of_spelling.end()) {
      return known->second;
    }
    const auto next = static_cast<std::uint32_t>(number_of_key.size());
    const std::uint32_t number = number_of_key.emplace(formats::chromosome_key(spelling), next).first->second;
    number_of_spelling.emplace(spelling, number);
    return number;
  };
  std::vector<std::uint32_t> of_peak(peaks.size());
  for (std::size_t peak = 0; peak < peaks.size(); ++peak) {
    of_peak[peak] = chromosome(peaks[peak].chromosome);
  }
  std::vector<std::uint32_t> of_transcript(transcripts.size());
  for (std::size_t i = 0; i < transcripts.size(); ++i) {
    of_transcript[i] = chromosome(transcripts[i].chromosome);
  }
  const std::vector<std::uint32_t> first_peak =
      place_peaks(peaks, keep, of_peak, static_cast<std::uint32_t>(number_of_key.size()));

  std::vector<std::uint32_t> order(transcripts.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    return of_transcript[a] != of_transcript[b]
               ? of_transcript[a] < of_transcript[b]
               : body_of(transcripts[a]).first < body_of(transcripts[b]).first;
  });
  std::vector<std::uint32_t> place_of(transcripts.size());
  transcripts_.resize(transcripts.size());
  for (std::uint32_t place = 0; place < order.size(); ++place) {
    const formats::Transcript& transcript = transcripts[order[place]];
    const Body body = body_of(transcript);
    Transcript& placed = transcripts_[place];
    placed.start = static_cast<double>(transcript.transcription_start());
    placed.first = body.first;
    placed.last = body.last;
    placed.per_kilobase = 1.0 / exon_kilobases(transcript);
    placed.first_peak = first_peak[of_transcript[order[place]]];
    placed.last_peak = first_peak[of_transcript[order[place]] + 1];
    place_exons(transcript, placed);
    place_of[order[place]] = place;
  }
  has_gene_.assign(transcripts.size(), 0);
  isoform_offsets_ = match.offsets;
  isoform_.reserve(match.transcript.size());
  for (const std::uint32_t number : match.transcript) {
    isoform_.push_back(place_of[number]);
    has_gene_[place_of[number]] = 1;
  }
}

// Returns where each chromosome's peaks begin, and their end.
std::vector<std::uint32_t> GenomeIndex::place_peaks(std::span<const formats::GenomicInterval> peaks,
                                                    std::span<const std::uint8_t> keep,
                                                    std::span<const std::uint32_t> chromosome_of,
                                                    std::uint32_t chromosomes) {
  std::vector<std::uint32_t> first(chromosomes + 1, 0);
  for (std::uint32_t peak = 0; peak < peaks.size(); ++peak) {
    if (keep.empty() || keep[peak] != 0) {
      peak_.push_back(peak);
      ++first[chromosome_of[peak] + 1];
    }
  }
  std::partial_sum(first.begin(), first.end(), first.begin());
  const auto middle = [&](std::uint32_t peak) {
    return 0.5 * (static_cast<double>(peaks[peak].start) + static_cast<double>(peaks[peak].end));
  };
  std::stable_sort(peak_.begin(), peak_.end(), [&](std::uint32_t a, std::uint32_t b) {
    return chromosome_of[a] != chromosome_of[b] ? chromosome_of[a] < chromosome_of[b] : middle(a) < middle(b);
  });
  middle_.resize(peak_.size());
  std::transform(peak_.begin(), peak_.end(), middle_.begin(), middle);
  return first;
}

// What lies outside the body gives no weight. Exons that overlap become one: whether a base is in any of them
// stays the same.
void GenomeIndex::place_exons(const formats::Transcript& transcript, Transcript& placed) {
  if (placed.last - placed.first >= std::ldexp(1.0, 31)) {
    throw base::DataError({.what = "a transcript of the annotation is too long",
                           .expected = "less than 2^31 bases",
                           .got = std::to_string(transcript.start) + " to " + std::to_string(transcript.end) +
                                  " on " + transcript.chromosome + " for " + transcript.symbol,
                           .hint = "Correct or remove this transcript."});
  }
  const auto from_body = [&placed](std::int64_t position) {
    const double clipped = std::clamp(static_cast<double>(position), placed.first, placed.last);
    return static_cast<std::int32_t>(clipped - placed.first);
  };
  placed.first_exon = static_cast<std::uint32_t>(exon_start_.size());
  for (const formats::Interval& exon : transcript.exons) {
    if (static_cast<double>(exon.end) < placed.first || static_cast<double>(exon.start) > placed.last) {
      continue;
    }
    const std::int32_t start = from_body(exon.start);
    const std::int32_t end = from_body(exon.end);
    if (exon_start_.size() > placed.first_exon && start <= exon_end_.back()) {
      exon_end_.back() = std::max(exon_end_.back(), end);
    } else {
      exon_start_.push_back(start);
      exon_end_.push_back(end);
    }
  }
  placed.last_exon = static_cast<std::uint32_t>(exon_start_.size());
}

// One run of weigh_genes. Transcripts come in the order of the genome, so that where a transcript's peaks
// begin is found by moving a pointer a few peaks on or back.
class Weighing {
 public:
  Weighing(const GenomeIndex& index, const RpOptions& options)
      : index_(index),
        decay_(options.decay),
        range_(kRangeInDecays * options.decay),
        cap_(options.exon_cap > 0.0 ? options.exon_cap : std::numeric_limits<double>::infinity()) {}

  GeneWeights run(std::span<const std::int64_t> peak_totals) {
    claim();
    sum_isoforms(peak_totals);
    GeneWeights result;
    result.claimed_peaks = static_cast<std::uint64_t>(std::count(claimed_.begin(), claimed_.end(), 1));
    const std::vector<std::uint32_t> best = choose();
    std::uint64_t entries = 0;
    for (const std::uint32_t place : best) {
      entries += place != kNone ? isoforms_[place].peaks : 0;
    }
    result.genes.offsets.reserve(best.size() + 1);
    result.genes.peak.reserve(entries);
    result.genes.weight.reserve(entries);
    for (const std::uint32_t place : best) {
      if (place != kNone) {
        for_peaks(index_.transcripts_[place], isoforms_[place].first, [&](std::uint32_t peak, double weight) {
          result.genes.peak.push_back(index_.peak_[peak]);
          result.genes.weight.push_back(weight);
        });
      }
      result.genes.offsets.push_back(result.genes.peak.size());
    }
    return result;
  }

 private:
  using Transcript = GenomeIndex::Transcript;
  static constexpr std::uint32_t kNone = std::numeric_limits<std::uint32_t>::max();
  struct Isoform {
    double total = 0.0;
    std::uint32_t first = 0;  // peak that may count
    std::uint32_t peaks = 0;  // that count
  };

  // The first of a transcript's chromosome's peaks not before `position`, looked for from `near` on.
  std::uint32_t first_from(const Transcript& transcript, double position, std::uint32_t near) const {
    const double* middle = index_.middle_.data();
    std::uint32_t peak = std::clamp(near, transcript.first_peak, transcript.last_peak);
    while (peak > transcript.first_peak && middle[peak - 1] >= position) {
      --peak;
    }
    while (peak < transcript.last_peak && middle[peak] < position) {
      ++peak;
    }
    return peak;
  }

  bool in_body(const Transcript& transcript, double middle) const {
    return transcript.first <= middle && middle <= transcript.last;
  }

  // `middle` is in the body. No early end: a transcript has few exons, which compare several at a time.
  bool in_exon(const Transcript& transcript, double middle) const {
    const double place = middle - transcript.first;
    const auto low = static_cast<std::int32_t>(place);
    const std::int32_t high = low + (place > static_cast<double>(low) ? 1 : 0);
    const std::int32_t* start = index_.exon_start_.data();
    const std::int32_t* end = index_.exon_end_.data();
    std::int32_t found = 0;
    for (std::uint32_t exon = transcript.first_exon; exon < transcript.last_exon; ++exon) {
      found |= static_cast<std::int32_t>(start[exon] <= low) & static_cast<std::int32_t>(high <= end[exon]);
    }
    return found != 0;
  }

  // Pass 1.
  void claim() {
    claimed_.assign(index_.middle_.size(), 0);
    std::uint32_t near = 0;
    for (const Transcript& transcript : index_.transcripts_) {
      near = first_from(transcript, transcript.first, near);
      for (std::uint32_t peak = near; peak < transcript.last_peak; ++peak) {
        const double middle = index_.middle_[peak];
        if (middle > transcript.last) {
          break;
        }
        if (claimed_[peak] == 0) {
          claimed_[peak] =
              std::abs(middle - transcript.start) <= kPromoterReach || in_exon(transcript, middle) ? 1 : 0;
        }
      }
    }
  }

  // Pass 2: the peaks that count for a transcript, ascending, and their weights. `first` is the first of them
  // or before it. A claim may lie beyond the range by distance: an exon far from the start of a long
  // transcript.
  template <typename Work>
  void for_peaks(const Transcript& transcript, std::uint32_t first, const Work& work) const {
    const double last = std::max(transcript.start + range_, transcript.last);
    for (std::uint32_t peak = first; peak < transcript.last_peak; ++peak) {
      const double middle = index_.middle_[peak];
      if (middle > last) {
        break;
      }
      const double distance = std::abs(middle - transcript.start);
      if (claimed_[peak] == 0) {
        if (distance <= range_) {
          work(peak, std::exp2(-distance / decay_));
        }
      } else if (in_body(transcript, middle)) {
        // Claimed, but perhaps by others.
        if (in_exon(transcript, middle)) {
          work(peak, std::min(transcript.per_kilobase, cap_));
        } else if (distance <= kPromoterReach) {
          work(peak, std::exp2(-distance / decay_));
        }
      }
    }
  }

  void sum_isoforms(std::span<const std::int64_t> peak_totals) {
    std::vector<double> totals(index_.peak_.size());
    std::transform(index_.peak_.begin(), index_.peak_.end(), totals.begin(),
                   [&](std::uint32_t peak) { return static_cast<double>(peak_totals[peak]); });
    isoforms_.resize(index_.transcripts_.size());
    std::uint32_t near = 0;
    for (std::size_t place = 0; place < isoforms_.size(); ++place) {
      if (index_.has_gene_[place] == 0) {
        continue;
      }
      const Transcript& transcript = index_.transcripts_[place];
      Isoform& isoform = isoforms_[place];
      near = first_from(transcript, std::min(transcript.start - range_, transcript.first), near);
      isoform.first = near;
      for_peaks(transcript, near, [&](std::uint32_t peak, double weight) {
        isoform.total += weight * totals[peak];
        ++isoform.peaks;
      });
    }
  }

  std::vector<std::uint32_t> choose() const {
    const std::size_t genes = index_.isoform_offsets_.size() - 1;
    std::vector<std::uint32_t> best(genes, kNone);
    for (std::size_t gene = 0; gene < genes; ++gene) {
      double most = 0.0;
      for (std::uint64_t i = index_.isoform_offsets_[gene]; i < index_.isoform_offsets_[gene + 1]; ++i) {
        if (isoforms_[index_.isoform_[i]].total > most) {
          most = isoforms_[index_.isoform_[i]].total;
          best[gene] = index_.isoform_[i];
        }
      }
    }
    return best;
  }

  const GenomeIndex& index_;
  const double decay_;
  const double range_;
  const double cap_;
  std::vector<std::uint8_t> claimed_;  // per peak
  std::vector<Isoform> isoforms_;      // per transcript; those of genes only
};

GeneWeights weigh_genes(const GenomeIndex& index, std::span<const std::int64_t> peak_totals,
                        const RpOptions& options) {
  return Weighing(index, options).run(peak_totals);
}

}  // namespace mgrn::prepare
