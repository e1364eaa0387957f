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

std::uint64_t room_for(std::uint64_t rna_entries, std::uint64_t rp_entries, std::uint32_t cells, bool atac) {
  return largest_column(rna_entries, cells) + (atac ? largest_column(rp_entries, cells) : 0);
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

ColumnStore::StoredGene ColumnStore::write(ColumnWriter& writer, const SamplerGene& gene, std::uint32_t cells,
                                           bool atac) {
  check_row(gene, gene.rna, "RNA", cells);
  if (gene.rna.count.size() != gene.rna.cell.size()) {
    throw base::DataError({.what = "a gene's RNA entries have no counts",
                           .file = gene.symbol,
                           .expected = std::to_string(gene.rna.cell.size()) + " counts",
                           .got = std::to_string(gene.rna.count.size()),
                           .hint = "Prepare the dataset again."});
  }
  std::vector<std::uint32_t> expressed;
  std::vector<float> values;
  for (std::size_t i = 0; i < gene.rna.cell.size(); ++i) {
    if (gene.rna.count[i] > 0) {
      expressed.push_back(gene.rna.cell[i]);
      values.push_back(gene.rna.value[i]);
    }
  }
  StoredGene stored;
  // Cells without expression are never asked for; any stored value may stand for them.
  stored.rna = writer.add(expressed, values, values.empty() ? 0.0f : values.front(), false);
  if (atac) {
    check_row(gene, gene.rp, "RP", cells);
    stored.rp = writer.add(gene.rp.cell, gene.rp.value, gene.rp_background, true);
  }
  return stored;
}

void ColumnStore::open(std::span<const StoredGene> stored, bool atac) {
  for (const StoredGene& gene : stored) {
    columns_.push_back({.rna = open_column(memory_.bytes(), gene.rna),
                        .rp = atac ? open_column(memory_.bytes(), gene.rp) : Column{}});
  }
}

ColumnStore::ColumnStore(const store::Dataset& dataset, std::span<const std::uint32_t> wanted, bool atac,
                         bool compact, comm::Communicator& communicator) {
  const auto cells = static_cast<std::uint32_t>(dataset.cells());
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
      room.push_back(room.back() + room_for(dataset.nonzeros(store::Layer::rna, gene),
                                            atac ? dataset.nonzeros(store::Layer::rp, gene) : 0, cells,
                                            atac));
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

  std::vector<StoredGene> mine;
  std::uint64_t used = 0;
  comm::agree(communicator, [&] {
    ColumnWriter writer(memory_.bytes(), room[first[rank]], room[first[rank + 1]], cells, compact);
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
                               .rp_background = atac ? dataset.header().rp_background.at(block[i]) : 0.0f};
        mine.push_back(write(writer, gene, cells, atac));
      }
      begin = end;
    }
    used = writer.used();
  });
  // Also tells each rank that all have written.
  std::vector<StoredGene> stored;
  for (const auto& part : node->all_gather(std::as_bytes(std::span(mine)))) {
    const auto theirs = comm::from_bytes<StoredGene>(part);
    stored.insert(stored.end(), theirs.begin(), theirs.end());
  }
  std::array<std::int64_t, 1> total{static_cast<std::int64_t>(used)};
  node->all_reduce(std::span<std::int64_t>(total), comm::Reduction::sum);
  bytes_ = static_cast<std::uint64_t>(total[0]);
  open(stored, atac);
}

ColumnStore::ColumnStore(std::uint32_t cells, std::span<const SamplerGene> given, bool atac, bool compact) {
  blocks_ = blocks_of(cells);
  std::vector<std::uint32_t> indices;
  for (const SamplerGene& gene : given) {
    indices.push_back(gene.index);
  }
  enter(indices, 0);
  std::uint64_t room = 0;
  for (const SamplerGene& gene : given) {
    room += room_for(gene.rna.cell.size(), gene.rp.cell.size(), cells, atac);
  }
  memory_ = comm::private_memory(room);
  ColumnWriter writer(memory_.bytes(), 0, room, cells, compact);
  std::vector<StoredGene> stored;
  for (const SamplerGene& gene : given) {
    if (place_[gene.index] == stored.size()) {
      stored.push_back(write(writer, gene, cells, atac));
    }
  }
  bytes_ = writer.used();
  open(stored, atac);
}

}  // namespace mgrn::pairs
