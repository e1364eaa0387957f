// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/barcodes.hpp"

#include <algorithm>
#include <span>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "rows.hpp"

namespace mgrn::formats {
namespace {

constexpr std::string_view kSuffix = "-1";

bool all_end_in_suffix(const std::vector<std::string>& barcodes) {
  return !barcodes.empty() && std::all_of(barcodes.begin(), barcodes.end(), [](const std::string& barcode) {
    return barcode.size() > kSuffix.size() && barcode.ends_with(kSuffix);
  });
}
bool none_ends_in_suffix(const std::vector<std::string>& barcodes) {
  return std::none_of(barcodes.begin(), barcodes.end(),
                      [](const std::string& barcode) { return barcode.ends_with(kSuffix); });
}

std::string_view key(const std::string& barcode, bool strip) {
  std::string_view text(barcode);
  text.remove_suffix(strip ? kSuffix.size() : 0);
  return text;
}

std::unordered_map<std::string_view, std::uint64_t> index_of(const std::vector<std::string>& barcodes,
                                                             bool strip, const std::string& file) {
  std::unordered_map<std::string_view, std::uint64_t> index;
  index.reserve(barcodes.size());
  for (std::size_t i = 0; i < barcodes.size(); ++i) {
    const auto [place, added] = index.emplace(key(barcodes[i], strip), i);
    if (!added) {
      throw base::DataError({.what = "barcode '" + barcodes[i] + "' occurs twice (cells " +
                                     std::to_string(place->second + 1) + " and " + std::to_string(i + 1) +
                                     ")",
                             .file = file,
                             .expected = "each barcode once",
                             .hint = "make barcodes unique, for example with a prefix per sample"});
    }
  }
  return index;
}

}  // namespace

BarcodeJoin join_barcodes(const std::vector<std::string>& rna, const std::vector<std::string>& atac,
                          const std::string& rna_file, const std::string& atac_file) {
  const bool strip_rna = all_end_in_suffix(rna) && none_ends_in_suffix(atac);
  const bool strip_atac = all_end_in_suffix(atac) && none_ends_in_suffix(rna);
  BarcodeJoin join;
  join.suffix_ignored = (strip_rna || strip_atac) && !rna.empty() && !atac.empty();
  index_of(rna, strip_rna, rna_file);
  const auto places = index_of(atac, strip_atac, atac_file);
  for (std::size_t i = 0; i < rna.size(); ++i) {
    const auto found = places.find(key(rna[i], strip_rna));
    if (found != places.end()) {
      join.cells.push_back({i, found->second});
    }
  }
  join.rna_only = rna.size() - join.cells.size();
  join.atac_only = atac.size() - join.cells.size();
  return join;
}

std::vector<std::string> read_barcode_list(const std::filesystem::path& file) {
  LineReader reader(file);
  std::vector<std::string> barcodes;
  std::unordered_set<std::string> seen;
  std::size_t column = 0;
  const auto is_header = [&column](std::span<const std::string_view> fields) {
    if (fields.size() > 1 && fields[0].empty()) {  // pandas' and R's nameless index column
      return true;
    }
    for (std::size_t i = 0; i < fields.size(); ++i) {
      const std::string name = base::symbol_key(trim(fields[i]));
      if (name == "BARCODE" || name == "BARCODES" || name == "CELL" || name == "CELLS" || name == "CELL_ID" ||
          name == "CELL_BARCODE") {
        column = i;
        return true;
      }
    }
    return false;
  };
  for_each_row(reader, is_header, [&](std::span<const std::string_view> fields, std::string_view line) {
    if (column >= fields.size() || trim(fields[column]).empty()) {
      reader.fail("barcode is missing", "a barcode in column " + std::to_string(column + 1),
                  std::string(line.substr(0, 40)));
    }
    std::string barcode(trim(fields[column]));
    if (seen.insert(barcode).second) {
      barcodes.push_back(std::move(barcode));
    }
  });
  if (barcodes.empty()) {
    throw base::DataError(
        {.what = "list of barcodes is empty", .file = reader.file(), .expected = "one a line"});
  }
  return barcodes;
}

}  // namespace mgrn::formats
