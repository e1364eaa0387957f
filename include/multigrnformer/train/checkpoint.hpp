// SPDX-License-Identifier: Apache-2.0
// Checkpoints: DIR/checkpoints/step-XXXXXXXXX/ with model.safetensors, optimizer.safetensors and
// manifest.json (sizes and SHA-256 of both, the state's numbers, and whose work it is). Written as a folder
// that is wholly there or not at all; verified before use. Rank 0 alone touches the disk; restoring hands the
// state to all ranks, so the number of ranks may change between the parts of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/training_state.hpp"

namespace mgrn::train {

/// Whose work a checkpoint is: a run goes on from a checkpoint only when all but the build agree.
struct Identity {
  std::string config_text;                    ///< resolved config.ini
  std::string engine;                         ///< Engine::name()
  std::map<std::string, std::string> inputs;  ///< datasets, split, initial weights: name -> digest
  std::string build_id;                       ///< another one is warned about: rounding may differ
};

class CheckpointStore {
 public:
  /// `run` is the run's folder; the newest `keep` checkpoints stay.
  CheckpointStore(const std::filesystem::path& run, int keep);

  /// Not collective: rank 0 calls it. Durable when it returns. Throws OutputError.
  void write(const TrainingState& state, const Identity& identity);

  /// Collective. Fills `state` from the newest checkpoint that verifies, on every rank; broken ones are
  /// warned about by name and passed over. False, `state` untouched, when there is none. Throws UsageError,
  /// naming the key, when the checkpoint was made with other settings, and DataError for other inputs.
  bool restore(comm::Communicator& communicator, const Identity& identity, TrainingState& state) const;

  /// Whether there is any checkpoint, broken or not. Not collective.
  bool any() const;
  std::filesystem::path folder_of(std::int64_t step) const;

 private:
  void remove_old() const;

  std::filesystem::path folder_;
  int keep_;
};

/// Throws UsageError, naming the folder, when two resolved configs differ in a key that is not `ignored`.
void require_same_config(const std::string& before, const std::string& now,
                         const std::filesystem::path& folder, std::span<const std::string_view> ignored);

}  // namespace mgrn::train
