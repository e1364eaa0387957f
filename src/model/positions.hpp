// SPDX-License-Identifier: Apache-2.0
// Sinusoidal positions that are added to a sample's rows (the paper's section 2.3). Computed once per
// engine, in double, so that every engine adds the same numbers.
#pragma once

#include <vector>

#include "multigrnformer/model/parameters.hpp"

namespace mgrn::model {

/// [cells, width]. `standard`: column 2n holds sin(m / 10000^(2n/width)), column 2n+1 the cosine of the same
/// angle; `paper`: the odd columns' exponent is (2n+1)/width, as printed; `none`: zeros.
std::vector<double> positional_encoding(const Shape& shape);

}  // namespace mgrn::model
