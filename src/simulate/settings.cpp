// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/simulate/settings.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "genome.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::simulate {
namespace {

[[noreturn]] void illegal(const std::string& key, const std::string& expected, const std::string& got) {
  throw base::UsageError({.what = "illegal value of simulate." + key,
                          .expected = expected,
                          .got = got,
                          .hint = "give another value with --simulate." + key});
}

void check_count(const std::string& key, std::uint64_t value, std::uint64_t least, std::uint64_t most) {
  if (value < least || value > most) {
    illegal(key, "a whole number from " + std::to_string(least) + " to " + std::to_string(most),
            std::to_string(value));
  }
}

void check_number(const std::string& key, double value, double least, double most) {
  if (!(value >= least && value <= most)) {  // also refuses NaN
    std::string range = base::Json(least).dump() + " to " + base::Json(most).dump();
    illegal(key, "a number from " + range, base::Json(value).dump());
  }
}

}  // namespace

void check(const Settings& settings) {
  constexpr std::uint64_t kMost = std::numeric_limits<std::int32_t>::max();
  check_count("cells", settings.cells, 1, kMost);
  check_count("tfs", settings.tfs, 1, 99'999);
  check_count("genes", settings.genes, 2, 9'999'999);
  const std::uint64_t mitochondrial = mitochondrial_genes(settings.genes);
  if (settings.genes < settings.tfs + mitochondrial + 1) {
    illegal("genes",
            "at least " + std::to_string(settings.tfs + mitochondrial + 1) +
                " (the TFs, the mitochondrial genes and one target)",
            std::to_string(settings.genes));
  }
  if (settings.peaks != 0 && settings.peaks < settings.genes) {
    illegal("peaks", "0, or at least one per gene (" + std::to_string(settings.genes) + ")",
            std::to_string(settings.peaks));
  }
  check_count("peaks", settings.peaks, 0, 99'999'999);
  check_count("states", settings.states, 1, 1000);
  check_number("shared_rules", settings.shared_rules, 0.0, 1.0);
  check_number("density", settings.density, 1e-6, kLargestShareOfTargets);
  check_number("activator_share", settings.activator_share, 0.0, 1.0);
  check_number("pioneer_share", settings.pioneer_share, 0.0, 1.0);
  check_number("regulation", settings.regulation, 0.0, 10.0);
  check_number("accessibility", settings.accessibility, 0.0, 3.0);
  check_number("batch", settings.batch, 0.0, 3.0);
  check_number("state_activity", settings.state_activity, 0.0, 5.0);
  check_number("cell_activity", settings.cell_activity, 0.0, 5.0);
  check_number("low_quality", settings.low_quality, 0.0, 0.5);
  check_number("doublets", settings.doublets, 0.0, 0.5);
  check_number("rna_counts", settings.rna_counts, 0.0, 1e6);
  check_number("atac_counts", settings.atac_counts, 0.0, 1e6);
  check_number("depth_spread", settings.depth_spread, 0.0, 2.0);
  check_number("dispersion", settings.dispersion, 0.0, 10.0);
  check_number("dropout", settings.dropout, 0.0, 0.99);
}

Settings resolve(Settings settings) {
  if (settings.rules_seed == 0) {
    settings.rules_seed = settings.seed;
  }
  if (settings.rna_counts == 0.0) {
    settings.rna_counts = std::min(2.0 * static_cast<double>(settings.genes), 6000.0);
  }
  if (settings.atac_counts == 0.0) {
    settings.atac_counts = 0.08 * static_cast<double>(settings.peaks);
  }
  return settings;
}

base::Json to_json(const Settings& given) {
  const Settings settings = resolve(given);
  return {{"cells", settings.cells},
          {"genes", settings.genes},
          {"peaks", settings.peaks},
          {"tfs", settings.tfs},
          {"organism", settings.organism == Organism::human ? "human" : "mouse"},
          {"seed", settings.seed},
          {"rules_seed", settings.rules_seed},
          {"shared_rules", settings.shared_rules},
          {"network", settings.network == ListedNetwork::own ? "own" : "shared"},
          {"density", settings.density},
          {"activator_share", settings.activator_share},
          {"pioneer_share", settings.pioneer_share},
          {"regulation", settings.regulation},
          {"accessibility", settings.accessibility},
          {"batch", settings.batch},
          {"states", settings.states},
          {"state_activity", settings.state_activity},
          {"cell_activity", settings.cell_activity},
          {"low_quality", settings.low_quality},
          {"doublets", settings.doublets},
          {"rna_counts", settings.rna_counts},
          {"atac_counts", settings.atac_counts},
          {"depth_spread", settings.depth_spread},
          {"dispersion", settings.dispersion},
          {"dropout", settings.dropout}};
}

}  // namespace mgrn::simulate
