// SPDX-License-Identifier: Apache-2.0
// The groups of keys, each written once and shared by the commands that take it.
#pragma once

#include "multigrnformer/cli/config.hpp"
#include "multigrnformer/cli/key_table.hpp"

namespace mgrn::cli {

void add_common_keys(KeyTable& table, Config& config);  ///< help, config, log-*, collectives
void add_data_keys(KeyTable& table, Config& config);    ///< data.*
/// The gene set "TFs+K" under the given names.
void add_gene_set_keys(KeyTable& table, Config& config, const std::string& genes,
                       const std::string& variable);
/// Which cells a pair's samples are drawn from, under the given name.
void add_pair_cells_key(KeyTable& table, Config& config, const std::string& name);
void add_pairs_keys(KeyTable& table, Config& config);       ///< pairs.*
void add_model_keys(KeyTable& table, Config& config);       ///< model.*
void add_calibration_key(KeyTable& table, Config& config);  ///< predict.calibration
void add_train_keys(KeyTable& table, Config& config);       ///< train.*
void add_cross_keys(KeyTable& table, Config& config);       ///< cross.*
void add_training_keys(KeyTable& table, Config& config);    ///< all of train, pretrain, finetune, sample
void add_baseline_keys(KeyTable& table, Config& config);    ///< baseline.*
void add_prepare_keys(KeyTable& table, Config& config);     ///< prepare.* and its inputs
void add_simulate_keys(KeyTable& table, Config& config);
void add_report_keys(KeyTable& table, Config& config);  ///< pdf

}  // namespace mgrn::cli
