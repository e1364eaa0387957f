// SPDX-License-Identifier: Apache-2.0
// Every container that holds the golden matrix must give the same cells; made by anndata, scipy and h5py.
#include "multigrnformer/formats/matrix_source.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "format_support.hpp"
#include "multigrnformer/formats/hdf5.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/formats/tenx_writer.hpp"

namespace mgrn {
namespace {

using formats::CellBlock;
using formats::Feature;
using formats::FeatureType;
using formats::MatrixOptions;
using formats::Modality;
using formats::open_matrix;
using test::golden;
using test::write;

struct Expected {
  std::vector<std::string> barcodes;
  std::vector<std::string> symbols;
  std::vector<std::vector<float>> values;  // cells x genes
};

Expected expected() {
  const auto table = formats::Table::read(golden("expected.csv"));
  Expected result;
  result.barcodes = table.column("cell");
  result.symbols.assign(table.names().begin() + 1, table.names().end());
  result.values.assign(table.rows(), {});
  for (const std::string& symbol : result.symbols) {
    const auto column = table.numbers(symbol);
    for (std::size_t cell = 0; cell < column.size(); ++cell) {
      result.values[cell].push_back(static_cast<float>(column[cell]));
    }
  }
  return result;
}

std::vector<std::string> names_of(const formats::MatrixSource& source) {
  std::vector<std::string> names;
  for (const Feature& feature : source.features()) {
    names.push_back(feature.name);
  }
  return names;
}

void expect_golden(const std::filesystem::path& file, const std::string& description, float factor = 1,
                   const MatrixOptions& options = {}) {
  SCOPED_TRACE(file.string());
  const Expected want = expected();
  const auto source = open_matrix(file, options);
  EXPECT_NE(source->description().find(description), std::string::npos) << source->description();
  EXPECT_EQ(source->barcodes(), want.barcodes);
  EXPECT_EQ(names_of(*source), want.symbols);
  auto values = want.values;
  for (auto& row : values) {
    for (float& value : row) {
      value *= factor;
    }
  }
  EXPECT_EQ(test::dense(source->read_cells(0, 5), 6), values);
  // In slices of any size, the same.
  for (std::uint64_t step = 1; step <= 5; ++step) {
    for (std::uint64_t first = 0; first < 5; first += step) {
      const std::uint64_t last = std::min<std::uint64_t>(5, first + step);
      const CellBlock block = source->read_cells(first, last);
      EXPECT_EQ(block.first_cell, first);
      const auto rows = test::dense(block, 6);
      for (std::uint64_t cell = first; cell < last; ++cell) {
        EXPECT_EQ(rows[cell - first], values[cell]);
      }
      EXPECT_EQ(std::count(block.value.begin(), block.value.end(), 0.0F), 0);
      for (std::size_t cell = 0; cell < block.cells(); ++cell) {
        EXPECT_TRUE(
            std::is_sorted(block.feature.begin() + static_cast<std::ptrdiff_t>(block.offsets[cell]),
                           block.feature.begin() + static_cast<std::ptrdiff_t>(block.offsets[cell + 1])));
      }
    }
  }
  EXPECT_EQ(source->read_cells(3, 3).cells(), 0U);
}

TEST(MatrixSource, AnndataOfEveryEncodingGivesTheSameCells) {
  expect_golden(golden("csr.h5ad"), "X, CSR");
  expect_golden(golden("csc.h5ad"), "CSC, symbols from var/feature_name");
  expect_golden(golden("dense.h5ad"), "dense");
  expect_golden(golden("legacy07.h5ad"), "symbols from var/gene_symbols");
  expect_golden(golden("legacy06.h5ad"), "symbols from var/gene_symbols");
  expect_golden(golden("csr.h5ad"), "layers/doubled", 2, {.layer = "doubled"});
  const auto source = open_matrix(golden("csc.h5ad"));
  EXPECT_EQ(source->features()[0].id, "ENSMUSG00000029580");
  EXPECT_EQ(open_matrix(golden("csr.h5ad"))->features()[0].id, "ENSMUSG00000029580");
  EXPECT_EQ(source->nonzeros(), 11U);
}

TEST(MatrixSource, MudataGivesTheModalityAskedFor) {
  expect_golden(golden("pair.h5mu"), "modality rna");
  const auto atac = open_matrix(golden("pair.h5mu"), {.modality = Modality::atac});
  ASSERT_EQ(atac->features().size(), 3U);
  EXPECT_EQ(atac->features()[2].type, FeatureType::peaks);
  EXPECT_EQ(atac->features()[2].interval, "chrX_KI270880v1_random:5-250");
  EXPECT_EQ(test::dense(atac->read_cells(0, 2), 3), (std::vector<std::vector<float>>{{0, 1, 0}, {1, 0, 0}}));
}

TEST(MatrixSource, MatrixMarketFolderPlainGzippedAndByTheFileItself) {
  expect_golden(golden("mtx"), "Matrix Market");
  expect_golden(golden("mtx") / "matrix.mtx", "Matrix Market");
  const test::TemporaryDirectory folder;
  for (const char* name : {"matrix.mtx", "genes.tsv", "barcodes.tsv"}) {
    write(folder / ("GSM1_" + std::string(name) + ".gz"), test::bytes_of(golden("mtx") / name));
  }
  expect_golden(folder.path(), "Matrix Market");
}

TEST(MatrixSource, TenxVersion2) {
  const auto source = open_matrix(golden("tenx_v2.h5"));
  EXPECT_EQ(source->description(), "10x HDF5 (v2, genome mm10)");
  EXPECT_EQ(source->features()[1].name, "Sox2");
  EXPECT_EQ(source->features()[1].id, "ENSMUSG00000074637");
  EXPECT_EQ(source->features()[1].genome, "mm10");
  EXPECT_EQ(test::dense(source->read_cells(0, 5), 6)[0][1], 2.0F);
}

std::vector<Feature> multiome_features() {
  return {{"ENSG00000141510", "TP53", FeatureType::gene_expression, "GRCh38", "chr17:7661778-7687550"},
          {"ENSG00000111640", "GAPDH", FeatureType::gene_expression, "GRCh38", ""},
          {"chr1:100-200", "chr1:100-200", FeatureType::peaks, "GRCh38", "chr1:100-200"}};
}
CellBlock multiome_cells() {
  return {0, {0, 2, 2, 4}, {0, 2, 1, 2}, {3, 1, 70000, 2}};
}

TEST(MatrixSource, WhatTheTenxWritersWriteIsReadBack) {
  const test::TemporaryDirectory folder;
  const std::vector<std::string> barcodes = {"AAAC-1", "CCCA-1", "GGTT-1"};
  for (const char* name : {"a.h5", "b.h5"}) {
    formats::TenxH5Writer writer(folder / name, multiome_features(), barcodes);
    writer.append({0, {0, 2}, {0, 2}, {3, 1}});
    writer.append({1, {0, 0, 2}, {1, 2}, {70000, 2}});
    EXPECT_FALSE(std::filesystem::exists(folder / name));
    writer.finish();
  }
  EXPECT_EQ(test::bytes_of(folder / "a.h5"), test::bytes_of(folder / "b.h5"));
  formats::write_tenx_folder(folder / "mtx", multiome_features(), barcodes, multiome_cells());
  for (const char* name : {"a.h5", "mtx"}) {
    const auto source = open_matrix(folder / name);
    EXPECT_EQ(source->barcodes(), barcodes);
    ASSERT_EQ(source->features().size(), 3U);
    EXPECT_EQ(source->features()[2].type, FeatureType::peaks);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(source->features()[i].id, multiome_features()[i].id);
      EXPECT_EQ(source->features()[i].name, multiome_features()[i].name);
      EXPECT_EQ(source->features()[i].interval, multiome_features()[i].interval);
    }
    EXPECT_EQ(source->nonzeros(), 4U);
    EXPECT_EQ(test::dense(source->read_cells(0, 3), 3), test::dense(multiome_cells(), 3));
  }
  EXPECT_EQ(open_matrix(folder / "a.h5")->description(), "10x HDF5 (v3, Gene Expression + Peaks)");
  // Layout of Cell Ranger's own files.
  const auto file = formats::hdf5::File::open(folder / "a.h5");
  EXPECT_EQ(file.string_attribute("filetype"), "matrix");
  EXPECT_EQ(file.dataset("matrix/shape").read<std::int32_t>(), (std::vector<std::int32_t>{3, 3}));
  EXPECT_EQ(file.dataset("matrix/features/_all_tag_keys").read_strings(),
            (std::vector<std::string>{"genome", "interval"}));
  EXPECT_EQ(file.dataset("matrix/data").element_width(), 4U);
}

TEST(MatrixSource, TenxWriterRefusesFractionsAndGaps) {
  const test::TemporaryDirectory folder;
  formats::TenxH5Writer writer(folder / "a.h5", multiome_features(), {"A", "B"});
  test::expect_error(base::ExitCode::internal,
                     [&] {
                       writer.append({0, {0, 1}, {0}, {0.5F}});
                     },
                     {"counts only", "0.5"});
  test::expect_error(base::ExitCode::internal,
                     [&] {
                       writer.append({1, {0, 1}, {0}, {1}});
                     },
                     {"does not fit"});
  test::expect_error(base::ExitCode::internal,
                     [&] {
                       writer.append({0, {0, 1}, {9}, {1}});
                     },
                     {"does not fit"});
}

TEST(MatrixSource, UnsortedRepeatedAndZeroEntriesAreNormalised) {
  const test::TemporaryDirectory folder;
  {
    auto file = formats::hdf5::File::create(folder / "a.h5");
    auto matrix = file.create_group("matrix");
    matrix.write_dataset<std::int32_t>("data", std::vector<std::int32_t>{5, 1, 2, 0, -4});
    matrix.write_dataset<std::int64_t>("indices", std::vector<std::int64_t>{2, 0, 2, 1, 0});
    matrix.write_dataset<std::int64_t>("indptr", std::vector<std::int64_t>{0, 4, 5});
    matrix.write_dataset<std::int32_t>("shape", std::vector<std::int32_t>{3, 2});
    matrix.write_strings("barcodes", std::vector<std::string>{"A", "B"});
    auto features = matrix.create_group("features");
    for (const char* name : {"id", "name"}) {
      features.write_strings(name, std::vector<std::string>{"a", "b", "c"});
    }
    file.close();
  }
  const CellBlock block = test::read_all(folder / "a.h5");
  EXPECT_EQ(block.offsets, (std::vector<std::uint64_t>{0, 2, 3}));
  EXPECT_EQ(block.feature, (std::vector<std::uint32_t>{0, 2, 0}));
  EXPECT_EQ(block.value, (std::vector<float>{1, 7, -4}));  // repeats summed, zeros gone, negatives kept
}

TEST(MatrixSource, TextIsReadEitherWayRound) {
  const test::TemporaryDirectory folder;
  const Expected want = expected();
  std::string by_cell = "cell";
  for (const std::string& symbol : want.symbols) {
    by_cell.append("\t").append(symbol);
  }
  for (std::size_t i = 0; i < 5; ++i) {
    by_cell.append("\n").append(want.barcodes[i]);
    for (const float value : want.values[i]) {
      by_cell.append("\t").append(formats::number_text(value));
    }
  }
  expect_golden(write(folder / "cells.tsv.gz", by_cell), "TSV, genes in columns (by barcodes)");
  std::string by_gene;  // R's write.table: no corner, quotes
  for (std::size_t i = 0; i < 5; ++i) {
    by_gene.append(i == 0 ? "\"" : ",\"").append(want.barcodes[i]).append("\"");
  }
  for (std::size_t gene = 0; gene < 6; ++gene) {
    by_gene.append("\r\n\"").append(want.symbols[gene]).append("\"");
    for (const auto& row : want.values) {
      by_gene.append(",").append(formats::number_text(row[gene]));
    }
  }
  expect_golden(write(folder / "genes.csv", by_gene), "CSV, genes in rows (by barcodes)");
}

TEST(MatrixSource, TextOrientationFollowsPeaksThenKnownGenesThenNames) {
  const test::TemporaryDirectory folder;
  const auto description = [&](const std::string& text, const MatrixOptions& options = {}) {
    return open_matrix(write(folder / "m.csv", text), options)->description();
  };
  EXPECT_EQ(description(",c1,c2\nchr1:1-5,1,0\nchr1_6_9,0,1\n"), "CSV, peaks in rows (by peak names)");
  EXPECT_EQ(description(",chr1-1-5,chr1:6-9\nc1,1,0\nc2,0,1\n"), "CSV, peaks in columns (by peak names)");
  EXPECT_EQ(description(",sox2,x\nc1,1,0\nc2,0,1\n", {.known_genes = {"Sox2", "Pax6"}}),
            "CSV, genes in columns (by known gene symbols)");
  EXPECT_EQ(description(",s1,s2\nRpl3,1,0\nFoo,0,1\n"), "CSV, genes in rows (by gene names)");
  EXPECT_EQ(description(",s1,s2\nFoo,1,0\nBar,0,1\n"), "CSV, genes in rows (assumed: names do not tell)");
  const auto peaks = open_matrix(folder / "m.csv", {.modality = Modality::atac});
  EXPECT_EQ(peaks->features()[0].type, FeatureType::peaks);
}

TEST(MatrixSource, RealMultiomeFilesHaveTheirShapes) {
  const auto pbmc = test::real_data("pbmc_10x_40cells/feature_bc_matrix.h5");
  const auto cortex = test::real_data("mouse_cortex_snare/feature_bc_matrix.h5");
  MGRN_REQUIRE_REAL_DATA(pbmc);
  MGRN_REQUIRE_REAL_DATA(cortex);
  const auto count = [](const formats::MatrixSource& source, FeatureType type) {
    return std::count_if(source.features().begin(), source.features().end(),
                         [type](const Feature& feature) { return feature.type == type; });
  };
  const auto human = open_matrix(pbmc);
  EXPECT_EQ(human->barcodes().size(), 40U);
  EXPECT_EQ(count(*human, FeatureType::gene_expression), 36'601);
  EXPECT_EQ(count(*human, FeatureType::peaks), 108'377);
  EXPECT_EQ(human->features()[0].name, "MIR1302-2HG");
  EXPECT_EQ(human->features()[0].genome, "GRCh38");
  EXPECT_EQ(human->read_cells(0, 1).feature.size(), 7'936U);  // its indptr's second entry
  const auto mouse = open_matrix(cortex);
  EXPECT_EQ(mouse->barcodes().size(), 10'309U);
  EXPECT_EQ(count(*mouse, FeatureType::gene_expression), 1'677);
  EXPECT_EQ(count(*mouse, FeatureType::peaks), 25'734);
  EXPECT_EQ(mouse->nonzeros(), 2'115'969U);
  const CellBlock block = mouse->read_cells(0, 2);
  EXPECT_EQ(block.offsets, (std::vector<std::uint64_t>{0, 441, 959}));
  EXPECT_EQ(block.feature[0], 16U);
  EXPECT_EQ(block.value[1], 3.0F);
}

TEST(MatrixSource, RealBeelineMatrixHasGenesInRows) {
  const auto file = test::real_data("mdc_rna/ExpressionData.csv.gz");
  MGRN_REQUIRE_REAL_DATA(file);
  const auto source = open_matrix(file);
  EXPECT_EQ(source->features().size(), 821U);
  EXPECT_EQ(source->barcodes().size(), 383U);
  EXPECT_EQ(source->features()[0].name, "SRSF1");
  EXPECT_EQ(source->read_cells(0, 1).value[0], 0.7045936F);
}

}  // namespace
}  // namespace mgrn
