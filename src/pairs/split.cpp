// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/split.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string_view>
#include <tuple>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/pairs/degree_matched.hpp"
#include "negatives.hpp"
#include "split_order.hpp"

namespace mgrn::pairs {

namespace {

base::PhiloxStream stream(std::uint64_t seed, std::string_view purpose) {
  return {seed, base::NameHash().add("split").add(purpose).value()};
}

/// Positives and negatives of training and test, on their way to a Split.
struct Parts {
  std::vector<Edge> train_positives;
  std::vector<Edge> test_positives;
  std::vector<Edge> train_negatives;
  std::vector<Edge> test_negatives;
  std::vector<std::string> notes;
};

struct Names {
  explicit Names(const store::DatasetHeader& dataset) {
    keys.reserve(dataset.genes.size());
    for (const std::string& gene : dataset.genes) {
      keys.push_back(base::symbol_key(gene));
    }
  }
  bool before(const Edge& a, const Edge& b) const {
    return std::tie(keys[a.tf], keys[a.gene]) < std::tie(keys[b.tf], keys[b.gene]);
  }
  std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> genes) const {
    std::sort(genes.begin(), genes.end(),
              [&](std::uint32_t a, std::uint32_t b) { return keys[a] < keys[b]; });
    genes.erase(std::unique(genes.begin(), genes.end()), genes.end());
    return genes;
  }
  std::vector<std::string> keys;  ///< per gene of the dataset
};

std::vector<std::uint32_t> union_of(std::vector<std::uint32_t> a, const std::vector<std::uint32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

/// The lists between which negatives are drawn, by symbol.
struct NodeLists {
  std::vector<std::uint32_t> tfs;
  std::vector<std::uint32_t> genes;
};

NodeLists node_lists(const Names& names, const RestrictedNetwork& network, Negatives rule) {
  NodeLists lists{network.tfs, network.genes};
  if (rule == Negatives::multignn || rule == Negatives::all) {
    lists.tfs = names.sorted(union_of(network.tf_list, network.tfs));
    lists.genes = network.candidates;
    if (rule == Negatives::multignn) {
      std::vector<char> is_tf(names.keys.size(), 0);
      for (const std::uint32_t tf : lists.tfs) {
        is_tf[tf] = 1;
      }
      std::erase_if(lists.genes, [&](std::uint32_t gene) { return is_tf[gene] != 0; });
    }
  }
  return {names.sorted(lists.tfs), names.sorted(lists.genes)};
}

/// Eq. 11: the share of positives in a test set.
double test_positive_share(const RestrictedNetwork& network) {
  return 2 * network.density();
}

std::uint64_t test_negatives_wanted(const RestrictedNetwork& network, std::uint64_t positives,
                                    std::vector<std::string>& notes) {
  const double share = test_positive_share(network);
  const double wanted = static_cast<double>(positives) * (1 - share) / share;
  if (wanted < 1) {
    notes.push_back(
        "The network is so dense that eq. 11 leaves no room for test negatives (share of positives " +
        std::to_string(share) + "); the test set gets as many negatives as positives.");
    return positives;
  }
  return static_cast<std::uint64_t>(std::llround(wanted));
}

void note_shortfall(const char* set, std::uint64_t wanted, std::uint64_t got,
                    std::vector<std::string>& notes) {
  if (got < wanted) {
    notes.push_back("Too few candidates for negatives: the " + std::string(set) + " set has " +
                    std::to_string(got) + " instead of " + std::to_string(wanted) + ".");
  }
}

/// Marks the nodes to hold out: in random order, each that still fits into a fifth of the edges. Nodes
/// without edges, which can only occur in negatives, are held out by the fifth.
std::vector<char> held_out(const std::vector<std::uint32_t>& nodes, const std::vector<std::uint32_t>& degree,
                           std::uint64_t edges, std::size_t genes, base::PhiloxStream& random) {
  std::vector<char> held(genes, 0);
  std::vector<std::uint32_t> order = nodes;
  base::shuffle(order, random);
  std::vector<std::uint32_t> bare;
  std::uint64_t open = std::max<std::uint64_t>(edges / 5, 1);
  std::uint32_t smallest = 0;
  bool any = false;
  bool found = false;
  for (const std::uint32_t node : order) {
    if (degree[node] == 0) {
      bare.push_back(node);
      continue;
    }
    if (!found || degree[node] < degree[smallest]) {
      smallest = node;
      found = true;
    }
    if (degree[node] <= open) {
      open -= degree[node];
      held[node] = 1;
      any = true;
    }
  }
  if (!any && found) {
    held[smallest] = 1;
  }
  for (std::size_t i = 0; i < bare.size() / 5; ++i) {
    held[bare[i]] = 1;
  }
  return held;
}

/// A node list without its held-out nodes, or those alone.
std::vector<std::uint32_t> part_of(const std::vector<std::uint32_t>& nodes, const std::vector<char>& held,
                                   bool wanted) {
  std::vector<std::uint32_t> result;
  std::copy_if(nodes.begin(), nodes.end(), std::back_inserter(result),
               [&](std::uint32_t node) { return (held[node] != 0) == wanted; });
  return result;
}

void draw_uniform_negatives(const RestrictedNetwork& network, const NodeLists& lists,
                            const SplitOptions& options, const std::vector<char>& held, Parts& parts) {
  const std::uint64_t train_wanted = parts.train_positives.size();
  const std::uint64_t test_wanted = test_negatives_wanted(network, parts.test_positives.size(), parts.notes);
  auto random = stream(options.seed, "negatives");
  if (options.by == SplitBy::edge) {
    auto drawn =
        CandidatePairs(lists.tfs, lists.genes, network.edges).draw(train_wanted + test_wanted, random);
    const auto cut =
        drawn.begin() + static_cast<std::ptrdiff_t>(std::min<std::uint64_t>(train_wanted, drawn.size()));
    parts.train_negatives.assign(drawn.begin(), cut);
    parts.test_negatives.assign(cut, drawn.end());
  } else {
    const bool by_tf = options.by == SplitBy::tf_heldout;
    const auto candidates = [&](bool test) {
      return CandidatePairs(by_tf ? part_of(lists.tfs, held, test) : lists.tfs,
                            by_tf ? lists.genes : part_of(lists.genes, held, test), network.edges);
    };
    parts.train_negatives = candidates(false).draw(train_wanted, random);
    parts.test_negatives = candidates(true).draw(test_wanted, random);
  }
  note_shortfall("training", train_wanted, parts.train_negatives.size(), parts.notes);
  note_shortfall("test", test_wanted, parts.test_negatives.size(), parts.notes);
}

/// Degrees of a set of edges by position in the node lists.
struct Degrees {
  Degrees(std::size_t tfs, std::size_t genes) : tf(tfs, 0), gene(genes, 0) {}
  Degrees times(std::uint32_t factor) const {
    Degrees result = *this;
    for (auto* values : {&result.tf, &result.gene}) {
      for (std::uint32_t& value : *values) {
        value *= factor;
      }
    }
    return result;
  }
  std::vector<std::uint32_t> tf;
  std::vector<std::uint32_t> gene;
};

void draw_degree_matched_negatives(const NodeLists& lists, const SplitOptions& options,
                                   std::size_t genes_of_dataset, Parts& parts) {
  std::vector<std::uint32_t> tf_position(genes_of_dataset, 0);
  std::vector<std::uint32_t> gene_position(genes_of_dataset, 0);
  for (std::uint32_t i = 0; i < lists.tfs.size(); ++i) {
    tf_position[lists.tfs[i]] = i;
  }
  for (std::uint32_t i = 0; i < lists.genes.size(); ++i) {
    gene_position[lists.genes[i]] = i;
  }
  AllowedPairs allowed(lists.tfs.size(), lists.genes.size());
  for (const std::uint32_t tf : lists.tfs) {
    allowed.forbid(tf_position[tf], gene_position[tf]);  // every TF is a node, hence in both lists
  }
  Degrees train(lists.tfs.size(), lists.genes.size());
  Degrees test = train;
  const auto count = [&](const std::vector<Edge>& edges, Degrees& degrees) {
    for (const Edge& edge : edges) {
      allowed.forbid(tf_position[edge.tf], gene_position[edge.gene]);
      ++degrees.tf[tf_position[edge.tf]];
      ++degrees.gene[gene_position[edge.gene]];
    }
  };
  count(parts.train_positives, train);
  count(parts.test_positives, test);

  // No node can have more negatives than candidates.
  std::uint32_t factor = static_cast<std::uint32_t>(lists.tfs.size() + lists.genes.size());
  std::vector<std::uint32_t> gene_room(lists.genes.size(), 0);
  for (std::size_t t = 0; t < lists.tfs.size(); ++t) {
    std::uint32_t room = 0;
    for (std::size_t g = 0; g < lists.genes.size(); ++g) {
      const std::uint32_t one = allowed(t, g) ? 1 : 0;
      room += one;
      gene_room[g] += one;
    }
    factor = std::min(factor, room / (train.tf[t] + test.tf[t]));
  }
  for (std::size_t g = 0; g < lists.genes.size(); ++g) {
    if (train.gene[g] + test.gene[g] > 0) {
      factor = std::min(factor, gene_room[g] / (train.gene[g] + test.gene[g]));
    }
  }

  const auto as_edges = [&](const PairPositions& positions) {
    std::vector<Edge> edges;
    for (const auto& [t, g] : positions) {
      edges.push_back({lists.tfs[t], lists.genes[g]});
    }
    return edges;
  };
  auto random = stream(options.seed, "degree-matched negatives");
  for (factor = std::max(factor, 1u);; --factor) {
    const auto complete = [&](const PairPositions& pairs, const std::vector<Edge>& positives) {
      return pairs.size() == factor * positives.size();
    };
    // Whichever set comes second has less to choose from; both orders are tried before a factor is given up.
    for (const bool test_first : {true, false}) {
      const Degrees first_degrees = (test_first ? test : train).times(factor);
      const Degrees second_degrees = (test_first ? train : test).times(factor);
      auto first = pairs_with_degrees(allowed, first_degrees.tf, first_degrees.gene, random);
      AllowedPairs left = allowed;
      for (const auto& [t, g] : first) {
        left.forbid(t, g);
      }
      auto second = pairs_with_degrees(left, second_degrees.tf, second_degrees.gene, random);
      const PairPositions& train_pairs = test_first ? second : first;
      const PairPositions& test_pairs = test_first ? first : second;
      const bool exact =
          complete(train_pairs, parts.train_positives) && complete(test_pairs, parts.test_positives);
      if (!exact && (factor > 1 || test_first)) {
        continue;
      }
      parts.train_negatives = as_edges(train_pairs);
      parts.test_negatives = as_edges(test_pairs);
      parts.notes.push_back("Degree-matched negatives: " + std::to_string(factor) +
                            " per positive in training and in test" +
                            (exact ? ", every TF and gene matched exactly." : "."));
      note_shortfall("training", parts.train_positives.size(), parts.train_negatives.size(), parts.notes);
      note_shortfall("test", parts.test_positives.size(), parts.test_negatives.size(), parts.notes);
      return;
    }
  }
}

}  // namespace

void sort_pairs(std::vector<LabelledPair>& pairs, const store::DatasetHeader& dataset) {
  const Names names(dataset);
  std::sort(pairs.begin(), pairs.end(), [&](const LabelledPair& a, const LabelledPair& b) {
    if (a.set != b.set) {
      return a.set < b.set;
    }
    if (a.label != b.label) {
      return a.label > b.label;
    }
    return names.before({a.tf, a.gene}, {b.tf, b.gene});
  });
}

void hold_out_validation(std::vector<LabelledPair>& pairs, double share, std::uint64_t seed) {
  if (!(share >= 0 && share < 1)) {
    throw base::UsageError({.what = "illegal share of validation pairs",
                            .file = "train.validation",
                            .expected = "a number in [0, 1)",
                            .got = std::to_string(share),
                            .hint = "Set train.validation to 0.1, or to 0 for none."});
  }
  for (const std::uint8_t label : {std::uint8_t{1}, std::uint8_t{0}}) {
    std::vector<std::size_t> members;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      if (pairs[i].set == Set::train && pairs[i].label == label) {
        members.push_back(i);
      }
    }
    auto random = stream(seed, label == 1 ? "validation positives" : "validation negatives");
    base::shuffle(members, random);
    const auto count = static_cast<std::size_t>(std::llround(share * static_cast<double>(members.size())));
    for (std::size_t i = 0; i < count; ++i) {
      pairs[members[i]].set = Set::validation;
    }
  }
}

Split draw_split(const store::DatasetHeader& dataset, const RestrictedNetwork& network,
                 const SplitOptions& options) {
  const Names names(dataset);
  std::vector<Edge> edges = network.edges;
  std::sort(edges.begin(), edges.end(), [&](const Edge& a, const Edge& b) { return names.before(a, b); });
  const NodeLists lists = node_lists(names, network, options.negatives);

  Parts parts;
  std::vector<char> held;
  auto random = stream(options.seed, "positives");
  if (options.by == SplitBy::edge) {
    base::shuffle(edges, random);
    const auto cut = edges.begin() + static_cast<std::ptrdiff_t>(edges.size() * 4 / 5);
    parts.train_positives.assign(edges.begin(), cut);
    parts.test_positives.assign(cut, edges.end());
  } else {
    const bool by_tf = options.by == SplitBy::tf_heldout;
    std::vector<std::uint32_t> degree(dataset.genes.size(), 0);
    std::vector<std::uint32_t> nodes = by_tf ? lists.tfs : lists.genes;
    for (const Edge& edge : edges) {
      const std::uint32_t node = by_tf ? edge.tf : edge.gene;
      ++degree[node];
      nodes.push_back(node);  // multignn's list of genes lacks those targets that are TFs
    }
    held = held_out(names.sorted(nodes), degree, edges.size(), dataset.genes.size(), random);
    for (const Edge& edge : edges) {
      const bool test = held[by_tf ? edge.tf : edge.gene] != 0;
      (test ? parts.test_positives : parts.train_positives).push_back(edge);
    }
    parts.notes.push_back(std::string(by_tf ? "Held-out TFs" : "Held-out genes") + " carry " +
                          std::to_string(parts.test_positives.size()) + " of " +
                          std::to_string(edges.size()) + " edges.");
  }
  if (parts.train_positives.empty() || parts.test_positives.empty()) {
    throw base::DataError(
        {.what = "the restricted network has too few edges to be divided",
         .expected = "at least one edge in training and one in test",
         .got = std::to_string(edges.size()) + " edges of " + std::to_string(network.tfs.size()) + " TFs",
         .hint = "Raise data.genes, or use pairs.split = edge."});
  }
  if (options.negatives == Negatives::degree_matched) {
    draw_degree_matched_negatives(lists, options, dataset.genes.size(), parts);
  } else {
    draw_uniform_negatives(network, lists, options, held, parts);
  }

  Split split;
  split.notes = std::move(parts.notes);
  const auto append = [&](const std::vector<Edge>& from, std::uint8_t label, Set set) {
    for (const Edge& edge : from) {
      split.pairs.push_back({.tf = edge.tf, .gene = edge.gene, .label = label, .set = set});
    }
  };
  append(parts.train_positives, 1, Set::train);
  append(parts.train_negatives, 0, Set::train);
  append(parts.test_positives, 1, Set::test);
  append(parts.test_negatives, 0, Set::test);
  sort_pairs(split.pairs, dataset);
  hold_out_validation(split.pairs, options.validation, options.seed);
  sort_pairs(split.pairs, dataset);
  return split;
}

}  // namespace mgrn::pairs
