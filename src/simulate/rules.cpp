// SPDX-License-Identifier: Apache-2.0
#include "rules.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "parameters.hpp"
#include "stream.hpp"

namespace mgrn::simulate {
namespace {

// Out-degrees that add up to `edges`, in proportion to `appetite`, each between `least` and `most`.
std::vector<std::uint64_t> out_degrees(const std::vector<double>& appetite, std::uint64_t edges,
                                       std::uint64_t least, std::uint64_t most) {
  const std::size_t tfs = appetite.size();
  std::vector<std::uint64_t> degree(tfs, least);
  std::uint64_t left = edges - least * tfs;
  // Hubs that reach `most` leave their part to the others, so go round until nothing is left.
  while (left > 0) {
    double hungry = 0.0;
    for (std::size_t k = 0; k < tfs; ++k) {
      hungry += degree[k] < most ? appetite[k] : 0.0;
    }
    const std::uint64_t pot = left;
    for (std::size_t k = 0; k < tfs && left > 0; ++k) {
      if (degree[k] < most) {
        const auto part = static_cast<std::uint64_t>(appetite[k] / hungry * static_cast<double>(pot));
        const std::uint64_t given = std::min({part, most - degree[k], left});
        degree[k] += given;
        left -= given;
      }
    }
    if (left == pot) {  // all parts rounded to nothing: one each, the hungriest first
      std::vector<std::size_t> order(tfs);
      std::iota(order.begin(), order.end(), std::size_t{0});
      std::stable_sort(order.begin(), order.end(),
                       [&](std::size_t a, std::size_t b) { return appetite[a] > appetite[b]; });
      for (const std::size_t k : order) {
        if (left > 0 && degree[k] < most) {
          ++degree[k];
          --left;
        }
      }
    }
  }
  return degree;
}

Rule make_rule(const Settings& settings, const Genome& genome, std::uint32_t tf, std::uint32_t gene,
               base::PhiloxStream random) {
  Rule rule{.tf = tf, .gene = gene};
  rule.activates = random.uniform() < settings.activator_share;
  rule.weight = kWeightMedian * std::exp(kWeightSpread * random.normal());
  const std::vector<std::uint32_t>& peaks = genome.genes[gene].peaks;
  if (!peaks.empty()) {
    for (const std::uint32_t peak : peaks) {
      const double share =
          genome.peaks[peak].kind == PeakKind::promoter ? kThroughPromoter : kThroughEnhancer;
      if (random.uniform() < share) {
        rule.peaks.push_back(peak);
      }
    }
    if (rule.peaks.empty()) {
      rule.peaks.push_back(peaks[random.below(static_cast<std::uint32_t>(peaks.size()))]);
    }
    std::sort(rule.peaks.begin(), rule.peaks.end());
  }
  return rule;
}

std::vector<Rule> make_edges(const Settings& settings, const Genome& genome) {
  const std::uint64_t tfs = genome.tfs;
  const std::uint64_t genes = genome.regulated;
  std::vector<double> appetite(tfs);
  for (std::uint64_t k = 0; k < tfs; ++k) {
    // Pareto with exponent 1.25: most TFs have few targets, some have many.
    base::PhiloxStream random = stream(settings.rules_seed, "out-degree", k);
    appetite[k] = std::pow(1.0 - random.uniform(), -0.8);
  }
  std::vector<double> popularity(genes);
  for (std::uint64_t g = 0; g < genes; ++g) {
    popularity[g] =
        std::exp(kInDegreeSpread * stream(settings.rules_seed, "in-degree", genome.genes[g].number).normal());
  }
  const std::uint64_t most = std::max<std::uint64_t>(
      1,
      std::min(genes - 1, static_cast<std::uint64_t>(kLargestShareOfTargets * static_cast<double>(genes))));
  const auto asked = static_cast<std::uint64_t>(
      std::llround(settings.density * static_cast<double>(tfs) * static_cast<double>(genes)));
  const std::uint64_t edges = std::clamp<std::uint64_t>(asked, tfs, tfs * most);
  const std::uint64_t least = std::min<std::uint64_t>({3, edges / tfs, most});
  const std::vector<std::uint64_t> degree = out_degrees(appetite, edges, least, most);

  std::vector<Rule> rules;
  rules.reserve(edges);
  struct Target {
    double key;
    std::uint32_t gene;
    bool shared;
  };
  std::vector<Target> targets;
  for (std::uint32_t k = 0; k < tfs; ++k) {
    // A weighted draw without replacement: the smallest of exponential variables with rate = popularity. The
    // key belongs to the pair, so that datasets that share rules choose the same targets, whatever their
    // size.
    targets.clear();
    for (std::uint32_t g = 0; g < genes; ++g) {
      if (g != k) {
        base::PhiloxStream common = stream(settings.rules_seed, "edge", k, genome.genes[g].number);
        const bool shared = common.uniform() < settings.shared_rules;
        const double draw = shared ? common.uniform()
                                   : stream(settings.seed, "own edge", k, genome.genes[g].number).uniform();
        targets.push_back({-std::log1p(-draw) / popularity[g], g, shared});
      }
    }
    const auto end = targets.begin() + static_cast<std::ptrdiff_t>(degree[k]);
    std::nth_element(targets.begin(), end, targets.end(), [](const Target& a, const Target& b) {
      return a.key != b.key ? a.key < b.key : a.gene < b.gene;
    });
    targets.erase(end, targets.end());
    std::sort(targets.begin(), targets.end(),
              [](const Target& a, const Target& b) { return a.gene < b.gene; });
    for (const Target& target : targets) {
      rules.push_back(
          make_rule(settings, genome, k, target.gene,
                    target.shared ? stream(settings.rules_seed, "rule", k, genome.genes[target.gene].number)
                                  : stream(settings.seed, "own rule", k, genome.genes[target.gene].number)));
    }
  }
  return rules;
}

double gene_level(const Settings& settings, const Genome& genome, std::uint32_t g) {
  const double own = settings.batch * stream(settings.seed, "gene batch", genome.genes[g].number).normal();
  const double spread =
      kGeneLevelSpread * stream(settings.rules_seed, "gene level", genome.genes[g].number).normal();
  return (g < genome.tfs ? kTfLevel : 0.0) + spread + own;
}

double peak_level(const Settings& settings, const Genome& genome, std::uint32_t p) {
  const Peak& peak = genome.peaks[p];
  const double own = settings.batch * stream(settings.seed, "peak batch", p).normal();
  const auto draw = [&](const char* what) {
    const std::uint64_t gene = peak.kind == PeakKind::background ? 0 : genome.genes[peak.gene].number;
    return stream(settings.rules_seed, what, gene, peak.ordinal).normal();
  };
  switch (peak.kind) {
    case PeakKind::promoter:
      return kPromoterLevel + kPromoterSpread * draw("promoter level") + own;
    case PeakKind::enhancer:
      return kEnhancerLevel + kEnhancerSpread * draw("enhancer level") + own;
    case PeakKind::background:
      break;
  }
  return kBackgroundLevel + kBackgroundSpread * draw("background level") + own;
}

}  // namespace

Rules make_rules(const Settings& settings, const Genome& genome) {
  Rules rules;
  rules.edges = make_edges(settings, genome);
  if (settings.network == ListedNetwork::shared) {
    Settings reference = settings;
    reference.shared_rules = 1.0;
    rules.listed = make_edges(reference, genome);
  }
  for (std::uint32_t k = 0; k < genome.tfs; ++k) {
    base::PhiloxStream random = stream(settings.rules_seed, "TF", k);
    rules.pioneer.push_back(random.uniform() < settings.pioneer_share);
    rules.opening.push_back(settings.accessibility *
                            (rules.pioneer.back() ? kPioneerOpening : kOtherOpening));
    std::vector<double> loading(kPrograms);
    double squares = 0.0;
    for (double& value : loading) {
      value = random.normal();
      squares += value * value;
    }
    for (double& value : loading) {
      value /= std::sqrt(squares);
    }
    rules.program_loading.push_back(std::move(loading));
  }
  for (std::uint32_t g = 0; g < genome.regulated; ++g) {
    rules.gene_level.push_back(gene_level(settings, genome, g));
  }
  for (std::uint32_t p = 0; p < genome.peaks.size(); ++p) {
    rules.peak_level.push_back(peak_level(settings, genome, p));
  }

  // States belong to the dataset: another tissue has other cell types under the same rules.
  double total = 0.0;
  for (std::uint64_t s = 0; s < settings.states; ++s) {
    rules.state_share.push_back(std::exp(0.5 * stream(settings.seed, "state share", s).normal()));
    total += rules.state_share.back();
    std::vector<double> activity(genome.tfs);
    for (std::uint32_t k = 0; k < genome.tfs; ++k) {
      activity[k] = settings.state_activity * stream(settings.seed, "state activity", s, k).normal();
    }
    std::vector<double> gene(genome.regulated);
    for (std::uint32_t g = 0; g < genome.regulated; ++g) {
      gene[g] = kStateGeneSpread * stream(settings.seed, "state gene", s, g).normal();
    }
    std::vector<double> peak(genome.peaks.size());
    for (std::uint32_t p = 0; p < genome.peaks.size(); ++p) {
      peak[p] = kStatePeakSpread * stream(settings.seed, "state peak", s, p).normal();
    }
    // Open chromatin goes with expression, whichever TF is there.
    for (std::uint32_t g = 0; g < genome.regulated; ++g) {
      const std::vector<std::uint32_t>& own = genome.genes[g].peaks;
      double sum = 0.0;
      for (const std::uint32_t p : own) {
        sum += peak[p];
      }
      gene[g] += own.empty()
                     ? 0.0
                     : settings.accessibility * kOpenChromatinGain * sum / static_cast<double>(own.size());
    }
    rules.state_activity.push_back(std::move(activity));
    rules.state_gene.push_back(std::move(gene));
    rules.state_peak.push_back(std::move(peak));
  }
  for (double& share : rules.state_share) {
    share /= total;
  }
  return rules;
}

}  // namespace mgrn::simulate
