// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <limits>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/simulate/simulate.hpp"

namespace mgrn::cli {
namespace {

void run(Config& config, comm::Communicator& world) {
  const simulate::Summary summary = perform_simulation(config, world);
  print_result(world,
               fmt::format("simulated {} cells, {} genes ({} TFs), {} peaks, {} edges; {} RNA and {} ATAC "
                           "entries, in {}\n",
                           summary.cells, summary.genes, summary.tfs, summary.peaks, summary.edges,
                           summary.rna_entries, summary.atac_entries, config.out.string()));
}

}  // namespace

simulate::Summary perform_simulation(const Config& config, comm::Communicator& world) {
  simulate::Summary summary;
  comm::agree(world, [&] {
    if (config.out.empty()) {
      throw base::UsageError({.what = "key out is missing",
                              .expected = "--out DIR",
                              .got = "nothing",
                              .hint = "choose a folder for the simulated files"});
    }
    // The generator is one stream of cells: one rank writes it.
    if (world.rank() == 0) {
      summary = simulate::simulate(config.simulate, config.out);
    }
  });
  return summary;
}

void add_simulate_keys(KeyTable& table, Config& config) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  constexpr std::uint64_t kMany = std::numeric_limits<std::uint32_t>::max();
  constexpr std::uint64_t kAnySeed = std::numeric_limits<std::uint64_t>::max();
  auto& settings = config.simulate;
  table.integer("cells", settings.cells, 1, kMany, "cells");
  table.integer("genes", settings.genes, 1, kMany, "genes, TFs included");
  table.integer("peaks", settings.peaks, 0, kMany, "peaks; 0: no ATAC");
  table.integer("tfs", settings.tfs, 1, kMany, "transcription factors");
  table.integer("seed", settings.seed, 0, kAnySeed, "seed of cells, states and counts");
  table.integer("rules_seed", settings.rules_seed, 0, kAnySeed,
                "seed of genes, peaks and edges, for datasets that share them; 0: as seed");
  table.real("shared_rules", settings.shared_rules, 0, 1, "share of TF-gene pairs ruled by rules_seed");
  table.choice<simulate::ListedNetwork>(
      "network", settings.network,
      {{"own", simulate::ListedNetwork::own}, {"shared", simulate::ListedNetwork::shared}},
      "what network.csv lists: the rules that these cells obey, or those of rules_seed alone");
  table.choice<simulate::Organism>(
      "organism", settings.organism,
      {{"human", simulate::Organism::human}, {"mouse", simulate::Organism::mouse}}, "spelling of symbols");
  table.real("density", settings.density, 0, 1, "edges among TF-gene pairs");
  table.real("activator_share", settings.activator_share, 0, 1, "edges that activate");
  table.real("pioneer_share", settings.pioneer_share, 0, 1, "TFs that open chromatin");
  table.real("regulation", settings.regulation, 0, 100, "strength of regulation; 0: none");
  table.real("accessibility", settings.accessibility, 0, 100, "strength of chromatin's part; 0: none");
  table.real("batch", settings.batch, 0, 10, "SD of this dataset's own log factors");
  table.integer("states", settings.states, 1, 10000, "cell types");
  table.real("state_activity", settings.state_activity, 0, 10, "SD of a TF's activity between states");
  table.real("cell_activity", settings.cell_activity, 0, 10, "SD of a TF's activity within a state");
  table.real("low_quality", settings.low_quality, 0, 1, "share of damaged cells");
  table.real("doublets", settings.doublets, 0, 1, "share of barcodes that hold two cells");
  table.real("rna_counts", settings.rna_counts, 0, kInfinity, "median RNA counts of a cell; 0: by size");
  table.real("atac_counts", settings.atac_counts, 0, kInfinity, "median ATAC counts of a cell; 0: by size");
  table.real("depth_spread", settings.depth_spread, 0, 10, "SD of the cells' log depth");
  table.real("dispersion", settings.dispersion, 0, 100, "of the negative binomial counts; 0: Poisson");
  table.real("dropout", settings.dropout, 0, 1, "RNA entries lost in addition to low depth");
}

Command simulate_command() {
  return {.name = "simulate",
          .summary = "make a multiome dataset whose network is known",
          .usage = "--out DIR [--cells N --genes N --peaks N --tfs N --seed N ...]",
          .positional = "",
          .keys =
              [](KeyTable& table, Config& config) {
                table.file("out", config.out, "folder for the files");
                add_simulate_keys(table, config);
                add_common_keys(table, config);
              },
          .run = run};
}

}  // namespace mgrn::cli
