// SPDX-License-Identifier: Apache-2.0
// One function per method, each in a file of its own. Internal to the room.
#pragma once

#include "multigrnformer/baselines/method.hpp"

namespace mgrn::baselines {

Method random_method();
Method degree_method();
Method neighbours_method();
Method pearson_method();
Method spearman_method();
Method coexpression_method();
Method marginals_method();
Method embeddings_method();
Method cnnc_method();
Method stgrns_method();
Method genie3_method();
Method grnboost2_method();

}  // namespace mgrn::baselines
