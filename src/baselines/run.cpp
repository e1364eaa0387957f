// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/run.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/baselines/expression.hpp"
#include "multigrnformer/baselines/method.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/comm/topology.hpp"
#include "multigrnformer/evaluate/predictions_file.hpp"
#include "multigrnformer/evaluate/report.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/run_folder.hpp"
#include "multigrnformer/train/run_record.hpp"
#include "multigrnformer/train/sources.hpp"
#include "rows.hpp"

namespace mgrn::baselines {
namespace {

namespace fs = std::filesystem;

void sort_and_unite(std::vector<std::uint32_t>& genes, const std::vector<std::uint32_t>& more) {
  genes.insert(genes.end(), more.begin(), more.end());
  std::sort(genes.begin(), genes.end());
  genes.erase(std::unique(genes.begin(), genes.end()), genes.end());
}

/// A run of a method that scores pairs, with what its stages share.
class ScoringRun {
 public:
  ScoringRun(const train::Settings& settings, const Options& options, const Method& method,
             comm::Communicator& communicator)
      : settings_(settings),
        options_(options),
        method_(method),
        communicator_(communicator),
        folder_(settings.out) {}

  base::Json perform() {
    comm::agree(communicator_, [&] { check(); });
    comm::require_same(communicator_, "the run's settings",
                       settings_.config_text + "\nmethod = " + method_.name +
                           "\nbuild = " + train::build_id() + "\nC library = " + train::c_library() + "\n");
    if (auto result = train::finished_result(folder_, settings_, communicator_)) {
      return *result;
    }
    auto [source, matrices] = train::load_labelled_source(settings_, communicator_);
    base::info("baseline " + method_.name + ": " + std::to_string(count(source, pairs::Set::train)) +
               " training, " + std::to_string(count(source, pairs::Set::validation)) + " validation, " +
               std::to_string(count(source, pairs::Set::test)) + " test pairs");
    on_root([&] { folder_.lock(); });
    // Another job may have held the lock until now, and have done this one's work.
    if (auto result = train::finished_result(folder_, settings_, communicator_)) {
      return *result;
    }
    begin(source);
    try {
      base::Json result = score(source, matrices);
      on_root([&] { folder_.end("finished"); });
      base::info("results are in " + folder_.path().string());
      return result;
    } catch (const base::Error& error) {
      train::record_end(folder_, communicator_, error);
      throw;
    }
  }

 private:
  template <typename Work>
  void on_root(Work&& work) {
    comm::agree(communicator_, [&] {
      if (communicator_.rank() == 0) {
        work();
      }
    });
  }

  void check() const {
    if (settings_.datasets.size() != 1) {
      throw base::UsageError({.what = "wrong number of datasets",
                              .file = "data.dataset",
                              .expected = "one",
                              .got = std::to_string(settings_.datasets.size()),
                              .hint = "give one dataset file"});
    }
    if (settings_.threads < 1) {
      throw base::UsageError({.what = "illegal number of threads",
                              .file = "train.threads",
                              .expected = "at least 1",
                              .got = std::to_string(settings_.threads),
                              .hint = "set train.threads = 1"});
    }
  }

  static std::size_t count(const train::Source& source, pairs::Set set) {
    return static_cast<std::size_t>(std::count_if(source.split.pairs.begin(), source.split.pairs.end(),
                                                  [&](const auto& pair) { return pair.set == set; }));
  }

  void begin(const train::Source& source) {
    const base::Json hosts = train::gathered_names(communicator_, comm::host_name());
    on_root([&] {
      base::Json facts = train::run_facts(settings_, std::span(&source, 1));
      facts["job"] = "baseline";
      facts["method"] = method_.name;
      folder_.begin(settings_.config_text, facts,
                    {{"command_line", train::command_line()},
                     {"hosts", hosts},
                     {"ranks", communicator_.size()},
                     {"backend", communicator_.backend()},
                     {"threads", settings_.threads}});
      pairs::write_split(folder_.split(), source.header, source.split);
    });
  }

  Problem problem_of(const train::Source& source, const Expression& expression) const {
    auto [regulators, targets] = genes_of(source);
    return {.settings = settings_,
            .options = options_,
            .header = source.header,
            .network = source.network,
            .split = source.split,
            .expression = expression,
            .regulators = std::move(regulators),
            .targets = std::move(targets),
            .folder = folder_.path()};
  }

  /// A split file may name genes outside the gene set, and the network a regulator outside the TF list.
  static std::pair<std::vector<std::uint32_t>, std::vector<std::uint32_t>> genes_of(
      const train::Source& source) {
    std::vector<std::uint32_t> of_pairs[2];
    for (const auto& pair : source.split.pairs) {
      of_pairs[0].push_back(pair.tf);
      of_pairs[1].push_back(pair.gene);
    }
    std::vector<std::uint32_t> regulators = source.network.tf_list;
    sort_and_unite(regulators, source.network.tfs);
    sort_and_unite(regulators, of_pairs[0]);
    std::vector<std::uint32_t> targets = source.network.candidates;
    sort_and_unite(targets, of_pairs[1]);
    return {std::move(regulators), std::move(targets)};
  }

  Expression load(const train::Source& source, const fs::path& matrices) {
    std::optional<store::Dataset> dataset;
    std::vector<std::uint32_t> genes;
    bool rp = false;
    comm::agree(communicator_, [&] {
      dataset.emplace(matrices);
      const bool wants_rp = settings_.atac && !method_.rna_alone;
      rp = wants_rp && source.header.has_atac;
      if (wants_rp && !rp) {
        base::warn(source.paths.dataset.string() +
                   " has no ATAC data: the method sees RNA alone, as with data.modalities = rna");
      }
      auto [regulators, targets] = genes_of(source);
      sort_and_unite(targets, regulators);
      genes = std::move(targets);
    });
    return {*dataset, genes, rp, communicator_};
  }

  base::Json score(const train::Source& source, const fs::path& matrices) {
    const Expression expression = load(source, matrices);
    const Problem problem = problem_of(source, expression);
    const auto scorer = std::get<PrepareScorer>(method_.work)(problem, communicator_);
    const std::uint64_t ranked = write_ranking(problem, *scorer);
    base::Json result;
    // Every rank computes the same metrics; only rank 0 writes.
    comm::agree(communicator_, [&] {
      std::vector<evaluate::ScoredPair> scored;
      std::uint64_t without_cells = 0;
      for (const auto& pair : source.split.pairs) {
        const bool has_cells = shared_cells(expression.rna(pair.tf), expression.rna(pair.gene)) > 0;
        if (pair.set != pairs::Set::test) {
          without_cells += has_cells ? 0 : 1;
          continue;
        }
        scored.push_back({.tf = source.header.genes[pair.tf],
                          .gene = source.header.genes[pair.gene],
                          .label = pair.label,
                          .score = scorer->score(pair.tf, pair.gene),
                          .has_cells = has_cells});
      }
      result = evaluate::to_json(
          evaluate::evaluate_pairs(scored, train::training_positives(source), settings_.split.seed));
      result.update(scorer->facts());
      result.update({{"method", method_.name},
                     {"train_seed", settings_.seed},
                     {"training_pairs", count(source, pairs::Set::train)},
                     {"validation_pairs", count(source, pairs::Set::validation)},
                     {"labelled_pairs_without_cells", without_cells},
                     {"ranked_edges", ranked}});
      if (communicator_.rank() == 0) {
        folder_.require_own();
        evaluate::write_predictions(folder_.predictions(), scored);
        // Last of all: this file says that the run is complete.
        base::write_file_atomically(folder_.result(), base::json_text(result));
      }
    });
    return result;
  }

  /// rankedEdges.csv: regulators x targets but for pairs without a prediction. Returns how many are in it.
  std::uint64_t write_ranking(const Problem& problem, const PairScorer& scorer) {
    const auto& targets = problem.targets;
    const auto weights = compute_rows(
        "ranked pairs", "TFs", problem.regulators.size(), targets.size(), settings_.threads,
        [&](std::size_t row, std::span<double> values) {
          for (std::size_t t = 0; t < targets.size(); ++t) {
            const std::uint32_t tf = problem.regulators[row];
            values[t] = targets[t] == tf ? 0.0 : scorer.weight(tf, targets[t]);
            if (!std::isfinite(values[t])) {
              throw base::NumericError({.what = "score of pair " + problem.header.genes[tf] + " -> " +
                                                problem.header.genes[targets[t]] + " is not finite",
                                        .expected = "a finite score",
                                        .got = std::to_string(values[t]),
                                        .hint = "check the dataset's values with `multigrnformer inspect "
                                                "--verify`"});
            }
          }
        },
        communicator_);
    on_root([&] {
      formats::EdgeTable table;
      // Numbers in the table: the targets, then regulators that are none.
      std::vector<std::uint32_t> place(problem.header.genes.size());
      std::vector<bool> known(problem.header.genes.size());
      for (const auto* genes : {&targets, &problem.regulators}) {
        for (const auto gene : *genes) {
          if (!known[gene]) {
            known[gene] = true;
            place[gene] = static_cast<std::uint32_t>(table.genes.size());
            table.genes.push_back(problem.header.genes[gene]);
          }
        }
      }
      for (std::size_t i = 0; i < weights.size(); ++i) {
        if (weights[i] != 0) {
          table.edges.push_back({.tf = place[problem.regulators[i / targets.size()]],
                                 .gene = place[targets[i % targets.size()]],
                                 .weight = weights[i]});
        }
      }
      formats::sort_edges(table);
      formats::write_ranked_edges(folder_.path() / "rankedEdges.csv", table);
    });
    return weights.size() - static_cast<std::uint64_t>(std::count(weights.begin(), weights.end(), 0.0));
  }

  const train::Settings& settings_;
  const Options& options_;
  const Method& method_;
  comm::Communicator& communicator_;
  train::RunFolder folder_;
};

}  // namespace

base::Json run_baseline(const train::Settings& settings, const Options& options,
                        comm::Communicator& communicator, const train::Hooks& hooks) {
  const Method* method = nullptr;
  comm::agree(communicator, [&] { method = &find_method(options.method); });
  if (const auto* train = std::get_if<TrainMethod>(&method->work)) {
    return (*train)(settings, options, communicator, hooks);
  }
  return ScoringRun(settings, options, *method, communicator).perform();
}

}  // namespace mgrn::baselines
