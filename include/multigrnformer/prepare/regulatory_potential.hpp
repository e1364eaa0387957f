// SPDX-License-Identifier: Apache-2.0
// Regulatory potential (RP): how strongly each peak counts for each transcript, by MAESTRO's "Enhanced" model
// (Wang et al., doi 10.1186/s13059-020-02116-x).
//
// With c the middle of a peak, tss a transcript's start, d = |c - tss|, body = transcript plus 2 kb upstream,
// promoter = tss +- 2 kb, all ends inclusive:
//  1. For every transcript whose body holds c: c in one of its exons gives 1 / (its exon length in kb); else
//  c
//     in its promoter gives 2^(-d / decay). In both cases the peak is claimed.
//  2. A peak that no transcript of any gene claimed gives 2^(-d / decay) to every transcript within
//     15 * decay.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/formats/annotation.hpp"

namespace mgrn::prepare {

inline constexpr double kPromoterReach = 2000.0;  ///< bp on either side of the transcription start
inline constexpr double kRangeInDecays = 15.0;    ///< beyond this many decays a peak does not count

struct RpOptions {
  double decay = 10000.0;  ///< bp
  double exon_cap = 0.0;   ///< largest exon weight; 0: none
};

/// Weights of peaks, a row per transcript (or gene). Within a row peaks ascend by position, then number.
struct PeakWeights {
  std::vector<std::uint64_t> offsets = {0};  ///< rows + 1
  std::vector<std::uint32_t> peak;
  std::vector<double> weight;
  std::uint64_t rows() const { return offsets.size() - 1; }
};

/// Transcripts with the same symbol and body (chromosome, strand-aware extent) are one: the first stays. The
/// survivors' numbers, ascending.
std::vector<std::uint32_t> unique_transcripts(std::span<const formats::Transcript> transcripts);

/// Which symbols of the annotation belong to which genes.
struct SymbolMatch {
  std::vector<std::uint64_t> offsets = {0};  ///< genes + 1, into `transcript`
  std::vector<std::uint32_t> transcript;     ///< per gene its isoforms, ascending; may be none
  std::uint64_t exact = 0;                   ///< genes found as spelt
  std::uint64_t ignoring_case = 0;           ///< genes found in another case only
  std::uint64_t by_id = 0;                   ///< genes found by their id (without version) only
  std::uint64_t missing = 0;
  std::uint64_t genes() const { return offsets.size() - 1; }
  std::span<const std::uint32_t> isoforms(std::uint64_t gene) const {
    return std::span(transcript).subspan(offsets[gene], offsets[gene + 1] - offsets[gene]);
  }
};
SymbolMatch match_symbols(std::span<const formats::Transcript> transcripts,
                          std::span<const std::string> symbols, std::span<const std::string> ids);

/// An annotation and its peaks as numbers in the order of the genome, without names: made once, weighed for
/// any options and totals. Peaks and transcripts of a chromosome lie together.
class GenomeIndex {
 public:
  /// `keep`: per peak whether it takes part; empty: all do. `match` is by number of `transcripts`. Throws
  /// DataError on a transcript of 2^31 bases or more.
  GenomeIndex(std::span<const formats::Transcript> transcripts,
              std::span<const formats::GenomicInterval> peaks, const SymbolMatch& match,
              std::span<const std::uint8_t> keep = {});

  std::uint64_t peaks() const { return middle_.size(); }  ///< that take part

 private:
  friend class Weighing;
  // Positions are doubles because the middle of a peak may lie between two bases; all are exact.
  struct Transcript {
    double start = 0.0;  // of transcription
    double first = 0.0;  // of the body, which ends are part of
    double last = 0.0;
    double per_kilobase = 0.0;                    // 1 / its exon length in kb
    std::uint32_t first_exon = 0, last_exon = 0;  // half open
    std::uint32_t first_peak = 0, last_peak = 0;  // of its chromosome, half open
  };
  std::vector<std::uint32_t> place_peaks(std::span<const formats::GenomicInterval> peaks,
                                         std::span<const std::uint8_t> keep,
                                         std::span<const std::uint32_t> chromosome_of,
                                         std::uint32_t chromosomes);
  void place_exons(const formats::Transcript& transcript, Transcript& placed);

  std::vector<double> middle_;            // of peaks, ascending within a chromosome
  std::vector<std::uint32_t> peak_;       // their numbers
  std::vector<Transcript> transcripts_;   // by chromosome, then first
  std::vector<std::uint8_t> has_gene_;    // per transcript whether it is an isoform of a gene
  std::vector<std::int32_t> exon_start_;  // from the first base of the body; without overlaps
  std::vector<std::int32_t> exon_end_;
  std::vector<std::uint64_t> isoform_offsets_;  // genes + 1
  std::vector<std::uint32_t> isoform_;          // places in `transcripts_`, ascending by their number
};

struct GeneWeights {
  PeakWeights genes;  ///< a row per gene; peaks by their number among those that the index was made of
  std::uint64_t claimed_peaks = 0;
};

/// The two passes above, then of each gene one isoform: that whose weights, times each peak's total over all
/// kept cells, sum to most; the first wins ties. A gene without isoforms, or whose isoforms have no peak with
/// a total, gets an empty row.
GeneWeights weigh_genes(const GenomeIndex& index, std::span<const std::int64_t> peak_totals,
                        const RpOptions& options);

}  // namespace mgrn::prepare
