// SPDX-License-Identifier: Apache-2.0
// Which way attention's heads go on the samples that are measured, and how wide they are. Looked at before
// anything is timed, in what a forward pass leaves for its way back. Not collective: every rank looks at the
// same samples.
#pragma once

#include <vector>

#include "multigrnformer/model/engine.hpp"
#include "setup.hpp"

namespace mgrn::cli {

/// Samples that are looked at.
inline constexpr int kSamplesSeen = 256;

/// Calls `visit` for the heads of the first `samples` samples, in the setup's weights.
void visit_heads(Setup& setup, int samples, const model::HeadVisitor& visit);

/// How many heads; shares that went the linear and the quadratic way; the share of each number of panels (0:
/// quadratic); terms of a linear head, on average; quantiles of R.
base::Json path_facts(const std::vector<model::AttentionPath>& paths);

/// The same over all layers, and layer by layer; null where the engine has no choice.
base::Json path_facts_by_layer(Setup& setup);

}  // namespace mgrn::cli
