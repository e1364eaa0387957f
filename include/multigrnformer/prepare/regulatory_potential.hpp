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

struct RpModel {
  PeakWeights transcripts;                 ///< a row per transcript given
  std::uint64_t peaks_on_chromosomes = 0;  ///< peaks on a chromosome that has transcripts
  std::uint64_t claimed_peaks = 0;
};

/// Transcripts with the same symbol and body (chromosome, strand-aware extent) are one: the first stays. The
/// survivors' numbers, ascending.
std::vector<std::uint32_t> unique_transcripts(std::span<const formats::Transcript> transcripts);

/// The two passes above. A two-pointer search per transcript over the peaks of its chromosome, sorted by c.
RpModel weigh_peaks(std::span<const formats::Transcript> transcripts,
                    std::span<const formats::GenomicInterval> peaks, const RpOptions& options);

/// Which symbols of the annotation belong to which genes.
struct SymbolMatch {
  std::vector<std::vector<std::uint32_t>> transcripts;  ///< per gene its isoforms, ascending; may be empty
  std::uint64_t exact = 0;                              ///< genes found as spelt
  std::uint64_t ignoring_case = 0;                      ///< genes found in another case only
  std::uint64_t by_id = 0;                              ///< genes found by their id (without version) only
  std::uint64_t missing = 0;
};
SymbolMatch match_symbols(std::span<const formats::Transcript> transcripts,
                          std::span<const std::string> symbols, std::span<const std::string> ids);

/// A row per gene: the isoform whose weights, times each peak's total over all kept cells, sum to most; the
/// first wins ties. A gene without isoforms, or whose isoforms have no peak, gets an empty row.
PeakWeights choose_isoforms(const PeakWeights& transcripts, const SymbolMatch& match,
                            std::span<const std::int64_t> peak_totals);

}  // namespace mgrn::prepare
