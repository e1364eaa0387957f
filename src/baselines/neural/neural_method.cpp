// SPDX-License-Identifier: Apache-2.0
#include "neural_method.hpp"

#include <optional>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::baselines {
namespace {

void require(bool holds, const std::string& what, const std::string& key, const std::string& expected,
             const std::string& got) {
  if (!holds) {
    throw base::UsageError({.what = what,
                            .file = key,
                            .expected = expected,
                            .got = got,
                            .hint = "set " + key + " = " + expected + ", or leave it out"});
  }
}

}  // namespace

void check_neural_settings(const std::string& method, const train::Settings& settings) {
  require(settings.device != "cuda", method + " is computed on the processor only", "train.device", "cpu",
          settings.device);
  require(settings.engine.kind == "auto", method + " has one engine, LibTorch's", "train.engine", "auto",
          settings.engine.kind);
  require(settings.engine.isa == "auto", method + " has the instruction set that LibTorch chooses",
          "train.isa", "auto", settings.engine.isa);
  require(settings.adam.freeze == train::Freeze::none, method + " has no part that can be frozen",
          "train.freeze", "none", settings.adam.freeze == train::Freeze::encoder ? "encoder" : "predictor");
  require(!settings.context.cell && !settings.context.gene, method + " takes no context features",
          "model.context", "none", "context features");
  require(settings.pair_cells == pairs::PairCells::both, method + " looks at all cells whatever the pair",
          "pairs.cells", "both", settings.pair_cells == pairs::PairCells::all ? "all" : "either");
  const std::string one = method + " looks at all cells of a pair, which gives it one sample";
  require(settings.augment == 1, one, "pairs.augment", "1", std::to_string(settings.augment));
  require(settings.votes == 1, one, "predict.votes", "1", std::to_string(settings.votes));
}

std::unique_ptr<pairs::SampleSource> load_neural_samples(
    const std::string& method, const std::filesystem::path& file, std::vector<std::uint32_t> genes,
    Values chosen, Values own, comm::Communicator& communicator,
    const std::function<void(const store::Dataset&)>& check, const MakeSamples& make) {
  std::optional<store::Dataset> dataset;
  Values values = chosen;
  comm::agree(communicator, [&] {
    dataset.emplace(file);
    check(*dataset);
    values = resolve_values(chosen, own, *dataset);
    if (values == Values::source && own != Values::source) {
      base::info(method + ": the source's values are taken as they are");
    }
  });
  const CellValues columns(*dataset, genes, values, communicator);
  return make(columns.cells(), std::move(genes),
              [&](std::uint32_t gene, std::span<double> out) { columns.read(gene, out); });
}

}  // namespace mgrn::baselines
