// SPDX-License-Identifier: Apache-2.0
// What the name of a feature or cell tells about it. Inside the room only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "multigrnformer/formats/matrix_source.hpp"

namespace mgrn::formats {

/// 10x's words: "Gene Expression", "Peaks"; "Other" for the rest.
std::string_view feature_type_name(FeatureType type);
FeatureType parse_feature_type(std::string_view name);

/// ENSG00000141510, ENSMUSG00000059552.1: Ensembl's gene ids of any species.
bool is_ensembl_id(std::string_view name);
/// Eight or more of ACGTN in a row, as in a cell barcode with or without prefix and suffix.
bool looks_like_barcode(std::string_view name);
/// A symbol of a family found in every mammalian data set (RPL3, Ndufa4, MT-CO1 ...) or an Ensembl id.
bool looks_like_gene(std::string_view name);

/// Share of names for which `test` holds, 0 for none.
template <class Test>
double share(const std::vector<std::string>& names, Test test) {
  std::size_t hits = 0;
  for (const std::string& name : names) {
    hits += test(name) ? 1 : 0;
  }
  return names.empty() ? 0.0 : static_cast<double>(hits) / static_cast<double>(names.size());
}
/// Whether most names are genomic intervals.
bool are_peaks(const std::vector<std::string>& names);
/// Gives a peak its interval, spelled "chr1:100-200", where its id or name holds one.
void set_peak_interval(Feature& feature);

}  // namespace mgrn::formats
