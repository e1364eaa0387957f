// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/naming_file.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/pairs/coverage.hpp"
#include "multigrnformer/prepare/inspect.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::cli {
namespace {

pairs::NetworkRow table_row(const Config& config, const store::Dataset& dataset) {
  const auto& settings = config.train;
  const auto network = formats::read_network(settings.networks.front());
  const auto tfs = formats::read_tf_list(settings.tf_lists.front());
  const auto restricted = base::naming_file(settings.networks.front().string(), [&] {
    return pairs::restrict_network(dataset.header(), network, tfs, settings.gene_set);
  });
  pairs::NetworkRow row =
      pairs::network_row(dataset.file().filename().string(), dataset.header(), restricted);
  pairs::SamplerOptions options;
  options.cells = settings.shape.cells;
  options.atac = false;  // only cells are counted
  options.pair_cells = settings.pair_cells;
  const pairs::Sampler sampler(dataset, restricted.genes, options);
  row.coverage = pairs::measure_coverage(sampler, restricted.edges);
  return row;
}

store::Dataset open_dataset(const Config& config) {
  const auto& options = config.inspect;
  if (options.dataset.empty()) {
    throw base::UsageError({.what = "no dataset is given",
                            .expected = "inspect D.h5",
                            .hint = "make a dataset file with `multigrnformer prepare`"});
  }
  if (config.train.networks.empty() != config.train.tf_lists.empty()) {
    throw base::UsageError({.what = "Table 1's row needs both a network and a list of TFs",
                            .expected = "--network CSV --tfs CSV",
                            .got = config.train.networks.empty() ? "no --network" : "no --tfs",
                            .hint = "give both, or none for the dataset's quality control alone"});
  }
  store::Dataset dataset(options.dataset);
  if (options.verify) {
    dataset.verify();
  }
  return dataset;
}

base::Json as_json(const Config& config) {
  const store::Dataset dataset = open_dataset(config);
  base::Json json = prepare::inspect_json(dataset);
  if (!config.train.networks.empty()) {
    json["network"] = pairs::to_json(table_row(config, dataset));
  }
  return json;
}

std::string as_text(const Config& config) {
  const store::Dataset dataset = open_dataset(config);
  return prepare::inspect_text(dataset) +
         (config.train.networks.empty() ? std::string() : "\n" + pairs::to_text(table_row(config, dataset)));
}

void run(Config& config, comm::Communicator& world) {
  std::string text;
  if (!config.out.empty()) {
    perform_inspection(config, world);
    text = "inspected " + config.inspect.dataset.string() + ", in " + config.out.string() + "\n";
  } else {
    comm::agree(world, [&] {
      if (world.rank() == 0) {
        text = config.inspect.json ? base::json_text(as_json(config)) : as_text(config);
      }
    });
  }
  print_result(world, text);
}

}  // namespace

void perform_inspection(const Config& config, comm::Communicator& world) {
  comm::agree(world, [&] {
    if (world.rank() == 0) {
      const std::string text = base::json_text(as_json(config));
      base::create_directories(config.out);
      base::write_file_atomically(config.out / "inspect.json", text);
    }
  });
}

Command inspect_command() {
  return {.name = "inspect",
          .summary = "what a dataset holds: quality control, coverage, the paper's Table 1 row",
          .usage = "D.h5 [--network CSV --tfs CSV --genes 500] [--json]",
          .positional = "dataset",
          .keys =
              [](KeyTable& table, Config& config) {
                table.file("dataset", config.inspect.dataset, "the dataset file");
                table.files("network", config.train.networks, "ground truth, CSV of TF,gene");
                table.files("tfs", config.train.tf_lists, "list of transcription factors");
                add_gene_set_keys(table, config, "genes", "variable");
                table.integer("cells", config.train.shape.cells, 1, 1 << 20,
                              "N, to count samples that repeat cells");
                table.file("out", config.out, "folder for inspect.json, instead of talking").result = false;
                add_pair_cells_key(table, config, "pairs.cells");
                table.flag("json", config.inspect.json, "JSON instead of text");
                table.flag("verify", config.inspect.verify, "read the whole file and compare its checksums");
                add_common_keys(table, config);
              },
          .run = run};
}

}  // namespace mgrn::cli
