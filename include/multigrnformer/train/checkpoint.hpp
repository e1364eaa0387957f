// SPDX-License-Identifier: Apache-2.0
// Checkpoints: DIR/checkpoints/step-XXXXXXXXX/ with model.safetensors, optimizer.safetensors and
// manifest.json (sizes and SHA-256 of both, the state's numbers, whose work it is, and a SHA-256 of all
// that). Written as a folder that is wholly there or not at all, taken away likewise; verified before use.
// Rank 0 alone touches the disk; restoring hands the state to all ranks, so the number of ranks may change
// between the parts of a run.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/train/training_state.hpp"

namespace mgrn::train {

/// Whose work a checkpoint is: a run goes on from a checkpoint only when all agree but the build and, between
/// processor and GPU, the engine.
struct Identity {
  std::string config_text;                    ///< resolved config.ini
  std::string engine;                         ///< Engine::name(); on the other kind of device a warning
  std::map<std::string, std::string> inputs;  ///< datasets, split, initial weights: name -> digest
  std::string build_id;                       ///< another one is warned about: rounding may differ
};

class CheckpointStore {
 public:
  /// `run` is the run's folder; of the checkpoints up to the one last written, the newest `keep` stay.
  CheckpointStore(const std::filesystem::path& run, int keep);

  /// Not collective: rank 0 calls it, on any thread, one at a time. Durable when it returns. Throws
  /// OutputError; nothing half-written stays then, and the checkpoints that were there do.
  void write(const TrainingState& state, const Identity& identity);

  /// Collective. Fills `state` from the newest checkpoint that verifies, on every rank; broken ones are
  /// warned about by name and passed over. False, `state` untouched, when there is none. Throws UsageError,
  /// naming the key, when the checkpoint was made with other settings, and DataError for other inputs.
  bool restore(comm::Communicator& communicator, const Identity& identity, TrainingState& state) const;

  /// Whether there is any checkpoint, broken or not. Not collective.
  bool any() const;
  /// Engine::name() of the newest checkpoint whose manifest can be read, its checksums unseen; empty where
  /// there is none. Not collective.
  std::string newest_engine() const;
  std::filesystem::path folder_of(std::int64_t step) const;

 private:
  void remove_others(std::int64_t newest) const;
  std::error_code remove_checkpoint(std::int64_t step) const;

  std::filesystem::path folder_;
  int keep_;
};

/// Throws UsageError, naming the folder, when two resolved configs differ in a key that is not `ignored`.
void require_same_config(const std::string& before, const std::string& now,
                         const std::filesystem::path& folder, std::span<const std::string_view> ignored);

}  // namespace mgrn::train
