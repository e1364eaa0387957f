// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/predicted_network.hpp"

#include <algorithm>

#include "multigrnformer/formats/table.hpp"

namespace mgrn::evaluate {

CutOff cut_at_precision(std::span<const double> probabilities, double precision) {
  CutOff best;
  double sum = 0;
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    sum += probabilities[i];
    if (i + 1 < probabilities.size() && probabilities[i + 1] == probabilities[i]) {
      continue;
    }
    const double mean = sum / static_cast<double>(i + 1);
    if (mean >= precision) {
      best = {.edges = i + 1, .expected_precision = mean};
    }
  }
  return best;
}

CutOff cut_at_edges(std::span<const double> probabilities, std::size_t edges) {
  CutOff cut{.edges = std::min(edges, probabilities.size())};
  for (const double probability : probabilities.first(cut.edges)) {
    cut.expected_precision += probability / static_cast<double>(cut.edges);
  }
  return cut;
}

std::vector<Regulon> regulons(const formats::EdgeTable& table, std::span<const double> probabilities,
                              const CutOff& cut) {
  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> place(table.genes.size(), kNone);
  std::vector<Regulon> found;
  for (std::size_t i = 0; i < table.edges.size(); ++i) {
    const auto& edge = table.edges[i];
    if (place[edge.tf] == kNone) {
      place[edge.tf] = found.size();
      found.push_back({.tf = table.genes[edge.tf]});
    }
    if (i >= cut.edges) {
      continue;
    }
    Regulon& regulon = found[place[edge.tf]];
    ++regulon.targets;
    regulon.probability_sum += probabilities.empty() ? 0 : probabilities[i];
    if (regulon.top.size() < kTopTargets) {
      regulon.top.push_back(table.genes[edge.gene]);
    }
  }
  std::sort(found.begin(), found.end(), [](const Regulon& a, const Regulon& b) {
    return a.targets != b.targets ? a.targets > b.targets : a.tf < b.tf;
  });
  return found;
}

void write_regulons(const std::filesystem::path& file, std::span<const Regulon> regulons,
                    bool with_probability) {
  formats::TableWriter table;
  table.add("tf").add("targets");
  if (with_probability) {
    table.add("probability_sum");
  }
  table.add("top_targets").end_row();
  for (const Regulon& regulon : regulons) {
    std::string top;
    for (const std::string& target : regulon.top) {
      top += (top.empty() ? "" : ";") + target;
    }
    table.add(regulon.tf).add(static_cast<std::int64_t>(regulon.targets));
    if (with_probability) {
      table.add(regulon.probability_sum);
    }
    table.add(top).end_row();
  }
  table.write(file);
}

void write_selected_edges(const std::filesystem::path& file, const formats::EdgeTable& edges,
                          std::span<const double> probabilities, const CutOff& cut) {
  formats::TableWriter table;
  table.add("tf").add("gene").add("score");
  if (!probabilities.empty()) {
    table.add("probability");
  }
  table.end_row();
  for (std::size_t i = 0; i < cut.edges; ++i) {
    const auto& edge = edges.edges[i];
    table.add(edges.genes[edge.tf]).add(edges.genes[edge.gene]).add(edge.weight);
    if (!probabilities.empty()) {
      table.add(probabilities[i]);
    }
    table.end_row();
  }
  table.write(file);
}

}  // namespace mgrn::evaluate
