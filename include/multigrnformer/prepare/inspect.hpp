// SPDX-License-Identifier: Apache-2.0
// What a dataset file says of itself: the table of its quality control and how well its cells and genes are
// covered. One rank alone, no collective. Table 1's row needs a network and is computed in `pairs`.
#pragma once

#include <string>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::prepare {

/// The table of quality control as text, several lines, from what `prepare` stored in the dataset.
std::string quality_text(const base::Json& quality);

/// Figures that need only the file's header and row lengths: id, sizes, settings, sources, quality, and
/// coverage (share of stored entries per layer; quantiles over genes of the cells that express them).
base::Json inspect_json(const store::Dataset& dataset);

/// The same for people: a heading, the table of quality control, coverage.
std::string inspect_text(const store::Dataset& dataset);

}  // namespace mgrn::prepare
