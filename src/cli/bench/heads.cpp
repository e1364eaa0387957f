// SPDX-License-Identifier: Apache-2.0
#include "heads.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

namespace mgrn::cli {
namespace {

/// Shares and ranges to a digit that such a sample of heads can tell.
double rounded(double value) {
  return std::round(value * 1e4) / 1e4;
}

/// The least value that so large a share of the sorted ones does not exceed.
double quantile(const std::vector<double>& sorted, double share) {
  const auto place = static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<std::size_t>(place, 1) - 1];
}

}  // namespace

void visit_heads(Setup& setup, int samples, const model::HeadVisitor& visit) {
  std::vector<float> inputs(static_cast<std::size_t>(samples) * setup.sample_size());
  for (std::size_t sample = 0; sample < static_cast<std::size_t>(samples); ++sample) {
    setup.gather(sample, std::span(inputs).subspan(sample * setup.sample_size(), setup.sample_size()));
  }
  setup.team.engine(0).visit_heads(setup.weights, samples, inputs, visit);
}

base::Json path_facts(const std::vector<model::AttentionPath>& paths) {
  std::map<int, double> heads_of_panels;
  std::vector<double> ranges;
  double terms = 0;
  double linear = 0;
  for (const model::AttentionPath& path : paths) {
    ++heads_of_panels[path.panels];
    linear += path.panels > 0 ? 1 : 0;
    terms += path.terms;
    ranges.push_back(path.range);
  }
  std::sort(ranges.begin(), ranges.end());
  const auto all = static_cast<double>(paths.size());
  base::Json panels = base::Json::object();
  for (const auto& [count, heads] : heads_of_panels) {
    panels[std::to_string(count)] = rounded(heads / all);
  }
  return {{"heads", paths.size()},
          {"linear", rounded(linear / all)},
          {"quadratic", rounded(1 - linear / all)},
          {"panels", std::move(panels)},
          {"terms", rounded(linear > 0 ? terms / linear : 0)},
          {"range",
           {{"0.5", rounded(quantile(ranges, 0.5))},
            {"0.9", rounded(quantile(ranges, 0.9))},
            {"0.99", rounded(quantile(ranges, 0.99))},
            {"max", rounded(ranges.back())}}}};
}

base::Json path_facts_by_layer(Setup& setup) {
  std::vector<std::vector<model::AttentionPath>> layers(
      static_cast<std::size_t>(setup.settings.shape.layers));
  std::vector<model::AttentionPath> all;
  visit_heads(setup, kSamplesSeen, [&](const model::HeadView& head) {
    layers[static_cast<std::size_t>(head.layer)].push_back(head.path);
    all.push_back(head.path);
  });
  if (all.empty()) {
    return nullptr;
  }
  base::Json facts = path_facts(all);
  for (const auto& paths : layers) {
    facts["layers"].push_back(path_facts(paths));
  }
  return facts;
}

}  // namespace mgrn::cli
