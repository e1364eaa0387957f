// SPDX-License-Identifier: Apache-2.0
#include "model/positions.hpp"

#include <cmath>

namespace mgrn::model {

std::vector<double> positional_encoding(const Shape& shape) {
  std::vector<double> table(static_cast<std::size_t>(shape.cells) * static_cast<std::size_t>(shape.width),
                            0.0);
  if (shape.positions == Positions::none) return table;
  for (int cell = 0; cell < shape.cells; ++cell) {
    for (int column = 0; column < shape.width; ++column) {
      const bool odd = column % 2 != 0;
      const int numerator = odd && shape.positions == Positions::standard ? column - 1 : column;
      const double angle = cell / std::pow(10000.0, static_cast<double>(numerator) / shape.width);
      table[static_cast<std::size_t>(cell * shape.width + column)] = odd ? std::cos(angle) : std::sin(angle);
    }
  }
  return table;
}

}  // namespace mgrn::model
