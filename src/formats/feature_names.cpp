// SPDX-License-Identifier: Apache-2.0
#include "feature_names.hpp"

#include <algorithm>
#include <array>

#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/annotation.hpp"

namespace mgrn::formats {
namespace {

bool is_digit(char letter) {
  return letter >= '0' && letter <= '9';
}

}  // namespace

std::string_view feature_type_name(FeatureType type) {
  switch (type) {
    case FeatureType::gene_expression:
      return "Gene Expression";
    case FeatureType::peaks:
      return "Peaks";
    case FeatureType::other:
      break;
  }
  return "Other";
}

FeatureType parse_feature_type(std::string_view name) {
  const std::string key = base::symbol_key(name);
  if (key == "GENE EXPRESSION") {
    return FeatureType::gene_expression;
  }
  return key == "PEAKS" ? FeatureType::peaks : FeatureType::other;
}

bool is_ensembl_id(std::string_view name) {
  // "ENS", letters of the species, "G", eleven digits, perhaps a version.
  if (!name.starts_with("ENS")) {
    return false;
  }
  const std::size_t digits = std::min(name.find_first_of("0123456789"), name.size());
  const std::size_t stop = std::min(name.find_first_not_of("0123456789", digits), name.size());
  return digits >= 4 && digits <= 8 && name[digits - 1] == 'G' && stop - digits == 11 &&
         (stop == name.size() || name[stop] == '.');
}

bool looks_like_barcode(std::string_view name) {
  std::size_t run = 0;
  for (const char letter : name) {
    run = letter == 'A' || letter == 'C' || letter == 'G' || letter == 'T' || letter == 'N' ? run + 1 : 0;
    if (run >= 8) {
      return true;
    }
  }
  return false;
}

bool looks_like_gene(std::string_view name) {
  static constexpr std::array<std::string_view, 22> kFamilies = {
      "RPL", "RPS", "MT-", "NDUFA", "NDUFB", "NDUFS", "PSMA", "PSMB", "PSMC", "PSMD", "EIF",
      "COX", "ZNF", "ZFP", "UBE2",  "SLC",   "TMEM",  "STAT", "IRF",  "KLF",  "HSP",  "ATP"};
  if (is_ensembl_id(name)) {
    return true;
  }
  const std::string key = base::symbol_key(name);
  return std::any_of(kFamilies.begin(), kFamilies.end(), [&key](std::string_view family) {
    return key.size() > family.size() && key.size() <= family.size() + 6 && key.starts_with(family) &&
           (family == "MT-" || is_digit(key[family.size()]) || is_digit(key.back()));
  });
}

bool are_peaks(const std::vector<std::string>& names) {
  GenomicInterval interval;
  return share(names, [&interval](const std::string& name) { return parse_interval(name, interval); }) > 0.5;
}

void set_peak_interval(Feature& feature) {
  GenomicInterval place;
  for (const std::string* text : {&feature.interval, &feature.id, &feature.name}) {
    if (parse_interval(*text, place)) {
      feature.interval =
          place.chromosome + ":" + std::to_string(place.start) + "-" + std::to_string(place.end);
      return;
    }
  }
}

}  // namespace mgrn::formats
