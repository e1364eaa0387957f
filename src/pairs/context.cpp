// SPDX-License-Identifier: Apache-2.0
#include "context.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/pairs/principal_components.hpp"

namespace mgrn::pairs {

namespace {

constexpr std::size_t kGenesAtATime = 64;
constexpr int kPasses = 24;

// Rows of the genes a few at a time: `use(place, row)` in the order given.
template <typename Use>
void for_each_row(const store::Dataset& dataset, std::span<const std::uint32_t> genes, Use&& use) {
  base::Progress progress("reading expression", genes.size(), "genes");
  for (std::size_t begin = 0; begin < genes.size(); begin += kGenesAtATime) {
    const auto block = genes.subspan(begin, std::min(kGenesAtATime, genes.size() - begin));
    const auto rows = dataset.rows(store::Layer::rna, block);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      use(begin + i, rows[i]);
    }
    progress.advance(block.size());
  }
}

std::vector<std::uint32_t> most_variable(const store::DatasetHeader& header) {
  std::vector<std::uint32_t> genes(header.genes.size());
  std::iota(genes.begin(), genes.end(), 0u);
  std::stable_sort(genes.begin(), genes.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return header.variance[a] > header.variance[b]; });
  genes.resize(std::min<std::size_t>(genes.size(), kComponentGenes));
  std::sort(genes.begin(), genes.end());
  return genes;
}

std::vector<double> library_sizes(const store::Dataset& dataset) {
  std::vector<std::uint32_t> all(dataset.genes());
  std::iota(all.begin(), all.end(), 0u);
  std::vector<double> sizes(dataset.cells());
  for_each_row(dataset, all, [&](std::size_t, const store::GeneRow& row) {
    for (std::size_t i = 0; i < row.cell.size(); ++i) {
      sizes[row.cell[i]] += static_cast<double>(row.count[i]);
    }
  });
  const auto cells = static_cast<double>(sizes.size());
  for (double& size : sizes) {
    size = std::log10(1 + std::max(size, 0.0));
  }
  const double mean = std::accumulate(sizes.begin(), sizes.end(), 0.0) / cells;
  double squares = 0;
  for (const double size : sizes) {
    squares += (size - mean) * (size - mean);
  }
  const double deviation = std::sqrt(squares / cells);
  for (double& size : sizes) {
    size = deviation > 1e-10 ? (size - mean) / deviation : 0;
  }
  return sizes;
}

Context compute(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                const ContextOptions& options) {
  const auto& header = dataset.header();
  const auto cells = static_cast<std::uint32_t>(dataset.cells());
  std::vector<Profile> profiles;
  const auto variable = most_variable(header);
  for_each_row(dataset, variable, [&](std::size_t place, const store::GeneRow& row) {
    profiles.push_back(standardised(row, static_cast<double>(header.rna_background[variable[place]]), cells));
  });
  const int wanted = options.gene ? kGeneContext : kCellContext - 1;
  const auto components =
      principal_components(profiles, cells, static_cast<std::size_t>(std::max(wanted, kCellContext - 1)),
                           kPasses, base::NameHash().add("context").add(header.id).value());
  const auto component = [&](int k) {
    return std::span(components).subspan(static_cast<std::size_t>(k) * cells, cells);
  };
  const double root = std::sqrt(static_cast<double>(cells));
  Context context;
  if (options.cell) {
    const auto sizes = library_sizes(dataset);
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      context.cells.push_back(static_cast<float>(sizes[cell]));
      for (int k = 0; k < kCellContext - 1; ++k) {
        context.cells.push_back(static_cast<float>(component(k)[cell] * root));
      }
    }
  }
  if (options.gene) {
    context.genes.resize(genes.size() * static_cast<std::size_t>(kGeneContext));
    std::vector<double> totals;
    totals.reserve(static_cast<std::size_t>(kGeneContext));
    for (int k = 0; k < kGeneContext; ++k) {
      totals.push_back(std::accumulate(component(k).begin(), component(k).end(), 0.0));
    }
    for_each_row(dataset, genes, [&](std::size_t place, const store::GeneRow& row) {
      const Profile profile =
          standardised(row, static_cast<double>(header.rna_background[genes[place]]), cells);
      for (int k = 0; k < kGeneContext; ++k) {
        context.genes[place * static_cast<std::size_t>(kGeneContext) + static_cast<std::size_t>(k)] =
            static_cast<float>(profile.dot(component(k), totals[static_cast<std::size_t>(k)]) / root);
      }
    });
  }
  return context;
}

}  // namespace

Context make_context(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                     const ContextOptions& options, comm::Communicator& communicator) {
  Context context;
  comm::agree(communicator, [&] {
    if (communicator.rank() == 0) {
      context = compute(dataset, genes, options);
    }
  });
  // All ranks know the sizes.
  context.cells.resize(options.cell ? dataset.cells() * static_cast<std::size_t>(kCellContext) : 0);
  context.genes.resize(options.gene ? genes.size() * static_cast<std::size_t>(kGeneContext) : 0);
  communicator.broadcast(std::as_writable_bytes(std::span(context.cells)), 0);
  communicator.broadcast(std::as_writable_bytes(std::span(context.genes)), 0);
  return context;
}

}  // namespace mgrn::pairs
