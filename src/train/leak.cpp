// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/leak.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/formats/safetensors.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

// split.csv of the run that made the weights: in the same folder, or at the top of the run when the weights
// are those of one of its checkpoints. Empty: none.
fs::path split_beside(const fs::path& weights) {
  const fs::path folder = fs::absolute(weights).lexically_normal().parent_path();
  if (fs::exists(folder / "split.csv")) {
    return folder / "split.csv";
  }
  if (folder.parent_path().filename() == "checkpoints") {
    const fs::path top = folder.parent_path().parent_path() / "split.csv";
    return fs::exists(top) ? top : fs::path();
  }
  return {};
}

}  // namespace

void check_leak(const fs::path& weights, const pairs::PairKeys& test, const std::string& target_id,
                Leak leak) {
  const fs::path split = split_beside(weights);
  if (split.empty()) {
    if (leak == Leak::same_dataset) {
      base::warn("no split.csv lies beside " + weights.string() +
                 ": whether these weights have seen test pairs of this dataset cannot be checked");
      return;
    }
    throw base::DataError({.what = "cannot check that these weights have not seen the test pairs",
                           .file = weights.string(),
                           .expected = "split.csv of the run that made them, in the same folder",
                           .got = "none",
                           .hint = "copy that run's split.csv beside the weights, or set cross.leak = "
                                   "same-dataset to go on without the check"});
  }
  const formats::Table table = formats::Table::read(split);
  const auto& tfs = table.column("tf");
  const auto& genes = table.column("gene");
  const auto& sets = table.column("set");
  const bool named = table.has("dataset");
  // A run on one dataset has no such column; its weights say which dataset it was.
  const auto metadata = formats::read_safetensors(weights).metadata;
  const auto only = metadata.find("datasets");

  std::uint64_t leaked = 0;
  std::string example;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (sets[row] == "test") {
      continue;
    }
    if (leak == Leak::same_dataset) {
      const std::string dataset =
          named ? table.column("dataset")[row] : (only == metadata.end() ? std::string() : only->second);
      if (dataset != target_id) {
        continue;
      }
    }
    if (test.contains(tfs[row], genes[row])) {
      ++leaked;
      if (example.empty()) {
        example = tfs[row] + " -> " + genes[row];
      }
    }
  }
  if (leaked > 0) {
    throw base::DataError(
        {.what = "the weights have been trained on test pairs of this run",
         .file = split.string(),
         .expected = "no pair in common with the " + std::to_string(test.size()) + " test pairs",
         .got = std::to_string(leaked) + " in common, such as " + example,
         .hint = leak == Leak::none
                     ? "pretrain with cross.target and this run's seed, so that its test pairs "
                       "are left out, or set cross.leak = same-dataset"
                     : "pretrain without this dataset, or with cross.target set to it"});
  }
}

}  // namespace mgrn::train
