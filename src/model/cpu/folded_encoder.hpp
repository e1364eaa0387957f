// SPDX-License-Identifier: Apache-2.0
// The encoder's weights as the kernels read them, and their gradient's way back to the model's own.
//
// A layer norm centres its `width` columns before it scales them, so n = P y: the columns of P [width][width
// - 1] are orthonormal and each sums to zero, and y, of length sqrt(width) at most, are n's coordinates. Of
// what enters a norm it sees coordinates alone. So the scale g and shift s of one norm and the centring of
// the next belong to the dense layers between them:
//
//   behind a norm   W (g n + s) + b   =  (W diag(g) P) y + (W s + b)
//   before a norm   P^T (W h + b)     =  (P^T W) h + P^T b
//   past both       P^T (g n + s)     =  (P^T diag(g) P) y + P^T s
//
// With width 4 a dense layer of 4 inputs or outputs becomes one of 3, which leaves a layer a sixth less of
// its multiply-adds, and there is no pass over the cells for scales, shifts and their gradients. The gradient
// of folded weights gives that of the model's by the chain rule, once per micro-batch. Both ways are computed
// in double precision.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "model/cpu/kernels.hpp"
#include "model/layer_tensors.hpp"
#include "multigrnformer/model/parameters.hpp"

namespace mgrn::model::cpu {

class FoldedEncoder {
 public:
  /// dropout: with it on the way back, which falls on columns, not on coordinates.
  FoldedEncoder(const Dimensions& dimensions, bool dropout);
  FoldedEncoder(const FoldedEncoder&) = delete;
  FoldedEncoder& operator=(const FoldedEncoder&) = delete;

  void fold(const Parameters& parameters);
  /// Until fold() is called again.
  const EncoderWeights& weights() const { return weights_; }

  /// Elements of the sums, which lie behind one another from `base` on, `lanes` floats each.
  std::size_t sums_size() const { return sums_size_; }
  EncoderSums place_sums(float* base, int lanes);

  /// Writes the encoder's tensors of the gradient, of the weights that were folded last, from the sums over
  /// cells, lanes and samples [sums_size()], which it may change.
  void unfold(std::span<float> sums, const Parameters& parameters, std::span<float> gradient);

 private:
  /// A norm's scale and shift, each [width]; their gradient.
  struct Norm {
    const float *scale, *shift;
  };
  struct NormGradient {
    double *scale, *shift;
  };
  /// Where a layer's sums lie, in the order of LayerSums.
  struct Places {
    std::size_t in_weight, in_bias, out_weight, out_bias, inner_weight, inner_bias, outer_weight, outer_bias;
    std::size_t past_attention, past_attention_bias, past_feed_forward, past_feed_forward_bias;
  };

  static std::size_t at(const Parameters& parameters, int layer, LayerTensor tensor);
  static Norm norm(const Parameters& parameters, int layer, LayerTensor scale);
  NormGradient norm_gradient(int layer, LayerTensor scale);
  std::size_t place(int size);
  float* take(int floats);

  DenseWeights plain(int outs, int ins, const float* weight, const float* bias);
  DenseWeights behind(int outs, const float* weight, const float* bias, const Norm& norm);
  DenseWeights before(int ins, const float* weight, const float* bias, const float* past_bias);
  const float* past(const Norm& norm);
  const float* past_bias(const Norm& norm);
  const float* scaled_queries(const float* rows, int ins);

  void behind_backward(int outs, const float* folded, const float* folded_bias, const float* weight,
                       const Norm& norm, float* gradient, float* bias_gradient,
                       const NormGradient& of_norm) const;
  void before_backward(int ins, const float* folded, const float* folded_bias, float* gradient,
                       float* bias_gradient) const;
  void past_backward(const float* folded, const float* folded_bias, const NormGradient& of_norm) const;

  double basis(int column, int coordinate) const {
    return basis_[static_cast<std::size_t>(column * coordinates_ + coordinate)];
  }
  /// Column c of P times a vector of coordinates, `stride` apart.
  double column(int c, const float* coordinates, int stride) const;
  /// The way back: coordinate a of P^T times a vector of columns, added to `start`.
  double coordinate(int a, const float* columns, int stride, double start = 0) const;

  Dimensions dims_;
  int coordinates_;
  bool dropout_;
  std::vector<double> basis_;  // P
  std::vector<float> floats_;  // the folded weights
  std::size_t taken_ = 0;
  std::vector<std::uint8_t> gelu_ranges_;  // [layers][inner]
  std::vector<LayerWeights> layers_;
  EncoderWeights weights_{};
  std::vector<Places> places_;
  std::size_t flat_weight_ = 0;
  std::size_t flat_bias_ = 0;
  std::size_t sums_size_ = 0;
  std::vector<LayerSums> layer_sums_;
  std::vector<double> norm_gradients_;  // [layers][2][scale, shift][width]
};

}  // namespace mgrn::model::cpu
