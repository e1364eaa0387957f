// SPDX-License-Identifier: Apache-2.0
// Genes on a genome: GTF (Ensembl, GENCODE, UCSC) and UCSC refGene tables; BED intervals. Plain or gzip.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mgrn::formats {

/// Zero-based, half-open interval on a chromosome, as in BED.
struct Interval {
  std::int64_t start = 0;
  std::int64_t end = 0;
};

struct GenomicInterval {
  std::string chromosome;  ///< as the file spells it
  std::int64_t start = 0;
  std::int64_t end = 0;
};

struct Transcript {
  std::string symbol;  ///< gene symbol (GTF gene_name, else gene_id; refGene name2)
  std::string id;
  std::string chromosome;       ///< as the file spells it
  bool forward = true;          ///< + strand
  std::int64_t start = 0;       ///< 0-based
  std::int64_t end = 0;         ///< exclusive
  std::vector<Interval> exons;  ///< ascending; empty when a GTF gives none for this transcript
  std::int64_t transcription_start() const { return forward ? start : end; }
};

/// In order of first appearance. A GTF's transcript is built from its exon lines where it has no transcript
/// line; the same id at several places stays several transcripts. A refGene table has 16 columns (bin
/// first), 15 (without), or a header that names them. Throws DataError on a file that is neither GTF nor
/// refGene, with the line; a file without any transcript is one.
std::vector<Transcript> read_annotation(const std::filesystem::path& file);
/// Three or more columns, tab or blank; lines that start with #, track or browser are skipped. Throws
/// DataError with the line; a file without any interval is allowed.
std::vector<GenomicInterval> read_bed(const std::filesystem::path& file);
/// "chr1:100-200", "chr1_100_200", "chr1-100-200" (split from the right: contigs may hold separators).
/// False when `name` is not an interval.
bool parse_interval(const std::string& name, GenomicInterval& interval);
/// The name under which chromosomes of different spellings meet: "chr1", "1", "Chr1" -> "1"; "chrM", "MT"
/// -> "M".
std::string chromosome_key(const std::string& chromosome);

}  // namespace mgrn::formats
