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
  const auto keys = read_ini(file);
  const auto method = keys.find("method");
  Invocation invocation;
  parse({method == keys.end() ? "train" : "baseline", "--config", file.string()}, invocation);
  if (method != keys.end() && !invocation.config.train.method) {
    throw base::DataError(
        {.what = "this run has no trained network",
         .file = run.string(),
         .expected = "a run of `train`, `finetune`, or of `baseline` with a method that trains",
         .got = "method = " + method->second,
         .hint = "its ranking of all pairs is rankedEdges.csv in the same folder"});
  }
  invocation.config.train.out = run;
  return invocation.config.train;
}

}  // namespace mgrn::cli
