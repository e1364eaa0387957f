// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <fstream>
#include <functional>

#include "golden_case.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/comm/thread_world.hpp"
#include "multigrnformer/formats/tenx_writer.hpp"
#include "multigrnformer/prepare/inspect.hpp"
#include "multigrnformer/prepare/prepare.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::prepare {
namespace {

using test::golden;
using test::golden_settings;
using test::TemporaryDirectory;

Report prepare_alone(const Settings& settings) {
  const auto self = comm::make_self_communicator();
  return prepare(settings, *self);
}

// A matrix file of genes (or peaks) x cells.
std::filesystem::path write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
  return file;
}

base::ErrorText error_of(const Settings& settings, base::ExitCode code) {
  try {
    prepare_alone(settings);
  } catch (const base::Error& error) {
    EXPECT_EQ(error.code(), code) << error.what();
    EXPECT_FALSE(error.text().hint.empty()) << error.what();
    EXPECT_FALSE(std::filesystem::exists(settings.out));
    return error.text();
  }
  ADD_FAILURE() << "no error";
  return {};
}

bool warned(const Report& report, const std::string& words) {
  return std::any_of(report.warnings.begin(), report.warnings.end(),
                     [&words](const std::string& text) { return text.find(words) != std::string::npos; });
}

// A few genes and cells without peaks, for guards.
struct Small {
  TemporaryDirectory folder;
  Settings settings;
  explicit Small(const std::string& rna) {
    settings.rna = write(folder / "rna.csv", rna);
    settings.out = folder / "dataset.h5";
    settings.qc = QcRule::none;
  }
};
constexpr const char* kCounts = ",cell_a,cell_b,cell_c\nGata1,5,0,1\nSox2,0,9,2\nActb,30,20,7\n";

TEST(Prepare, EqualsAnIndependentComputationOnTheGoldenSample) {
  TemporaryDirectory folder;
  const Report report = prepare_alone(golden_settings(folder / "d.h5"));
  const store::Dataset dataset(report.file);
  const test::NumberTable genes = test::read_numbers(golden("expected_genes.csv"));
  const test::NumberTable rna = test::read_numbers(golden("expected_rna.csv"));
  const test::NumberTable rp = test::read_numbers(golden("expected_rp.csv"));
  ASSERT_EQ(dataset.header().genes, genes.rows);
  ASSERT_EQ(dataset.header().barcodes, rna.columns);
  const auto rna_rows = test::dense(dataset, store::Layer::rna);
  const auto rp_rows = test::dense(dataset, store::Layer::rp);
  for (std::size_t gene = 0; gene < genes.rows.size(); ++gene) {
    EXPECT_NEAR(dataset.header().variance[gene], genes.value[gene][0], 1e-9);
    // Means repeat here, so loess sets its vertices otherwise in places; see variable_genes.hpp.
    EXPECT_NEAR(dataset.header().vst[gene], genes.value[gene][1], 0.05 * (1 + genes.value[gene][1]));
    for (std::size_t cell = 0; cell < rna.columns.size(); ++cell) {
      EXPECT_NEAR(rna_rows[gene][cell], rna.value[gene][cell], 1e-6 * (1 + std::abs(rna.value[gene][cell])));
      EXPECT_NEAR(rp_rows[gene][cell], rp.value[gene][cell], 1e-6 * (1 + std::abs(rp.value[gene][cell])));
    }
  }
  EXPECT_EQ(report.cells, rna.columns.size());
  EXPECT_EQ(report.genes, genes.rows.size());
  EXPECT_TRUE(report.has_atac);
  EXPECT_EQ(report.id.size(), 16u);
}

TEST(Prepare, KeepsTheRawCountsBesideTheValues) {
  TemporaryDirectory folder;
  const Report report = prepare_alone(golden_settings(folder / "d.h5"));
  const store::Dataset dataset(report.file);
  const test::NumberTable raw = test::read_numbers(golden("rna.csv"));
  for (std::size_t row = 0; row < raw.rows.size(); ++row) {
    const std::int64_t gene = dataset.find_gene(raw.rows[row]);
    if (gene < 0) {
      continue;
    }
    std::map<std::string, double> expected;
    for (std::size_t cell = 0; cell < raw.columns.size(); ++cell) {
      expected[raw.columns[cell]] = raw.value[row][cell];
    }
    const store::GeneRow stored = dataset.row(store::Layer::rna, static_cast<std::uint32_t>(gene));
    std::map<std::string, double> counts;
    for (std::size_t i = 0; i < stored.cell.size(); ++i) {
      counts[dataset.header().barcodes[stored.cell[i]]] = stored.count[i];
    }
    for (const std::string& barcode : dataset.header().barcodes) {
      EXPECT_EQ(counts.contains(barcode) ? counts[barcode] : 0.0, expected[barcode]);
    }
  }
}

TEST(Prepare, GivesTheSameDatasetForAnyNumberOfRanksAndSizeOfBlock) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "alone.h5");
  prepare_alone(settings);
  const test::Content alone = test::content_of(settings.out);
  for (const int ranks : {1, 2, 3, 4, 7}) {
    settings.out = folder / ("ranks" + std::to_string(ranks) + ".h5");
    settings.block_genes = static_cast<std::uint64_t>(3 * ranks - 2);
    comm::run_ranks(ranks, [&settings](comm::Communicator& world) { prepare(settings, world); });
    EXPECT_TRUE(test::content_of(settings.out) == alone) << ranks << " ranks";
  }
}

TEST(Prepare, AlternativeNormalisationsAreAlsoTheSameForAnyNumberOfRanks) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "alone.h5");
  settings.rna_normalisation = RnaNormalisation::log10p01;
  settings.rp_normalisation = RpNormalisation::log1p;
  settings.qc = QcRule::mad_linear;
  prepare_alone(settings);
  const test::Content alone = test::content_of(settings.out);
  settings.out = folder / "ranks.h5";
  comm::run_ranks(3, [&settings](comm::Communicator& world) { prepare(settings, world); });
  EXPECT_TRUE(test::content_of(settings.out) == alone);
}

TEST(Prepare, MoreRanksThanCellsIsFine) {
  Small small(kCounts);
  prepare_alone(small.settings);
  const test::Content alone = test::content_of(small.settings.out);
  small.settings.out = small.folder / "ranks.h5";
  comm::run_ranks(5, [&small](comm::Communicator& world) { prepare(small.settings, world); });
  EXPECT_TRUE(test::content_of(small.settings.out) == alone);
}

TEST(Prepare, TheIdFollowsContentAndSettingsNotPaths) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  const std::string id = prepare_alone(settings).id;
  std::filesystem::copy_file(settings.rna, folder / "other-name.csv");
  settings.rna = folder / "other-name.csv";
  settings.out = folder / "e.h5";
  settings.block_genes = 5;
  EXPECT_EQ(prepare_alone(settings).id, id);
  settings.clip = 5.0;
  EXPECT_NE(prepare_alone(settings).id, id);
  settings.clip = 10.0;
  std::ofstream(settings.rna, std::ios::app) << "\n";
  EXPECT_NE(prepare_alone(settings).id, id);
}

TEST(Prepare, BarcodeListKeepsOnlyItsCellsAndCountsTheRest) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  const std::vector<std::string> cells = test::read_numbers(golden("rna.csv")).columns;
  std::string list = "barcode,cluster\n";
  for (std::size_t i = 0; i < 20; ++i) {
    list += cells[i].substr(0, 16) + ",1\n";  // without the -1
  }
  settings.barcodes = write(folder / "cells.csv", list + "AAAAAAAAAAAAAAAA,2\n");
  settings.qc = QcRule::none;
  const Report report = prepare_alone(settings);
  const base::Json counts = report.quality.at("cells");
  EXPECT_EQ(counts.at("candidates"), 20);
  EXPECT_EQ(counts.at("listed"), 21);
  EXPECT_EQ(counts.at("listed_unknown"), 1);
  EXPECT_EQ(counts.at("unlisted"), 30);
  EXPECT_EQ(report.cells, 20u);
  EXPECT_TRUE(warned(report, "1 of 21 barcodes of the list"));
  settings.barcodes = write(folder / "none.csv", "TTTTTTTTTTTTTTTT\n");
  settings.out = folder / "none.h5";
  error_of(settings, base::ExitCode::data);
}

TEST(Prepare, RnaAloneMakesADatasetWithoutPotential) {
  Small small(kCounts);
  const Report report = prepare_alone(small.settings);
  EXPECT_FALSE(report.has_atac);
  const store::Dataset dataset(report.file);
  EXPECT_TRUE(dataset.header().rp_background.empty());
  EXPECT_EQ(dataset.header().genes, (std::vector<std::string>{"Actb", "Gata1", "Sox2"}));
}

TEST(Prepare, OfRepeatedSymbolsTheRichestStaysAndTheRestAreCounted) {
  Small small(",cell_a,cell_b,cell_c\nGata1,5,0,1\nGATA1,50,0,1\nSox2,0,9,2\nGata1,1,1,1\nActb,1,2,3\n");
  const Report report = prepare_alone(small.settings);
  EXPECT_EQ(report.quality.at("genes").at("duplicate_symbols"), 2);
  const store::Dataset dataset(report.file);
  EXPECT_EQ(dataset.header().genes, (std::vector<std::string>{"Actb", "GATA1", "Sox2"}));
  EXPECT_TRUE(warned(report, "repeat the symbol"));
}

TEST(Prepare, SymbolsInAnotherCaseMeetTheAnnotation) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  std::string upper = base::read_file(settings.rna);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::toupper(letter)); });
  const Report exact = prepare_alone(settings);
  settings.rna = write(folder / "upper.csv", upper);
  settings.out = folder / "upper.h5";
  const Report report = prepare_alone(settings);
  EXPECT_TRUE(warned(report, "upper and lower case"));
  EXPECT_EQ(report.quality.at("genes").at("without_rp"), exact.quality.at("genes").at("without_rp"));
  EXPECT_EQ(test::content_of(settings.out).value, test::content_of(exact.file).value);
}

TEST(Prepare, LoggedValuesWhereCountsAreNeededAreRefusedWithTheWayOut) {
  Small small(",cell_a,cell_b\nGata1,0.5,1.25\nSox2,2.5,0\n");
  EXPECT_NE(error_of(small.settings, base::ExitCode::data).hint.find("--prepare.rna z"), std::string::npos);
  small.settings.rna_normalisation = RnaNormalisation::z;
  EXPECT_EQ(prepare_alone(small.settings).cells, 2u);
}

TEST(Prepare, EstimatedCountsAreTakenWithAWarning) {
  Small small(",cell_a,cell_b\nGata1,50.5,1.25\nSox2,2.5,70\n");
  EXPECT_TRUE(warned(prepare_alone(small.settings), "estimated counts"));
}

TEST(Prepare, SuspiciouslySmallCountsAndRawCountsTakenAsLoggedAreWarnedAbout) {
  Small binary(",cell_a,cell_b\nGata1,1,1\nSox2,1,0\n");
  EXPECT_TRUE(warned(prepare_alone(binary.settings), "binary"));
  Small raw(",cell_a,cell_b\nGata1,100,1\nSox2,1,0\n");
  raw.settings.rna_normalisation = RnaNormalisation::z;
  EXPECT_TRUE(warned(prepare_alone(raw.settings), "looks like raw counts"));
}

TEST(Prepare, NegativeValuesAreRefusedNamingGeneAndCell) {
  Small small(",cell_a,cell_b\nGata1,1,2\nSox2,3,-0.5\n");
  const base::ErrorText error = error_of(small.settings, base::ExitCode::data);
  EXPECT_NE(error.got.find("Sox2"), std::string::npos);
  EXPECT_NE(error.got.find("cell_b"), std::string::npos);
  small.settings.rna_normalisation = RnaNormalisation::none;
  error_of(small.settings, base::ExitCode::data);
}

TEST(Prepare, AnErrorOfOneRankIsTheErrorOfAll) {
  Small small(",cell_a,cell_b,cell_c\nGata1,1,2,3\nSox2,3,1,-2\n");
  EXPECT_THROW(comm::run_ranks(3, [&small](comm::Communicator& world) { prepare(small.settings, world); }),
               base::DataError);
  EXPECT_FALSE(std::filesystem::exists(small.settings.out));
}

TEST(Prepare, CellsLeftByNoStepSaysWhichStepDroppedHowMany) {
  Small small(kCounts);
  small.settings.qc = QcRule::bounds;
  small.settings.bounds = {.min_rna_counts = 1000, .min_genes = 0};
  const base::ErrorText error = error_of(small.settings, base::ExitCode::data);
  EXPECT_NE(error.got.find("3 by RNA counts"), std::string::npos) << error.got;
}

TEST(Prepare, GenesLeftByNoStepIsAnError) {
  Small small(",cell_a,cell_b,cell_c\nGata1,1,0,0\nSox2,0,2,0\n");
  small.settings.min_feature_share = 0.9;
  error_of(small.settings, base::ExitCode::data);
}

TEST(Prepare, AMatrixOfZerosIsAnError) {
  Small small(",cell_a,cell_b\nGata1,0,0\nSox2,0,0\n");
  error_of(small.settings, base::ExitCode::data);
}

TEST(Prepare, PeaksWithoutAnnotationAreAUsageError) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.annotation.clear();
  error_of(settings, base::ExitCode::usage);
}

TEST(Prepare, AnnotationWithoutPeaksWarnsAndMakesRnaOnly) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.atac.clear();
  const Report report = prepare_alone(settings);
  EXPECT_FALSE(report.has_atac);
  EXPECT_TRUE(warned(report, "no peaks"));
}

TEST(Prepare, PeaksGivenAsRnaAreRecognised) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.rna = golden("atac.csv");
  settings.atac.clear();
  EXPECT_NE(error_of(settings, base::ExitCode::data).hint.find("--atac"), std::string::npos);
}

TEST(Prepare, AMatrixWithCellsForGenesIsRefused) {
  Small small(kCounts);
  formats::CellBlock block{
      .first_cell = 0, .offsets = {0, 1, 2, 3}, .feature = {0, 1, 0}, .value = {1, 2, 3}};
  std::vector<formats::Feature> features(2);
  features[0].id = features[0].name = "ACGTACGTACGTACGT-1";
  features[1].id = features[1].name = "TCGTACGTACGTACGT-1";
  small.settings.rna = small.folder / "transposed.h5";
  formats::TenxH5Writer writer(small.settings.rna, features, {"Gata1", "Sox2", "Actb"});
  writer.append(block);
  writer.finish();
  EXPECT_NE(error_of(small.settings, base::ExitCode::data).what.find("transposed"), std::string::npos);
}

TEST(Prepare, PeaksWithoutPositionsAreAnError) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.atac = golden("rna.csv");
  error_of(settings, base::ExitCode::data);
}

TEST(Prepare, AnAnnotationOfOtherGenesIsAnError) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  std::string other = base::read_file(settings.annotation);
  for (std::size_t at = other.find("\tGene"); at != std::string::npos; at = other.find("\tGene", at + 1)) {
    other.replace(at, 5, "\tLoc_");
  }
  for (std::size_t at = other.find("\tmt-"); at != std::string::npos; at = other.find("\tmt-", at + 1)) {
    other.replace(at, 4, "\tLo-");
  }
  settings.annotation = write(folder / "other.tsv", other);
  EXPECT_NE(error_of(settings, base::ExitCode::data).what.find("no gene"), std::string::npos);
}

TEST(Prepare, AnAnnotationOfAnotherBuildIsAnErrorThatSaysSo) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  std::string other = base::read_file(settings.annotation);
  for (const char* chromosome : {"\tchr1\t", "\tchr2\t"}) {
    for (std::size_t at = other.find(chromosome); at != std::string::npos;
         at = other.find(chromosome, at + 1)) {
      other.replace(at, 6, "\tscaffold7\t");
    }
  }
  settings.annotation = write(folder / "other.tsv", other);
  EXPECT_NE(error_of(settings, base::ExitCode::data).hint.find("genome build"), std::string::npos);
}

TEST(Prepare, NoPotentialAnywhereIsAnError) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.decay = 1e-3;  // a range of 0.015 bp
  settings.annotation = write(
      folder / "far.tsv",
      "0\tNM_1\tchr1\t+\t900000000\t900001000\t0\t0\t1\t900000000,\t900001000,\t0\tGene4\tcmpl\tcmpl\t0,\n"
      "0\tNM_2\tchr2\t+\t900000000\t900001000\t0\t0\t1\t900000000,\t900001000,\t0\tGene5\tcmpl\tcmpl\t0,\n");
  EXPECT_NE(error_of(settings, base::ExitCode::data).what.find("zero for every gene"), std::string::npos);
}

TEST(Prepare, FilesWithoutACommonCellAreAnError) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.rna = write(folder / "rna.csv", ",x1,x2\nGene4,1,2\nGene5,3,4\n");
  EXPECT_NE(error_of(settings, base::ExitCode::data).what.find("no cell in common"), std::string::npos);
}

TEST(Prepare, CellsOfSeparateFilesMeetByBarcodeInAnyOrder) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  prepare_alone(settings);
  const test::Content straight = test::content_of(settings.out);
  // The same peaks with the cells in reverse order.
  const test::NumberTable atac = test::read_numbers(golden("atac.csv"));
  std::string text;
  for (auto name = atac.columns.rbegin(); name != atac.columns.rend(); ++name) {
    text += "," + *name;
  }
  for (std::size_t row = 0; row < atac.rows.size(); ++row) {
    text += "\n" + atac.rows[row];
    for (auto value = atac.value[row].rbegin(); value != atac.value[row].rend(); ++value) {
      text += "," + std::to_string(static_cast<int>(*value));
    }
  }
  settings.atac = write(folder / "reverse.csv", text + "\n");
  settings.out = folder / "reverse.h5";
  prepare_alone(settings);
  EXPECT_EQ(test::content_of(settings.out).value, straight.value);
}

TEST(Prepare, BlacklistedPeaksCountAndRichCellsFall) {
  TemporaryDirectory folder;
  Settings settings = golden_settings(folder / "d.h5");
  settings.qc = QcRule::bounds;
  settings.bounds.min_genes = 0;
  settings.bounds.max_mito = 1;
  const std::uint64_t all = prepare_alone(settings).cells;
  settings.blacklist = write(folder / "blacklist.bed", "chr1\t0\t100000\n1\t50000\t120000\n");
  settings.out = folder / "e.h5";
  const Report report = prepare_alone(settings);
  // The two regions overlap and make one: peaks on chr1 that start before 120,000.
  std::uint64_t expected = 0;
  for (const std::string& name : test::read_numbers(golden("atac.csv")).rows) {
    expected += name.starts_with("chr1:") && std::stoi(name.substr(5)) < 120000 ? 1 : 0;
  }
  EXPECT_EQ(report.quality.at("peaks").at("blacklisted"), expected);
  EXPECT_LT(report.cells, all);
  EXPECT_NE(quality_text(report.quality).find("blacklist share"), std::string::npos);
}

TEST(Prepare, AnOutputThatCannotBeWrittenIsSaidSo) {
  Small small(kCounts);
  small.settings.out = small.folder / "rna.csv" / "d.h5";  // a file, not a folder
  EXPECT_THROW(prepare_alone(small.settings), base::OutputError);
}

TEST(Inspect, TellsSizesQualityAndCoverage) {
  TemporaryDirectory folder;
  const Report report = prepare_alone(golden_settings(folder / "d.h5"));
  const store::Dataset dataset(report.file);
  const base::Json json = inspect_json(dataset);
  EXPECT_EQ(json.at("genes"), report.genes);
  EXPECT_EQ(json.at("quality"), report.quality);
  std::uint64_t entries = 0;
  for (std::uint32_t gene = 0; gene < dataset.genes(); ++gene) {
    entries += dataset.row(store::Layer::rp, gene).cell.size();
  }
  EXPECT_EQ(json.at("coverage").at("rp").at("nonzeros"), entries);
  EXPECT_EQ(json.at("coverage").at("rp").at("genes_without_entries"),
            report.quality.at("genes").at("without_rp"));
  const std::string text = inspect_text(dataset);
  for (const char* words :
       {"dropped by rule mad", "RNA + ATAC", "median", "annotation.tsv", "mitochondrial"}) {
    EXPECT_NE(text.find(words), std::string::npos) << words << "\n" << text;
  }
}

}  // namespace
}  // namespace mgrn::prepare
