// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/simulate/simulate.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/annotation.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/formats/table.hpp"
#include "simulated.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn;
using simulate::Settings;
using test::correlation;
using test::Simulated;

const std::vector<std::string> kFiles = {"multiome.h5", "annotation.gtf.gz", "network.csv",
                                         "tfs.csv",     "cells.csv",         "truth.json"};

Settings small() {
  Settings settings;
  settings.cells = 800;
  settings.genes = 150;
  settings.peaks = 900;
  settings.tfs = 15;
  return settings;
}

std::set<std::pair<std::string, std::string>> edges_of(const std::filesystem::path& directory) {
  std::set<std::pair<std::string, std::string>> edges;
  for (const formats::NamedEdge& edge : formats::read_network(directory / "network.csv").edges) {
    edges.emplace(edge.tf, edge.gene);
  }
  return edges;
}

double mean(const std::vector<double>& values) {
  double sum = 0.0;
  for (const double value : values) {
    sum += value;
  }
  return sum / static_cast<double>(values.size());
}

// Mean over edges of sign x (correlation of the TF's with the target's expression, less the TF's mean
// correlation with genes that are not its targets: cells that differ in depth correlate any two genes).
double expression_signal(const Simulated& data) {
  const base::Json& edges = data.truth["edges"];
  std::map<std::string, std::map<std::string, double>> targets;
  for (std::size_t e = 0; e < edges["tf"].size(); ++e) {
    targets[edges["tf"][e]][edges["gene"][e]] = edges["sign"][e].get<double>();
  }
  std::map<std::string, std::vector<double>> expression;
  for (const formats::Feature& feature : data.features) {
    if (feature.type == formats::FeatureType::gene_expression && !feature.name.starts_with("MT-")) {
      expression[feature.name] = data.normalised(data.by_name.at(feature.name));
    }
  }
  std::vector<double> signals;
  for (const auto& [tf, signs] : targets) {
    std::vector<double> others;
    for (const auto& [gene, values] : expression) {
      if (gene != tf && !signs.contains(gene)) {
        others.push_back(correlation(expression.at(tf), values));
      }
    }
    for (const auto& [gene, sign] : signs) {
      signals.push_back(sign * (correlation(expression.at(tf), expression.at(gene)) - mean(others)));
    }
  }
  return mean(signals);
}

// Mean over genes of the correlation of a gene's expression with the openness of the peaks of its edges.
double accessibility_signal(const Simulated& data) {
  std::map<std::string, std::set<std::string>> peaks;
  const base::Json& edges = data.truth["edges"];
  for (std::size_t e = 0; e < edges["tf"].size(); ++e) {
    for (const base::Json& peak : edges["peaks"][e]) {
      peaks[edges["gene"][e].get<std::string>()].insert(peak.get<std::string>());
    }
  }
  std::vector<double> depth(data.barcodes.size(), 1.0);
  for (std::size_t f = 0; f < data.features.size(); ++f) {
    for (std::size_t cell = 0; cell < depth.size(); ++cell) {
      depth[cell] += data.features[f].type == formats::FeatureType::peaks ? data.counts[f][cell] : 0.0;
    }
  }
  std::vector<double> signals;
  for (const auto& [gene, names] : peaks) {
    std::vector<double> open(data.barcodes.size(), 0.0);
    for (const std::string& name : names) {
      const std::vector<double>& counts = data.counts[data.by_name.at(name)];
      for (std::size_t cell = 0; cell < open.size(); ++cell) {
        open[cell] += counts[cell] / depth[cell];
      }
    }
    signals.push_back(correlation(open, data.normalised(data.by_name.at(gene))));
  }
  return mean(signals);
}

TEST(Simulate, GivesTheSameBytesForTheSameSettings) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 300;  // more than a block
  settings.doublets = 0.1;
  settings.dropout = 0.1;
  const simulate::Summary first = simulate::simulate(settings, directory / "a");
  simulate::simulate(settings, directory / "b");
  for (const std::string& file : kFiles) {
    EXPECT_EQ(base::read_file(directory / "a" / file), base::read_file(directory / "b" / file)) << file;
  }
  EXPECT_EQ(first.cells, 300u);
  const Simulated data(directory / "a");
  std::uint64_t rna = 0;
  std::uint64_t atac = 0;
  for (std::size_t f = 0; f < data.features.size(); ++f) {
    const auto entries = static_cast<std::uint64_t>(
        data.barcodes.size() - std::count(data.counts[f].begin(), data.counts[f].end(), 0.0));
    (data.features[f].type == formats::FeatureType::peaks ? atac : rna) += entries;
  }
  EXPECT_EQ(first.rna_entries, rna);
  EXPECT_EQ(first.atac_entries, atac);
}

TEST(Simulate, GivesOtherCellsAndRulesForAnotherSeed) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 50;
  simulate::simulate(settings, directory / "a");
  settings.seed = 2;
  simulate::simulate(settings, directory / "b");
  for (const std::string file :
       {"multiome.h5", "annotation.gtf.gz", "network.csv", "cells.csv", "truth.json"}) {
    EXPECT_NE(base::read_file(directory / "a" / file), base::read_file(directory / "b" / file)) << file;
  }
}

TEST(Simulate, MakesACellTheSameWhateverTheirNumber) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 40;
  simulate::simulate(settings, directory / "few");
  settings.cells = 300;
  simulate::simulate(settings, directory / "many");
  const Simulated few(directory / "few");
  const Simulated many(directory / "many");
  for (std::size_t cell = 0; cell < 40; ++cell) {
    ASSERT_EQ(few.barcodes[cell], many.barcodes[cell]);
    for (std::size_t f = 0; f < few.features.size(); ++f) {
      ASSERT_EQ(few.counts[f][cell], many.counts[f][cell]) << f << " in " << cell;
    }
  }
}

TEST(Simulate, HasTheDensityAskedForAndHubs) {
  const test::TemporaryDirectory directory;
  Settings settings;
  settings.cells = 1;
  settings.genes = 800;
  settings.peaks = 1600;
  settings.tfs = 60;
  for (const double density : {0.02, 0.1}) {
    settings.density = density;
    const simulate::Summary summary = simulate::simulate(settings, directory / "d");
    const formats::NetworkFile network = formats::read_network(directory / "d" / "network.csv");
    EXPECT_EQ(network.duplicates, 0u);
    EXPECT_EQ(network.self_loops, 0u);
    EXPECT_EQ(network.edges.size(), summary.edges);
    EXPECT_NEAR(static_cast<double>(summary.edges) / (60.0 * (800.0 - 13.0)), density, 1e-4);
    std::map<std::string, std::size_t> degree;
    for (const formats::NamedEdge& edge : network.edges) {
      ++degree[edge.tf];
      EXPECT_NE(edge.gene.substr(0, 3), "MT-");
    }
    EXPECT_EQ(degree.size(), 60u);
    std::vector<std::size_t> degrees;
    for (const auto& [tf, count] : degree) {
      degrees.push_back(count);
    }
    std::sort(degrees.begin(), degrees.end());
    EXPECT_GE(degrees.front(), 3u);
    EXPECT_LE(degrees.back(), 314u);                             // 40 % of the genes
    EXPECT_GT(degrees.back(), 3 * degrees[degrees.size() / 2]);  // heavy-tailed
  }
}

TEST(Simulate, LetsTargetsFollowTheirTfUnlessRegulationIsOff) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.states = 1;             // a handful of states correlates any two genes by chance
  settings.activator_share = 0.5;  // so that a lost sign shows
  simulate::simulate(settings, directory / "on");
  settings.regulation = 0.0;
  simulate::simulate(settings, directory / "off");
  const double on = expression_signal(Simulated(directory / "on"));
  const double off = expression_signal(Simulated(directory / "off"));
  EXPECT_GT(on, 0.08);
  EXPECT_LT(std::abs(off), 0.02);
}

TEST(Simulate, LetsExpressionFollowAccessibilityUnlessItIsOff) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  simulate::simulate(settings, directory / "on");
  settings.accessibility = 0.0;
  simulate::simulate(settings, directory / "off");
  const double on = accessibility_signal(Simulated(directory / "on"));
  const Simulated without(directory / "off");
  EXPECT_GT(on, 0.08);
  EXPECT_LT(std::abs(accessibility_signal(without)), 0.025);
  EXPECT_GT(expression_signal(without), 0.08);  // TFs still act
}

TEST(Simulate, SharesRulesBetweenDatasets) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 20;
  settings.rules_seed = 7;
  settings.seed = 1;
  simulate::simulate(settings, directory / "a");
  settings.seed = 2;
  simulate::simulate(settings, directory / "b");
  for (const std::string file : {"network.csv", "annotation.gtf.gz", "tfs.csv"}) {
    EXPECT_EQ(base::read_file(directory / "a" / file), base::read_file(directory / "b" / file)) << file;
  }
  EXPECT_NE(base::read_file(directory / "a" / "multiome.h5"),
            base::read_file(directory / "b" / "multiome.h5"));

  const auto shared = edges_of(directory / "a");
  const auto overlap = [&](double share) {
    settings.shared_rules = share;
    simulate::simulate(settings, directory / "partly");
    const auto edges = edges_of(directory / "partly");
    EXPECT_EQ(edges.size(), shared.size());
    std::size_t common = 0;
    for (const auto& edge : edges) {
      common += shared.contains(edge) ? 1 : 0;
    }
    return static_cast<double>(common) / static_cast<double>(shared.size());
  };
  EXPECT_NEAR(overlap(0.5), 0.55, 0.15);
  EXPECT_LT(overlap(0.0), 0.3);
}

TEST(Simulate, ListsTheSharedNetworkWhetherItsCellsObeyItOrNot) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.rules_seed = 7;
  simulate::simulate(settings, directory / "reference");
  settings.seed = 8;
  settings.shared_rules = 0.0;
  simulate::simulate(settings, directory / "own");
  settings.network = simulate::ListedNetwork::shared;
  simulate::simulate(settings, directory / "listed");
  EXPECT_EQ(edges_of(directory / "listed"), edges_of(directory / "reference"));
  EXPECT_NE(edges_of(directory / "own"), edges_of(directory / "reference"));
  // The list is all that differs: the cells and the truth about them are those of the dataset's own rules.
  EXPECT_EQ(base::read_file(directory / "listed/multiome.h5"),
            base::read_file(directory / "own/multiome.h5"));
  const auto truth = [&](const char* name) {
    return base::read_json(directory / name / "truth.json")["edges"];
  };
  EXPECT_EQ(truth("listed"), truth("own"));
}

TEST(Simulate, SharesRulesBetweenDatasetsOfDifferentSizes) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 5;
  settings.rules_seed = 7;
  simulate::simulate(settings, directory / "small");
  settings.genes = 200;
  settings.peaks = 1200;
  settings.tfs = 20;
  simulate::simulate(settings, directory / "large");
  const auto few = edges_of(directory / "small");
  const auto many = edges_of(directory / "large");
  std::size_t common = 0;
  for (const auto& edge : few) {
    common += many.contains(edge) ? 1 : 0;
  }
  EXPECT_GT(static_cast<double>(common) / static_cast<double>(few.size()), 0.6);
}

TEST(Simulate, WritesFilesThatTheReadersTake) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 100;
  settings.organism = simulate::Organism::mouse;
  simulate::simulate(settings, directory / "m");
  const Simulated data(directory / "m");
  EXPECT_EQ(data.barcodes.size(), 100u);
  EXPECT_EQ(std::set<std::string>(data.barcodes.begin(), data.barcodes.end()).size(), 100u);
  EXPECT_EQ(data.of_type(formats::FeatureType::gene_expression), 150u);
  EXPECT_EQ(data.of_type(formats::FeatureType::peaks), 900u);
  EXPECT_TRUE(data.by_name.contains("Tf0001"));
  EXPECT_TRUE(data.by_name.contains("mt-Nd1"));

  std::map<std::string, formats::Transcript> genes;
  for (const formats::Transcript& transcript :
       formats::read_annotation(directory / "m" / "annotation.gtf.gz")) {
    EXPECT_FALSE(transcript.exons.empty());
    EXPECT_EQ(transcript.exons.front().start, transcript.start);
    EXPECT_EQ(transcript.exons.back().end, transcript.end);
    genes.emplace(transcript.symbol, transcript);
  }
  EXPECT_EQ(genes.size(), 150u);

  formats::GenomicInterval before;
  std::size_t promoters = 0;
  for (const formats::Feature& feature : data.features) {
    formats::GenomicInterval here;
    ASSERT_TRUE(formats::parse_interval(feature.interval, here)) << feature.interval;
    if (feature.type != formats::FeatureType::peaks) {
      EXPECT_EQ(genes.at(feature.name).start, here.start);
      continue;
    }
    EXPECT_GE(here.start, 0);
    if (before.chromosome == here.chromosome) {
      EXPECT_GT(here.start, before.end - 1) << "peaks overlap or are not sorted";
    }
    before = here;
    promoters += static_cast<std::size_t>(std::any_of(genes.begin(), genes.end(), [&](const auto& entry) {
      const formats::Transcript& gene = entry.second;
      return gene.chromosome == here.chromosome &&
             std::abs((here.start + here.end) / 2 - gene.transcription_start()) < 2000;
    }));
  }
  EXPECT_GE(promoters, 130u);

  EXPECT_EQ(formats::read_tf_list(directory / "m" / "tfs.csv").size(), 15u);
  const formats::Table cells = formats::Table::read(directory / "m" / "cells.csv");
  EXPECT_EQ(cells.column("barcode"), data.barcodes);
  EXPECT_EQ(data.truth["settings"]["organism"], "mouse");
  EXPECT_EQ(data.truth["settings"]["rules_seed"], 1);
  EXPECT_EQ(data.truth["states"].size(), 4u);
}

TEST(Simulate, WritesWhatH5pyReads) {
  const std::string python = MGRN_TEST_PYTHON;
  if (python.empty()) {
    GTEST_SKIP() << "no Python with numpy, scipy and h5py (-DMGRN_TEST_PYTHON=...)";
  }
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 120;
  const simulate::Summary summary = simulate::simulate(settings, directory / "d");
  const std::string command = "'" + python + "' '" +
                              mgrn::test::source_path("tests/simulate/read_with_h5py.py") + "' '" +
                              (directory / "d").string() + "' " + std::to_string(summary.rna_entries) + " " +
                              std::to_string(summary.atac_entries);
  EXPECT_EQ(std::system(command.c_str()), 0);
}

TEST(Simulate, DrawsNegativeBinomialCounts) {
  // One state, no TF effects and equal depth: every gene has a constant rate.
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.cells = 4000;
  settings.peaks = 0;
  settings.states = 1;
  settings.state_activity = 0.0;
  settings.cell_activity = 0.0;
  settings.low_quality = 0.0;
  settings.depth_spread = 0.0;
  for (const double dispersion : {0.0, 0.5}) {
    settings.dispersion = dispersion;
    simulate::simulate(settings, directory / "nb");
    const Simulated data(directory / "nb");
    std::vector<double> measured;
    double total = 0.0;
    for (const std::vector<double>& counts : data.counts) {
      const double average = mean(counts);
      total += average;
      if (average > 1.0) {
        double variance = 0.0;
        for (const double count : counts) {
          variance += (count - average) * (count - average) / (static_cast<double>(counts.size()) - 1.0);
        }
        measured.push_back((variance - average) / (average * average));
      }
    }
    EXPECT_GT(measured.size(), 50u);
    EXPECT_NEAR(mean(measured), dispersion, 0.02);
    EXPECT_NEAR(total, 300.0, 3.0);  // the depth asked for, two counts per gene
  }
}

TEST(Simulate, MakesDamagedCellsDoubletsAndDropout) {
  const test::TemporaryDirectory directory;
  Settings settings = small();
  settings.low_quality = 0.2;
  settings.doublets = 0.2;
  simulate::simulate(settings, directory / "q");
  const Simulated data(directory / "q");
  const std::vector<std::string> quality =
      formats::Table::read(directory / "q" / "cells.csv").column("quality");
  std::map<std::string, std::vector<double>> totals;
  std::map<std::string, std::vector<double>> mitochondrial;
  for (std::size_t cell = 0; cell < quality.size(); ++cell) {
    double total = 0.0;
    double mito = 0.0;
    for (std::size_t f = 0; f < 150; ++f) {
      total += data.counts[f][cell];
      mito += data.features[f].name.starts_with("MT-") ? data.counts[f][cell] : 0.0;
    }
    totals[quality[cell]].push_back(total);
    mitochondrial[quality[cell]].push_back(mito / total);
  }
  EXPECT_NEAR(static_cast<double>(totals["low"].size()), 160.0, 40.0);
  EXPECT_NEAR(static_cast<double>(totals["doublet"].size()), 160.0, 40.0);
  EXPECT_NEAR(mean(totals["low"]) / mean(totals["good"]), 0.2, 0.03);
  EXPECT_NEAR(mean(totals["doublet"]) / mean(totals["good"]), 2.0, 0.2);
  EXPECT_NEAR(mean(mitochondrial["good"]), 0.05, 0.01);
  EXPECT_NEAR(mean(mitochondrial["low"]), 0.25, 0.03);

  const simulate::Summary all = simulate::simulate(small(), directory / "all");
  Settings lossy = small();
  lossy.dropout = 0.3;
  const simulate::Summary rest = simulate::simulate(lossy, directory / "rest");
  EXPECT_NEAR(static_cast<double>(rest.rna_entries) / static_cast<double>(all.rna_entries), 0.7, 0.02);
}

TEST(Simulate, HasSharedCellsForMostEdgesAtItsDefaults) {
  const test::TemporaryDirectory directory;
  simulate::simulate({}, directory / "d");
  const Simulated data(directory / "d");
  std::vector<std::size_t> shared;
  const base::Json& edges = data.truth["edges"];
  for (std::size_t e = 0; e < edges["tf"].size(); ++e) {
    const std::vector<double>& tf = data.counts[data.by_name.at(edges["tf"][e])];
    const std::vector<double>& gene = data.counts[data.by_name.at(edges["gene"][e])];
    std::size_t both = 0;
    for (std::size_t cell = 0; cell < tf.size(); ++cell) {
      both += tf[cell] > 0.0 && gene[cell] > 0.0 ? 1 : 0;
    }
    shared.push_back(both);
  }
  std::nth_element(shared.begin(), shared.begin() + std::ssize(shared) / 2, shared.end());
  EXPECT_GE(shared[shared.size() / 2], 100u);
}

TEST(Simulate, RefusesImpossibleSettingsAndWritesNothing) {
  const test::TemporaryDirectory directory;
  const auto refuses = [&](auto change, const std::string& key) {
    Settings settings = small();
    change(settings);
    try {
      simulate::simulate(settings, directory / "none");
      ADD_FAILURE() << key << " was accepted";
    } catch (const base::UsageError& error) {
      EXPECT_NE(std::string(error.what()).find("simulate." + key), std::string::npos) << error.what();
      EXPECT_FALSE(error.text().hint.empty());
    }
    EXPECT_FALSE(std::filesystem::exists(directory / "none"));
  };
  refuses([](Settings& s) { s.cells = 0; }, "cells");
  refuses([](Settings& s) { s.genes = s.tfs; }, "genes");
  refuses([](Settings& s) { s.peaks = 10; }, "peaks");
  refuses([](Settings& s) { s.tfs = 0; }, "tfs");
  refuses([](Settings& s) { s.states = 0; }, "states");
  refuses([](Settings& s) { s.density = 0.9; }, "density");
  refuses([](Settings& s) { s.regulation = std::nan(""); }, "regulation");
  refuses([](Settings& s) { s.dropout = -0.1; }, "dropout");
}

TEST(Simulate, SaysWhenTheFolderCannotBeWritten) {
  const test::TemporaryDirectory directory;
  std::ofstream(directory / "file") << "not a folder";
  EXPECT_THROW(simulate::simulate(small(), directory / "file" / "out"), base::OutputError);
}

}  // namespace
