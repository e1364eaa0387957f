// SPDX-License-Identifier: Apache-2.0
// A dataset, a network and settings so small that a whole run takes a fraction of a second.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/store/dataset.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train::test {

inline constexpr std::uint32_t kTinyCells = 40;
inline constexpr std::uint32_t kTinyGenes = 36;
inline constexpr std::uint32_t kTinyTfs = 8;

inline std::string tiny_gene(std::uint32_t gene) {
  return "G" + std::to_string(100 + gene);
}

// The last gene is expressed in one cell only, so that some labelled pairs have no shared cell.
inline store::GeneRows tiny_rows(bool rna, std::uint64_t seed) {
  store::GeneRows rows;
  rows.offsets.push_back(0);
  base::PhiloxStream random(seed, rna ? 1 : 2);
  for (std::uint32_t gene = 0; gene < kTinyGenes; ++gene) {
    for (std::uint32_t cell = 0; cell < kTinyCells; ++cell) {
      const bool stored = gene + 1 == kTinyGenes && rna ? cell == 3 : random.below(5) < 3;
      if (stored) {
        rows.cell.push_back(cell);
        rows.value.push_back(static_cast<float>(random.normal()));
        if (rna) {
          rows.count.push_back(static_cast<float>(1 + random.below(5)));
        }
      }
    }
    rows.offsets.push_back(rows.cell.size());
  }
  return rows;
}

inline void write_tiny_dataset(const std::filesystem::path& file, const std::string& id, std::uint64_t seed) {
  store::DatasetHeader header;
  header.id = id;
  for (std::uint32_t gene = 0; gene < kTinyGenes; ++gene) {
    header.genes.push_back(tiny_gene(gene));
    header.variance.push_back(1.0 + gene);
    header.vst.push_back(1.0 + gene);
    header.rna_background.push_back(-0.5f);
    header.rp_background.push_back(-0.25f);
  }
  for (std::uint32_t cell = 0; cell < kTinyCells; ++cell) {
    header.barcodes.push_back("cell" + std::to_string(cell));
  }
  header.has_atac = true;
  header.settings = header.sources = header.quality = "{}";
  const auto self = comm::make_self_communicator();
  store::DatasetWriter writer(*self, file);
  writer.append(store::Layer::rna, tiny_rows(true, seed));
  writer.append(store::Layer::rp, tiny_rows(false, seed));
  writer.finish(header);
}

inline void write_tiny_network(const std::filesystem::path& network, const std::filesystem::path& tfs,
                               std::uint64_t seed = 11) {
  std::string edges = "Gene1,Gene2\n";
  std::string list = "TF\n";
  base::PhiloxStream random(seed, 0);
  for (std::uint32_t tf = 0; tf < kTinyTfs; ++tf) {
    list += tiny_gene(tf) + "\n";
    for (std::uint32_t gene = 0; gene < kTinyGenes; ++gene) {
      if (gene != tf && random.below(3) == 0) {
        edges += tiny_gene(tf) + "," + tiny_gene(gene) + "\n";
      }
    }
  }
  base::write_file_atomically(network, edges);
  base::write_file_atomically(tfs, list);
}

/// Writes A.h5, network.csv and tfs.csv into `folder`.
inline void write_tiny_inputs(const std::filesystem::path& folder) {
  write_tiny_dataset(folder / "A.h5", "00000000000000aa", 5);
  write_tiny_network(folder / "network.csv", folder / "tfs.csv");
}

/// Settings of a run on these inputs; about 10 steps of up to 4 micro-batches.
inline Settings tiny_settings(const std::filesystem::path& inputs, const std::filesystem::path& out) {
  Settings settings;
  settings.datasets = {inputs / "A.h5"};
  settings.networks = {inputs / "network.csv"};
  settings.tf_lists = {inputs / "tfs.csv"};
  settings.gene_set.variable_genes = 100;
  settings.shape = {.cells = 16, .width = 4, .heads = 4, .layers = 1, .hidden = 8};
  settings.epochs = 3;
  settings.batch = 32;
  settings.micro_batch = 8;
  settings.best_epoch_from = 1;
  settings.adam.learning_rate = 1e-2;
  settings.adam.predictor_learning_rate = 1e-2;
  settings.out = out;
  settings.config_text = "[pairs]\nseed = 1\n\n[train]\nepochs = 3\nseed = 1\n";
  return settings;
}

/// The same with the pooling readout and all context features.
inline Settings tiny_pool_settings(const std::filesystem::path& inputs, const std::filesystem::path& out) {
  Settings settings = tiny_settings(inputs, out);
  settings.context = {.cell = true, .gene = true};
  settings.shape = {.cells = 16,
                    .width = 8,
                    .heads = 1,
                    .layers = 2,
                    .hidden = 8,
                    .positions = model::Positions::none,
                    .readout = model::Readout::pool,
                    .context = pairs::context_columns(settings.context)};
  return settings;
}

/// metrics.jsonl without what depends on the clock.
inline std::string metrics_without_speed(const std::filesystem::path& file) {
  std::string text;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    base::Json value = base::Json::parse(line);
    value.erase("samples_per_s");
    text += base::json_line(value) + "\n";
  }
  return text;
}

/// All bytes that two runs of the same work must share, in one text.
inline std::string promised_bytes(const std::filesystem::path& run) {
  std::string text = metrics_without_speed(run / "metrics.jsonl");
  for (const char* name :
       {"config.ini", "split.csv", "model.safetensors", "predictions.csv", "result.json"}) {
    if (std::filesystem::exists(run / name)) {
      text += std::string("\n== ") + name + "\n" + base::read_file(run / name);
    }
  }
  return text;
}

}  // namespace mgrn::train::test
