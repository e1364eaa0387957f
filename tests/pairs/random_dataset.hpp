// SPDX-License-Identifier: Apache-2.0
// A dataset file of random values, for the sampler: how dense its genes are, each test says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs::test {

struct RandomDataset {
  std::uint32_t cells = 0;
  std::uint32_t genes = 0;
  std::uint64_t seed = 0;
  /// Whether a cell of the gene has an entry.
  bool (*stored)(base::PhiloxStream& random, std::uint32_t gene) = nullptr;
  bool atac = true;

  static constexpr const char* kId = "00112233445566ff";
  static constexpr float kRnaBackground = -0.5f;
  static float rp_background(std::uint32_t gene) { return -0.01f * static_cast<float>(gene); }

  store::GeneRows rows(store::Layer layer) const {
    const bool rna = layer == store::Layer::rna;
    store::GeneRows rows;
    rows.offsets.push_back(0);
    base::PhiloxStream random(seed, rna ? 1 : 2);
    for (std::uint32_t gene = 0; gene < genes; ++gene) {
      for (std::uint32_t cell = 0; cell < cells; ++cell) {
        if (stored(random, gene)) {
          rows.cell.push_back(cell);
          rows.value.push_back(static_cast<float>(random.normal()));
          if (rna) {
            rows.count.push_back(
                static_cast<float>(random.below(6)));  // an entry of count 0 is no expression
          }
        }
      }
      rows.offsets.push_back(rows.cell.size());
    }
    return rows;
  }

  void write(const std::filesystem::path& file) const {
    store::DatasetHeader header;
    header.id = kId;
    header.has_atac = atac;
    for (std::uint32_t gene = 0; gene < genes; ++gene) {
      header.genes.push_back("G" + std::to_string(1000 + gene));
      header.variance.push_back(1);
      header.vst.push_back(1);
      header.rna_background.push_back(kRnaBackground);
      if (atac) {
        header.rp_background.push_back(rp_background(gene));
      }
    }
    for (std::uint32_t cell = 0; cell < cells; ++cell) {
      header.barcodes.push_back("cell" + std::to_string(cell));
    }
    header.settings = header.sources = header.quality = "{}";
    const auto self = comm::make_self_communicator();
    store::DatasetWriter writer(*self, file);
    writer.append(store::Layer::rna, rows(store::Layer::rna));
    if (atac) {
      writer.append(store::Layer::rp, rows(store::Layer::rp));
    }
    writer.finish(header);
  }
};

}  // namespace mgrn::pairs::test
