// SPDX-License-Identifier: Apache-2.0
#include "column_store.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::pairs {

namespace {

// Entries of one layer that are read together: neighbours share chunks of the file, and what is read is held
// beside the columns until it is written into them.
constexpr std::uint64_t kEntriesAtATime = std::uint64_t{1} << 21;
constexpr std::size_t kGenesAtATime = 64;

void check_row(const SamplerGene& gene, const store::GeneRow& row, const char* layer, std::uint32_t cells) {
  bool ascending = row.cell.size() == row.value.size();
  for (std::size_t i = 0; ascending && i < row.cell.size(); ++i) {
    ascending = row.cell[i] < cells && (i == 0 || row.cell[i - 1] < row.cell[i]);
  }
  if (!ascending) {
    throw base::DataError({.what = std::string("the ") + layer + " entries of a gene are not in order",
                           .file = gene.symbol,
                           .expected = "ascending cells below " + std::to_string(cells) + ", a value each",
                           .hint = "Prepare the dataset again."});
  }
}

std::vector<float> values_of_all(const store::GeneRow& row, float background, std::uint32_t cells) {
  std::vector<float> values(cells, background);
  for (std::size_t i = 0; i < row.cell.size(); ++i) {
    values[row.cell[i]] = row.value[i];
  }
  return values;
}

GeneCells cells_of(const SamplerGene& gene, std::uint32_t cells, const ColumnChoice& choice) {
  check_row(gene, gene.rna, "RNA", cells);
  if (gene.rna.count.size() != gene.rna.cell.size()) {
    throw base::DataError({.what = "a gene's RNA entries have no counts",
                           .file = gene.symbol,
                           .expected = std::to_string(gene.rna.cell.size()) + " counts",
                           .got = std::to_string(gene.rna.count.size()),
                           .hint = "Prepare the dataset again."});
  }
  if (choice.atac) {
    check_row(gene, gene.rp, "RP", cells);
  }
  GeneCells found;
  std::vector<std::size_t> entries;  // those of expressed cells
  for (std::size_t i = 0; i < gene.rna.cell.size(); ++i) {
    if (gene.rna.count[i] > 0) {
      found.expressed.push_back(gene.rna.cell[i]);
      entries.push_back(i);
    }
  }
  if (choice.every_cell) {
    found.rna = values_of_all(gene.rna, gene.rna_background, cells);
    if (choice.atac) {
      found.rp = values_of_all(gene.rp, gene.rp_background, cells);
    }
    return found;
  }
  for (const std::size_t i : entries) {
    found.rna.push_back(gene.rna.value[i]);
  }
  std::size_t rp = 0;
  for (const std::uint32_t cell : found.expressed) {
    if (!choice.atac) {
      break;
    }
    while (rp < gene.rp.cell.size() && gene.rp.cell[rp] < cell) {
      ++rp;
    }
    const bool stored = rp < gene.rp.cell.size() && gene.rp.cell[rp] == cell;
    found.rp.push_back(stored ? gene.rp.value[rp] : gene.rp_background);
  }
  return found;
}

}  // namespace

std::vector<std::uint32_t> ColumnStore::enter(std::span<const std::uint32_t> genes, std::size_t in_dataset) {
  place_.assign(in_dataset, kAbsent);
  std::vector<std::uint32_t> once;
  for (const std::uint32_t gene : genes) {
    if (gene >= place_.size()) {
      place_.resize(gene + std::size_t{1}, kAbsent);
    }
    if (place_[gene] == kAbsent) {
      place_[gene] = static_cast<std::uint32_t>(once.size());
      once.push_back(gene);
    }
  }
  return once;
}

void ColumnStore::open(std::span<const StoredColumns> stored) {
  for (const StoredColumns& gene : stored) {
    columns_.push_back(open_columns(memory_.bytes(), gene));
  }
}

ColumnStore::ColumnStore(const store::Dataset& dataset, std::span<const std::uint32_t> wanted,
                         const ColumnChoice& choice, comm::Communicator& communicator) {
  const auto cells = static_cast<std::uint32_t>(dataset.cells());
  const bool atac = choice.atac;
  cells_ = cells;
  blocks_ = blocks_of(cells);
  const auto node = communicator.split_by_node();
  const auto ranks = static_cast<std::size_t>(node->size());
  const auto rank = static_cast<std::size_t>(node->rank());

  // The room that each gene may need at most, and where each rank's begins: every rank takes a run of genes
  // of about the same room and packs their columns behind one another. What stays free at the end of a
  // rank's part is never touched, and so takes no memory.
  std::vector<std::uint32_t> genes;
  std::vector<std::uint64_t> room{0};  // before each gene
  std::vector<std::size_t> first(ranks + 1);
  comm::agree(communicator, [&] {
    genes = enter(wanted, dataset.genes());
    for (const std::uint32_t gene : genes) {
      const std::uint64_t values = choice.every_cell ? cells : dataset.nonzeros(store::Layer::rna, gene);
      room.push_back(room.back() + largest_columns(values, cells, atac));
    }
    for (std::size_t r = 0; r <= ranks; ++r) {
      const std::uint64_t share = room.back() / ranks * r;
      first[r] =
          r == ranks
              ? genes.size()
              : static_cast<std::size_t>(std::lower_bound(room.begin(), room.end(), share) - room.begin());
    }
  });
  memory_ = node->share_memory(room.back());

  std::vector<StoredColumns> mine;
  std::uint64_t used = 0;
  comm::agree(communicator, [&] {
    ColumnWriter writer(memory_.bytes(), room[first[rank]], room[first[rank + 1]], cells, choice.compact);
    for (std::size_t begin = first[rank]; begin < first[rank + 1];) {
      std::size_t end = begin;
      std::uint64_t entries = 0;
      while (end < first[rank + 1] && end - begin < kGenesAtATime &&
             (end == begin || entries < kEntriesAtATime)) {
        entries += dataset.nonzeros(atac ? store::Layer::rp : store::Layer::rna, genes[end++]);
      }
      const auto block = std::span(genes).subspan(begin, end - begin);
      auto rna = dataset.rows(store::Layer::rna, block);
      auto rp = atac ? dataset.rows(store::Layer::rp, block) : std::vector<store::GeneRow>(block.size());
      for (std::size_t i = 0; i < block.size(); ++i) {
        const SamplerGene gene{.index = block[i],
                               .symbol = dataset.header().genes[block[i]],
                               .rna = std::move(rna[i]),
                               .rp = std::move(rp[i]),
                               .rp_background = atac ? dataset.header().rp_background.at(block[i]) : 0.0f,
                               .rna_background = dataset.header().rna_background.at(block[i])};
        mine.push_back(writer.add(cells_of(gene, cells, choice)));
      }
      begin = end;
    }
    used = writer.used();
  });
  // Also tells each rank that all have written.
  std::vector<StoredColumns> stored;
  for (const auto& part : node->all_gather(std::as_bytes(std::span(mine)))) {
    const auto theirs = comm::from_bytes<StoredColumns>(part);
    stored.insert(stored.end(), theirs.begin(), theirs.end());
  }
  std::array<std::int64_t, 1> total{static_cast<std::int64_t>(used)};
  node->all_reduce(std::span<std::int64_t>(total), comm::Reduction::sum);
  bytes_ = static_cast<std::uint64_t>(total[0]);
  open(stored);
}

ColumnStore::ColumnStore(std::uint32_t cells, std::span<const SamplerGene> given,
                         const ColumnChoice& choice) {
  cells_ = cells;
  blocks_ = blocks_of(cells);
  std::vector<std::uint32_t> indices;
  for (const SamplerGene& gene : given) {
    indices.push_back(gene.index);
  }
  enter(indices, 0);
  std::uint64_t room = 0;
  for (const SamplerGene& gene : given) {
    room += largest_columns(choice.every_cell ? cells : gene.rna.cell.size(), cells, choice.atac);
  }
  memory_ = comm::private_memory(room);
  ColumnWriter writer(memory_.bytes(), 0, room, cells, choice.compact);
  std::vector<StoredColumns> stored;
  for (const SamplerGene& gene : given) {
    if (place_[gene.index] == stored.size()) {
      stored.push_back(writer.add(cells_of(gene, cells, choice)));
    }
  }
  bytes_ = writer.used();
  open(stored);
}

}  // namespace mgrn::pairs
