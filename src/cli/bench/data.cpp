// SPDX-License-Identifier: Apache-2.0
// Data to measure on: counts drawn gene by gene and normalised by the code that prepares real ones.
#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bench.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/prepare/normalise.hpp"

namespace mgrn::cli {
namespace {

// Size and sparsity of a usual multiome sample after quality control, TFs+500.
constexpr std::uint32_t kCells = 7000;
constexpr std::uint32_t kGenes = 600;
constexpr std::uint32_t kTfs = 100;
constexpr double kClip = 10.0;
constexpr std::uint64_t kSeed = 20250901;

struct Drawn {
  std::vector<pairs::SamplerGene> genes;
  std::vector<std::string> symbols;
};

Drawn draw_genes() {
  Drawn drawn;
  base::PhiloxStream depths(kSeed, 0);
  std::vector<double> depth(kCells);
  std::vector<double> library_size(kCells);
  for (std::uint32_t cell = 0; cell < kCells; ++cell) {
    depth[cell] = std::exp(0.5 * depths.normal());
    library_size[cell] = 4000.0 * depth[cell];
  }
  for (std::uint32_t number = 0; number < kGenes; ++number) {
    base::PhiloxStream random(kSeed, 1 + number);
    pairs::SamplerGene gene;
    gene.index = number;
    gene.symbol = "GENE" + std::to_string(number);
    // Most genes are seen in a few cells of a hundred, some in nearly all.
    const double mean = std::exp(-1.2 + 1.2 * random.normal());
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      // Poisson with a rate that varies from cell to cell, by inversion.
      const double rate = mean * depth[cell] * std::exp(0.7 * random.normal() - 0.245);
      double left = random.uniform();
      double share = std::exp(-rate);
      int count = 0;
      while (left > share && count < 200) {
        left -= share;
        share *= rate / ++count;
      }
      if (count > 0) {
        gene.rna.cell.push_back(cell);
        gene.rna.count.push_back(static_cast<float>(count));
      }
    }
    gene.rna.value.resize(gene.rna.count.size());
    prepare::normalise_rna_row(prepare::RnaNormalisation::lognorm_z, kClip, library_size, gene.rna.cell,
                               gene.rna.count, gene.rna.value);
    std::vector<double> potential;
    const double open = 0.05 + 0.6 * random.uniform();
    for (std::uint32_t cell = 0; cell < kCells; ++cell) {
      if (random.uniform() < open) {
        gene.rp.cell.push_back(cell);
        potential.push_back(0.01 + std::exp(random.normal() - 1.0));
      }
    }
    gene.rp.value.resize(potential.size());
    gene.rp_background = prepare::normalise_rp_row(prepare::RpNormalisation::binary_rowsum_z, kClip, kCells,
                                                   potential, gene.rp.value)
                             .background;
    drawn.symbols.push_back(gene.symbol);
    drawn.genes.push_back(std::move(gene));
  }
  return drawn;
}

std::shared_ptr<train::Task> drawn_task(const train::Settings& settings) {
  static const Drawn drawn = draw_genes();
  auto task = std::make_shared<train::Task>();
  train::Source source;
  source.header.id = "0000000000000000";
  source.header.genes = drawn.symbols;
  source.header.barcodes.resize(kCells);
  source.header.has_atac = settings.atac;
  source.sampler = std::make_unique<pairs::Sampler>(source.header.id, kCells, drawn.genes,
                                                    pairs::SamplerOptions{.cells = settings.shape.cells,
                                                                          .width = settings.shape.columns(),
                                                                          .atac = settings.atac,
                                                                          .resample = settings.resample,
                                                                          .seed = settings.seed,
                                                                          .pair_cells = settings.pair_cells,
                                                                          .context = settings.context});
  for (std::uint32_t tf = 0; tf < kTfs; ++tf) {
    for (std::uint32_t gene = 0; gene < kGenes; ++gene) {
      if (gene != tf && source.sampler->has_sample(tf, gene)) {
        task->training.push_back(
            {.source = 0, .tf = tf, .gene = gene, .label = static_cast<std::uint8_t>((tf + gene) % 2)});
      }
    }
  }
  task->sources.push_back(std::move(source));
  return task;
}

}  // namespace

std::shared_ptr<train::Task> bench_task(const train::Settings& settings, comm::Communicator& world) {
  auto task = settings.datasets.empty() ? drawn_task(settings)
                                        : std::make_shared<train::Task>(train::load_task(settings, world));
  // Validation and test have no part in what is measured.
  task->validation.clear();
  task->test.clear();
  task->first_of_source = {0};
  task->training_of_source = {static_cast<std::uint32_t>(task->training.size())};
  return task;
}

}  // namespace mgrn::cli
