// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/degree_matched.hpp"

#include <algorithm>
#include <numeric>

namespace mgrn::pairs {

namespace {

/// A set of pairs on its way to the prescribed degrees.
class Matching {
 public:
  Matching(const AllowedPairs& allowed, const std::vector<std::uint32_t>& tf_degree,
           const std::vector<std::uint32_t>& gene_degree)
      : allowed_(allowed),
        tf_open_(tf_degree),
        gene_open_(gene_degree),
        used_(tf_degree.size() * gene_degree.size(), 0) {}

  /// Gale and Ryser's order: the largest TF first, each taking the genes with most left to give; ties at
  /// random. Close to the maximum, so that few augmenting paths remain.
  void fill(base::PhiloxStream& random) {
    std::vector<std::uint32_t> tfs(tf_open_.size());
    std::iota(tfs.begin(), tfs.end(), 0u);
    base::shuffle(tfs, random);
    std::stable_sort(tfs.begin(), tfs.end(),
                     [&](std::uint32_t a, std::uint32_t b) { return tf_open_[a] > tf_open_[b]; });
    for (const std::uint32_t tf : tfs) {
      std::vector<std::uint32_t> genes;
      for (std::uint32_t gene = 0; gene < gene_open_.size(); ++gene) {
        if (gene_open_[gene] > 0 && allowed_(tf, gene)) {
          genes.push_back(gene);
        }
      }
      base::shuffle(genes, random);
      std::stable_sort(genes.begin(), genes.end(),
                       [&](std::uint32_t a, std::uint32_t b) { return gene_open_[a] > gene_open_[b]; });
      genes.resize(std::min<std::size_t>(genes.size(), tf_open_[tf]));
      for (const std::uint32_t gene : genes) {
        used(tf, gene) = 1;
        --tf_open_[tf];
        --gene_open_[gene];
      }
    }
  }

  /// Until no TF with an open degree has an alternating path to a gene with one: the set is then largest.
  void augment() {
    for (std::uint32_t tf = 0; tf < tf_open_.size(); ++tf) {
      while (tf_open_[tf] > 0 && augment_from(tf)) {
      }
    }
  }

  PairPositions pairs() const {
    PairPositions result;
    for (std::uint32_t tf = 0; tf < tf_open_.size(); ++tf) {
      for (std::uint32_t gene = 0; gene < gene_open_.size(); ++gene) {
        if (used_[tf * gene_open_.size() + gene] != 0) {
          result.emplace_back(tf, gene);
        }
      }
    }
    return result;
  }

  /// Markov chain over the sets with the same degrees: (a,b), (c,d) become (a,d), (c,b) where that is
  /// allowed.
  void randomise(base::PhiloxStream& random) {
    PairPositions chosen = pairs();
    if (chosen.size() < 2) {
      return;
    }
    const auto count = static_cast<std::uint32_t>(chosen.size());
    constexpr std::uint64_t kTriesPerPair = 30;
    for (std::uint64_t tries = kTriesPerPair * count; tries > 0; --tries) {
      auto& [a, b] = chosen[random.below(count)];
      auto& [c, d] = chosen[random.below(count)];
      if (a == c || b == d || !allowed_(a, d) || !allowed_(c, b) || used(a, d) != 0 || used(c, b) != 0) {
        continue;
      }
      used(a, b) = used(c, d) = 0;
      used(a, d) = used(c, b) = 1;
      std::swap(b, d);
    }
  }

 private:
  static constexpr std::uint32_t kNone = ~0u;

  std::uint8_t& used(std::uint32_t tf, std::uint32_t gene) { return used_[tf * gene_open_.size() + gene]; }

  /// Breadth first: TF to gene over unused allowed pairs, gene to TF over used ones.
  bool augment_from(std::uint32_t start) {
    std::vector<std::uint32_t> gene_came_from(gene_open_.size(), kNone);
    std::vector<std::uint32_t> tf_came_from(tf_open_.size(), kNone);
    std::vector<std::uint32_t> queue{start};
    for (std::size_t head = 0; head < queue.size(); ++head) {
      const std::uint32_t tf = queue[head];
      for (std::uint32_t gene = 0; gene < gene_open_.size(); ++gene) {
        if (gene_came_from[gene] != kNone || !allowed_(tf, gene) || used(tf, gene) != 0) {
          continue;
        }
        gene_came_from[gene] = tf;
        if (gene_open_[gene] > 0) {
          flip_path(start, gene, gene_came_from, tf_came_from);
          return true;
        }
        for (std::uint32_t other = 0; other < tf_open_.size(); ++other) {
          if (other != start && tf_came_from[other] == kNone && used(other, gene) != 0) {
            tf_came_from[other] = gene;
            queue.push_back(other);
          }
        }
      }
    }
    return false;
  }

  void flip_path(std::uint32_t start, std::uint32_t gene, const std::vector<std::uint32_t>& gene_came_from,
                 const std::vector<std::uint32_t>& tf_came_from) {
    --gene_open_[gene];
    --tf_open_[start];
    while (true) {
      const std::uint32_t tf = gene_came_from[gene];
      used(tf, gene) = 1;
      if (tf == start) {
        return;
      }
      gene = tf_came_from[tf];
      used(tf, gene) = 0;
    }
  }

  const AllowedPairs& allowed_;
  std::vector<std::uint32_t> tf_open_;  // how many pairs are still missing
  std::vector<std::uint32_t> gene_open_;
  std::vector<std::uint8_t> used_;
};

}  // namespace

PairPositions pairs_with_degrees(const AllowedPairs& allowed, const std::vector<std::uint32_t>& tf_degree,
                                 const std::vector<std::uint32_t>& gene_degree, base::PhiloxStream& random) {
  Matching matching(allowed, tf_degree, gene_degree);
  matching.fill(random);
  matching.augment();
  matching.randomise(random);
  return matching.pairs();
}

}  // namespace mgrn::pairs
