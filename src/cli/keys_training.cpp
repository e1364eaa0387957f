// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/formats/number_text.hpp"

namespace mgrn::cli {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();
constexpr std::int64_t kMostFolds = 1000;
constexpr std::uint64_t kAnySeed = std::numeric_limits<std::uint64_t>::max();

void set_fold(const std::string& text, pairs::SplitOptions& split) {
  std::int64_t fold = 0, folds = 0;
  const auto slash = text.find('/');
  const bool legal =
      text == "none" || (slash != std::string::npos && formats::parse_number(text.substr(0, slash), fold) &&
                         formats::parse_number(text.substr(slash + 1), folds) && folds >= 2 &&
                         folds <= kMostFolds && fold >= 1 && fold <= folds);
  if (!legal) {
    throw base::UsageError(
        {.what = "illegal value of pairs.fold",
         .expected = "none, or K/N with N from 2 to " + std::to_string(kMostFolds) + " and K from 1 to N",
         .got = "\"" + text + "\"",
         .hint = "write 1/5 for the first of five folds, say"});
  }
  split.fold = static_cast<int>(fold);
  split.folds = static_cast<int>(folds);
}

}  // namespace

void add_gene_set_keys(KeyTable& table, Config& config, const std::string& genes,
                       const std::string& variable) {
  auto& gene_set = config.train.gene_set;
  table
      .number_or_word<std::int64_t>(genes, gene_set.variable_genes, 1, kMany, "all", -1,
                                    "gene set: all TFs and the N most variable genes")
      .placeholder = "500|1000|N|all";
  table.choice<pairs::VariableGenes>(variable, gene_set.ranking,
                                     {{"variance", pairs::VariableGenes::variance},
                                      {"vst", pairs::VariableGenes::vst},
                                      {"beeline", pairs::VariableGenes::beeline}},
                                     "what ranks genes as variable");
}

void add_pair_cells_key(KeyTable& table, Config& config, const std::string& name) {
  table.choice<pairs::PairCells>(
      name, config.train.pair_cells,
      {{"both", pairs::PairCells::both},
       {"either", pairs::PairCells::either},
       {"all", pairs::PairCells::all}},
      "cells of a sample: those that express both genes (the paper), either, or all");
}

void add_data_keys(KeyTable& table, Config& config) {
  auto& settings = config.train;
  table.files("data.dataset", settings.datasets, "dataset file from `prepare`; several for pretrain");
  table.files("data.network", settings.networks, "ground truth, CSV of TF,gene; one, or one per dataset");
  table.files("data.tfs", settings.tf_lists, "list of transcription factors; one, or one per dataset");
  add_gene_set_keys(table, config, "data.genes", "data.variable");
  table.choice<bool>("data.modalities", settings.atac, {{"rna,atac", true}, {"rna", false}},
                     "modalities that a sample holds; rna leaves the RP columns zero");
  table.choice<pairs::Precision>(
      "data.precision", settings.precision,
      {{"auto", pairs::Precision::automatic},
       {"float32", pairs::Precision::float32},
       {"int16", pairs::Precision::int16}},
      "values in memory; int16 errs by less than 0.001, auto: int16 from 100,000 cells");
  table
      .file("data.stage", settings.stage,
            "copy datasets to this folder on each node's own disk and read them there ($SLURM_TMPDIR)")
      .result = false;
}

void add_pairs_keys(KeyTable& table, Config& config) {
  auto& settings = config.train;
  table.choice<pairs::Negatives>("pairs.negatives", settings.split.negatives,
                                 {{"network", pairs::Negatives::network},
                                  {"multignn", pairs::Negatives::multignn},
                                  {"degree-matched", pairs::Negatives::degree_matched},
                                  {"all", pairs::Negatives::all}},
                                 "where negative pairs come from");
  table.choice<pairs::SplitBy>("pairs.split", settings.split.by,
                               {{"edge", pairs::SplitBy::edge},
                                {"tf-heldout", pairs::SplitBy::tf_heldout},
                                {"gene-heldout", pairs::SplitBy::gene_heldout}},
                               "what the test set holds that training has not seen");
  table.integer("pairs.seed", settings.split.seed, 0, kAnySeed, "seed of split and negatives");
  table.integer("pairs.augment", settings.augment, 1, 1000, "samples per training pair");
  table.choice<pairs::Resample>("pairs.resample", settings.resample,
                                {{"once", pairs::Resample::once},
                                 {"copies", pairs::Resample::copies},
                                 {"epoch", pairs::Resample::epoch}},
                                "when a pair's cells are drawn anew (once: the paper)");
  add_pair_cells_key(table, config, "pairs.cells");
  table.custom({.name = "pairs.fold",
                .placeholder = "none|K/N",
                .help = "cross-validation: test on part K of N of the training pairs, train on the others",
                .set = [&split = settings.split](const std::string& text) { set_fold(text, split); },
                .get =
                    [&split = settings.split] {
                      return split.folds == 0
                                 ? "none"
                                 : std::to_string(split.fold) + "/" + std::to_string(split.folds);
                    }});
  table.file("pairs.split_file", settings.split_file, "use this split.csv instead of drawing one");
}

void add_model_keys(KeyTable& table, Config& config) {
  auto& shape = config.train.shape;
  table.integer("model.cells", shape.cells, 1, 1 << 20, "cells per sample, N");
  table.integer("model.layers", shape.layers, 1, 64, "encoder layers, L");
  table.choice<model::Readout>(
      "model.readout", shape.readout, {{"flatten", model::Readout::flatten}, {"pool", model::Readout::pool}},
      "flatten: the paper's encoder; pool: layers of each cell, mean and SD over cells");
  table.integer("model.width", shape.width, 1, 1024,
                "columns of a sample, d_model: even; pool: units of a cell's layers (default 32)");
  table.integer("model.heads", shape.heads, 1, 256,
                "attention heads; must divide model.width (default: one column each)");
  table.choice<pairs::ContextOptions>(
      "model.context", config.train.context,
      {{"none", {}},
       {"cell", {.cell = true}},
       {"gene", {.gene = true}},
       {"cell,gene", {.cell = true, .gene = true}}},
      "pool: features of each cell (size, components), of both genes (their correlation with components)");
  table.integer("model.hidden", shape.hidden, 1, 1 << 16, "hidden units of the predictor (pool: default 64)");
  table.real("model.dropout", config.train.engine.dropout, 0, 0.95,
             "share of activations dropped in training");
  table.choice<model::Positions>("model.positions", shape.positions,
                                 {{"standard", model::Positions::standard},
                                  {"paper", model::Positions::paper},
                                  {"none", model::Positions::none}},
                                 "positional encoding; paper: odd columns as the paper prints them");
}

void add_calibration_key(KeyTable& table, Config& config) {
  table.choice<evaluate::CalibrationMethod>("predict.calibration", config.train.calibration,
                                            {{"none", evaluate::CalibrationMethod::none},
                                             {"platt", evaluate::CalibrationMethod::platt},
                                             {"isotonic", evaluate::CalibrationMethod::isotonic}},
                                            "map from scores to probabilities, fitted on validation pairs");
}

void add_train_keys(KeyTable& table, Config& config) {
  auto& settings = config.train;
  table.integer("train.seed", settings.seed, 0, kAnySeed,
                "seed of weights, order and cells (default: pairs.seed)");
  table.integer("train.epochs", settings.epochs, 0, kMany,
                "passes over the training samples; 0, finetune only: test train.init as it is");
  table.integer("train.batch", settings.batch, 1, 1 << 20, "samples per step, over all ranks");
  table.integer("train.micro_batch", settings.micro_batch, 1, 1024,
                "samples computed together; changes the bits, the number of ranks does not");
  table.real("train.learning_rate", settings.adam.learning_rate, 0, 10, "Adam's rate for the encoder");
  table.real("train.predictor_learning_rate", settings.adam.predictor_learning_rate, 0, 10,
             "Adam's rate for the predictor");
  table.choice<train::Freeze>("train.freeze", settings.adam.freeze,
                              {{"none", train::Freeze::none},
                               {"encoder", train::Freeze::encoder},
                               {"predictor", train::Freeze::predictor}},
                              "weights that stay as they start, in finetune those of train.init");
  table.choice<train::RateScaling>("train.scale_learning_rate", settings.rate_scaling,
                                   {{"none", train::RateScaling::none},
                                    {"sqrt", train::RateScaling::square_root},
                                    {"linear", train::RateScaling::linear}},
                                   "how both rates grow with train.batch, from 32 samples on");
  table.integer("train.warmup", settings.warmup, 0, kMany,
                "steps in which both rates grow evenly to their full size");
  table.real("train.weight_decay", settings.adam.weight_decay, 0, 10, "L2 penalty");
  table.real("train.clip", settings.adam.clip, 0, kInfinity,
             "largest norm of a step's gradient; 0: no limit");
  table.real("train.validation", settings.split.validation, 0, 0.9,
             "share of training pairs held out to choose the epoch");
  table.text("train.engine", "auto|linear|quadratic|tensor|reference", settings.engine.kind,
             "what computes the model");
  table.text("train.isa", "auto|avx2|baseline|avx512", settings.engine.isa, "instruction set of the kernels");
  table.choice<bool>("train.reduction", settings.exact_reduction, {{"exact", true}, {"float", false}},
                     "exact: the same bits on any number of ranks");
  table.text(
      "train.device", "auto|cpu|cuda", settings.device,
      "where the model is computed; auto: a GPU for each rank where all can have one, else the processor");
  table
      .boolean("train.share_gpus", settings.share_gpus,
               "let ranks beyond the number of GPUs share them: for tests, it gains no speed")
      .result = false;
  table.integer("train.threads", settings.threads, 1, 1024, "threads per rank").result = false;
  table
      .integer("train.checkpoint_every", settings.checkpoint_every, 0, kMany,
               "steps between checkpoints; 0: one per epoch")
      .result = false;
  table.integer("train.keep_checkpoints", settings.keep_checkpoints, 1, 1000, "checkpoints kept").result =
      false;
  table.file("train.init", settings.init, "weights to start from; finetune needs it");
  table.integer("predict.votes", settings.votes, 1, 1000, "samples of cells averaged per test pair");
  add_calibration_key(table, config);
}

void add_cross_keys(KeyTable& table, Config& config) {
  auto& settings = config.train;
  table.choice<train::Leak>("cross.leak", settings.leak,
                            {{"none", train::Leak::none}, {"same-dataset", train::Leak::same_dataset}},
                            "which pretraining pairs may equal the target's test pairs");
  table.boolean("cross.include_target", settings.include_target, "pretrain on the target dataset too");
  table.file("cross.target", settings.target,
             "dataset that will be fine-tuned on: its test pairs are left out");
  table.file("cross.target_split", settings.target_split,
             "split.csv of the target instead of drawing it anew");
  table.choice<train::Mixing>(
      "cross.mixing", settings.mixing,
      {{"proportional", train::Mixing::proportional}, {"balanced", train::Mixing::balanced}},
      "how many samples each dataset gives to an epoch");
}

void add_training_keys(KeyTable& table, Config& config) {
  add_data_keys(table, config);
  add_pairs_keys(table, config);
  add_model_keys(table, config);
  add_train_keys(table, config);
  add_cross_keys(table, config);
}

}  // namespace mgrn::cli
