// SPDX-License-Identifier: Apache-2.0
// The small multiome sample of tests/prepare/golden (text files only: reading it needs no HDF5, so ranks may
// be threads), and a dataset file read back in full.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "multigrnformer/formats/text_lines.hpp"
#include "multigrnformer/prepare/settings.hpp"
#include "multigrnformer/store/dataset.hpp"
#include "support/paths.hpp"

namespace mgrn::test {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(mgrn::test::source_path("tests/prepare/golden")) / name;
}

inline prepare::Settings golden_settings(const std::filesystem::path& out) {
  prepare::Settings settings;
  settings.rna = golden("rna.csv");
  settings.atac = golden("atac.csv");
  settings.annotation = golden("annotation.tsv");
  settings.out = out;
  return settings;
}

/// A table of numbers with a header and row names.
struct NumberTable {
  std::vector<std::string> columns;
  std::vector<std::string> rows;
  std::vector<std::vector<double>> value;
};

inline NumberTable read_numbers(const std::filesystem::path& file) {
  NumberTable table;
  formats::LineReader lines(file);
  formats::FieldSplitter fields(',');
  std::string_view line;
  lines.next(line);
  for (const std::string_view name : fields.split(line, lines).subspan(1)) {
    table.columns.emplace_back(name);
  }
  while (lines.next(line)) {
    const auto split = fields.split(line, lines);
    table.rows.emplace_back(split[0]);
    std::vector<double>& row = table.value.emplace_back();
    for (const std::string_view field : split.subspan(1)) {
      row.push_back(std::stod(std::string(field)));
    }
  }
  return table;
}

/// A layer as dense rows: the background where no entry is stored.
inline std::vector<std::vector<float>> dense(const store::Dataset& dataset, store::Layer layer) {
  const auto& background =
      layer == store::Layer::rna ? dataset.header().rna_background : dataset.header().rp_background;
  std::vector<std::vector<float>> rows;
  for (std::uint32_t gene = 0; gene < dataset.genes(); ++gene) {
    std::vector<float> row(dataset.cells(), background.at(gene));
    const store::GeneRow stored = dataset.row(layer, gene);
    for (std::size_t i = 0; i < stored.cell.size(); ++i) {
      row.at(stored.cell[i]) = stored.value[i];
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

/// All that a dataset holds, for comparison with ==.
struct Content {
  std::string id;
  std::vector<std::string> genes;
  std::vector<std::string> barcodes;
  std::vector<double> variance;
  std::vector<double> vst;
  std::vector<float> rna_background;
  std::vector<float> rp_background;
  std::string records;
  std::vector<std::vector<std::uint32_t>> cell;
  std::vector<std::vector<float>> value;
  std::vector<std::vector<float>> count;
  bool operator==(const Content&) const = default;
};

inline Content content_of(const std::filesystem::path& file) {
  const store::Dataset dataset(file);
  dataset.verify();
  const store::DatasetHeader& header = dataset.header();
  Content content{.id = header.id,
                  .genes = header.genes,
                  .barcodes = header.barcodes,
                  .variance = header.variance,
                  .vst = header.vst,
                  .rna_background = header.rna_background,
                  .rp_background = header.rp_background,
                  .records = header.settings + "\n" + header.sources + "\n" + header.quality,
                  .cell = {},
                  .value = {},
                  .count = {}};
  for (const store::Layer layer : {store::Layer::rna, store::Layer::rp}) {
    for (std::uint32_t gene = 0; gene < dataset.genes() && (layer == store::Layer::rna || header.has_atac);
         ++gene) {
      store::GeneRow row = dataset.row(layer, gene);
      content.cell.push_back(std::move(row.cell));
      content.value.push_back(std::move(row.value));
      content.count.push_back(std::move(row.count));
    }
  }
  return content;
}

}  // namespace mgrn::test
