// SPDX-License-Identifier: Apache-2.0
// A network for a user: every candidate (TF, gene) pair scored by a finished run's weights, best first.
#pragma once

#include <cstdint>
#include <filesystem>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

struct PredictRequest {
  std::filesystem::path run = {};      ///< folder of a finished run: model.safetensors
  std::filesystem::path dataset = {};  ///< empty: the run's own
  bool known_only = false;             ///< only TFs and genes that occur in the restricted network
  int votes = 5;                       ///< samples averaged per pair
  double precision = 0;                ///< cut-off: expected precision of the edges above it; 0: not by this
  std::uint64_t edges = 0;             ///< cut-off: number of edges; 0: not by this
  double prior = 0;                    ///< share of edges among the candidates; 0: as in the network
  std::filesystem::path out = {};      ///< folder, made when absent
};

/// Collective. `settings` are the run's own (its config.ini). Candidates: the TFs of data.tfs times the genes
/// of the gene set, without self-pairs; pairs without a cell to draw from are left out and counted.
/// Scores are calibrated (settings.calibration) on the validation pairs of the run's split that the dataset
/// has, scored there with as many votes. Rank 0 writes into out: rankedEdges.csv, all pairs (TAB; Gene1 Gene2
/// EdgeWeight; ties by symbol); edges.csv, those above the cut-off with their probabilities; regulons.csv,
/// what that leaves to each TF; network.graphml, all pairs, or those above a cut-off that was asked for.
/// Without `precision` or `edges` the cut-off is at the number of edges that the prior expects. Returns the
/// counts, on every rank. Byte-identical on any number of ranks and threads. Errors: UsageError (both
/// cut-offs, a precision without calibration), DataError (a run without weights, another model shape, a
/// dataset without the genes, too few validation pairs for a precision), OutputError, Stopped.
base::Json run_prediction(const Settings& settings, const PredictRequest& request,
                          comm::Communicator& communicator);

}  // namespace mgrn::train
