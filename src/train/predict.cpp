// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/predict.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/evaluate/predicted_network.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/train/calibrate.hpp"
#include "multigrnformer/train/compute_team.hpp"
#include "multigrnformer/train/device_choice.hpp"
#include "multigrnformer/train/gpus.hpp"
#include "multigrnformer/train/method.hpp"
#include "multigrnformer/train/score.hpp"
#include "multigrnformer/train/sources.hpp"
#include "multigrnformer/train/weights.hpp"

namespace mgrn::train {
namespace {

SourcePaths paths_of(const Settings& settings, const PredictRequest& request) {
  SourcePaths paths = source_paths(settings, 0);
  if (!request.dataset.empty()) {
    paths.dataset = request.dataset;
  }
  return paths;
}

// What a reader can mean by "the network": known before anything is scored.
void check(const Settings& settings, const PredictRequest& request) {
  if (request.votes < 1) {
    throw base::UsageError({.what = "illegal number of votes",
                            .file = "predict.votes",
                            .expected = "at least 1",
                            .got = std::to_string(request.votes),
                            .hint = "set predict.votes = 5"});
  }
  if (!request.dataset.empty() && (settings.context.cell || settings.context.gene)) {
    throw base::UsageError({.what = "context features are those of one dataset and mean nothing in another",
                            .file = "dataset",
                            .expected = "the run's own dataset, with model.context",
                            .got = request.dataset.string(),
                            .hint = "leave --dataset out, or train without model.context"});
  }
  if (request.precision > 0 && request.edges > 0) {
    throw base::UsageError({.what = "two cut-offs",
                            .file = "predict.precision, predict.edges",
                            .expected = "one of them",
                            .got = "both",
                            .hint = "leave one out"});
  }
  if (request.precision > 0 && settings.calibration == evaluate::CalibrationMethod::none) {
    throw base::UsageError({.what = "a precision can only be told from probabilities",
                            .file = "predict.precision",
                            .expected = "predict.calibration = platt or isotonic",
                            .got = "predict.calibration = none",
                            .hint = "add --predict.calibration platt, or use predict.edges"});
  }
}

struct Candidates {
  Source source;                 // header and network
  std::vector<VotedPair> pairs;  // with cells to draw from
  std::uint64_t all = 0;         // without regard to cells
  ValidationPairs validation;    // of the run, those that the dataset has
  double prior = 0;              // share of edges among `pairs`
};

const std::vector<std::uint32_t>& tfs_of(const pairs::RestrictedNetwork& network,
                                         const PredictRequest& request) {
  return request.known_only ? network.tfs : network.tf_list;
}
const std::vector<std::uint32_t>& genes_of(const pairs::RestrictedNetwork& network,
                                           const PredictRequest& request) {
  return request.known_only ? network.genes : network.candidates;
}

// The validation pairs of the run's split, as far as the dataset has their genes. Pretraining's split may
// have a pair once per dataset: the first counts.
std::vector<pairs::LabelledPair> validation_pairs(const PredictRequest& request,
                                                  const store::DatasetHeader& header) {
  const auto file = request.run / "split.csv";
  if (!std::filesystem::exists(file)) {
    return {};
  }
  std::unordered_map<std::string, std::uint32_t> index;
  for (std::uint32_t gene = 0; gene < header.genes.size(); ++gene) {
    index.emplace(base::symbol_key(header.genes[gene]), gene);
  }
  const formats::Table table = formats::Table::read(file);
  const auto& tfs = table.column("tf");
  const auto& genes = table.column("gene");
  const auto& labels = table.column("label");
  const auto& sets = table.column("set");
  std::vector<pairs::LabelledPair> found;
  std::set<std::pair<std::uint32_t, std::uint32_t>> seen;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const auto tf = index.find(base::symbol_key(tfs[row]));
    const auto gene = index.find(base::symbol_key(genes[row]));
    if (sets[row] == "validation" && tf != index.end() && gene != index.end() &&
        seen.emplace(tf->second, gene->second).second) {
      found.push_back({.tf = tf->second,
                       .gene = gene->second,
                       .label = static_cast<std::uint8_t>(labels[row] == "1" ? 1 : 0),
                       .set = pairs::Set::validation});
    }
  }
  return found;
}

// Collective.
void load_samples(const Settings& settings, const PredictRequest& request,
                  std::span<const pairs::LabelledPair> validation, Source& source,
                  comm::Communicator& communicator) {
  std::vector<std::uint32_t> all = tfs_of(source.network, request);
  const auto& genes = genes_of(source.network, request);
  all.insert(all.end(), genes.begin(), genes.end());
  for (const auto& pair : validation) {
    all.push_back(pair.tf);
    all.push_back(pair.gene);
  }
  source.sampler = method_of(settings).samples(settings, source.paths.dataset, std::move(all), communicator);
}

void list_candidates(const Settings& settings, const PredictRequest& request, Candidates& found) {
  const auto& tfs = tfs_of(found.source.network, request);
  const auto& genes = genes_of(found.source.network, request);
  for (const auto tf : tfs) {
    for (const auto gene : genes) {
      if (tf == gene) {
        continue;
      }
      ++found.all;
      if (found.source.sampler->has_sample(tf, gene)) {
        found.pairs.push_back({.sampler = found.source.sampler.get(), .tf = tf, .gene = gene});
      }
    }
  }
  if (found.pairs.empty()) {
    throw base::DataError(
        {.what = "no candidate pair has " + pairs::wanted_cell(settings.pair_cells),
         .file = found.source.paths.dataset.string(),
         .expected = "at least one of " + std::to_string(found.all) + " pairs",
         .got = "none",
         .hint = "check data.tfs and data.genes against the dataset with `multigrnformer inspect`"});
  }
}

// The share of edges where the network can tell: among the scored pairs of its own regulators and genes.
double density_of(const Candidates& found) {
  const auto& network = found.source.network;
  const auto has = [](const std::vector<std::uint32_t>& sorted, std::uint32_t gene) {
    return std::binary_search(sorted.begin(), sorted.end(), gene);
  };
  std::uint64_t edges = 0;
  std::uint64_t pairs = 0;
  for (const VotedPair& pair : found.pairs) {
    if (has(network.tfs, pair.tf) && has(network.genes, pair.gene)) {
      ++pairs;
      edges += std::binary_search(network.edges.begin(), network.edges.end(),
                                  pairs::Edge{.tf = pair.tf, .gene = pair.gene})
                   ? 1
                   : 0;
    }
  }
  if (edges == 0 || edges == pairs) {
    throw base::DataError({.what = "the network does not tell which share of the candidates are edges",
                           .file = found.source.paths.network.string(),
                           .expected = "edges and other pairs among those scored",
                           .got = std::to_string(edges) + " edges among " + std::to_string(pairs) + " pairs",
                           .hint = "give --predict.prior, a share such as 0.01"});
  }
  return static_cast<double>(edges) / static_cast<double>(pairs);
}

void list_validation(const Settings& settings, const PredictRequest& request,
                     std::span<const pairs::LabelledPair> labelled, Candidates& found) {
  for (const auto& pair : labelled) {
    if (found.source.sampler->has_sample(pair.tf, pair.gene)) {
      found.validation.pairs.push_back(
          {.sampler = found.source.sampler.get(), .tf = pair.tf, .gene = pair.gene});
      found.validation.labels.push_back(pair.label);
    }
  }
  const bool enough = found.validation.suffice();
  if (request.precision > 0 && !enough) {
    throw base::DataError({.what = "too few validation pairs to tell a precision",
                           .file = (request.run / "split.csv").string(),
                           .expected = "at least " + std::to_string(evaluate::kLeastCalibrationPairs) +
                                       " of each label with cells in the dataset",
                           .got = std::to_string(found.validation.positives()) + " positive, " +
                                  std::to_string(found.validation.negatives()) + " negative",
                           .hint = "use predict.edges, or train with a larger train.validation"});
  }
  if (!enough && settings.calibration != evaluate::CalibrationMethod::none) {
    base::warn("too few validation pairs (" + std::to_string(found.validation.labels.size()) +
               ") to calibrate scores: edges get no probability");
  }
}

evaluate::CutOff cut_off(const PredictRequest& request, const std::vector<double>& probabilities,
                         std::size_t edges, double prior) {
  if (request.precision > 0) {
    const auto cut = evaluate::cut_at_precision(probabilities, request.precision);
    if (cut.edges == 0) {
      base::warn("no set of best edges has an expected precision of " +
                 formats::number_text(request.precision) + ": the best edge has a probability of " +
                 formats::number_text(std::round(probabilities.front() * 1e4) / 1e4) +
                 "; the network is empty (predict.edges takes the best N whatever their precision)");
    }
    return cut;
  }
  const auto expected = static_cast<std::size_t>(std::llround(prior * static_cast<double>(edges)));
  const std::size_t wanted = request.edges > 0 ? static_cast<std::size_t>(request.edges) : expected;
  if (wanted > edges) {
    base::warn("only " + std::to_string(edges) + " edges for predict.edges = " + std::to_string(wanted));
  }
  return probabilities.empty() ? evaluate::CutOff{.edges = std::min(wanted, edges)}
                               : evaluate::cut_at_edges(probabilities, wanted);
}

base::Json to_json(const evaluate::CutOff& cut, const formats::EdgeTable& table,
                   const std::vector<double>& probabilities) {
  base::Json json = {{"edges", cut.edges}};
  if (cut.edges > 0) {
    json["score"] = table.edges[cut.edges - 1].weight;
    if (!probabilities.empty()) {
      json["probability"] = probabilities[cut.edges - 1];
      json["expected_precision"] = cut.expected_precision;
    }
  }
  return json;
}

formats::EdgeTable edges_of(const Candidates& found, const std::vector<double>& scores) {
  formats::EdgeTable table;
  std::map<std::uint32_t, std::uint32_t> numbers;  // dataset gene -> place in the table
  const auto number = [&](std::uint32_t gene) {
    const auto [place, fresh] = numbers.emplace(gene, static_cast<std::uint32_t>(numbers.size()));
    if (fresh) {
      table.genes.push_back(found.source.header.genes[gene]);
    }
    return place->second;
  };
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const auto tf = number(found.pairs[i].tf);
    const auto gene = number(found.pairs[i].gene);
    table.edges.push_back({.tf = tf, .gene = gene, .weight = scores[i]});
  }
  formats::sort_edges(table);
  return table;
}

}  // namespace

base::Json run_prediction(const Settings& given, const PredictRequest& request,
                          comm::Communicator& communicator) {
  Settings settings = given;
  Candidates found;
  std::vector<pairs::LabelledPair> validation;
  std::unique_ptr<model::Parameters> weights;
  std::unique_ptr<ComputeTeam> team;
  comm::agree(communicator, [&] { check(settings, request); });
  settings.device = choose_device(settings, Work::prediction, {}, communicator);
  const comm::GpuBinding gpu = choose_gpu(settings, communicator);
  comm::agree(communicator, [&] {
    weights = std::make_unique<model::Parameters>(
        finished_weights(request.run, method_of(settings).parameters(settings)));
    team = std::make_unique<ComputeTeam>(settings, gpu.device);
    found.source = load_network(settings, paths_of(settings, request));
    validation = validation_pairs(request, found.source.header);
  });
  load_samples(settings, request, validation, found.source, communicator);
  comm::agree(communicator, [&] {
    team->hold(*found.source.sampler);
    list_candidates(settings, request, found);
    list_validation(settings, request, validation, found);
    found.prior = request.prior > 0 ? request.prior : density_of(found);
    if (communicator.rank() == 0) {
      base::create_directories(request.out);
    }
  });
  comm::require_same(communicator, "engine", team->engine_name());
  // The same sample again would give the same score.
  const int votes = method_of(settings).draws_samples() ? request.votes : 1;
  base::info("scoring " + std::to_string(found.pairs.size()) + " of " + std::to_string(found.all) +
             " candidate pairs, " + std::to_string(votes) + " samples each; the others do not have " +
             pairs::wanted_cell(settings.pair_cells));
  const auto scores =
      vote(*team, *weights, found.pairs, pairs::Purpose::predict, votes, communicator, "candidate pairs");
  const auto method = found.validation.suffice() ? settings.calibration : evaluate::CalibrationMethod::none;
  const auto calibration = calibrate(*team, *weights, found.validation, method, votes, communicator);
  base::Json result = {{"dataset", found.source.header.id},
                       {"edges", found.pairs.size()},
                       {"candidate_pairs", found.all},
                       {"pairs_without_cells", found.all - found.pairs.size()},
                       {"votes", votes},
                       {"known_only", request.known_only},
                       {"prior", found.prior},
                       {"calibration", calibration.to_json()}};
  comm::agree(communicator, [&] {
    formats::EdgeTable table = edges_of(found, scores);
    std::vector<double> probabilities;
    if (method != evaluate::CalibrationMethod::none) {
      for (const auto& edge : table.edges) {
        probabilities.push_back(calibration.probability(edge.weight, found.prior));
      }
    }
    const auto cut = cut_off(request, probabilities, table.edges.size(), found.prior);
    result["cut_off"] = to_json(cut, table, probabilities);
    if (communicator.rank() == 0) {
      formats::write_ranked_edges(request.out / "rankedEdges.csv", table);
      evaluate::write_selected_edges(request.out / "edges.csv", table, probabilities, cut);
      evaluate::write_regulons(request.out / "regulons.csv", evaluate::regulons(table, probabilities, cut),
                               !probabilities.empty());
      if (request.precision > 0 || request.edges > 0) {
        table.edges.resize(cut.edges);
      }
      formats::write_graphml(request.out / "network.graphml", table);
    }
  });
  return result;
}

}  // namespace mgrn::train
