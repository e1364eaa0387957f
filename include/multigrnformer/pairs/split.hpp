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

/// A pair by symbols as in the dataset file, for files and for comparison across datasets.
struct LabelledPair {
  std::uint32_t tf = 0;    ///< index into the dataset's genes
  std::uint32_t gene = 0;
  std::uint8_t label = 0;  ///< 1: an edge of the ground truth
  Set set = Set::train;
};

struct SplitOptions {
  Negatives negatives = Negatives::network;
  SplitBy by = SplitBy::edge;
  std::uint64_t seed = 1;
  double validation = 0.1;  ///< share of the training pairs, stratified by label
};

struct Split {
  std::vector<LabelledPair> pairs;  ///< sorted by set, label (1 first), TF symbol, gene symbol
  std::vector<std::string> notes;   ///< what had to give way, in sentences for the log
};

/// Draws positives' division and negatives. A function of network, options and symbols alone.
Split draw_split(const store::DatasetHeader& dataset, const RestrictedNetwork& network,
                 const SplitOptions& options);

/// `tf,gene,label,set`. Reading matches symbols ignoring case; pairs whose symbols the dataset lacks are
/// dropped with a note. Where the file has no validation rows, `validation` of the training pairs become such
/// (stratified, by seed).
void write_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, const Split& split);
Split read_split(const std::filesystem::path& file, const store::DatasetHeader& dataset, std::uint64_t seed,
                 double validation);

}  // namespace mgrn::pairs
