// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/sources.hpp"

#include <algorithm>
#include <mutex>
#include <optional>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/log.hpp"
#include "multigrnformer/base/naming_file.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/formats/network_file.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/pairs/folds.hpp"
#include "multigrnformer/pairs/leak.hpp"
#include "multigrnformer/train/method.hpp"
#include "staging.hpp"

namespace mgrn::train {
namespace {

namespace fs = std::filesystem;

// HDF5 is not thread-safe, and in tests ranks are threads of one process.
std::mutex& hdf5_mutex() {
  static std::mutex mutex;
  return mutex;
}

const fs::path& one_or_each(const std::vector<fs::path>& files, std::size_t index, std::size_t datasets,
                            const std::string& key) {
  if (files.size() != 1 && files.size() != datasets) {
    throw base::UsageError(
        {.what = files.empty() ? "a key is missing" : "wrong number of files",
         .file = key,
         .expected =
             datasets == 1 ? "one file" : "one file, or one per dataset (" + std::to_string(datasets) + ")",
         .got = std::to_string(files.size()),
         .hint = "give --" + key + " that many files, separated by commas"});
  }
  return files[files.size() == 1 ? 0 : index];
}

std::string set_name(pairs::Set set) {
  switch (set) {
    case pairs::Set::train:
      return "train";
    case pairs::Set::validation:
      return "validation";
    case pairs::Set::test:
      return "test";
  }
  return "train";
}

bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code code;
  return fs::equivalent(a, b, code) && !code;
}

// The target's networks: those of the dataset of that name where each dataset has its own.
SourcePaths target_paths(const Settings& settings) {
  std::size_t index = 0;
  while (index < settings.datasets.size() && !same_file(settings.datasets[index], settings.target)) {
    ++index;
  }
  if (index == settings.datasets.size()) {
    if (settings.networks.size() != 1 || settings.tf_lists.size() != 1) {
      throw base::UsageError(
          {.what = "cross.target has no network of its own",
           .file = settings.target.string(),
           .expected = "a dataset that data.dataset lists, or one network and one TF list for all",
           .got = std::to_string(settings.networks.size()) + " networks and " +
                  std::to_string(settings.tf_lists.size()) + " TF lists",
           .hint = "list the target in data.dataset too: it is left out unless "
                   "cross.include_target is set"});
    }
    index = 0;
  }
  return {.dataset = settings.target,
          .network = one_or_each(settings.networks, index, settings.datasets.size(), "data.network"),
          .tf_list = one_or_each(settings.tf_lists, index, settings.datasets.size(), "data.tfs")};
}

// Test pairs that pretraining must not see, and the dataset they belong to.
struct Target {
  std::string id;  ///< empty: no target dataset is named
  pairs::PairKeys test;
};

Target load_target(const Settings& settings) {
  Target target;
  if (!settings.target.empty()) {
    target.id = dataset_header(settings.target).id;
  }
  if (!settings.target_split.empty()) {
    const formats::Table table = formats::Table::read(settings.target_split);
    const auto& tfs = table.column("tf");
    const auto& genes = table.column("gene");
    const auto& sets = table.column("set");
    for (std::size_t row = 0; row < table.rows(); ++row) {
      if (sets[row] == "test") {
        target.test.insert(tfs[row], genes[row]);
      }
    }
    if (target.test.size() == 0) {
      throw base::DataError({.what = "the target's split has no test pairs",
                             .file = settings.target_split.string(),
                             .expected = "rows whose column set says test",
                             .got = std::to_string(table.rows()) + " rows of other sets",
                             .hint = "give cross.target_split the split.csv of a run on the target"});
    }
  } else if (!settings.target.empty()) {
    const Source source = load_labels(settings, target_paths(settings), {});
    target.test = pairs::pair_keys(source.header, source.split, pairs::Set::test);
  }
  return target;
}

void keep_pretraining_pairs(const Settings& settings, const Target& target, Source& source, Task& task) {
  const bool applies = settings.leak == Leak::none || source.header.id == target.id;
  const std::uint64_t removed = applies ? pairs::remove_pairs(source.split, source.header, target.test) : 0;
  // Its own test pairs stay unseen: a later run on this dataset may be tested on them.
  std::erase_if(source.split.pairs, [](const auto& pair) { return pair.set == pairs::Set::test; });
  task.removed_by_leak += removed;
  task.leak_by_dataset[source.header.id] = removed;
  base::info(source.paths.dataset.string() + ": " + std::to_string(removed) +
             " pairs are test pairs of the target and left out, " +
             std::to_string(source.split.pairs.size()) + " remain");
}

void collect_pairs(Task& task) {
  for (std::uint32_t s = 0; s < task.sources.size(); ++s) {
    const Source& source = task.sources[s];
    task.first_of_source.push_back(task.training.size());
    for (const auto& labelled : source.split.pairs) {
      TaskPair pair{.source = s, .tf = labelled.tf, .gene = labelled.gene, .label = labelled.label};
      pair.has_sample = source.sampler->has_sample(pair.tf, pair.gene);
      pair.has_cells = source.sampler->shares_cells(pair.tf, pair.gene);
      if (labelled.set == pairs::Set::test) {
        task.test.push_back(pair);
        continue;
      }
      const bool validation = labelled.set == pairs::Set::validation;
      task.labelled_without_cells += pair.has_cells ? 0 : 1;
      if (!pair.has_sample) {
        ++(validation ? task.validation_without_sample : task.training_without_sample);
      } else {
        (validation ? task.validation : task.training).push_back(pair);
      }
    }
    task.training_of_source.push_back(
        static_cast<std::uint32_t>(task.training.size() - task.first_of_source.back()));
  }
}

Task load_pretraining(const Settings& settings) {
  const Target target = load_target(settings);
  if (settings.target.empty() && settings.target_split.empty()) {
    base::info(
        "no cross.target: all training pairs are used; finetune will refuse weights that have seen its "
        "test pairs");
  } else if (settings.leak == Leak::same_dataset && target.id.empty()) {
    throw base::UsageError({.what = "cross.leak = same-dataset needs to know which dataset the target is",
                            .file = "cross.target",
                            .expected = "the target's dataset file",
                            .got = "only cross.target_split",
                            .hint = "set cross.target, or cross.leak = none"});
  }
  Task task;
  for (std::size_t i = 0; i < settings.datasets.size(); ++i) {
    const SourcePaths paths = source_paths(settings, i);
    if (!settings.include_target && !target.id.empty() && dataset_header(paths.dataset).id == target.id) {
      task.target_left_out = true;
      base::info(paths.dataset.string() + " is the target and takes no part in pretraining");
      continue;
    }
    Source source = load_labels(settings, paths, {});
    keep_pretraining_pairs(settings, target, source, task);
    task.sources.push_back(std::move(source));
  }
  if (task.sources.empty()) {
    throw base::UsageError({.what = "no dataset is left to pretrain on",
                            .file = "data.dataset",
                            .expected = "at least one dataset besides cross.target",
                            .got = std::to_string(settings.datasets.size()) + " in all",
                            .hint = "add datasets, or set cross.include_target = yes"});
  }
  return task;
}

void check(const Settings& settings, const Task& task) {
  const std::string file = task.sources.front().paths.dataset.string();
  if (settings.job != Job::pretrain && task.test.empty()) {
    throw base::DataError({.what = "there are no test pairs",
                           .file = settings.split_file.empty() ? file : settings.split_file.string(),
                           .expected = "at least one labelled pair of the set test",
                           .got = "none",
                           .hint = "check the network against the dataset with `multigrnformer inspect`"});
  }
  if (settings.epochs > 0 && task.training.empty()) {
    throw base::DataError({.what = "there are no training pairs with cells",
                           .file = file,
                           .expected = "at least one pair with cells to draw from (pairs.cells)",
                           .got = std::to_string(task.training_without_sample) + " pairs without such a cell",
                           .hint = "check the network against the dataset with `multigrnformer inspect`"});
  }
}

}  // namespace

SourcePaths source_paths(const Settings& settings, std::size_t index) {
  const std::size_t count = settings.datasets.size();
  return {.dataset = settings.datasets.at(index),
          .network = one_or_each(settings.networks, index, count, "data.network"),
          .tf_list = one_or_each(settings.tf_lists, index, count, "data.tfs")};
}

store::DatasetHeader dataset_header(const fs::path& dataset) {
  const std::lock_guard lock(hdf5_mutex());
  return store::Dataset(dataset).header();
}

Source load_network(const Settings& settings, const SourcePaths& paths) {
  Source source{.paths = paths,
                .header = dataset_header(paths.dataset),
                .network = {},
                .split = {},
                .sampler = nullptr};
  const auto network = formats::read_network(paths.network);
  const auto tf_list = formats::read_tf_list(paths.tf_list);
  source.network = base::naming_file(paths.network.string(), [&] {
    return pairs::restrict_network(source.header, network, tf_list, settings.gene_set);
  });
  return source;
}

Source load_labels(const Settings& settings, const SourcePaths& paths, const fs::path& split_file) {
  Source source = load_network(settings, paths);
  source.split = split_file.empty() ? pairs::draw_split(source.header, source.network, settings.split)
                                    : pairs::read_split(split_file, source.header, settings.split.seed,
                                                        settings.split.validation);
  base::naming_file(paths.network.string(),
                    [&] { pairs::keep_fold(source.split, source.header, settings.split); });
  for (const auto& note : source.split.notes) {
    base::warn(paths.dataset.string() + ": " + note);
  }
  return source;
}

std::unique_ptr<pairs::Sampler> make_sampler(const Settings& settings, const fs::path& file,
                                             std::vector<std::uint32_t> genes,
                                             comm::Communicator& communicator) {
  std::sort(genes.begin(), genes.end());
  genes.erase(std::unique(genes.begin(), genes.end()), genes.end());
  std::optional<store::Dataset> dataset;
  comm::agree(communicator, [&] {
    dataset.emplace(file);
    if (settings.atac && !dataset->header().has_atac) {
      base::warn(file.string() +
                 " has no ATAC data: the RP columns stay zero, as with data.modalities = rna");
    }
  });
  return std::make_unique<pairs::Sampler>(
      *dataset, genes,
      pairs::SamplerOptions{.cells = settings.shape.cells,
                            .width = settings.shape.columns(),
                            .atac = settings.atac && dataset->header().has_atac,
                            .resample = settings.resample,
                            .seed = settings.seed,
                            .precision = settings.precision,
                            .pair_cells = settings.pair_cells,
                            .context = settings.context},
      communicator);
}

void load_samples(const Settings& settings, Source& source, comm::Communicator& communicator) {
  const auto cells = source.header.barcodes.size();
  if (!settings.method && static_cast<std::size_t>(settings.shape.cells) > cells) {
    base::warn(source.paths.dataset.string() + ": model.cells = " + std::to_string(settings.shape.cells) +
               " is more than the " + std::to_string(cells) +
               " cells of the dataset: every sample repeats cells");
  }
  std::vector<std::uint32_t> genes;
  for (const auto& pair : source.split.pairs) {
    genes.push_back(pair.tf);
    genes.push_back(pair.gene);
  }
  source.sampler =
      method_of(settings).samples(settings, source.paths.dataset, std::move(genes), communicator);
}

std::string Task::split_text(bool with_dataset) const {
  formats::TableWriter table;
  table.add("tf").add("gene").add("label").add("set");
  if (with_dataset) {
    table.add("dataset");
  }
  table.end_row();
  for (const Source& source : sources) {
    for (const auto& pair : source.split.pairs) {
      table.add(source.header.genes[pair.tf])
          .add(source.header.genes[pair.gene])
          .add(static_cast<int>(pair.label))
          .add(set_name(pair.set));
      if (with_dataset) {
        table.add(source.header.id);
      }
      table.end_row();
    }
  }
  return table.text();
}

LabelledSource load_labelled_source(const Settings& settings, comm::Communicator& communicator) {
  std::map<fs::path, fs::path> originals;
  const Settings staged = stage_datasets(settings, communicator, originals);
  LabelledSource labelled;
  comm::agree(communicator, [&] {
    labelled.source = load_labels(staged, source_paths(staged, 0), staged.split_file);
    labelled.matrices = labelled.source.paths.dataset;
    labelled.source.paths.dataset = settings.datasets.front();
  });
  return labelled;
}

Task load_task(const Settings& settings, comm::Communicator& communicator) {
  std::map<fs::path, fs::path> originals;
  const Settings staged = stage_datasets(settings, communicator, originals);
  Task task;
  comm::agree(communicator, [&] {
    if (staged.job == Job::pretrain) {
      task = load_pretraining(staged);
    } else {
      task.sources.push_back(load_labels(staged, source_paths(staged, 0), staged.split_file));
    }
  });
  for (Source& source : task.sources) {
    load_samples(staged, source, communicator);
    if (const auto found = originals.find(source.paths.dataset); found != originals.end()) {
      source.paths.dataset = found->second;
    }
  }
  comm::agree(communicator, [&] {
    collect_pairs(task);
    check(staged, task);
  });
  return task;
}

}  // namespace mgrn::train
