// SPDX-License-Identifier: Apache-2.0
// Everything a training run is told. Defaults stand here (and in MODEL's "recommended" recipe); the command
// line's table of keys (cli/keys.cpp) binds each key to one field.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "multigrnformer/evaluate/calibration.hpp"
#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/model/parameters.hpp"
#include "multigrnformer/pairs/batch_plan.hpp"
#include "multigrnformer/pairs/gene_set.hpp"
#include "multigrnformer/pairs/sampler.hpp"
#include "multigrnformer/pairs/split.hpp"
#include "multigrnformer/train/adam.hpp"
#include "multigrnformer/train/learning_rate.hpp"
#include "multigrnformer/train/sgd.hpp"

namespace mgrn::train {

enum class Job { train, pretrain, finetune };
enum class Leak { none, same_dataset };
enum class OptimizerKind { adam, sgd };
using Mixing = pairs::Mixing;

class Method;

struct Settings {
  Job job = Job::train;
  std::shared_ptr<const Method> method;  ///< what is trained; null: MultiGRNFormer (method_of)
  // data.*
  std::vector<std::filesystem::path> datasets;  ///< one; several for pretrain
  std::vector<std::filesystem::path> networks;  ///< one for all datasets, or one per dataset
  std::vector<std::filesystem::path> tf_lists;  ///< likewise
  pairs::GeneSetOptions gene_set;
  bool atac = true;  ///< data.modalities = rna,atac | rna
  pairs::Precision precision = pairs::Precision::automatic;
  std::filesystem::path stage;  ///< folder on each node's own disk that datasets are copied to; empty: none
  // pairs.*
  pairs::SplitOptions split;         ///< split.seed = pairs.seed
  std::filesystem::path split_file;  ///< empty: draw
  int augment = 1;                   ///< samples per training pair
  pairs::Resample resample = pairs::Resample::epoch;
  pairs::PairCells pair_cells = pairs::PairCells::both;  ///< pairs.cells
  // model.*
  model::Shape shape;
  pairs::ContextOptions context;  ///< model.context; shape.context is its number of columns
  model::EngineOptions engine;    ///< train.engine, train.isa, model.dropout
  // train.*
  std::uint64_t seed = 1;  ///< weights, order, cells; default: pairs.seed
  int epochs = 60;
  int batch = 32;
  int micro_batch = 16;
  bool shuffle_each_epoch = true;  ///< false: the first epoch's order in all of them
  OptimizerKind optimizer = OptimizerKind::adam;
  AdamOptions adam;
  SgdOptions sgd;
  std::int64_t warmup = 0;  ///< steps
  RateScaling rate_scaling = RateScaling::none;
  bool exact_reduction = true;
  int threads = 1;
  std::string device = "auto";
  bool share_gpus = false;          ///< ranks beyond the number of GPUs share them: for tests
  double collective_limit_s = 600;  ///< longest wait for one operation between the ranks' GPUs
  int checkpoint_every = 0;         ///< steps; 0: at the end of every epoch
  int keep_checkpoints = 2;
  std::filesystem::path init;     ///< weights to start from; finetune needs it
  int best_epoch_from = 501;      ///< fewer validation pairs than this: the last epoch is kept
  int stop_after_bad_steps = 10;  ///< non-finite steps in a row before exit 77
  // cross.*
  Leak leak = Leak::none;
  bool include_target = false;
  std::filesystem::path target;        ///< pretrain: the dataset that will be fine-tuned on
  std::filesystem::path target_split;  ///< pretrain: its split.csv, when it exists already
  Mixing mixing = Mixing::proportional;
  // predict.*
  int votes = 1;  ///< samples averaged per test pair (paper: 1)
  /// Platt's two numbers fit a hundred validation pairs; isotonic regression needs about a thousand.
  evaluate::CalibrationMethod calibration = evaluate::CalibrationMethod::platt;
  // run
  std::filesystem::path out;
  /// Resolved config.ini, byte-stable; no paths of this machine beyond the user's own.
  std::string config_text;
};

}  // namespace mgrn::train
