// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/controls.hpp"

#include "multigrnformer/base/symbol.hpp"

namespace mgrn::evaluate {
namespace {

double one_plus(const std::unordered_map<std::string, std::uint64_t>& degrees, const std::string& symbol) {
  const auto found = degrees.find(base::symbol_key(symbol));
  return found == degrees.end() ? 1.0 : 1.0 + static_cast<double>(found->second);
}

}  // namespace

DegreeControl::DegreeControl(std::span<const formats::NamedEdge> training_positives) {
  for (const formats::NamedEdge& edge : training_positives) {
    ++out_degree_[base::symbol_key(edge.tf)];
    ++in_degree_[base::symbol_key(edge.gene)];
  }
}

double DegreeControl::score(const std::string& tf, const std::string& gene) const {
  return one_plus(out_degree_, tf) * one_plus(in_degree_, gene);
}

}  // namespace mgrn::evaluate
