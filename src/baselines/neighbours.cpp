// SPDX-License-Identifier: Apache-2.0
// Paths of three training edges from the TF to the gene: a TF's other genes, their other TFs, those TFs'
// genes. What a score reaches that knows which genes share TFs, and sees neither expression nor how popular a
// gene is alone. Paths of length three predict links where neighbours in common cannot (Kovacs et al. 2019,
// doi 10.1038/s41467-019-09177-y); each edge is divided by the roots of its ends' degrees, so that hubs do
// not carry all paths.
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "method_list.hpp"

namespace mgrn::baselines {
namespace {

/// Nodes that are joined to a node, ascending, with the weights of their edges.
struct Neighbours {
  std::vector<std::uint32_t> node;
  std::vector<double> weight;
};

class PathScorer : public PairScorer {
 public:
  explicit PathScorer(const Problem& problem)
      : genes_of_(problem.header.genes.size()), tfs_of_(genes_of_.size()) {
    for (const auto& pair : problem.split.pairs) {
      if (pair.set != pairs::Set::test && pair.label == 1) {
        genes_of_[pair.tf].node.push_back(pair.gene);
        tfs_of_[pair.gene].node.push_back(pair.tf);
      }
    }
    weigh(genes_of_, tfs_of_);
    weigh(tfs_of_, genes_of_);
    for (const std::uint32_t tf : problem.regulators) {
      paths_.emplace(tf, paths_from(tf));
    }
  }

  double score(std::uint32_t tf, std::uint32_t gene) const override {
    const auto found = paths_.find(tf);
    return found == paths_.end() || found->second.empty() ? 0 : found->second[gene];
  }

 private:
  static void weigh(std::vector<Neighbours>& nodes, const std::vector<Neighbours>& others) {
    for (Neighbours& mine : nodes) {
      for (const std::uint32_t other : mine.node) {
        mine.weight.push_back(1 / std::sqrt(static_cast<double>(mine.node.size()) *
                                            static_cast<double>(others[other].node.size())));
      }
    }
  }

  /// By gene; empty where the TF has no edge.
  std::vector<double> paths_from(std::uint32_t tf) const {
    const Neighbours& mine = genes_of_[tf];
    if (mine.node.empty()) {
      return {};
    }
    std::vector<double> to_tf(genes_of_.size());
    for (std::size_t i = 0; i < mine.node.size(); ++i) {
      const Neighbours& sharing = tfs_of_[mine.node[i]];
      for (std::size_t j = 0; j < sharing.node.size(); ++j) {
        to_tf[sharing.node[j]] += mine.weight[i] * sharing.weight[j];
      }
    }
    std::vector<double> to_gene(genes_of_.size());
    for (std::size_t other = 0; other < to_tf.size(); ++other) {
      const Neighbours& theirs = genes_of_[other];
      for (std::size_t i = 0; to_tf[other] != 0 && i < theirs.node.size(); ++i) {
        to_gene[theirs.node[i]] += to_tf[other] * theirs.weight[i];
      }
    }
    return to_gene;
  }

  std::vector<Neighbours> genes_of_;  // by TF
  std::vector<Neighbours> tfs_of_;    // by gene
  std::unordered_map<std::uint32_t, std::vector<double>> paths_;
};

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator&) {
  return std::make_unique<PathScorer>(problem);
}

}  // namespace

Method neighbours_method() {
  return {.name = "neighbours",
          .summary =
              "paths of three training edges from the TF to the gene, each edge over the roots of its ends' "
              "degrees",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
