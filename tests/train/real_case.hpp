// SPDX-License-Identifier: Apache-2.0
// Real samples, prepared, as the data of a run.
#pragma once

#include <filesystem>
#include <string>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/prepare/prepare.hpp"
#include "multigrnformer/train/settings.hpp"
#include "support/shared_data.hpp"

namespace mgrn::test {

/// Prepares `raw` into `dataset`; settings of a run on all its genes, with one of BEELINE's mouse networks.
inline train::Settings run_on(prepare::Settings raw, const std::filesystem::path& dataset,
                              const std::string& network) {
  raw.out = dataset;
  prepare::prepare(raw, *comm::make_self_communicator());
  train::Settings settings;
  settings.datasets = {dataset};
  settings.networks = {real_data("networks/mouse/" + network)};
  settings.tf_lists = {real_data("networks/mouse/tfs.csv")};
  settings.gene_set.variable_genes = -1;
  return settings;
}

/// RNA and ATAC: mouse cortex, SNARE-seq.
inline train::Settings mouse_cortex(const std::filesystem::path& folder) {
  prepare::Settings raw;
  raw.rna = real_data("mouse_cortex_snare/feature_bc_matrix.h5");
  raw.annotation = real_data("annotation/mm10.refGene.gtf.gz");
  raw.qc = prepare::QcRule::mad_linear;
  return run_on(raw, folder / "snare.h5", "nonspecific_chipseq.csv.gz");
}

/// RNA alone: mouse dendritic cells, values that are logged already.
inline train::Settings dendritic_cells(const std::filesystem::path& folder) {
  prepare::Settings raw;
  raw.rna = real_data("mdc_rna/ExpressionData.csv.gz");
  raw.rna_normalisation = prepare::RnaNormalisation::z;
  raw.qc = prepare::QcRule::none;
  train::Settings settings = run_on(raw, folder / "mdc.h5", "string.csv.gz");
  settings.atac = false;
  return settings;
}

}  // namespace mgrn::test
