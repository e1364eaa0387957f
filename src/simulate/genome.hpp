// SPDX-License-Identifier: Apache-2.0
// A genome with genes, transcripts and peaks. A function of the rules' seed and the sizes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "multigrnformer/formats/annotation.hpp"
#include "multigrnformer/simulate/settings.hpp"

namespace mgrn::simulate {

/// A TF regulates at most this share of the genes; so also the largest density.
inline constexpr double kLargestShareOfTargets = 0.4;

/// Of `genes` features: one in 25, at most the 13 that a mitochondrion codes for.
std::uint64_t mitochondrial_genes(std::uint64_t genes);

struct Gene {
  std::string symbol;
  std::string id;
  /// Names the gene in random streams: the same for a symbol in datasets of any size.
  std::uint64_t number = 0;
  std::uint32_t chromosome = 0;
  std::int64_t start = 0;  ///< 0-based
  std::int64_t end = 0;    ///< exclusive
  bool forward = true;
  std::vector<std::vector<formats::Interval>> transcripts;  ///< exons, ascending
  std::vector<std::uint32_t> peaks;                         ///< its promoter, then its enhancers
  std::int64_t tss() const { return forward ? start : end; }
};

enum class PeakKind : std::uint8_t { promoter, enhancer, background };

struct Peak {
  std::uint32_t chromosome = 0;
  std::int64_t start = 0;
  std::int64_t end = 0;
  PeakKind kind = PeakKind::background;
  std::uint32_t gene = 0;     ///< of promoters and enhancers
  std::uint64_t ordinal = 0;  ///< of its kind, and within its gene
};

struct Genome {
  std::vector<std::string> chromosomes;  ///< the mitochondrial one is last
  std::vector<Gene> genes;               ///< TFs, then other genes, then mitochondrial ones
  std::vector<Peak> peaks;               ///< sorted by chromosome and start, not overlapping
  std::uint32_t tfs = 0;
  std::uint32_t regulated = 0;  ///< genes that are not mitochondrial: TFs and others

  std::string interval(std::uint32_t chromosome, std::int64_t start, std::int64_t end) const;
};

Genome make_genome(const Settings& settings);

}  // namespace mgrn::simulate
