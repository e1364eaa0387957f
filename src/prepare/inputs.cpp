// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/inputs.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/prepare/regulatory_potential.hpp"

namespace mgrn::prepare {
namespace {

// Below this share of peaks on chromosomes of the annotation the two are of different genomes.
constexpr double kLeastPeaksOnChromosomes = 0.10;
constexpr double kUsualPeaksOnChromosomes = 0.50;

std::string of(std::uint64_t part, std::uint64_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

// A run of bases such as "AAACAGCCAAGGAATC-1": what names a cell, never a gene.
bool looks_like_barcode(const std::string& name) {
  constexpr std::size_t kLeastBases = 10;
  std::size_t bases = 0;
  while (bases < name.size() && (name[bases] == 'A' || name[bases] == 'C' || name[bases] == 'G' ||
                                 name[bases] == 'T' || name[bases] == 'N')) {
    ++bases;
  }
  return bases >= kLeastBases &&
         std::all_of(name.begin() + static_cast<std::ptrdiff_t>(bases), name.end(), [](char letter) {
           return letter == '-' || std::isdigit(static_cast<unsigned char>(letter)) != 0;
         });
}

template <typename Names, typename Test>
bool most(const Names& names, Test test) {
  std::size_t hits = 0;
  for (const auto& name : names) {
    hits += test(name) ? 1u : 0u;
  }
  return 2 * hits > names.size();
}

[[noreturn]] void throw_transposed(const std::string& file, const std::string& got) {
  throw base::DataError({.what = "the matrix seems to be transposed",
                         .file = file,
                         .expected = "names of genes or peaks as features and barcodes as cells",
                         .got = got,
                         .hint = "Transpose the matrix, so that its cells are cells."});
}

void check_orientation(const formats::MatrixSource& source, const std::vector<std::string>& known_genes,
                       const std::string& file) {
  const auto barcode_feature = [](const formats::Feature& feature) {
    return looks_like_barcode(feature.name);
  };
  if (most(source.features(), barcode_feature)) {
    throw_transposed(file, "features such as " + source.features().front().name);
  }
  const auto peak_barcode = [](const std::string& name) {
    formats::GenomicInterval interval;
    return formats::parse_interval(name, interval);
  };
  std::unordered_set<std::string> keys;
  for (const std::string& symbol : known_genes) {
    keys.insert(base::symbol_key(symbol));
  }
  const auto gene_barcode = [&keys](const std::string& name) {
    return keys.contains(base::symbol_key(name));
  };
  if (most(source.barcodes(), peak_barcode) || most(source.barcodes(), gene_barcode)) {
    throw_transposed(file, "cells such as " + source.barcodes().front());
  }
}

void select_genes(Inputs& inputs, const std::string& file) {
  std::size_t peaks = 0;
  for (const formats::Feature& feature : inputs.rna->features()) {
    if (feature.type == formats::FeatureType::gene_expression) {
      inputs.gene_number.push_back(static_cast<std::int64_t>(inputs.genes.size()));
      inputs.genes.push_back(feature.name.empty() ? feature.id : feature.name);
      inputs.gene_ids.push_back(feature.id);
    } else {
      inputs.gene_number.push_back(-1);
      peaks += feature.type == formats::FeatureType::peaks ? 1u : 0u;
    }
  }
  if (inputs.genes.empty()) {
    throw base::DataError(
        {.what = peaks > 0 ? "the RNA file holds peaks only" : "the RNA file holds no genes",
         .file = file,
         .expected = "features of type Gene Expression",
         .got = std::to_string(peaks) + " peaks and " +
                std::to_string(inputs.rna->features().size() - peaks) + " other features",
         .hint = peaks > 0 ? "Give this file to --atac and the gene matrix to --rna."
                           : "Give --rna the gene matrix."});
  }
}

void select_peaks(Inputs& inputs, const std::string& file) {
  const std::vector<formats::Feature>& features = inputs.peak_source().features();
  const bool typed = std::any_of(features.begin(), features.end(), [](const formats::Feature& feature) {
    return feature.type == formats::FeatureType::peaks;
  });
  // A file of its own may call its features by no type; one that also holds genes must.
  std::uint64_t nameless = 0;
  std::string example;
  for (const formats::Feature& feature : features) {
    if (typed ? feature.type != formats::FeatureType::peaks : inputs.atac == nullptr) {
      inputs.peak_number.push_back(-1);
      continue;
    }
    formats::GenomicInterval interval;
    if (!formats::parse_interval(feature.interval, interval) &&
        !formats::parse_interval(feature.name, interval) && !formats::parse_interval(feature.id, interval)) {
      if (nameless++ == 0) {
        example = feature.name.empty() ? feature.id : feature.name;
      }
    }
    inputs.peak_number.push_back(static_cast<std::int64_t>(inputs.peaks.size()));
    inputs.peaks.push_back(std::move(interval));
  }
  if (nameless > 0) {
    throw base::DataError(
        {.what = "peaks whose names are no positions",
         .file = file,
         .expected = "names such as chr1:100-200, chr1_100_200 or chr1-100-200",
         .got = of(nameless, inputs.peaks.size()) + " otherwise, such as '" + example + "'",
         .hint = "Name the peaks by chromosome, start and end, or give --atac the peak matrix."});
  }
  if (inputs.peaks.empty()) {
    throw base::DataError({.what = "the ATAC file holds no peaks",
                           .file = file,
                           .expected = "features of type Peaks",
                           .got = std::to_string(features.size()) + " other features",
                           .hint = "Give --atac the peak matrix, or leave it out for RNA only."});
  }
}

void join_cells(Inputs& inputs, const Settings& settings) {
  const std::vector<std::string>& rna = inputs.rna->barcodes();
  base::Json& counts = inputs.counts;
  counts["cells"]["rna"] = rna.size();
  if (inputs.atac) {
    const std::vector<std::string>& atac = inputs.atac->barcodes();
    formats::BarcodeJoin join =
        formats::join_barcodes(rna, atac, settings.rna.string(), settings.atac.string());
    if (join.cells.empty()) {
      throw base::DataError(
          {.what = "the RNA and the ATAC file have no cell in common",
           .file = settings.atac.string(),
           .expected = "barcodes of the same cells, such as " + rna.front(),
           .got = atac.empty() ? std::string("no cells") : "barcodes such as " + atac.front(),
           .hint = "Give files of the same cells, or rename the barcodes alike."});
    }
    inputs.cells = std::move(join.cells);
    counts["cells"]["atac"] = atac.size();
    counts["cells"]["rna_only"] = join.rna_only;
    counts["cells"]["atac_only"] = join.atac_only;
    counts["cells"]["joined"] = inputs.cells.size();
    if (join.suffix_ignored) {
      inputs.warnings.emplace_back(
          "barcodes of one file end in -1, those of the other do not; matched without it");
    }
    if (2 * inputs.cells.size() < std::min(rna.size(), atac.size())) {
      inputs.warnings.push_back("only " + of(inputs.cells.size(), std::min(rna.size(), atac.size())) +
                                " barcodes are in both the RNA and the ATAC file");
    }
  } else {
    inputs.cells.resize(rna.size());
    for (std::size_t i = 0; i < rna.size(); ++i) {
      inputs.cells[i] = {.rna = i, .atac = i};
    }
  }
  if (!settings.barcodes.empty()) {
    const std::vector<std::string> wanted = formats::read_barcode_list(settings.barcodes);
    std::vector<std::string> candidates;
    candidates.reserve(inputs.cells.size());
    for (const formats::CellPair& cell : inputs.cells) {
      candidates.push_back(rna[cell.rna]);
    }
    const formats::BarcodeJoin join =
        formats::join_barcodes(candidates, wanted, settings.rna.string(), settings.barcodes.string());
    if (join.cells.empty()) {
      throw base::DataError({.what = "the barcode list has no cell of the matrix",
                             .file = settings.barcodes.string(),
                             .expected = "barcodes such as " + candidates.front(),
                             .got = std::to_string(wanted.size()) + " barcodes such as " + wanted.front(),
                             .hint = "Give --barcodes the barcodes as the matrix spells them."});
    }
    std::vector<formats::CellPair> kept;
    kept.reserve(join.cells.size());
    for (const formats::CellPair& match : join.cells) {
      kept.push_back(inputs.cells[match.rna]);
    }
    inputs.cells = std::move(kept);
    counts["cells"]["listed"] = wanted.size();
    counts["cells"]["listed_unknown"] = join.atac_only;
    counts["cells"]["unlisted"] = join.rna_only;
    if (join.atac_only > 0) {
      inputs.warnings.push_back(of(join.atac_only, wanted.size()) +
                                " barcodes of the list are not in the matrix");
    }
  }
  if (inputs.cells.empty()) {
    throw base::DataError({.what = "the matrix holds no cells",
                           .file = settings.rna.string(),
                           .hint = "Give --rna a matrix with cells."});
  }
  counts["cells"]["candidates"] = inputs.cells.size();
}

void check_annotation(Inputs& inputs, const Settings& settings) {
  const SymbolMatch match = match_symbols(inputs.transcripts, inputs.genes, inputs.gene_ids);
  const std::uint64_t matched = inputs.genes.size() - match.missing;
  if (matched == 0) {
    throw base::DataError({.what = "no gene of the matrix is in the annotation",
                           .file = settings.annotation.string(),
                           .expected = "symbols such as " + inputs.genes.front(),
                           .got = "symbols such as " + inputs.transcripts.front().symbol,
                           .hint = "Give an annotation of this organism, with gene symbols (GTF gene_name) "
                                   "as the matrix has them."});
  }
  if (match.exact < match.ignoring_case) {
    inputs.warnings.push_back(
        of(match.ignoring_case, matched) +
        " genes match the annotation only when upper and lower case are not told apart");
  }
  if (2 * matched < inputs.genes.size()) {
    inputs.warnings.push_back("only " + of(matched, inputs.genes.size()) + " genes are in the annotation");
  }
  inputs.counts["genes"]["in_annotation"] = matched;
  inputs.counts["genes"]["in_annotation_ignoring_case"] = match.ignoring_case;
  inputs.counts["genes"]["in_annotation_by_id"] = match.by_id;

  std::unordered_set<std::string> chromosomes;
  std::unordered_map<std::string, bool> annotated;  // per spelling
  for (const formats::Transcript& transcript : inputs.transcripts) {
    if (annotated.emplace(transcript.chromosome, true).second) {
      chromosomes.insert(formats::chromosome_key(transcript.chromosome));
    }
  }
  annotated.clear();
  std::uint64_t on_chromosomes = 0;
  for (const formats::GenomicInterval& peak : inputs.peaks) {
    auto known = annotated.find(peak.chromosome);
    if (known == annotated.end()) {
      const bool there = chromosomes.contains(formats::chromosome_key(peak.chromosome));
      known = annotated.emplace(peak.chromosome, there).first;
    }
    on_chromosomes += known->second ? 1u : 0u;
  }
  inputs.counts["peaks"]["on_annotated_chromosomes"] = on_chromosomes;
  const auto peaks = static_cast<double>(inputs.peaks.size());
  const auto on = static_cast<double>(on_chromosomes);
  const std::string figures =
      of(on_chromosomes, inputs.peaks.size()) + " peaks lie on chromosomes of the annotation";
  if (on < kLeastPeaksOnChromosomes * peaks) {
    throw base::DataError(
        {.what = "peaks and annotation do not fit together",
         .file = settings.annotation.string(),
         .expected = "chromosomes such as " + inputs.peaks.front().chromosome,
         .got = "chromosomes such as " + inputs.transcripts.front().chromosome + "; " + figures,
         .hint = "Give the annotation of the genome build that the peaks were called on."});
  }
  if (on < kUsualPeaksOnChromosomes * peaks) {
    inputs.warnings.push_back("only " + figures);
  }
}

// Which peaks share a base with a blacklist region.
std::vector<std::uint8_t> mark_blacklisted(const std::vector<formats::GenomicInterval>& peaks,
                                           const std::vector<formats::GenomicInterval>& regions) {
  std::map<std::string, std::vector<formats::Interval>> by_chromosome;
  for (const formats::GenomicInterval& region : regions) {
    by_chromosome[formats::chromosome_key(region.chromosome)].push_back({region.start, region.end});
  }
  for (auto& [chromosome, on_chromosome] : by_chromosome) {
    std::sort(on_chromosome.begin(), on_chromosome.end(),
              [](const formats::Interval& a, const formats::Interval& b) {
                return a.start != b.start ? a.start < b.start : a.end < b.end;
              });
    // Merged, so that one search by end finds any overlap.
    std::vector<formats::Interval> merged;
    for (const formats::Interval& region : on_chromosome) {
      if (!merged.empty() && region.start <= merged.back().end) {
        merged.back().end = std::max(merged.back().end, region.end);
      } else {
        merged.push_back(region);
      }
    }
    on_chromosome = std::move(merged);
  }
  std::unordered_map<std::string, const std::vector<formats::Interval>*> by_spelling;
  std::vector<std::uint8_t> marked(peaks.size(), 0);
  for (std::size_t i = 0; i < peaks.size(); ++i) {
    const formats::GenomicInterval& peak = peaks[i];
    auto known = by_spelling.find(peak.chromosome);
    if (known == by_spelling.end()) {
      const auto found = by_chromosome.find(formats::chromosome_key(peak.chromosome));
      known =
          by_spelling.emplace(peak.chromosome, found == by_chromosome.end() ? nullptr : &found->second).first;
    }
    if (known->second == nullptr) {
      continue;
    }
    const auto first = std::upper_bound(
        known->second->begin(), known->second->end(), peak.start,
        [](std::int64_t start, const formats::Interval& region) { return start < region.end; });
    marked[i] = first != known->second->end() && first->start < peak.end ? 1 : 0;
  }
  return marked;
}

base::Json file_record(const std::filesystem::path& file, const std::string& description) {
  if (!std::filesystem::is_directory(file)) {
    return {{"name", file.filename().string()},
            {"bytes", std::filesystem::file_size(file)},
            {"sha256", base::sha256_of_file(file)},
            {"description", description}};
  }
  // Only what a 10x folder is read from: a stray log beside it must not change the dataset's id.
  std::map<std::string, std::filesystem::path> parts;
  for (const auto& part : std::filesystem::directory_iterator(file)) {
    const std::string name = part.path().filename().string();
    for (const char* stem : {"matrix.mtx", "barcodes.tsv", "features.tsv", "genes.tsv"}) {
      if (part.is_regular_file() && name.starts_with(stem)) {
        parts.emplace(name, part.path());
      }
    }
  }
  std::uintmax_t bytes = 0;
  std::string digests;
  for (const auto& [name, path] : parts) {
    bytes += std::filesystem::file_size(path);
    digests += name + ' ' + base::sha256_of_file(path) + '\n';
  }
  std::filesystem::path named = file;
  if (!named.has_filename()) {
    named = named.parent_path();
  }
  return {{"name", named.filename().string()},
          {"bytes", bytes},
          {"sha256", base::sha256(std::as_bytes(std::span(digests)))},
          {"description", description}};
}

}  // namespace

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  std::error_code ignored;
  return a == b || std::filesystem::equivalent(a, b, ignored);
}

Inputs open_inputs(const Settings& settings) {
  Inputs inputs;
  inputs.counts = {{"cells", base::Json::object()}, {"genes", base::Json::object()}};
  const bool annotated = !settings.annotation.empty();
  std::vector<formats::Transcript> transcripts;
  formats::MatrixOptions options{
      .layer = settings.layer, .modality = formats::Modality::rna, .known_genes = {}};
  if (annotated) {
    transcripts = formats::read_annotation(settings.annotation);
    std::unordered_set<std::string> symbols;
    for (const formats::Transcript& transcript : transcripts) {
      if (symbols.insert(transcript.symbol).second) {
        options.known_genes.push_back(transcript.symbol);
      }
    }
  }
  inputs.rna = formats::open_matrix(settings.rna, options);
  const std::string rna_file = settings.rna.string();
  if (inputs.rna->features().empty() || inputs.rna->barcodes().empty()) {
    throw base::DataError({.what = "the matrix is empty",
                           .file = rna_file,
                           .got = std::to_string(inputs.rna->features().size()) + " features, " +
                                  std::to_string(inputs.rna->barcodes().size()) + " cells",
                           .hint = "Give --rna a matrix with genes and cells."});
  }
  check_orientation(*inputs.rna, options.known_genes, rna_file);
  select_genes(inputs, rna_file);

  std::uint64_t rna_file_peaks = 0;
  for (const formats::Feature& feature : inputs.rna->features()) {
    rna_file_peaks += feature.type == formats::FeatureType::peaks ? 1u : 0u;
  }
  const bool own_file = !settings.atac.empty() && !same_file(settings.rna, settings.atac);
  if (own_file) {
    options.modality = formats::Modality::atac;
    inputs.atac = formats::open_matrix(settings.atac, options);
    check_orientation(*inputs.atac, options.known_genes, settings.atac.string());
  } else if (settings.atac.empty() && rna_file_peaks == 0 && annotated &&
             settings.rna.extension() == ".h5mu") {
    // An .h5mu is opened by modality: its peaks show only when asked for.
    options.modality = formats::Modality::atac;
    inputs.atac = formats::open_matrix(settings.rna, options);
  } else if (!settings.atac.empty() && rna_file_peaks == 0) {
    options.modality = formats::Modality::atac;
    inputs.atac = formats::open_matrix(settings.atac, options);
  }
  inputs.has_atac = annotated && (inputs.atac != nullptr || rna_file_peaks > 0);
  if (!annotated && rna_file_peaks > 0) {
    inputs.warnings.push_back("the file holds " + std::to_string(rna_file_peaks) +
                              " peaks, which are not used: --annotation was not given");
  }
  if (annotated && !inputs.has_atac) {
    inputs.warnings.emplace_back("an annotation was given but no peaks: the dataset is RNA only");
  }
  if (!settings.blacklist.empty() && !inputs.has_atac) {
    inputs.warnings.emplace_back("a blacklist was given but no peaks: it is not used");
  }
  inputs.counts["genes"]["source"] = inputs.genes.size();
  if (inputs.has_atac) {
    select_peaks(inputs, own_file ? settings.atac.string() : rna_file);
    inputs.counts["peaks"]["source"] = inputs.peaks.size();
    for (const std::uint32_t kept : unique_transcripts(transcripts)) {
      inputs.transcripts.push_back(std::move(transcripts[kept]));
    }
    check_annotation(inputs, settings);
    if (!settings.blacklist.empty()) {
      inputs.blacklisted = mark_blacklisted(inputs.peaks, formats::read_bed(settings.blacklist));
      inputs.counts["peaks"]["blacklisted"] =
          std::count(inputs.blacklisted.begin(), inputs.blacklisted.end(), std::uint8_t{1});
    }
  }
  join_cells(inputs, settings);
  return inputs;
}

base::Json source_record(const Settings& settings, const Inputs& inputs) {
  base::Json record;
  record["rna"] = file_record(settings.rna, inputs.rna->description());
  if (inputs.has_atac) {
    if (inputs.atac && !settings.atac.empty() && !same_file(settings.rna, settings.atac)) {
      record["atac"] = file_record(settings.atac, inputs.atac->description());
    }
    record["annotation"] = file_record(settings.annotation, "");
    if (!settings.blacklist.empty()) {
      record["blacklist"] = file_record(settings.blacklist, "");
    }
  }
  if (!settings.barcodes.empty()) {
    record["barcodes"] = file_record(settings.barcodes, "");
  }
  return record;
}

}  // namespace mgrn::prepare
