// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/settings.hpp"

#include <cmath>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::prepare {
namespace {

template <typename Value>
std::string text_of(const Words<Value>& words, Value value) {
  for (const auto& [word, named] : words) {
    if (named == value) {
      return word;
    }
  }
  throw base::InternalError({.what = "an enumeration of prepare's settings holds no named value"});
}

void require(bool legal, const std::string& key, const std::string& expected, double got) {
  if (!legal) {
    throw base::UsageError({.what = "illegal value of " + key,
                            .file = key,
                            .expected = expected,
                            .got = base::json_line(got),
                            .hint = "Give --" + key + " a value in that range."});
  }
}

void require_order(double least, double most, const std::string& measure) {
  if (!(least <= most)) {
    throw base::UsageError({.what = "the bounds of " + measure + " leave nothing between them",
                            .expected = "least <= most",
                            .got = base::json_line(least) + " and " + base::json_line(most),
                            .hint = "Exchange or widen the bounds of " + measure + "."});
  }
}

}  // namespace

const Words<QcRule>& qc_rules() {
  static const Words<QcRule> words = {{"mad", QcRule::mad},
                                      {"mad-linear", QcRule::mad_linear},
                                      {"bounds", QcRule::bounds},
                                      {"none", QcRule::none}};
  return words;
}
const Words<RnaNormalisation>& rna_normalisations() {
  static const Words<RnaNormalisation> words = {{"lognorm+z", RnaNormalisation::lognorm_z},
                                                {"lognorm", RnaNormalisation::lognorm},
                                                {"log10p01", RnaNormalisation::log10p01},
                                                {"z", RnaNormalisation::z},
                                                {"none", RnaNormalisation::none}};
  return words;
}
const Words<RpNormalisation>& rp_normalisations() {
  static const Words<RpNormalisation> words = {{"binary+rowsum+z", RpNormalisation::binary_rowsum_z},
                                               {"counts", RpNormalisation::counts},
                                               {"log1p", RpNormalisation::log1p}};
  return words;
}

std::string to_text(QcRule rule) {
  return text_of(qc_rules(), rule);
}
std::string to_text(RnaNormalisation normalisation) {
  return text_of(rna_normalisations(), normalisation);
}
std::string to_text(RpNormalisation normalisation) {
  return text_of(rp_normalisations(), normalisation);
}

bool has_z_scores(RnaNormalisation normalisation) {
  return normalisation == RnaNormalisation::lognorm_z || normalisation == RnaNormalisation::z;
}
bool has_z_scores(RpNormalisation normalisation) {
  return normalisation == RpNormalisation::binary_rowsum_z;
}

void validate(const Settings& settings) {
  if (settings.rna.empty()) {
    throw base::UsageError({.what = "no gene matrix was given",
                            .expected = "--rna FILE",
                            .hint = "Give --rna a 10x .h5 file or folder, .h5ad, .h5mu, .csv or .tsv."});
  }
  if (settings.out.empty()) {
    throw base::UsageError({.what = "no dataset file was named",
                            .expected = "--out FILE.h5",
                            .hint = "Name the dataset file to write with --out."});
  }
  if (!settings.atac.empty() && settings.annotation.empty()) {
    throw base::UsageError({.what = "peaks were given without the genes' positions",
                            .file = settings.atac.string(),
                            .expected = "--annotation GTF",
                            .hint = "Give --annotation a GTF or refGene table of the same genome build."});
  }
  require(settings.mads > 0.0 && std::isfinite(settings.mads), "prepare.mads", "a number above 0",
          settings.mads);
  require(settings.min_feature_share >= 0.0 && settings.min_feature_share < 1.0, "prepare.min_feature_share",
          "a share from 0 to below 1", settings.min_feature_share);
  require(settings.min_cell_share >= 0.0 && settings.min_cell_share < 1.0, "prepare.min_cell_share",
          "a share from 0 to below 1", settings.min_cell_share);
  require(settings.max_blacklist_share >= 0.0 && settings.max_blacklist_share <= 1.0,
          "prepare.max_blacklist_share", "a share from 0 to 1", settings.max_blacklist_share);
  require(settings.bounds.max_mito >= 0.0 && settings.bounds.max_mito <= 1.0, "prepare.max_mito",
          "a share from 0 to 1", settings.bounds.max_mito);
  require(settings.clip >= 0.0 && std::isfinite(settings.clip), "prepare.clip", "0 or a number above it",
          settings.clip);
  require(settings.decay > 0.0 && std::isfinite(settings.decay), "prepare.decay", "a distance above 0 bp",
          settings.decay);
  require(settings.exon_cap >= 0.0 && std::isfinite(settings.exon_cap), "prepare.exon_cap",
          "0 or a number above it", settings.exon_cap);
  require_order(settings.bounds.min_rna_counts, settings.bounds.max_rna_counts, "RNA counts");
  require_order(settings.bounds.min_atac_counts, settings.bounds.max_atac_counts, "ATAC counts");
  require_order(settings.bounds.min_genes, settings.bounds.max_genes, "detected genes");
}

base::Json settings_json(const Settings& settings) {
  base::Json json = {{"qc", to_text(settings.qc)},
                     {"min_feature_share", settings.min_feature_share},
                     {"min_cell_share", settings.min_cell_share},
                     {"max_blacklist_share", settings.max_blacklist_share},
                     {"mito_prefixes", settings.mito_prefixes},
                     {"layer", settings.layer},
                     {"rna", to_text(settings.rna_normalisation)},
                     {"rp", to_text(settings.rp_normalisation)},
                     {"clip", settings.clip},
                     {"decay", settings.decay},
                     {"exon_cap", settings.exon_cap}};
  // Options of the rule that is not in force cannot change the content, and do not change the id.
  if (settings.qc == QcRule::mad || settings.qc == QcRule::mad_linear) {
    json["mads"] = settings.mads;
  }
  if (settings.qc == QcRule::bounds) {
    const Bounds& bounds = settings.bounds;
    // JSON has no infinity: an open bound is null.
    const auto bound = [](double value) { return std::isfinite(value) ? base::Json(value) : base::Json(); };
    json["bounds"] = {{"min_rna_counts", bound(bounds.min_rna_counts)},
                      {"max_rna_counts", bound(bounds.max_rna_counts)},
                      {"min_genes", bound(bounds.min_genes)},
                      {"max_genes", bound(bounds.max_genes)},
                      {"min_atac_counts", bound(bounds.min_atac_counts)},
                      {"max_atac_counts", bound(bounds.max_atac_counts)},
                      {"max_mito", bounds.max_mito}};
  }
  return json;
}

}  // namespace mgrn::prepare
