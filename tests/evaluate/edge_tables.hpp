// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "multigrnformer/formats/edge_table.hpp"

namespace mgrn::test {

/// A ranked list from (TF, gene, weight).
inline formats::EdgeTable table_of(const std::vector<std::tuple<std::string, std::string, double>>& edges) {
  formats::EdgeTable table;
  std::map<std::string, std::uint32_t> numbers;
  const auto number = [&](const std::string& name) {
    const auto [found, fresh] = numbers.emplace(name, static_cast<std::uint32_t>(table.genes.size()));
    if (fresh) {
      table.genes.push_back(name);
    }
    return found->second;
  };
  for (const auto& [tf, gene, weight] : edges) {
    const std::uint32_t from = number(tf);
    table.edges.push_back({from, number(gene), weight});
  }
  return table;
}

}  // namespace mgrn::test
