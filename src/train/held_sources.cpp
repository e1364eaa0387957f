// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/held_sources.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"

namespace mgrn::train {
namespace {

model::DrawFrom drawn_from(pairs::PairCells rule) {
  switch (rule) {
    case pairs::PairCells::both:
      return model::DrawFrom::both;
    case pairs::PairCells::either:
      return model::DrawFrom::either;
    case pairs::PairCells::all:
      return model::DrawFrom::all;
  }
  return model::DrawFrom::both;
}

/// Of sample number `index` among `samples` of one size. The first call makes room for all: none moves.
std::span<const std::uint32_t> draw_cells(const pairs::Sampler& sampler, const pairs::SampleName& name,
                                          std::size_t index, std::size_t samples, NamedSamples& named) {
  const auto count = static_cast<std::size_t>(sampler.options().cells);
  named.cells.resize(samples * count);
  const auto mine = std::span(named.cells).subspan(index * count, count);
  if (!sampler.draw(name, mine)) {
    throw base::InternalError(
        {.what = "a sample was asked for of a pair that has none", .hint = "report this as a defect"});
  }
  return mine;
}

}  // namespace

void HeldSources::hold(const pairs::SampleSource& source, model::Engine& engine) {
  const auto* sampler = dynamic_cast<const pairs::Sampler*>(&source);
  if (sampler == nullptr || sampler->options().context != pairs::ContextOptions{}) {
    return;
  }
  const pairs::ColumnImage image = sampler->image();
  std::vector<model::HostColumns> genes;
  genes.reserve(image.genes.size());
  for (const pairs::GeneImage& gene : image.genes) {
    genes.push_back({.cell_set = gene.cell_set,
                     .values = gene.values,
                     .rna_step = gene.rna.step,
                     .rp_step = gene.rp.step,
                     .rna_zero = gene.rna.zero,
                     .rp_zero = gene.rp.zero});
  }
  const model::Holding holding = engine.hold({.genes = genes,
                                              .cells = image.cells,
                                              .from = drawn_from(sampler->options().pair_cells),
                                              .atac = sampler->options().atac});
  if (holding.columns != nullptr) {
    held_[&source] = {.sampler = sampler, .columns = holding.columns, .wants_cells = holding.wants_cells};
    base::info("the GPU holds " + std::to_string(genes.size()) + " genes' columns (" +
               std::to_string(sampler->bytes() >> 10) + " KiB) and makes the samples");
  } else if (!holding.problem.empty()) {
    base::warn("the GPU cannot hold the dataset's matrices (" + holding.problem +
               "): the processor gathers its samples, with the same result, only slower");
  }
}

bool HeldSources::name(std::span<const pairs::SampleRequest> requests, NamedSamples& named) const {
  named.samples.clear();
  if (held_.empty()) {
    return false;
  }
  for (const pairs::SampleRequest& request : requests) {
    const auto found = held_.find(request.sampler);
    if (found == held_.end()) {
      named.samples.clear();
      return false;
    }
    const pairs::SampleRecipe recipe = found->second.sampler->recipe(request.name);
    named.samples.push_back({.columns = found->second.columns.get(),
                             .tf = recipe.tf,
                             .gene = recipe.gene,
                             .cells_key = recipe.cells_key,
                             .order_key = recipe.order_key,
                             .reordered = recipe.reordered});
    if (found->second.wants_cells) {
      named.samples.back().cells =
          draw_cells(*found->second.sampler, request.name, named.samples.size() - 1, requests.size(), named);
    }
  }
  return true;
}

}  // namespace mgrn::train
