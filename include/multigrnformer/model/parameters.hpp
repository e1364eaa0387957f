// SPDX-License-Identifier: Apache-2.0
// The model's weights: one flat float32 buffer with named views, in the names of
// torch.nn.TransformerEncoderLayer, so that reduction and optimiser see one vector and Python sees tensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/large_array.hpp"

namespace mgrn::model {

enum class Positions { standard, paper, none };

/// The shape of a MultiGRNFormer (paper section 2.3).
struct Shape {
  int cells = 500;   ///< N
  int width = 4;     ///< d_model; even, at least 4
  int heads = 4;     ///< h; width % heads == 0
  int layers = 2;    ///< L
  int hidden = 128;  ///< predictor's hidden units
  Positions positions = Positions::standard;
  int feed_forward() const { return 4 * width; }
  bool operator==(const Shape&) const = default;
};

/// Throws UsageError with the key at fault.
void validate(const Shape& shape);

struct ParameterView {
  std::string name;  ///< "encoder.layers.0.self_attn.in_proj_weight", "predictor.0.weight", ...
  std::vector<std::int64_t> shape;
  std::size_t offset = 0;  ///< into the flat buffer, in floats; every view starts on 64 bytes
  std::size_t size = 0;
  bool predictor = false;  ///< belongs to the predictor (own learning rate)
};

class Parameters {
 public:
  /// Zero weights; views in a fixed order: layers ascending, then predictor.
  explicit Parameters(const Shape& shape);

  const Shape& shape() const { return shape_; }
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  const std::vector<ParameterView>& views() const { return views_; }
  const ParameterView& view(const std::string& name) const;  ///< throws InternalError
  std::span<float> tensor(const std::string& name);
  std::span<const float> tensor(const std::string& name) const;

 private:
  Shape shape_;
  std::vector<ParameterView> views_;
  base::LargeArray<float> values_;
};

/// Initial weights by seed: as PyTorch initialises these modules (Xavier uniform in-projection, Kaiming
/// uniform linear layers, zero attention biases, unit norms), from Philox, the same on every machine.
void initialise(Parameters& parameters, std::uint64_t seed);

}  // namespace mgrn::model
