// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/naming_file.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/evaluate/beeline.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "multigrnformer/evaluate/signed_network.hpp"
#include "multigrnformer/evaluate/stability.hpp"
#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::cli {
namespace {

[[noreturn]] void throw_usage(const std::string& what, const std::string& expected) {
  throw base::UsageError({.what = what,
                          .expected = expected,
                          .hint =
                              "give --run DIR for a run of this program, or --edges F for any tool's ranked "
                              "list"});
}

/// The metrics anew from predictions.csv and split.csv, not a copy of result.json.
base::Json evaluate_run(const EvaluateOptions& options) {
  if (!std::filesystem::exists(options.run / "predictions.csv")) {
    const bool repeats = std::filesystem::exists(options.run / "run-1");
    throw base::DataError({.what = "no finished run",
                           .file = options.run.string(),
                           .expected = "predictions.csv in it",
                           .got = repeats ? "repeated runs" : "none",
                           .hint = repeats ? "give one of its run-N; summary.json holds mean and SD"
                                           : "give the folder that `train` or `finetune` made; start an "
                                             "unfinished run again with the same command"});
  }
  const auto scored = evaluate::read_predictions(options.run / "predictions.csv");
  const auto split = evaluate::read_split_pairs(options.run / "split.csv");
  const base::Json stored = base::read_json(options.run / "result.json");
  base::Json result = evaluate::to_json(
      evaluate::evaluate_pairs(scored, split.training_positives, stored.value("seed", std::uint64_t{0})));
  if (stored.contains("method")) {
    // A baseline scores pairs without cells too: which they are cannot be told from its predictions.
    result.erase("with_cells");
    result.erase("n_without_cells");
    result["method"] = stored["method"];
  }
  return result;
}

evaluate::BeelineOptions beeline_options(const EvaluateOptions& options) {
  if (options.network.empty()) {
    throw_usage("protocol " + options.protocol + " needs the reference network", "--network CSV");
  }
  evaluate::BeelineOptions beeline;
  beeline.early_tf_only = !options.all_regulators;
  if (!options.tfs.empty()) {
    beeline.regulators = formats::read_tf_list(options.tfs);
  }
  return beeline;
}

base::Json evaluate_agreement(const EvaluateOptions& options) {
  const auto beeline = beeline_options(options);
  std::vector<formats::EdgeTable> lists;
  for (const auto& file : options.edges) {
    lists.push_back(evaluate::read_ranked_list(file));
  }
  const auto network = formats::read_network(options.network);
  return evaluate::to_json(evaluate::evaluate_stability(lists, network.edges, beeline));
}

base::Json evaluate_edges(const EvaluateOptions& options) {
  if (options.protocol == "stability") {
    return evaluate_agreement(options);
  }
  if (options.edges.size() != 1) {
    throw_usage("protocol " + options.protocol + " takes one ranked list",
                "one file, or --protocol stability");
  }
  const auto& file = options.edges.front();
  const auto ranked = evaluate::read_ranked_list(file);
  if (options.protocol == "pairs") {
    if (options.split.empty()) {
      throw_usage("protocol pairs needs the labelled pairs", "--split split.csv");
    }
    auto split = evaluate::read_split_pairs(options.split);
    const std::uint64_t listed = evaluate::score_pairs(ranked, split.test);
    base::info(std::to_string(listed) + " of " + std::to_string(split.test.size()) +
               " test pairs are in the list; the others score 0");
    base::Json result = evaluate::to_json(evaluate::evaluate_pairs(split.test, split.training_positives, 0));
    result["protocol"] = "pairs";
    result["pairs_in_list"] = listed;
    return result;
  }
  auto beeline = beeline_options(options);
  beeline.signs = evaluate::read_signed_network(options.network);
  const auto network = formats::read_network(options.network);
  base::Json result = base::naming_file(file.string(), [&] {
    return evaluate::to_json(evaluate::evaluate_beeline(ranked, network.edges, beeline));
  });
  result["protocol"] = "beeline";
  return result;
}

void run(Config& config, comm::Communicator& world) {
  std::string text;
  comm::agree(world, [&] {
    const auto& options = config.evaluate;
    if (options.run.empty() == options.edges.empty()) {
      throw_usage("what is to be evaluated?", "one of --run and --edges");
    }
    if (world.rank() == 0) {
      text = base::json_text(options.run.empty() ? evaluate_edges(options) : evaluate_run(options));
    }
  });
  print_result(world, text);
}

}  // namespace

Command evaluate_command() {
  return {
      .name = "evaluate",
      .summary = "metrics of a run, or of any tool's ranked edges",
      .usage = "--run DIR | --edges F[,F...] --network CSV [--tfs CSV] --protocol {pairs,beeline,stability}",
      .positional = "",
      .keys =
          [](KeyTable& table, Config& config) {
            auto& options = config.evaluate;
            table.file("run", options.run, "folder of a finished run");
            table.files("edges", options.edges,
                        "ranked edges: rankedEdges.csv, or CSV/TSV of TF, gene, weight; several, with "
                        "commas, for protocol stability");
            table.file("network", options.network,
                       "reference network, for protocols beeline and stability; a column Type of + and "
                       "- gives early precision by sign");
            table.file("tfs", options.tfs, "regulators, for early precision's universe");
            table.file("split", options.split, "split.csv with the labelled pairs, for protocol pairs");
            table.choice<std::string>(
                "protocol", options.protocol,
                {{"beeline", "beeline"}, {"pairs", "pairs"}, {"stability", "stability"}},
                "beeline: all ordered pairs of the network's genes; pairs: a split's; stability: how far "
                "several lists agree");
            table.flag("all-regulators", options.all_regulators,
                       "early precision over all ordered pairs instead of regulators x genes");
            add_common_keys(table, config);
          },
      .run = run};
}

}  // namespace mgrn::cli
