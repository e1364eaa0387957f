// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/predict.hpp"

#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/formats/edge_table.hpp"
#include "multigrnformer/train/compute_team.hpp"
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

struct Candidates {
  Source source;                 // header and network
  std::vector<VotedPair> pairs;  // with cells to draw from
  std::uint64_t all = 0;         // without regard to cells
};

const std::vector<std::uint32_t>& tfs_of(const pairs::RestrictedNetwork& network,
                                         const PredictRequest& request) {
  return request.known_only ? network.tfs : network.tf_list;
}
const std::vector<std::uint32_t>& genes_of(const pairs::RestrictedNetwork& network,
                                           const PredictRequest& request) {
  return request.known_only ? network.genes : network.candidates;
}

// Collective.
void load_samples(const Settings& settings, const PredictRequest& request, Source& source,
                  comm::Communicator& communicator) {
  std::vector<std::uint32_t> all = tfs_of(source.network, request);
  const auto& genes = genes_of(source.network, request);
  all.insert(all.end(), genes.begin(), genes.end());
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

base::Json run_prediction(const Settings& settings, const PredictRequest& request,
                          comm::Communicator& communicator) {
  Candidates found;
  std::unique_ptr<model::Parameters> weights;
  std::unique_ptr<ComputeTeam> team;
  const comm::GpuBinding gpu = choose_gpu(settings, communicator);
  comm::agree(communicator, [&] {
    if (request.votes < 1) {
      throw base::UsageError({.what = "illegal number of votes",
                              .file = "predict.votes",
                              .expected = "at least 1",
                              .got = std::to_string(request.votes),
                              .hint = "set predict.votes = 5"});
    }
    weights = std::make_unique<model::Parameters>(
        finished_weights(request.run, method_of(settings).parameters(settings)));
    team = std::make_unique<ComputeTeam>(settings, gpu.device);
    found.source = load_network(settings, paths_of(settings, request));
  });
  load_samples(settings, request, found.source, communicator);
  comm::agree(communicator, [&] {
    list_candidates(settings, request, found);
    if (communicator.rank() == 0) {
      base::create_directories(request.out);
    }
  });
  comm::require_same(communicator, "engine", team->engine_name());
  base::info("scoring " + std::to_string(found.pairs.size()) + " of " + std::to_string(found.all) +
             " candidate pairs, " + std::to_string(request.votes) + " samples each; the others do not have " +
             pairs::wanted_cell(settings.pair_cells));
  const auto scores = vote(*team, *weights, found.pairs, pairs::Purpose::predict, request.votes, communicator,
                           "candidate pairs");
  comm::agree(communicator, [&] {
    if (communicator.rank() == 0) {
      const auto table = edges_of(found, scores);
      formats::write_ranked_edges(request.out / "rankedEdges.csv", table);
      formats::write_graphml(request.out / "network.graphml", table);
    }
  });
  return {{"dataset", found.source.header.id},
          {"edges", found.pairs.size()},
          {"candidate_pairs", found.all},
          {"pairs_without_cells", found.all - found.pairs.size()},
          {"votes", request.votes},
          {"known_only", request.known_only}};
}

}  // namespace mgrn::train
