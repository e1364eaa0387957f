// SPDX-License-Identifier: Apache-2.0
// The model's weights: one flat float32 buffer with named views, in the names of
// torch.nn.TransformerEncoderLayer, so that reduction and optimiser see one vector and Python sees tensors.
// Those of the pooling readout are named as in two torch.nn.Sequential, `cells` and `predictor`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/large_array.hpp"

namespace mgrn::model {

enum class Positions { standard, paper, none };

/// How a sample becomes one row for the predictor.
enum class Readout {
  flatten,  ///< the paper's: the encoder's output, cell after cell
  pool,     ///< no encoder, no positions: layers Linear, ReLU of each cell, their mean and standard deviation
            ///< over the cells; the order of cells does not matter
};

/// The shape of a MultiGRNFormer (paper section 2.3), or of its pooling variant.
struct Shape {
  int cells = 500;   ///< N
  int width = 4;     ///< d_model; even, at least 4. pool: units of a cell's layers
  int heads = 4;     ///< h; width % heads == 0
  int layers = 2;    ///< L; pool: layers of each cell
  int hidden = 128;  ///< predictor's hidden units
  Positions positions = Positions::standard;
  Readout readout = Readout::flatten;
  int context = 0;  ///< columns of a sample beside those of RNA and RP; pool only
  /// Of a sample [cells, columns].
  int columns() const { return readout == Readout::pool ? 4 + context : width; }
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

/// A weight of any network, by name and extents.
struct TensorShape {
  std::string name;
  std::vector<std::int64_t> shape;
};

class Parameters {
 public:
  /// Zero weights; views in a fixed order: layers ascending, then predictor.
  explicit Parameters(const Shape& shape);
  /// Zero weights of another network, in the order given, none of them a predictor's. `network` says what it
  /// is, in the words of the keys that its shape follows from ("baseline.method" -> "cnnc"); not empty.
  Parameters(std::map<std::string, std::string> network, const std::vector<TensorShape>& tensors);

  /// Of a MultiGRNFormer; meaningless where network() is not empty.
  const Shape& shape() const { return shape_; }
  const std::map<std::string, std::string>& network() const { return network_; }
  std::size_t count() const;  ///< weights, without the padding between views
  std::span<float> values() { return values_; }
  std::span<const float> values() const { return values_; }
  const std::vector<ParameterView>& views() const { return views_; }
  const ParameterView& view(const std::string& name) const;  ///< throws InternalError
  std::span<float> tensor(const std::string& name);
  std::span<const float> tensor(const std::string& name) const;

 private:
  void add(std::string name, std::vector<std::int64_t> dimensions, bool predictor);

  Shape shape_;
  std::map<std::string, std::string> network_;
  std::vector<ParameterView> views_;
  base::LargeArray<float> values_;
};

/// Initial weights by seed: as PyTorch initialises these modules (Xavier uniform in-projection, Kaiming
/// uniform linear layers, zero attention biases, unit norms), from Philox, the same on every machine.
void initialise(Parameters& parameters, std::uint64_t seed);

}  // namespace mgrn::model
