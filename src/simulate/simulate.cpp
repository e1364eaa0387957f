// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/simulate/simulate.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <system_error>
#include <vector>

#include "cells.hpp"
#include "genome.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/formats/tenx_writer.hpp"
#include "multigrnformer/formats/text_writer.hpp"
#include "rules.hpp"

namespace mgrn::simulate {
namespace {

constexpr std::uint64_t kBlockCells = 256;

std::vector<formats::Feature> make_features(const Genome& genome) {
  std::vector<formats::Feature> features;
  features.reserve(genome.genes.size() + genome.peaks.size());
  for (const Gene& gene : genome.genes) {
    features.push_back({.id = gene.id,
                        .name = gene.symbol,
                        .type = formats::FeatureType::gene_expression,
                        .genome = "simulated",
                        .interval = genome.interval(gene.chromosome, gene.start, gene.end)});
  }
  for (const Peak& peak : genome.peaks) {
    const std::string interval = genome.interval(peak.chromosome, peak.start, peak.end);
    features.push_back({.id = interval,
                        .name = interval,
                        .type = formats::FeatureType::peaks,
                        .genome = "simulated",
                        .interval = interval});
  }
  return features;
}

void write_annotation(const std::filesystem::path& file, const Genome& genome) {
  std::vector<std::uint32_t> order(genome.genes.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
    const Gene& first = genome.genes[a];
    const Gene& second = genome.genes[b];
    return first.chromosome != second.chromosome ? first.chromosome < second.chromosome
                                                 : first.start < second.start;
  });
  formats::TextWriter writer(file);
  for (const std::uint32_t g : order) {
    const Gene& gene = genome.genes[g];
    // GTF counts from 1 and includes the end.
    const auto line = [&](const char* type, std::int64_t start, std::int64_t end, const std::string& more) {
      return genome.chromosomes[gene.chromosome] + "\tsimulate\t" + type + "\t" + std::to_string(start + 1) +
             "\t" + std::to_string(end) + "\t.\t" + (gene.forward ? "+" : "-") + "\t.\tgene_id \"" + gene.id +
             "\"; " + more + "gene_name \"" + gene.symbol + "\";\n";
    };
    std::string text = line("gene", gene.start, gene.end, "");
    for (std::size_t t = 0; t < gene.transcripts.size(); ++t) {
      const std::string id = "transcript_id \"" + gene.id + "." + std::to_string(t + 1) + "\"; ";
      const std::vector<formats::Interval>& exons = gene.transcripts[t];
      text += line("transcript", exons.front().start, exons.back().end, id);
      for (const formats::Interval& exon : exons) {
        text += line("exon", exon.start, exon.end, id);
      }
    }
    writer.write(text);
  }
  writer.finish();
}

void write_network(const std::filesystem::path& directory, const Genome& genome, const Rules& rules) {
  formats::TableWriter network;
  network.add("Gene1").add("Gene2").add("Type").end_row();
  for (const Rule& rule : rules.listed.empty() ? rules.edges : rules.listed) {
    network.add(genome.genes[rule.tf].symbol)
        .add(genome.genes[rule.gene].symbol)
        .add(rule.activates ? "+" : "-")
        .end_row();
  }
  network.write(directory / "network.csv");
  formats::TableWriter tfs;
  tfs.add("TF").end_row();
  for (std::uint32_t k = 0; k < genome.tfs; ++k) {
    tfs.add(genome.genes[k].symbol).end_row();
  }
  tfs.write(directory / "tfs.csv");
}

Summary write_cells(const std::filesystem::path& directory, const Settings& settings, const Genome& genome,
                    const Rules& rules) {
  std::vector<std::string> barcodes;
  barcodes.reserve(settings.cells);
  for (std::uint64_t cell = 0; cell < settings.cells; ++cell) {
    barcodes.push_back(barcode(settings.seed, cell));
  }
  CellGenerator generator(settings, genome, rules);
  formats::TenxH5Writer writer(directory / "multiome.h5", make_features(genome), barcodes);
  formats::TableWriter cells;
  cells.add("barcode").add("state").add("quality").end_row();
  base::Progress progress("simulate", settings.cells, "cells");
  static constexpr std::array<const char*, 3> kQuality = {"good", "low", "doublet"};
  for (std::uint64_t first = 0; first < settings.cells; first += kBlockCells) {
    const std::uint64_t last = std::min(first + kBlockCells, settings.cells);
    formats::CellBlock block;
    for (std::uint64_t cell = first; cell < last; ++cell) {
      generator.append(cell, block);
      const CellIdentity identity = generator.identity(cell);
      cells.add(barcodes[cell])
          .add("state" + std::to_string(identity.state + 1))
          .add(kQuality[static_cast<std::size_t>(identity.quality)])
          .end_row();
    }
    writer.append(block);
    progress.advance(last - first);
  }
  writer.finish();
  progress.finish();
  cells.write(directory / "cells.csv");
  return {.rna_entries = generator.rna_entries(), .atac_entries = generator.atac_entries()};
}

void write_truth(const std::filesystem::path& file, const Settings& settings, const Genome& genome,
                 const Rules& rules) {
  base::Json tf = base::Json::array();
  base::Json gene = base::Json::array();
  base::Json sign = base::Json::array();
  base::Json weight = base::Json::array();
  base::Json peaks = base::Json::array();
  for (const Rule& rule : rules.edges) {
    tf.push_back(genome.genes[rule.tf].symbol);
    gene.push_back(genome.genes[rule.gene].symbol);
    sign.push_back(rule.activates ? 1 : -1);
    weight.push_back(settings.regulation * rule.weight);
    base::Json names = base::Json::array();
    for (const std::uint32_t peak : rule.peaks) {
      const Peak& place = genome.peaks[peak];
      names.push_back(genome.interval(place.chromosome, place.start, place.end));
    }
    peaks.push_back(std::move(names));
  }
  base::Json states = base::Json::array();
  for (std::size_t s = 0; s < rules.state_share.size(); ++s) {
    base::Json activity = base::Json::object();
    for (std::uint32_t k = 0; k < genome.tfs; ++k) {
      activity[genome.genes[k].symbol] = rules.state_activity[s][k];
    }
    states.push_back({{"name", "state" + std::to_string(s + 1)},
                      {"share", rules.state_share[s]},
                      {"activity", std::move(activity)}});
  }
  base::Json pioneers = base::Json::array();
  for (std::uint32_t k = 0; k < genome.tfs; ++k) {
    if (rules.pioneer[k]) {
      pioneers.push_back(genome.genes[k].symbol);
    }
  }
  const base::Json truth = {{"settings", to_json(settings)},
                            {"states", std::move(states)},
                            {"pioneers", std::move(pioneers)},
                            {"edges",
                             {{"tf", std::move(tf)},
                              {"gene", std::move(gene)},
                              {"sign", std::move(sign)},
                              {"weight", std::move(weight)},
                              {"peaks", std::move(peaks)}}}};
  base::write_file_atomically(file, base::json_text(truth));
}

}  // namespace

Summary simulate(const Settings& given, const std::filesystem::path& directory) {
  check(given);
  const Settings settings = resolve(given);
  base::create_directories(directory);
  std::error_code code;
  std::filesystem::remove(directory / "truth.json", code);
  if (code) {
    throw base::OutputError({.what = "cannot replace an earlier simulation",
                             .file = (directory / "truth.json").string(),
                             .got = code.message(),
                             .hint = "check that you may write there, or choose another folder with --out"});
  }
  // 8 bytes per entry before compression, which halves them at least.
  const double entries = (settings.rna_counts + settings.atac_counts) * static_cast<double>(settings.cells);
  base::require_free_space(directory, static_cast<std::uintmax_t>(4.0 * entries), "the simulated dataset");

  const Genome genome = make_genome(settings);
  const Rules rules = make_rules(settings, genome);
  Summary summary = write_cells(directory, settings, genome, rules);
  write_annotation(directory / "annotation.gtf.gz", genome);
  write_network(directory, genome, rules);
  write_truth(directory / "truth.json", settings, genome, rules);
  summary.cells = settings.cells;
  summary.genes = settings.genes;
  summary.peaks = settings.peaks;
  summary.tfs = settings.tfs;
  summary.edges = rules.edges.size();
  return summary;
}

}  // namespace mgrn::simulate
