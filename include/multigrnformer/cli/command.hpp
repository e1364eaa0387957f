// SPDX-License-Identifier: Apache-2.0
// The sub-commands: what each is called, which keys it takes, what it does.
#pragma once

#include <string>
#include <vector>

#include "multigrnformer/cli/config.hpp"
#include "multigrnformer/cli/key_table.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::cli {

struct Command {
  std::string name;
  std::string summary;     ///< one line for the list of commands
  std::string usage;       ///< what follows the command's name in the usage line
  std::string positional;  ///< key that a bare argument fills, empty: none
  void (*keys)(KeyTable& table, Config& config);
  /// Collective. Throws base::Error.
  void (*run)(Config& config, comm::Communicator& world);
  /// Long work: refused on one rank in a batch job that asked for several.
  bool on_all_ranks = false;
  bool own_config = false;  ///< --config names a file that is no list of keys: the command reads it itself
  /// Fills in defaults that depend on other keys, before config.ini is made; null: there are none. Throws
  /// UsageError.
  void (*complete)(Config& config) = nullptr;
};

/// In the order of a first user's steps.
const std::vector<Command>& commands();

// One file per sub-command.
Command prepare_command();
Command inspect_command();
Command simulate_command();
Command train_command();
Command pretrain_command();
Command finetune_command();
Command baseline_command();
Command evaluate_command();
Command predict_command();
Command sample_command();
Command grid_command();
Command report_command();
Command bench_command();
Command doctor_command();

}  // namespace mgrn::cli
