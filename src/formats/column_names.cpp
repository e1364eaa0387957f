// SPDX-License-Identifier: Apache-2.0
#include "column_names.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "multigrnformer/base/symbol.hpp"

namespace mgrn::formats {
namespace {

constexpr std::array<std::string_view, 15> kRegulator = {
    "GENE1",   "TF",         "TFS",  "TFNAME", "REGULATOR", "REGULATORS",          "REGULATORYGENE", "SOURCE",
    "SOURCES", "SOURCENODE", "FROM", "GENEA",  "TFSYMBOL",  "TRANSCRIPTIONFACTOR", "SOURCEGENE"};
constexpr std::array<std::string_view, 13> kTarget = {
    "GENE2", "TARGET", "TARGETS", "TARGETGENE", "TARGETNODE", "TARGETNAME", "TARGETSYMBOL",
    "TO",    "GENE",   "GENES",   "GENEB",      "GENENAME",   "GENESYMBOL"};
constexpr std::array<std::string_view, 7> kWeight = {"EDGEWEIGHT", "IMPORTANCE",  "WEIGHT",    "SCORE",
                                                     "CONFIDENCE", "PROBABILITY", "LINKWEIGHT"};
constexpr std::array<std::string_view, 11> kSymbol = {
    "TF",    "TFS",      "TFNAME",     "TFSYMBOL",           "SYMBOL", "SYMBOLS", "GENE",
    "GENES", "GENENAME", "GENESYMBOL", "TRANSCRIPTIONFACTOR"};

std::string word(std::string_view name) {
  std::string key = base::symbol_key(name);
  std::erase_if(key,
                [](char letter) { return letter == ' ' || letter == '_' || letter == '-' || letter == '.'; });
  return key;
}

template <class Words>
std::size_t find(std::span<const std::string_view> header, const Words& words) {
  const auto found = std::find_if(header.begin(), header.end(), [&words](std::string_view name) {
    return std::find(words.begin(), words.end(), word(name)) != words.end();
  });
  return found == header.end() ? kNoColumn : static_cast<std::size_t>(found - header.begin());
}

}  // namespace

std::size_t regulator_column(std::span<const std::string_view> header) {
  return find(header, kRegulator);
}
std::size_t target_column(std::span<const std::string_view> header) {
  return find(header, kTarget);
}
std::size_t weight_column(std::span<const std::string_view> header) {
  return find(header, kWeight);
}
std::size_t symbol_column(std::span<const std::string_view> header) {
  return find(header, kSymbol);
}

}  // namespace mgrn::formats
