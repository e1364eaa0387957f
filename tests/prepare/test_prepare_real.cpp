// SPDX-License-Identifier: Apache-2.0
// The real samples, where they are at hand.
#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>

#include "golden_case.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/prepare/prepare.hpp"
#include "support/paths.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace mgrn::prepare {
namespace {

Report prepare_alone(const Settings& settings) {
  const auto self = comm::make_self_communicator();
  return prepare(settings, *self);
}

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) {
    lines.push_back(line);
  }
  return lines;
}

std::vector<float> floats_of(const std::filesystem::path& file) {
  std::vector<float> values(std::filesystem::file_size(file) / sizeof(float));
  std::ifstream in(file, std::ios::binary);
  in.read(reinterpret_cast<char*>(values.data()),
          static_cast<std::streamsize>(values.size() * sizeof(float)));
  return values;
}

Settings snare_settings() {
  Settings settings;
  settings.rna = test::real_data("mouse_cortex_snare/feature_bc_matrix.h5");
  settings.annotation = test::real_data("annotation/mm10.refGene.tsv.gz");
  settings.qc = QcRule::mad_linear;
  return settings;
}

// 1,653 genes and 9,434 cells are what makes 102 TFs, 671 genes and 1,313 edges of the non-specific network.
TEST(MouseCortex, KeepsTheGenesAndCellsThatAnIndependentImplementationKeeps) {
  Settings settings = snare_settings();
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  test::TemporaryDirectory folder;
  settings.out = folder / "d.h5";
  const Report report = prepare_alone(settings);
  EXPECT_EQ(report.genes, 1653u);
  EXPECT_EQ(report.cells, 9434u);
  const base::Json& cells = report.quality.at("cells");
  EXPECT_EQ(cells.at("candidates"), 10309);
  EXPECT_EQ(cells.at("few_values"), 8);
  EXPECT_EQ(report.quality.at("limits")[0].at("above"), 504);
  EXPECT_EQ(report.quality.at("limits")[1].at("above"), 457);
  EXPECT_EQ(report.quality.at("peaks").at("below_share"), 10070);
}

TEST(MouseCortex, GtfAndTableOfOneAnnotationGiveTheSamePotential) {
  Settings settings = snare_settings();
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  test::TemporaryDirectory folder;
  settings.out = folder / "table.h5";
  prepare_alone(settings);
  const test::Content table = test::content_of(settings.out);
  settings.annotation = test::real_data("annotation/mm10.refGene.gtf.gz");
  settings.out = folder / "gtf.h5";
  prepare_alone(settings);
  const test::Content gtf = test::content_of(settings.out);
  EXPECT_TRUE(gtf.cell == table.cell);
  EXPECT_TRUE(gtf.value == table.value);
}

TEST(MouseCortex, EveryValueEqualsAnIndependentComputation) {
  Settings settings = snare_settings();
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  const std::string python = MGRN_TEST_PYTHON;
  if (python.empty() || std::system((python + " -c 'import numpy, scipy, h5py' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no Python with numpy, scipy and h5py (-DMGRN_TEST_PYTHON=...)";
  }
  test::TemporaryDirectory folder;
  settings.out = folder / "d.h5";
  const Report report = prepare_alone(settings);
  const std::string script = mgrn::test::source_path("tests/prepare/independent_rp.py");
  ASSERT_EQ(std::system((python + " '" + script + "' '" + settings.rna.string() + "' '" +
                         settings.annotation.string() + "' '" + (folder / "py").string() + "'")
                            .c_str()),
            0);
  const store::Dataset dataset(report.file);
  ASSERT_EQ(dataset.header().genes, lines_of(folder / "py/genes.txt"));
  ASSERT_EQ(dataset.header().barcodes, lines_of(folder / "py/cells.txt"));
  for (const store::Layer layer : {store::Layer::rna, store::Layer::rp}) {
    const std::vector<float> expected =
        floats_of(folder / (layer == store::Layer::rna ? "py/rna.f32" : "py/rp.f32"));
    const auto rows = test::dense(dataset, layer);
    ASSERT_EQ(expected.size(), report.genes * report.cells);
    double worst = 0.0;
    for (std::size_t gene = 0; gene < rows.size(); ++gene) {
      for (std::size_t cell = 0; cell < report.cells; ++cell) {
        const double value = expected[gene * report.cells + cell];
        // Relative, but for values near 0, where a z-score is a difference of nearly equal numbers.
        worst = std::max(worst, std::abs(rows[gene][cell] - value) / std::max(std::abs(value), 0.01));
      }
    }
    EXPECT_LT(worst, 1e-6);
  }
}

TEST(Pbmc, TheFullFeatureSpaceTakesSecondsAndKeepsItsCells) {
  Settings settings;
  settings.rna = test::real_data("pbmc_10x_40cells/feature_bc_matrix.h5");
  settings.annotation = test::real_data("annotation/hg38.approx.gtf.gz");
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  test::TemporaryDirectory folder;
  settings.out = folder / "d.h5";
  const auto start = std::chrono::steady_clock::now();
  const Report report = prepare_alone(settings);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_LT(seconds.count(), test::time_limit(20.0));
  EXPECT_EQ(report.quality.at("genes").at("source"), 36601);
  EXPECT_EQ(report.quality.at("peaks").at("source"), 108377);
  EXPECT_EQ(report.cells, 38u);
  EXPECT_GT(report.quality.at("mitochondrial_genes"), 0);
}

TEST(MdcRna, LoggedValuesAreTakenWithZAndNothingIsLost) {
  Settings settings;
  settings.rna = test::real_data("mdc_rna/ExpressionData.csv.gz");
  MGRN_REQUIRE_REAL_DATA(settings.rna);
  test::TemporaryDirectory folder;
  settings.out = folder / "d.h5";
  EXPECT_THROW(prepare_alone(settings), base::DataError);  // counts are needed by default
  settings.rna_normalisation = RnaNormalisation::z;
  settings.qc = QcRule::none;
  const Report report = prepare_alone(settings);
  EXPECT_EQ(report.genes, 821u);
  EXPECT_EQ(report.cells, 383u);
}

}  // namespace
}  // namespace mgrn::prepare
