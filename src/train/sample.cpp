// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/sample.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/train/sources.hpp"

namespace mgrn::train {
namespace {

void require_below(int value, int limit, const std::string& key, const std::string& limit_key) {
  if (value < 0 || value >= limit) {
    throw base::UsageError({.what = "these settings have no such sample",
                            .file = key,
                            .expected = (limit > 0 ? "0 to " + std::to_string(limit - 1) : "none") + " (" +
                                        limit_key + " = " + std::to_string(limit) + ")",
                            .got = std::to_string(value),
                            .hint = "choose another " + key + ", or raise " + limit_key});
  }
}

pairs::SampleName name_of(const Settings& settings, const SampleRequest& request) {
  pairs::SampleName name;
  switch (request.set) {
    case pairs::Set::train:
      require_below(request.epoch, settings.epochs, "epoch", "train.epochs");
      require_below(request.augmentation, settings.augment, "augmentation", "pairs.augment");
      name.purpose = pairs::Purpose::train;
      name.epoch = static_cast<std::uint32_t>(request.epoch);
      name.variant = static_cast<std::uint32_t>(request.augmentation);
      break;
    case pairs::Set::validation:
      name.purpose = pairs::Purpose::validation;
      break;
    case pairs::Set::test:
      require_below(request.vote, settings.votes, "vote", "predict.votes");
      name.purpose = pairs::Purpose::test;
      name.variant = static_cast<std::uint32_t>(request.vote);
      break;
  }
  return name;
}

std::uint32_t index_of(const store::DatasetHeader& header, const std::string& symbol,
                       const std::filesystem::path& file) {
  const auto key = base::symbol_key(symbol);
  for (std::size_t i = 0; i < header.genes.size(); ++i) {
    if (base::symbol_key(header.genes[i]) == key) {
      return static_cast<std::uint32_t>(i);
    }
  }
  throw base::DataError({.what = "the dataset has no such gene",
                         .file = file.string(),
                         .expected = "one of its " + std::to_string(header.genes.size()) + " genes",
                         .got = symbol,
                         .hint = "check the spelling; quality control may have dropped the gene"});
}

std::vector<std::string> column_names(const Settings& settings) {
  std::vector<std::string> names = {"rna_tf", "rp_tf", "rna_gene", "rp_gene"};
  if (settings.context.cell) {
    names.emplace_back("cell_size");
    for (int k = 1; k < pairs::kCellContext; ++k) {
      names.push_back("cell_component" + std::to_string(k));
    }
  }
  if (settings.context.gene) {
    for (const char* gene : {"tf", "gene"}) {
      for (int k = 1; k <= pairs::kGeneContext; ++k) {
        names.push_back(gene + std::string("_component") + std::to_string(k));
      }
    }
  }
  for (auto column = static_cast<int>(names.size()); column < settings.shape.columns(); ++column) {
    names.push_back("column" + std::to_string(column + 1));
  }
  return names;
}

}  // namespace

SampleTable make_sample(const Settings& settings, const SampleRequest& request) {
  model::validate(settings.shape);
  if (settings.datasets.size() != 1) {
    throw base::UsageError({.what = "a sample is of one dataset",
                            .file = "data.dataset",
                            .expected = "one dataset",
                            .got = std::to_string(settings.datasets.size()),
                            .hint = "give the dataset of the sample alone"});
  }
  pairs::SampleName name = name_of(settings, request);
  const auto& file = settings.datasets.front();
  const store::DatasetHeader header = dataset_header(file);
  name.tf = index_of(header, request.tf, file);
  name.gene = index_of(header, request.gene, file);
  const auto sampler = make_sampler(settings, file, {name.tf, name.gene}, *comm::make_self_communicator());

  SampleTable sample;
  sample.width = settings.shape.columns();
  sample.columns = column_names(settings);
  const auto count = static_cast<std::size_t>(settings.shape.cells);
  std::vector<std::uint32_t> cells(count);
  sample.values.resize(count * static_cast<std::size_t>(sample.width));
  if (!sampler->draw(name, cells) || !sampler->gather(name, sample.values)) {
    throw base::DataError(
        {.what = "the pair has no sample",
         .file = file.string(),
         .expected = pairs::wanted_cell(settings.pair_cells) + ", " + request.tf + " and " + request.gene,
         .got = "none",
         .hint = "choose another pair; such pairs are left out of training and score 0"});
  }
  for (const auto cell : cells) {
    sample.barcodes.push_back(header.barcodes[cell]);
  }
  return sample;
}

std::string sample_csv(const SampleTable& sample) {
  formats::TableWriter table;
  table.add("cell");
  for (const std::string& name : sample.columns) {
    table.add(name);
  }
  table.end_row();
  const auto width = static_cast<std::size_t>(sample.width);
  for (std::size_t cell = 0; cell < sample.barcodes.size(); ++cell) {
    table.add(sample.barcodes[cell]);
    for (std::size_t column = 0; column < width; ++column) {
      table.add(sample.values[cell * width + column]);
    }
    table.end_row();
  }
  return table.text();
}

}  // namespace mgrn::train
