// SPDX-License-Identifier: Apache-2.0
// What a run works on: datasets with their restricted networks, labelled pairs and samplers. Labels are
// loaded by each rank for itself, and callers agree on errors afterwards; the samplers' columns are loaded
// together, one copy per node.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/gene_set.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "multigrnformer/pairs/split.hpp"
#include "multigrnformer/store/dataset.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

struct SourcePaths {
  std::filesystem::path dataset;
  std::filesystem::path network;
  std::filesystem::path tf_list;
};

/// Files of the dataset number `index` of settings.datasets. Throws UsageError unless networks and TF lists
/// are one, or one per dataset.
SourcePaths source_paths(const Settings& settings, std::size_t index);

struct Source {
  SourcePaths paths;
  store::DatasetHeader header;
  pairs::RestrictedNetwork network;
  pairs::Split split;
  std::unique_ptr<pairs::SampleSource> sampler;  ///< null where only labels were asked for
};

/// All that is known of the dataset but its matrices.
store::DatasetHeader dataset_header(const std::filesystem::path& dataset);

/// Header and restricted network, neither pairs nor sampler.
Source load_network(const Settings& settings, const SourcePaths& paths);
/// Restricted network and labelled pairs (drawn, or read from `split_file` when not empty), no sampler.
Source load_labels(const Settings& settings, const SourcePaths& paths,
                   const std::filesystem::path& split_file);
/// Collective. Builds the method's samples over the genes of the split's pairs. Throws DataError.
void load_samples(const Settings& settings, Source& source, comm::Communicator& communicator);
/// Collective. MultiGRNFormer's samples by these settings over any genes of a dataset.
std::unique_ptr<pairs::Sampler> make_sampler(const Settings& settings, const std::filesystem::path& file,
                                             std::vector<std::uint32_t> genes,
                                             comm::Communicator& communicator);

/// The one dataset of a run that needs no samples, with its labelled pairs.
struct LabelledSource {
  Source source;                   ///< without a sampler
  std::filesystem::path matrices;  ///< the dataset file to read: the user's, or its copy in settings.stage
};

/// Collective. Throws DataError, UsageError, the same on every rank.
LabelledSource load_labelled_source(const Settings& settings, comm::Communicator& communicator);

/// A labelled pair of one of the sources.
struct TaskPair {
  std::uint32_t source = 0;
  std::uint32_t tf = 0;  ///< gene index in that source's dataset
  std::uint32_t gene = 0;
  std::uint8_t label = 0;
  bool has_sample = true;  ///< false: left out of training, and scores 0 in a test
  bool has_cells = true;   ///< a cell expresses both genes
};

/// The pairs of a run, in the order of the splits, source by source.
struct Task {
  std::vector<Source> sources;
  std::vector<TaskPair> training;    ///< with a sample only
  std::vector<TaskPair> validation;  ///< with a sample only
  std::vector<TaskPair> test;        ///< all; those without a sample score 0
  std::uint64_t training_without_sample = 0;
  std::uint64_t validation_without_sample = 0;
  std::uint64_t labelled_without_cells = 0;  ///< training and validation pairs, left out or not
  std::uint64_t removed_by_leak = 0;         ///< pretraining pairs that are test pairs of the target
  std::map<std::string, std::uint64_t> leak_by_dataset;  ///< id -> count
  bool target_left_out = false;

  /// Training pairs of each source, as BatchPlan takes them, and where they start in `training`.
  std::vector<std::uint32_t> training_of_source;
  std::vector<std::size_t> first_of_source;
  /// Samples of one epoch.
  std::uint64_t samples_per_epoch(const Settings& settings) const {
    return training.size() * static_cast<std::uint64_t>(settings.augment);
  }

  /// `tf,gene,label,set` and, for pretraining, `dataset`, with the header line.
  std::string split_text(bool with_dataset) const;
};

/// Collective. Everything for settings.job: labels, leak control, samplers. Throws DataError, UsageError, the
/// same on every rank.
Task load_task(const Settings& settings, comm::Communicator& communicator);

}  // namespace mgrn::train
