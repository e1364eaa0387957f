// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/prepare/inspect.hpp"
#include "multigrnformer/prepare/prepare.hpp"

namespace mgrn::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Cut-offs may be left open, so "inf" is a value.
void add_bound(KeyTable& table, const std::string& name, double& field, const std::string& help) {
  table.number_or_word(name, field, 0.0, kInfinity, "inf", kInfinity, "rule bounds: " + help);
}

void run(Config& config, comm::Communicator& world) {
  const prepare::Report report = perform_preparation(config, world);
  print_result(world, prepare::quality_text(report.quality) + "dataset " + report.id + ": " +
                          std::to_string(report.cells) + " cells, " + std::to_string(report.genes) +
                          " genes, " + (report.has_atac ? "RNA + ATAC" : "RNA only") + ", in " +
                          report.file.string() + "\n");
}

}  // namespace

prepare::Report perform_preparation(Config& config, comm::Communicator& world) {
  config.prepare.out = config.out;
  return prepare::prepare(config.prepare, world);
}

void add_prepare_keys(KeyTable& table, Config& config) {
  auto& settings = config.prepare;
  table.choice("prepare.qc", settings.qc, prepare::qc_rules(), "how cells are judged");
  table.real("prepare.mads", settings.mads, 0, kInfinity, "MADs from the median that a cell may lie");
  table.real("prepare.min_feature_share", settings.min_feature_share, 0, 1,
             "features with values in fewer cells than this share are dropped");
  table.real("prepare.min_cell_share", settings.min_cell_share, 0, 1,
             "cells with values in fewer features than this share are dropped");
  table.real("prepare.max_blacklist_share", settings.max_blacklist_share, 0, 1,
             "share of a cell's ATAC counts that may lie in blacklist regions");
  add_bound(table, "prepare.min_rna_counts", settings.bounds.min_rna_counts, "RNA counts of a cell");
  add_bound(table, "prepare.max_rna_counts", settings.bounds.max_rna_counts, "RNA counts of a cell");
  add_bound(table, "prepare.min_genes", settings.bounds.min_genes, "detected genes of a cell");
  add_bound(table, "prepare.max_genes", settings.bounds.max_genes, "detected genes of a cell");
  add_bound(table, "prepare.min_atac_counts", settings.bounds.min_atac_counts, "ATAC counts of a cell");
  add_bound(table, "prepare.max_atac_counts", settings.bounds.max_atac_counts, "ATAC counts of a cell");
  add_bound(table, "prepare.max_mito", settings.bounds.max_mito, "share of mitochondrial counts");
  table.custom({.name = "prepare.mito_prefixes",
                .placeholder = "PREFIX[,PREFIX...]",
                .help = "symbols of mitochondrial genes begin with one of these (any case)",
                .set = [&settings](const std::string& text) { settings.mito_prefixes = split_list(text); },
                .get =
                    [&settings] {
                      std::string text;
                      for (const auto& prefix : settings.mito_prefixes) {
                        text += (text.empty() ? "" : ",") + prefix;
                      }
                      return text;
                    }});
  table.choice("prepare.rna", settings.rna_normalisation, prepare::rna_normalisations(),
               "RNA normalisation; z: values are logged already");
  table.choice("prepare.rp", settings.rp_normalisation, prepare::rp_normalisations(),
               "normalisation of the regulatory potential");
  table.real("prepare.clip", settings.clip, 0, kInfinity, "z-scores are cut at this; 0: never");
  table.real("prepare.decay", settings.decay, 1, 1e9, "base pairs in which a peak's weight halves");
  table.real("prepare.exon_cap", settings.exon_cap, 0, kInfinity,
             "largest weight of a peak in an exon (1 / exon length in kb); 0: no cap");
  table
      .integer("prepare.block_genes", settings.block_genes, 0, 1u << 20,
               "genes that travel together between ranks; 0: by memory")
      .result = false;
}

Command prepare_command() {
  return {
      .name = "prepare",
      .summary = "raw counts to a dataset file: quality control, normalisation, regulatory potential",
      .usage = "--rna F [--atac F] [--annotation GTF] [--blacklist BED] [--barcodes F] --out D.h5",
      .positional = "",
      .keys =
          [](KeyTable& table, Config& config) {
            auto& settings = config.prepare;
            table.file("rna", settings.rna,
                       "counts: 10x .h5 or folder, .h5ad, .h5mu, .csv/.tsv; a multiome file serves as both");
            table.file("atac", settings.atac, "peak counts, where they are in a file of their own");
            table.file("annotation", settings.annotation, "genes on the genome: GTF or UCSC refGene table");
            table.file("blacklist", settings.blacklist, "regions to judge cells by, BED");
            table.file("barcodes", settings.barcodes, "keep only these cells (one cell type or sample)");
            table.text("layer", "NAME", settings.layer, "layer of an .h5ad or .h5mu file instead of X");
            table.file("out", config.out, "the dataset file to write");
            add_prepare_keys(table, config);
            add_common_keys(table, config);
          },
      .run = run};
}

}  // namespace mgrn::cli
