// SPDX-License-Identifier: Apache-2.0
// A network for a user: every candidate (TF, gene) pair scored by a finished run's weights, best first.
#pragma once

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
  std::filesystem::path out = {};      ///< folder, made when absent
};

/// Collective. `settings` are the run's own (its config.ini). Candidates: the TFs of data.tfs times the genes
/// of the gene set, without self-pairs; pairs without a cell that expresses both are left out and counted.
/// Rank 0 writes out/rankedEdges.csv (TAB; Gene1 Gene2 EdgeWeight; ties by symbol) and out/network.graphml.
/// Returns the counts, on every rank. Byte-identical on any number of ranks and threads. Errors: DataError (a
/// run without weights, another model shape, a dataset without the genes), OutputError, Stopped.
base::Json run_prediction(const Settings& settings, const PredictRequest& request,
                          comm::Communicator& communicator);

}  // namespace mgrn::train
