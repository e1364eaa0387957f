// SPDX-License-Identifier: Apache-2.0
// A dataset file of any size, with its network and TF list, made in minutes: for speed and memory only, the
// values mean nothing. make_atlas FOLDER [cells] [genes] [RNA share] [RP share]
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/mpi_session.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace {

using namespace mgrn;

constexpr std::uint64_t kTfs = 100;

struct Size {
  std::uint64_t cells = 1000000;
  std::uint64_t genes = 3000;
  double rna = 0.05;
  double rp = 0.60;
};

// Sixteen random bits decide on a cell and its value: few distinct values compress well, so the file is
// written at the speed of the disk rather than of zlib.
void append_row(store::GeneRows& rows, std::uint64_t gene, const Size& size, bool rna) {
  const auto limit = static_cast<std::uint32_t>((rna ? size.rna : size.rp) * 65536);
  base::PhiloxStream random(gene, rna ? 1 : 2);
  std::uint64_t bits = 0;
  for (std::uint32_t cell = 0; cell < size.cells; ++cell, bits >>= 16) {
    if (cell % 4 == 0) {
      bits = random.next_u64();
    }
    const auto draw = static_cast<std::uint32_t>(bits & 0xFFFF);
    if (draw < limit) {
      rows.cell.push_back(cell);
      rows.value.push_back(static_cast<float>(draw % 64) / 6.4f - 3.0f);
      if (rna) {
        rows.count.push_back(1.0f + static_cast<float>(draw % 4));
      }
    }
  }
  rows.offsets.push_back(rows.cell.size());
}

void append_layer(store::DatasetWriter& writer, comm::Communicator& world, const Size& size, bool rna) {
  const auto ranks = static_cast<std::uint64_t>(world.size());
  const auto rank = static_cast<std::uint64_t>(world.rank());
  const std::uint64_t per_rank = std::max<std::uint64_t>(1, 4000000 / size.cells);
  for (std::uint64_t block = 0; block < size.genes; block += per_rank * ranks) {
    store::GeneRows rows;
    rows.first_gene = std::min(size.genes, block + rank * per_rank);
    rows.offsets.push_back(0);
    for (std::uint64_t gene = rows.first_gene; gene < std::min(size.genes, rows.first_gene + per_rank);
         ++gene) {
      append_row(rows, gene, size, rna);
    }
    writer.append(rna ? store::Layer::rna : store::Layer::rp, rows);
  }
}

store::DatasetHeader header_of(const Size& size) {
  store::DatasetHeader header;
  header.id = "00000000a71a5000";
  header.has_atac = true;
  char text[32];
  for (std::uint64_t gene = 0; gene < size.genes; ++gene) {
    std::snprintf(text, sizeof text, "GENE%05u", static_cast<unsigned>(gene));
    header.genes.emplace_back(text);
    header.variance.push_back(1.0);
    header.vst.push_back(1.0);
    header.rna_background.push_back(-0.25f);
    header.rp_background.push_back(-0.5f);
  }
  for (std::uint64_t cell = 0; cell < size.cells; ++cell) {
    std::snprintf(text, sizeof text, "CELL%012u-1", static_cast<unsigned>(cell));
    header.barcodes.emplace_back(text);
  }
  header.settings = header.sources = header.quality = "{}";
  return header;
}

void write_labels(const std::filesystem::path& folder, const Size& size) {
  std::ofstream tfs(folder / "tfs.csv");
  std::ofstream network(folder / "network.csv");
  tfs << "TF\n";
  network << "Gene1,Gene2\n";
  const store::DatasetHeader names = header_of({.cells = 0, .genes = size.genes});
  const std::uint64_t listed = std::min(kTfs, size.genes / 2);
  base::PhiloxStream random(1, 3);
  for (std::uint64_t tf = 0; tf < listed; ++tf) {
    tfs << names.genes[tf] << '\n';
  }
  // Every gene has a regulator, so that all columns are loaded.
  for (std::uint64_t gene = 0; gene < size.genes; ++gene) {
    const auto tf = random.below(static_cast<std::uint32_t>(listed));
    if (tf != gene) {
      network << names.genes[tf] << ',' << names.genes[gene] << '\n';
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: make_atlas FOLDER [cells] [genes] [RNA share] [RP share]\n");
    return 64;
  }
  const std::filesystem::path folder = argv[1];
  Size size;
  size.cells = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : size.cells;
  size.genes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : size.genes;
  size.rna = argc > 4 ? std::atof(argv[4]) : size.rna;
  size.rp = argc > 5 ? std::atof(argv[5]) : size.rp;
  comm::MpiSession session;
  return session.run([&](comm::Communicator& world) {
    std::filesystem::create_directories(folder);
    store::DatasetWriter writer(world, folder / "D.h5");
    append_layer(writer, world, size, true);
    append_layer(writer, world, size, false);
    writer.finish(header_of(size));
    if (world.rank() == 0) {
      write_labels(folder, size);
    }
    return 0;
  });
}
