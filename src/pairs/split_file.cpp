// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/pairs/split.hpp"
#include "split_order.hpp"

namespace mgrn::pairs {

namespace {

constexpr std::pair<Set, std::string_view> kSetNames[] = {
    {Set::train, "train"}, {Set::validation, "validation"}, {Set::test, "test"}};

std::string_view name_of(Set set) {
  for (const auto& [value, name] : kSetNames) {
    if (value == set) {
      return name;
    }
  }
  return {};
}

std::optional<Set> set_of(std::string_view text) {
  for (const auto& [value, name] : kSetNames) {
    if (name == text) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

void write_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, const Split& split) {
  formats::TableWriter table;
  table.add("tf").add("gene").add("label").add("set").end_row();
  for (const LabelledPair& pair : split.pairs) {
    table.add(dataset.genes.at(pair.tf)).add(dataset.genes.at(pair.gene));
    table.add(pair.label == 1 ? "1" : "0").add(name_of(pair.set)).end_row();
  }
  table.write(file);
}

Split read_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, std::uint64_t seed,
                 double validation) {
  const formats::Table table = formats::Table::read(file);
  const auto& tfs = table.column("tf");
  const auto& genes = table.column("gene");
  const auto& labels = table.column("label");
  const auto& sets = table.column("set");
  std::unordered_map<std::string, std::uint32_t> index;
  for (std::uint32_t gene = 0; gene < dataset.genes.size(); ++gene) {
    index.emplace(base::symbol_key(dataset.genes[gene]), gene);
  }
  const auto fail = [&](std::size_t row, const std::string& what, const std::string& expected,
                        const std::string& got) {
    throw base::DataError({.what = what + " in line " + std::to_string(table.line(row)) + " of a split file",
                           .file = file.string(),
                           .expected = expected,
                           .got = got,
                           .hint = "Correct that line, or leave pairs.split_file out to draw a split."});
  };

  Split split;
  std::set<std::pair<std::string, std::string>> seen;
  std::uint64_t dropped = 0;
  bool has_validation = false;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (labels[row] != "0" && labels[row] != "1") {
      fail(row, "an illegal label", "0 or 1", labels[row]);
    }
    const auto set = set_of(sets[row]);
    if (!set) {
      fail(row, "an unknown set", "train, validation or test", sets[row]);
    }
    const std::string tf = base::symbol_key(tfs[row]);
    const std::string gene = base::symbol_key(genes[row]);
    if (!seen.emplace(tf, gene).second) {
      fail(row, "a repeated pair", "every pair once", tfs[row] + "," + genes[row]);
    }
    has_validation = has_validation || set == Set::validation;
    const auto tf_found = index.find(tf);
    const auto gene_found = index.find(gene);
    if (tf_found == index.end() || gene_found == index.end()) {
      ++dropped;
      continue;
    }
    split.pairs.push_back({.tf = tf_found->second,
                           .gene = gene_found->second,
                           .label = static_cast<std::uint8_t>(labels[row] == "1" ? 1 : 0),
                           .set = *set});
  }
  if (dropped > 0) {
    split.notes.push_back(std::to_string(dropped) + " of " + std::to_string(table.rows()) +
                          " pairs of the split file were dropped: the dataset lacks their genes.");
  }
  for (const Set needed : {Set::train, Set::test}) {
    if (std::none_of(split.pairs.begin(), split.pairs.end(),
                     [&](const LabelledPair& pair) { return pair.set == needed; })) {
      throw base::DataError(
          {.what = "the split file leaves no " + std::string(name_of(needed)) + " pairs",
           .file = file.string(),
           .expected = "pairs of genes that are in the dataset",
           .got = std::to_string(table.rows()) + " rows, " + std::to_string(dropped) +
                  " of them with genes that the dataset lacks",
           .hint = "Check that the split file belongs to this dataset's species and gene names."});
    }
  }
  sort_pairs(split.pairs, dataset);
  if (!has_validation) {
    hold_out_validation(split.pairs, validation, seed);
    sort_pairs(split.pairs, dataset);
  }
  return split;
}

}  // namespace mgrn::pairs
