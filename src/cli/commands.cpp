// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/command.hpp"

namespace mgrn::cli {

const std::vector<Command>& commands() {
  static const std::vector<Command> list = {
      simulate_command(), prepare_command(),  inspect_command(),  train_command(),   pretrain_command(),
      finetune_command(), baseline_command(), evaluate_command(), predict_command(), sample_command(),
      grid_command(),     report_command(),   bench_command(),    doctor_command(),
  };
  return list;
}

}  // namespace mgrn::cli
