// SPDX-License-Identifier: Apache-2.0
// One sample as people can look at it: the cells and values that training or evaluation with these settings
// uses for a pair.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "multigrnformer/pairs/split.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

struct SampleRequest {
  std::string tf = {};  ///< symbol, any case
  std::string gene = {};
  pairs::Set set = pairs::Set::train;
  int epoch = 0;         ///< from 0; training samples only
  int augmentation = 0;  ///< from 0, below pairs.augment; training samples only
  int vote = 0;          ///< from 0; test samples only
};

struct SampleTable {
  std::vector<std::string> barcodes;  ///< N, in the sample's order
  std::vector<float> values;          ///< [N, width], without positional encoding
  int width = 0;
  std::vector<std::string> columns;  ///< names of the width's columns
};

/// Not collective. Throws DataError for a symbol that the dataset lacks or a pair without cells,
/// UsageError for an epoch, copy or vote that these settings do not have.
SampleTable make_sample(const Settings& settings, const SampleRequest& request);

/// `cell,rna_tf,rp_tf,rna_gene,rp_gene[,context features][,column5,...]`, values in their shortest exact
/// form.
std::string sample_csv(const SampleTable& sample);

}  // namespace mgrn::train
