// SPDX-License-Identifier: Apache-2.0
// Labelled pairs and their division into training, validation and test (paper section 2.4, eq. 11).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "multigrnformer/pairs/gene_set.hpp"

namespace mgrn::pairs {

enum class Set : std::uint8_t { train, validation, test };
enum class Negatives { network, multignn, degree_matched, all };
enum class SplitBy { edge, tf_heldout, gene_heldout };

// Negatives are pairs that are no edge and no self-loop:
//   network         TF and gene among the network's nodes;
//   multignn        TF of the TF list or the network, gene of the gene set that is neither;
//   all             TF of the TF list or the network, any gene of the gene set;
//   degree_matched  among the network's nodes, such that in training and in test every TF and every gene
//                   occurs in m times as many negatives as positives, m the largest whole number possible.
// Train gets as many negatives as positives (degree_matched: m times), test as many as eq. 11 says.
// SplitBy: `edge` puts 4/5 of the edges into training; with the others whole TFs (genes) with about 1/5 of
// the edges are held out, and no training pair, positive or negative, has one of them as its TF (gene).

/// A pair of genes of one dataset, with its label.
struct LabelledPair {
  std::uint32_t tf = 0;  ///< index into the dataset's genes
  std::uint32_t gene = 0;
  std::uint8_t label = 0;  ///< 1: an edge of the ground truth
  Set set = Set::train;
};

struct SplitOptions {
  Negatives negatives = Negatives::network;
  SplitBy by = SplitBy::edge;
  std::uint64_t seed = 1;
  double validation = 0.1;  ///< share of the training pairs, stratified by label
  int folds = 0;            ///< cross-validation (folds.hpp): parts of the training pairs; 0: none
  int fold = 0;             ///< the one that is tested on, from 1
};

struct Split {
  std::vector<LabelledPair> pairs;  ///< sorted by set, label (1 first), TF symbol, gene symbol
  std::vector<std::string> notes;   ///< what had to give way, in sentences for the log
};

/// Draws positives' division and negatives. A function of network, options and symbols alone: neither the
/// order of the network file nor genes outside the candidates matter. Throws DataError when there are not
/// enough edges to divide; UsageError for a validation share outside [0, 1). Too few candidates: a note.
Split draw_split(const store::DatasetHeader& dataset, const RestrictedNetwork& network,
                 const SplitOptions& options);

/// `tf,gene,label,set`. Reading matches symbols ignoring case; pairs whose symbols the dataset lacks are
/// dropped with a note. Where the file has no validation rows, `validation` of the training pairs become such
/// (stratified, by seed). Throws DataError: missing columns, an unknown set, a label other than 0 and 1, a
/// repeated pair (each with its line), nothing left to train on or to test.
void write_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, const Split& split);
Split read_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, std::uint64_t seed,
                 double validation);

}  // namespace mgrn::pairs
