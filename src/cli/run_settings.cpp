// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/run_settings.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/parse.hpp"

namespace mgrn::cli {

train::Settings settings_of_finished_run(const std::filesystem::path& run) {
  const auto file = run / "config.ini";
  if (!std::filesystem::exists(file)) {
    throw base::DataError(
        {.what = "not the folder of a run",
         .file = run.string(),
         .expected = "config.ini in it",
         .got = std::filesystem::is_directory(run) ? "a folder without it" : "no such folder",
         .hint = "give the folder that `train` or `finetune` made; of repeated runs one of "
                 "its run-N"});
  }
  Invocation invocation;
  parse({"train", "--config", file.string()}, invocation);
  invocation.config.train.out = run;
  return invocation.config.train;
}

}  // namespace mgrn::cli
