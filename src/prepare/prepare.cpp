// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/prepare.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/prepare/cell_entries.hpp"
#include "multigrnformer/prepare/cell_potential.hpp"
#include "multigrnformer/prepare/inputs.hpp"
#include "multigrnformer/prepare/normalise.hpp"
#include "multigrnformer/prepare/quality_control.hpp"
#include "multigrnformer/prepare/regulatory_potential.hpp"
#include "multigrnformer/prepare/row_exchange.hpp"
#include "multigrnformer/prepare/variable_genes.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::prepare {
namespace {

// Enters the dataset id: raise it when the same inputs and settings come to give another content.
constexpr int kContentVersion = 1;
// Fractional values below this are taken for logarithms: ln(1 + 10,000) is 9.2, log2 of a million 20.
constexpr float kLargestLogarithm = 25.0f;
// Whole counts that never exceed this are suspicious: binary, or logarithms that were rounded.
constexpr float kSuspiciouslySmall = 3.0f;
// Totals of values in units of 2^-16: whole numbers add up exactly in any order.
constexpr double kTotalUnits = 65536.0;

// What the owner of a gene tells the others about it.
struct GeneFigures {
  std::uint64_t gene = 0;
  double variance = 0.0;
  double mean_count = 0.0;
  double variance_count = 0.0;
  double standardised = 0.0;
  float background = 0.0f;
  std::uint32_t cells = 0;  // with an entry
};

// Collective. Every rank's records on every rank, ordered by gene.
std::vector<GeneFigures> share_figures(comm::Communicator& communicator,
                                       const std::vector<GeneFigures>& mine) {
  std::vector<GeneFigures> all;
  for (const comm::Bytes& bytes : communicator.all_gather(std::as_bytes(std::span(mine)))) {
    const std::vector<GeneFigures> part = comm::from_bytes<GeneFigures>(bytes);
    all.insert(all.end(), part.begin(), part.end());
  }
  std::sort(all.begin(), all.end(),
            [](const GeneFigures& a, const GeneFigures& b) { return a.gene < b.gene; });
  return all;
}

std::string of(std::uint64_t part, std::uint64_t whole) {
  return std::to_string(part) + " of " + std::to_string(whole);
}

// Steps of one preparation, in the order of prepare() below. Members marked "all ranks" are the same on
// every rank.
class Preparation {
 public:
  Preparation(const Settings& settings, comm::Communicator& communicator)
      : settings_(settings), communicator_(communicator) {}

  void open();
  void read();
  void choose_features();
  void choose_cells();
  void model_peaks();
  void write();
  Report report() const;

 private:
  void warn(const std::string& text);
  void check_values();
  void drop_duplicates();
  void check_disk() const;
  std::uint64_t block_genes() const;
  void for_blocks(const std::string& task,
                  const std::function<void(std::uint64_t first, std::uint64_t last)>& work) const;
  Rows<float> rna_block(std::uint64_t first, std::uint64_t last) const;
  void write_rna(store::DatasetWriter& writer);
  void rank_variable_genes();
  void write_rp(store::DatasetWriter& writer);

  Settings settings_;
  comm::Communicator& communicator_;
  Inputs inputs_;                 // all ranks, but for the open files
  std::uint64_t first_cell_ = 0;  // of this rank's slice of inputs_.cells
  std::uint64_t last_cell_ = 0;
  std::optional<CellEntries> rna_entries_;
  std::optional<CellEntries> atac_entries_;
  ValueSummary rna_values_;   // all ranks
  ValueSummary atac_values_;  // all ranks

  std::vector<std::uint8_t> keep_gene_;  // all ranks, as the next five
  std::vector<std::uint8_t> keep_peak_;
  std::vector<std::int64_t> gene_totals_;   // in units of 1 / kTotalUnits
  std::vector<std::uint32_t> gene_of_row_;  // dataset order: by symbol key
  std::vector<std::int64_t> row_of_gene_;
  std::vector<std::int64_t> kept_number_;  // per cell of inputs_.cells, -1: dropped
  std::vector<double> library_size_;       // all ranks, per kept cell
  std::uint64_t kept_cells_ = 0;

  std::optional<PeakCells> peak_cells_;  // of this rank's kept cells
  PeakWeights weights_;                  // all ranks, a row per gene of the dataset
  std::uint64_t rp_bound_ = 0;           // all ranks: RP entries at most

  FeatureRows rna_rows_;               // of this rank's kept cells
  std::vector<CountMoments> moments_;  // all ranks, per gene
  store::DatasetHeader header_;        // all ranks
  base::Json quality_;                 // all ranks
  std::vector<std::string> warnings_;  // all ranks
};

void Preparation::warn(const std::string& text) {
  base::warn(text);
  warnings_.push_back(text);
}

void Preparation::open() {
  comm::agree(communicator_, [&] { inputs_ = open_inputs(settings_); });
  for (const std::string& text : std::exchange(inputs_.warnings, {})) {
    warn(text);
  }
  header_.has_atac = inputs_.has_atac;
  const base::Json settings = settings_json(settings_);
  header_.settings = base::json_line(settings);
  quality_ = inputs_.counts;

  std::string record;
  comm::agree(communicator_, [&] {
    if (communicator_.rank() == 0) {
      record = base::json_line(source_record(settings_, inputs_));
    }
  });
  header_.sources = comm::broadcast_text(communicator_, std::move(record));
  base::Json name = {{"content", kContentVersion}, {"settings", settings}};
  const base::Json sources = base::Json::parse(header_.sources);
  for (const auto& [role, source] : sources.items()) {
    name["inputs"][role] = source.at("sha256");
  }
  const std::string text = base::json_line(name);
  header_.id = base::sha256(std::as_bytes(std::span(text))).substr(0, 16);
}

void Preparation::read() {
  const auto size = static_cast<std::uint64_t>(communicator_.size());
  const auto rank = static_cast<std::uint64_t>(communicator_.rank());
  const std::uint64_t cells = inputs_.cells.size();
  first_cell_ = cells * rank / size;
  last_cell_ = cells * (rank + 1) / size;
  comm::agree(communicator_, [&] {
    std::vector<std::uint64_t> rna_cells;
    std::vector<std::uint64_t> atac_cells;
    for (std::uint64_t cell = first_cell_; cell < last_cell_; ++cell) {
      rna_cells.push_back(inputs_.cells[cell].rna);
      atac_cells.push_back(inputs_.cells[cell].atac);
    }
    rna_entries_.emplace(rna_cells.size());
    std::vector<Destination> destinations = {{inputs_.gene_number, &*rna_entries_}};
    if (inputs_.has_atac) {
      atac_entries_.emplace(atac_cells.size());
      if (!inputs_.atac) {
        destinations.push_back({inputs_.peak_number, &*atac_entries_});
      }
    }
    read_cells(*inputs_.rna, settings_.rna.string(), rna_cells, destinations);
    if (inputs_.has_atac && inputs_.atac) {
      const std::string file = settings_.atac.empty() ? settings_.rna.string() : settings_.atac.string();
      const std::vector<Destination> peaks = {{inputs_.peak_number, &*atac_entries_}};
      read_cells(*inputs_.atac, file, atac_cells, peaks);
    }
  });
  // The barcodes and features of big files are worth their memory no longer.
  header_.barcodes.reserve(cells);
  for (const formats::CellPair& cell : inputs_.cells) {
    header_.barcodes.push_back(inputs_.rna->barcodes()[cell.rna]);
  }
  inputs_.rna.reset();
  inputs_.atac.reset();
  check_values();
}

void Preparation::check_values() {
  const auto combine = [this](const std::optional<CellEntries>& entries) {
    ValueSummary all;
    if (entries) {
      all = entries->values();
    }
    std::vector<std::int64_t> counts = {all.entries, all.fractional};
    std::vector<float> largest = {all.largest};
    communicator_.all_reduce(std::span(counts), comm::Reduction::sum);
    communicator_.all_reduce(std::span(largest), comm::Reduction::maximum);
    return ValueSummary{.entries = counts[0], .fractional = counts[1], .largest = largest[0]};
  };
  rna_values_ = combine(rna_entries_);
  atac_values_ = combine(atac_entries_);
  const std::string file = settings_.rna.string();
  const auto fractional = [](const ValueSummary& values) {
    return of(static_cast<std::uint64_t>(values.fractional), static_cast<std::uint64_t>(values.entries)) +
           " values with a fraction, the largest value is " + base::json_line(values.largest);
  };
  if (rna_values_.entries == 0) {
    throw base::DataError({.what = "the gene matrix holds no values but zero",
                           .file = file,
                           .hint = "Give --rna a matrix with counts (in .h5ad perhaps another --layer)."});
  }
  const RnaNormalisation rna = settings_.rna_normalisation;
  if (rna == RnaNormalisation::lognorm || rna == RnaNormalisation::lognorm_z) {
    if (rna_values_.fractional > 0 && rna_values_.largest < kLargestLogarithm) {
      throw base::DataError(
          {.what = "the gene matrix holds logged or scaled values where counts are needed",
           .file = file,
           .expected = "counts for --prepare.rna " + to_text(rna),
           .got = fractional(rna_values_),
           .hint = "Give raw counts, or --prepare.rna z for values that are logged already."});
    }
    if (rna_values_.fractional > 0) {
      warn("the gene matrix holds " + fractional(rna_values_) + "; taken as estimated counts");
    } else if (rna_values_.largest <= kSuspiciouslySmall) {
      warn("no count of the gene matrix is above " + base::json_line(rna_values_.largest) +
           ": binary or rounded values instead of counts?");
    }
  } else if (rna == RnaNormalisation::z && rna_values_.fractional == 0 &&
             rna_values_.largest > kLargestLogarithm) {
    warn("the gene matrix looks like raw counts (largest " + base::json_line(rna_values_.largest) +
         "), but --prepare.rna z takes its values as logged already");
  }
  if (!inputs_.has_atac) {
    return;
  }
  const std::string atac_file = settings_.atac.empty() ? file : settings_.atac.string();
  if (atac_values_.entries == 0) {
    throw base::DataError({.what = "the peak matrix holds no values but zero",
                           .file = atac_file,
                           .hint = "Give --atac a matrix with counts, or leave it out for RNA only."});
  }
  if (settings_.rp_normalisation != RpNormalisation::binary_rowsum_z && atac_values_.fractional > 0) {
    throw base::DataError({.what = "the peak matrix holds transformed values where counts are needed",
                           .file = atac_file,
                           .expected = "whole counts for --prepare.rp " + to_text(settings_.rp_normalisation),
                           .got = fractional(atac_values_),
                           .hint = "Give raw counts, or --prepare.rp binary+rowsum+z, which needs none."});
  }
}

void Preparation::choose_features() {
  const std::uint64_t cells = inputs_.cells.size();
  const std::size_t genes = inputs_.genes.size();
  std::vector<std::int64_t> cells_with_gene(genes, 0);
  gene_totals_.assign(genes, 0);
  for (std::size_t cell = 0; cell < rna_entries_->cells(); ++cell) {
    for (const Entry entry : rna_entries_->cell(cell)) {
      ++cells_with_gene[entry.feature];
      gene_totals_[entry.feature] += std::llround(static_cast<double>(entry.value) * kTotalUnits);
    }
  }
  communicator_.all_reduce(std::span(cells_with_gene), comm::Reduction::sum);
  communicator_.all_reduce(std::span(gene_totals_), comm::Reduction::sum);
  keep_gene_ = frequent_features(cells_with_gene, cells, settings_.min_feature_share);
  base::Json& record = quality_["genes"];
  const auto passed = static_cast<std::uint64_t>(std::count(keep_gene_.begin(), keep_gene_.end(), 1));
  record["below_share"] = genes - passed;
  drop_duplicates();

  for (std::uint32_t gene = 0; gene < genes; ++gene) {
    if (keep_gene_[gene] != 0) {
      gene_of_row_.push_back(gene);
    }
  }
  std::vector<std::string> keys(genes);
  std::transform(inputs_.genes.begin(), inputs_.genes.end(), keys.begin(),
                 [](const std::string& symbol) { return base::symbol_key(symbol); });
  std::sort(gene_of_row_.begin(), gene_of_row_.end(),
            [&](std::uint32_t a, std::uint32_t b) { return keys[a] < keys[b]; });
  row_of_gene_.assign(genes, -1);
  for (std::size_t row = 0; row < gene_of_row_.size(); ++row) {
    row_of_gene_[gene_of_row_[row]] = static_cast<std::int64_t>(row);
    header_.genes.push_back(inputs_.genes[gene_of_row_[row]]);
  }
  record["kept"] = gene_of_row_.size();
  if (gene_of_row_.empty()) {
    throw base::DataError({.what = "no gene is left after quality control",
                           .file = settings_.rna.string(),
                           .expected = "genes with values in at least " +
                                       base::json_line(settings_.min_feature_share) + " of the cells",
                           .got = "none of " + std::to_string(genes),
                           .hint = "Lower --prepare.min_feature_share, or give another matrix."});
  }
  if (!inputs_.has_atac) {
    return;
  }
  std::vector<std::int64_t> cells_with_peak(inputs_.peaks.size(), 0);
  for (std::size_t cell = 0; cell < atac_entries_->cells(); ++cell) {
    for (const Entry entry : atac_entries_->cell(cell)) {
      ++cells_with_peak[entry.feature];
    }
  }
  communicator_.all_reduce(std::span(cells_with_peak), comm::Reduction::sum);
  keep_peak_ = frequent_features(cells_with_peak, cells, settings_.min_feature_share);
  const auto peaks = static_cast<std::uint64_t>(std::count(keep_peak_.begin(), keep_peak_.end(), 1));
  quality_["peaks"]["below_share"] = keep_peak_.size() - peaks;
  quality_["peaks"]["kept"] = peaks;
  if (peaks == 0) {
    throw base::DataError({.what = "no peak is left after quality control",
                           .file = settings_.atac.empty() ? settings_.rna.string() : settings_.atac.string(),
                           .expected = "peaks with values in at least " +
                                       base::json_line(settings_.min_feature_share) + " of the cells",
                           .got = "none of " + std::to_string(keep_peak_.size()),
                           .hint = "Lower --prepare.min_feature_share, or give another matrix."});
  }
}

// Two features of one symbol are mostly unrelated loci (a gene and a pseudogene or read-through): adding them
// up would invent a gene. The richest stays; a network knows the symbol, not the id.
void Preparation::drop_duplicates() {
  std::unordered_map<std::string, std::uint32_t> richest;
  std::uint64_t dropped = 0;
  std::string example;
  for (std::uint32_t gene = 0; gene < inputs_.genes.size(); ++gene) {
    if (keep_gene_[gene] == 0) {
      continue;
    }
    const auto [known, is_new] = richest.emplace(base::symbol_key(inputs_.genes[gene]), gene);
    if (is_new) {
      continue;
    }
    std::uint32_t loser = gene;
    if (gene_totals_[gene] > gene_totals_[known->second]) {
      loser = std::exchange(known->second, gene);
    }
    keep_gene_[loser] = 0;
    if (dropped++ == 0) {
      example = inputs_.genes[gene];
    }
  }
  quality_["genes"]["duplicate_symbols"] = dropped;
  if (dropped > 0) {
    warn(std::to_string(dropped) + " features repeat the symbol of a richer one, such as " + example +
         ", and are left out");
  }
}

void Preparation::choose_cells() {
  std::vector<std::uint8_t> mito(inputs_.genes.size(), 0);
  for (const std::uint32_t gene : gene_of_row_) {
    mito[gene] = is_mitochondrial(inputs_.genes[gene], settings_.mito_prefixes) ? 1 : 0;
  }
  std::vector<CellStatistics> mine(rna_entries_->cells());
  for (std::size_t cell = 0; cell < mine.size(); ++cell) {
    CellStatistics& statistics = mine[cell];
    for (const Entry entry : rna_entries_->cell(cell)) {
      if (keep_gene_[entry.feature] != 0) {
        ++statistics.genes;
        statistics.rna_counts += static_cast<double>(entry.value);
        statistics.mito_counts += mito[entry.feature] != 0 ? static_cast<double>(entry.value) : 0.0;
      }
    }
    if (!inputs_.has_atac) {
      continue;
    }
    for (const Entry entry : atac_entries_->cell(cell)) {
      if (keep_peak_[entry.feature] != 0) {
        ++statistics.peaks;
        statistics.atac_counts += static_cast<double>(entry.value);
        const bool listed = !inputs_.blacklisted.empty() && inputs_.blacklisted[entry.feature] != 0;
        statistics.blacklist_counts += listed ? static_cast<double>(entry.value) : 0.0;
      }
    }
  }
  std::vector<CellStatistics> all;
  all.reserve(inputs_.cells.size());
  for (const comm::Bytes& bytes : communicator_.all_gather(std::as_bytes(std::span(mine)))) {
    const std::vector<CellStatistics> part = comm::from_bytes<CellStatistics>(bytes);
    all.insert(all.end(), part.begin(), part.end());
  }

  const auto peaks = static_cast<std::uint64_t>(std::count(keep_peak_.begin(), keep_peak_.end(), 1));
  const CellQuality quality =
      judge_cells(all, gene_of_row_.size(), peaks, !inputs_.blacklisted.empty(), settings_);
  base::Json& record = quality_["cells"];
  record["few_genes"] = quality.few_genes;
  record["few_peaks"] = quality.few_peaks;
  record["few_values"] = quality.few_values;
  record["by_rule"] = quality.by_rule;
  record["kept"] = quality.kept;
  quality_["rule"] = to_text(settings_.qc);
  quality_["mitochondrial_genes"] = std::count(mito.begin(), mito.end(), 1);
  quality_["limits"] = base::Json::array();
  std::string steps = std::to_string(quality.few_values) + " cells with too few values";
  for (const Limit& limit : quality.limits) {
    quality_["limits"].push_back(limit_json(limit));
    steps += ", " + std::to_string(limit.below + limit.above) + " by " + limit.measure;
  }
  if (quality.kept == 0) {
    throw base::DataError({.what = "no cell is left after quality control",
                           .file = settings_.rna.string(),
                           .expected = "cells that pass rule " + to_text(settings_.qc),
                           .got = "of " + std::to_string(all.size()) + " cells dropped: " + steps,
                           .hint = "Loosen the step that dropped most (--prepare.qc, --prepare.mads, "
                                   "--prepare.min_cell_share)."});
  }
  kept_cells_ = quality.kept;
  kept_number_.assign(all.size(), -1);
  std::vector<std::vector<double>> figures(6);
  std::vector<std::string> barcodes;
  for (std::size_t cell = 0; cell < all.size(); ++cell) {
    if (quality.keep[cell] == 0) {
      continue;
    }
    kept_number_[cell] = static_cast<std::int64_t>(library_size_.size());
    library_size_.push_back(all[cell].rna_counts);
    barcodes.push_back(std::move(header_.barcodes[cell]));
    figures[0].push_back(all[cell].rna_counts);
    figures[1].push_back(static_cast<double>(all[cell].genes));
    figures[2].push_back(all[cell].rna_counts > 0.0 ? all[cell].mito_counts / all[cell].rna_counts : 0.0);
    figures[3].push_back(all[cell].atac_counts);
    figures[4].push_back(static_cast<double>(all[cell].peaks));
    figures[5].push_back(all[cell].atac_counts > 0.0 ? all[cell].blacklist_counts / all[cell].atac_counts
                                                     : 0.0);
  }
  header_.barcodes = std::move(barcodes);
  base::Json& medians = quality_["medians"];
  medians["rna_counts"] = median(std::move(figures[0]));
  medians["genes"] = median(std::move(figures[1]));
  medians["mitochondrial_share"] = median(std::move(figures[2]));
  if (inputs_.has_atac) {
    medians["atac_counts"] = median(std::move(figures[3]));
    medians["peaks"] = median(std::move(figures[4]));
    if (!inputs_.blacklisted.empty()) {
      medians["blacklist_share"] = median(std::move(figures[5]));
    }
  }
}

void Preparation::model_peaks() {
  if (!inputs_.has_atac) {
    return;
  }
  const bool binary = settings_.rp_normalisation == RpNormalisation::binary_rowsum_z;
  const auto slice = std::span(kept_number_).subspan(first_cell_, last_cell_ - first_cell_);
  peak_cells_.emplace(*atac_entries_, slice, inputs_.peaks.size(), binary);
  atac_entries_.reset();
  std::vector<std::int64_t> totals = peak_cells_->totals();
  communicator_.all_reduce(std::span(totals), comm::Reduction::sum);

  std::vector<std::string> ids;
  ids.reserve(gene_of_row_.size());
  for (const std::uint32_t gene : gene_of_row_) {
    ids.push_back(inputs_.gene_ids[gene]);
  }
  const SymbolMatch match = match_symbols(inputs_.transcripts, header_.genes, ids);
  const GenomeIndex index(inputs_.transcripts, inputs_.peaks, match, keep_peak_);
  GeneWeights weights =
      weigh_genes(index, totals, {.decay = settings_.decay, .exon_cap = settings_.exon_cap});
  weights_ = std::move(weights.genes);

  std::uint64_t without = 0;
  for (std::uint64_t row = 0; row < weights_.rows(); ++row) {
    std::uint64_t touched = 0;
    for (std::uint64_t i = weights_.offsets[row]; i < weights_.offsets[row + 1]; ++i) {
      touched += static_cast<std::uint64_t>(totals[weights_.peak[i]]);
    }
    without += touched == 0 ? 1 : 0;
    rp_bound_ += std::min(touched, kept_cells_);
  }
  quality_["peaks"]["claimed"] = weights.claimed_peaks;
  quality_["genes"]["not_in_annotation"] = match.missing;
  quality_["genes"]["without_rp"] = without;
  if (without == weights_.rows()) {
    throw base::DataError({.what = "the regulatory potential is zero for every gene",
                           .file = settings_.annotation.string(),
                           .expected = "peaks within " + base::json_line(kRangeInDecays * settings_.decay) +
                                       " bp of genes of the matrix",
                           .got = std::to_string(index.peaks()) + " peaks and " +
                                  of(weights_.rows() - match.missing, weights_.rows()) +
                                  " genes in the annotation, none within range of each other",
                           .hint = "Give the annotation of the genome build that the peaks were called on."});
  }
  if (2 * without > weights_.rows()) {
    warn(of(without, weights_.rows()) +
         " genes have no regulatory potential (not in the annotation, or no peak in "
         "range)");
  }
  inputs_.transcripts = {};
}

std::uint64_t Preparation::block_genes() const {
  return settings_.block_genes > 0 ? settings_.block_genes
                                   : rows_per_block(kept_cells_, communicator_.size());
}

void Preparation::for_blocks(const std::string& task,
                             const std::function<void(std::uint64_t, std::uint64_t)>& work) const {
  const std::uint64_t genes = gene_of_row_.size();
  base::Progress progress(task, genes, "genes");
  for (std::uint64_t first = 0; first < genes; first += block_genes()) {
    const std::uint64_t last = std::min(genes, first + block_genes());
    work(first, last);
    progress.advance(last - first);
  }
  progress.finish();
}

void Preparation::check_disk() const {
  // Entries deflate to about half of their 12 (RNA: cell, value, count) and 8 (RP) bytes.
  const auto bytes = static_cast<std::uintmax_t>(rna_values_.entries) * 6 + rp_bound_ * 4;
  std::filesystem::path directory = settings_.out.parent_path();
  if (directory.empty()) {
    directory = ".";
  }
  base::create_directories(directory);
  base::require_free_space(directory, bytes, "the dataset file " + settings_.out.string());
}

Rows<float> Preparation::rna_block(std::uint64_t first, std::uint64_t last) const {
  Rows<float> mine;
  mine.first = first;
  const std::uint64_t from = rna_rows_.offsets[first];
  const std::uint64_t to = rna_rows_.offsets[last];
  mine.offsets.resize(last - first + 1);
  for (std::uint64_t row = first; row <= last; ++row) {
    mine.offsets[row - first] = rna_rows_.offsets[row] - from;
  }
  const auto part = [from, to](const auto& values) {
    return std::pair(values.begin() + static_cast<std::ptrdiff_t>(from),
                     values.begin() + static_cast<std::ptrdiff_t>(to));
  };
  const auto [first_cell, last_cell] = part(rna_rows_.cell);
  mine.cell.assign(first_cell, last_cell);
  const auto [first_value, last_value] = part(rna_rows_.value);
  mine.value.assign(first_value, last_value);
  return mine;
}

void Preparation::write_rna(store::DatasetWriter& writer) {
  std::vector<GeneFigures> figures;
  for_blocks("normalising RNA", [&](std::uint64_t first, std::uint64_t last) {
    Rows<float> own = exchange_rows(communicator_, rna_block(first, last));
    store::GeneRows rows;
    rows.value.assign(own.value.size(), 0.0f);
    for (std::uint64_t row = 0; row < own.rows(); ++row) {
      const auto out = std::span(rows.value).subspan(own.offsets[row], own.values_of(row).size());
      const RowSummary summary = normalise_rna_row(settings_.rna_normalisation, settings_.clip, library_size_,
                                                   own.cells_of(row), own.values_of(row), out);
      const CountMoments counts = count_moments(own.values_of(row), kept_cells_);
      figures.push_back({.gene = own.first + row,
                         .variance = summary.variance,
                         .mean_count = counts.mean,
                         .variance_count = counts.variance,
                         .background = summary.background,
                         .cells = static_cast<std::uint32_t>(out.size())});
    }
    rows.first_gene = own.first;
    rows.offsets = std::move(own.offsets);
    rows.cell = std::move(own.cell);
    rows.count = std::move(own.value);
    writer.append(store::Layer::rna, rows);
  });
  std::uint64_t silent = 0;
  for (const GeneFigures& gene : share_figures(communicator_, figures)) {
    header_.variance.push_back(gene.variance);
    header_.rna_background.push_back(gene.background);
    moments_.push_back({.mean = gene.mean_count, .variance = gene.variance_count});
    silent += gene.cells == 0 ? 1 : 0;
  }
  quality_["genes"]["without_values_in_kept_cells"] = silent;
}

void Preparation::rank_variable_genes() {
  const std::vector<double> expected = expected_deviations(moments_);
  std::vector<GeneFigures> figures;
  for_blocks("ranking variable genes", [&](std::uint64_t first, std::uint64_t last) {
    const Rows<float> own = exchange_rows(communicator_, rna_block(first, last));
    for (std::uint64_t row = 0; row < own.rows(); ++row) {
      const std::uint64_t gene = own.first + row;
      figures.push_back({.gene = gene,
                         .standardised = standardised_variance(own.values_of(row), kept_cells_,
                                                               moments_[gene].mean, expected[gene])});
    }
  });
  for (const GeneFigures& gene : share_figures(communicator_, figures)) {
    header_.vst.push_back(gene.standardised);
  }
}

void Preparation::write_rp(store::DatasetWriter& writer) {
  CellPotential potential(weights_, *peak_cells_);
  std::vector<GeneFigures> figures;
  for_blocks("regulatory potential", [&](std::uint64_t first, std::uint64_t last) {
    Rows<double> mine;
    potential.fill(first, last, mine);
    Rows<double> own = exchange_rows(communicator_, std::move(mine));
    store::GeneRows rows;
    rows.value.assign(own.value.size(), 0.0f);
    for (std::uint64_t row = 0; row < own.rows(); ++row) {
      const auto out = std::span(rows.value).subspan(own.offsets[row], own.values_of(row).size());
      const RowSummary summary =
          normalise_rp_row(settings_.rp_normalisation, settings_.clip, kept_cells_, own.values_of(row), out);
      figures.push_back({.gene = own.first + row, .background = summary.background});
    }
    rows.first_gene = own.first;
    rows.offsets = std::move(own.offsets);
    rows.cell = std::move(own.cell);
    writer.append(store::Layer::rp, rows);
  });
  for (const GeneFigures& gene : share_figures(communicator_, figures)) {
    header_.rp_background.push_back(gene.background);
  }
}

void Preparation::write() {
  comm::agree(communicator_, [&] {
    if (communicator_.rank() == 0) {
      check_disk();
    }
  });
  const auto slice = std::span(kept_number_).subspan(first_cell_, last_cell_ - first_cell_);
  rna_rows_ = transpose(*rna_entries_, slice, row_of_gene_, gene_of_row_.size(), true);
  rna_entries_.reset();
  store::DatasetWriter writer(communicator_, settings_.out);
  write_rna(writer);
  rank_variable_genes();
  rna_rows_ = {};
  if (inputs_.has_atac) {
    write_rp(writer);
  }
  quality_["warnings"] = warnings_;
  header_.quality = base::json_line(quality_);
  writer.finish(header_);
}

Report Preparation::report() const {
  return {.file = settings_.out,
          .id = header_.id,
          .genes = header_.genes.size(),
          .cells = header_.barcodes.size(),
          .has_atac = header_.has_atac,
          .quality = quality_,
          .warnings = warnings_};
}

}  // namespace

Report prepare(const Settings& settings, comm::Communicator& communicator) {
  validate(settings);
  Preparation preparation(settings, communicator);
  preparation.open();
  preparation.read();
  preparation.choose_features();
  preparation.choose_cells();
  preparation.model_peaks();
  preparation.write();
  return preparation.report();
}

}  // namespace mgrn::prepare
