// SPDX-License-Identifier: Apache-2.0
// The regulatory potential: the matrix of peaks turned, peaks weighed for transcripts and the best isoform of
// each gene, the sums of each cell. It begins with numbers, as an outside program can be given them:
// positions in the order of the genome, genes of transcripts, entries by cell. All cells, genes and peaks
// take part.
#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "bench.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/prepare/cell_potential.hpp"
#include "multigrnformer/prepare/inputs.hpp"
#include "multigrnformer/prepare/peak_cells.hpp"

namespace mgrn::cli {
namespace {

// A sample in memory: a genome of 20 chromosomes, as many cells and peaks as a small multiome run.
constexpr std::uint32_t kChromosomes = 20;
constexpr std::int64_t kChromosomeLength = 100'000'000;
constexpr std::uint32_t kGenes = 12'000;
constexpr std::uint32_t kPeaks = 60'000;
constexpr std::uint64_t kCells = 3'000;
constexpr double kOpenShare = 0.04;
constexpr std::uint64_t kSeed = 20250902;

struct Inputs {
  std::vector<formats::Transcript> transcripts;
  std::vector<formats::GenomicInterval> peaks;
  std::vector<std::string> genes, ids;
  std::optional<prepare::CellEntries> entries;  // of this rank's cells
  std::vector<std::int64_t> kept_cell;          // this rank's cells, consecutive
  std::optional<prepare::GenomeIndex> index;
  std::uint64_t cells = 0;     // of all ranks
  std::uint64_t nonzeros = 0;  // of this rank
};

std::pair<std::uint64_t, std::uint64_t> slice_of(std::uint64_t cells, const comm::Communicator& world) {
  return prepare::run_of_rank(0, cells, world.rank(), world.size());
}

void draw_annotation(Inputs& inputs) {
  base::PhiloxStream random(kSeed, 0);
  const auto position = [&](std::int64_t margin) {
    return margin +
           static_cast<std::int64_t>(random.uniform() * static_cast<double>(kChromosomeLength - 2 * margin));
  };
  for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
    inputs.genes.push_back("GENE" + std::to_string(gene));
    inputs.ids.emplace_back();
    const std::string chromosome = "chr" + std::to_string(1 + random.below(kChromosomes));
    const bool forward = random.below(2) == 0;
    const std::int64_t start = position(1'000'000);
    const std::uint32_t isoforms = 1 + random.below(3);
    for (std::uint32_t isoform = 0; isoform < isoforms; ++isoform) {
      formats::Transcript transcript;
      transcript.symbol = inputs.genes.back();
      transcript.chromosome = chromosome;
      transcript.forward = forward;
      transcript.start = start + random.below(5'000);
      std::int64_t at = transcript.start;
      for (std::uint32_t exon = 0, exons = 1 + random.below(12); exon < exons; ++exon) {
        const std::int64_t length = 60 + random.below(300);
        transcript.exons.push_back({at, at + length});
        at += length;
        transcript.end = at;
        at += 200 + random.below(6'000);
      }
      inputs.transcripts.push_back(std::move(transcript));
    }
  }
  for (std::uint32_t peak = 0; peak < kPeaks; ++peak) {
    // Half of the peaks lie around the start of a gene, as they do in tissue.
    std::string chromosome = "chr" + std::to_string(1 + random.below(kChromosomes));
    std::int64_t start = position(1'000'000);
    if (random.below(2) == 0) {
      const auto& near =
          inputs.transcripts[random.below(static_cast<std::uint32_t>(inputs.transcripts.size()))];
      chromosome = near.chromosome;
      start = near.transcription_start() + static_cast<std::int64_t>(20'000.0 * random.normal());
    }
    inputs.peaks.push_back({chromosome, start, start + 200 + random.below(800)});
  }
}

void draw_cells(Inputs& inputs, const comm::Communicator& world) {
  inputs.cells = kCells;
  const auto [first, last] = slice_of(kCells, world);
  inputs.entries.emplace(last - first);
  for (std::uint64_t cell = first; cell < last; ++cell) {
    base::PhiloxStream random(kSeed, 1 + cell);
    const double depth = std::exp(0.4 * random.normal());
    std::vector<prepare::Entry> entries;
    // Gaps between open peaks are geometric: no draw for a closed one.
    const double closed = std::log1p(-std::min(0.5, kOpenShare * depth));
    for (double peak = 0;; peak += 1) {
      peak += std::floor(std::log(std::max(random.uniform(), 1e-300)) / closed);
      if (peak >= kPeaks) {
        break;
      }
      entries.push_back({static_cast<std::uint32_t>(peak), static_cast<float>(1 + random.below(3))});
    }
    inputs.nonzeros += entries.size();
    const std::array<std::size_t, 1> place = {cell - first};
    const std::array<std::size_t, 1> ends = {entries.size()};
    inputs.entries->add_block(entries, place, ends);
  }
}

void read_inputs(Inputs& inputs, const prepare::Settings& settings, const comm::Communicator& world) {
  prepare::Inputs opened = prepare::open_inputs(settings);
  if (!opened.has_atac) {
    throw base::UsageError({.what = "the regulatory potential needs peaks and an annotation",
                            .expected = "--rna F [--atac F] --annotation GTF",
                            .got = "RNA only",
                            .hint = "give a multiome file and the annotation, or leave --rna out"});
  }
  inputs.cells = opened.cells.size();
  const auto [first, last] = slice_of(inputs.cells, world);
  std::vector<std::uint64_t> places;
  for (std::uint64_t cell = first; cell < last; ++cell) {
    places.push_back(opened.atac ? opened.cells[cell].atac : opened.cells[cell].rna);
  }
  inputs.entries.emplace(places.size());
  const std::string file = settings.atac.empty() ? settings.rna.string() : settings.atac.string();
  const std::array<prepare::Destination, 1> destinations = {
      prepare::Destination{opened.peak_number, &*inputs.entries}};
  prepare::read_cells(opened.peak_source(), file, places, destinations);
  inputs.nonzeros = static_cast<std::uint64_t>(inputs.entries->values().entries);
  inputs.transcripts = std::move(opened.transcripts);
  inputs.peaks = std::move(opened.peaks);
  inputs.genes = std::move(opened.genes);
  inputs.ids = std::move(opened.gene_ids);
}

class Potential {
 public:
  /// Collective.
  Potential(const Config& config, comm::Communicator& world) : world_(world) {
    comm::agree(world, [&] {
      if (config.prepare.rna.empty()) {
        draw_annotation(inputs_);
        draw_cells(inputs_, world);
      } else {
        read_inputs(inputs_, config.prepare, world);
      }
      const prepare::SymbolMatch match =
          prepare::match_symbols(inputs_.transcripts, inputs_.genes, inputs_.ids);
      inputs_.index.emplace(inputs_.transcripts, inputs_.peaks, match);
      inputs_.kept_cell.resize(inputs_.entries->cells());
      std::iota(inputs_.kept_cell.begin(), inputs_.kept_cell.end(),
                static_cast<std::int64_t>(slice_of(inputs_.cells, world).first));
    });
  }

  /// From entries by cell to entries by peak, and the total of each peak. Collective.
  void turn() {
    cells_.reset();  // never two
    cells_.emplace(*inputs_.entries, inputs_.kept_cell, inputs_.peaks.size(), true);
    totals_ = cells_->totals();
    world_.all_reduce(totals_, comm::Reduction::sum);
  }

  /// From positions and totals to weights of genes. Not collective.
  void weigh() { weights_ = prepare::weigh_genes(*inputs_.index, totals_, {}).genes; }

  /// From weights of genes to sums of cells, in blocks as `prepare` makes them; each block goes to `work`.
  /// Not collective.
  template <typename Work>
  void sum_cells(const Work& work) {
    prepare::CellPotential potential(weights_, *cells_);
    const std::uint64_t genes = weights_.rows();
    const std::uint64_t block = prepare::rows_per_block(inputs_.cells, world_.size());
    prepare::Rows<double> rows;
    for (std::uint64_t first = 0; first < genes; first += block) {
      potential.fill(first, std::min(genes, first + block), rows);
      work(rows);
    }
  }

  /// Collective. Over all cells and genes.
  double sum() {
    std::array<double, 1> total = {0.0};
    sum_cells([&total](const prepare::Rows<double>& rows) {
      total[0] += std::accumulate(rows.value.begin(), rows.value.end(), 0.0);
    });
    world_.all_reduce(total, comm::Reduction::sum);
    return total[0];
  }

  comm::Communicator& world() { return world_; }
  const Inputs& inputs() const { return inputs_; }
  const prepare::PeakWeights& weights() const { return weights_; }
  double turn_seconds = 0;
  double weigh_seconds = 0;
  double sum_seconds = 0;

 private:
  comm::Communicator& world_;
  Inputs inputs_;
  std::optional<prepare::PeakCells> cells_;
  std::vector<std::int64_t> totals_;
  prepare::PeakWeights weights_;
};

}  // namespace

BenchCases rp_cases(const Config& config, comm::Communicator& world) {
  const auto nothing = [](const prepare::Rows<double>&) {};
  auto potential = std::make_shared<Potential>(config, world);
  // Memory is looked at in the first pass, before the heap has been used for anything like it.
  const std::uint64_t before = resident_memory();
  forget_peak_memory();
  potential->turn();
  potential->weigh();
  potential->sum_cells(nothing);
  const std::uint64_t peak = peak_memory();
  std::array<double, 1> memory = {peak > before ? static_cast<double>(peak - before) / 1e6 : 0.0};
  std::array<double, 1> whole = {static_cast<double>(peak) / 1e6};
  world.all_reduce(memory, comm::Reduction::maximum);
  world.all_reduce(whole, comm::Reduction::maximum);
  std::array<std::int64_t, 1> nonzeros = {static_cast<std::int64_t>(potential->inputs().nonzeros)};
  world.all_reduce(nonzeros, comm::Reduction::sum);
  const double sum = potential->sum();

  BenchCases cases;
  const auto add_case = [&](const char* measure, const char* unit, std::function<double(double)> round) {
    base::Json facts =
        bench_facts(config, world, "rp", measure, nullptr, static_cast<int>(potential->inputs().cells));
    facts["batch"] = 1;
    facts["threads"] = 1;
    facts["peaks"] = potential->inputs().peaks.size();
    facts["transcripts"] = potential->inputs().transcripts.size();
    facts["genes"] = potential->inputs().genes.size();
    facts["nonzeros"] = nonzeros[0];
    facts["weights"] = potential->weights().peak.size();
    facts["sum"] = sum;
    cases.push_back({.facts = std::move(facts), .unit = unit, .round = std::move(round)});
  };
  add_case("cells of peaks", "cells/s", [potential](double seconds) {
    potential->turn_seconds = seconds_per_call(potential->world(), seconds, [&] { potential->turn(); });
    return static_cast<double>(potential->inputs().cells) / potential->turn_seconds;
  });
  add_case("weights of peaks", "transcripts/s", [potential](double seconds) {
    potential->weigh_seconds = seconds_per_call(potential->world(), seconds, [&] { potential->weigh(); });
    return static_cast<double>(potential->inputs().transcripts.size()) / potential->weigh_seconds;
  });
  add_case("sums of cells", "cells/s", [potential, nothing](double seconds) {
    potential->sum_seconds =
        seconds_per_call(potential->world(), seconds, [&] { potential->sum_cells(nothing); });
    return static_cast<double>(potential->inputs().cells) / potential->sum_seconds;
  });
  add_case("all", "s", [potential](double) {
    return potential->turn_seconds + potential->weigh_seconds + potential->sum_seconds;
  });
  add_case("memory beyond the inputs, largest rank", "MB", [memory](double) { return memory[0]; });
  add_case("peak memory of the process, largest rank", "MB", [whole](double) { return whole[0]; });
  return cases;
}

}  // namespace mgrn::cli
