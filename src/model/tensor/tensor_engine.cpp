// SPDX-License-Identifier: Apache-2.0
#include "model/tensor/tensor_engine.hpp"

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/native_layer_norm.h>
#include <ATen/ops/native_layer_norm_backward.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <utility>
#include <vector>

#include "model/checks.hpp"
#include "model/dropout.hpp"
#include "model/layer_tensors.hpp"
#include "model/positions.hpp"
#include "model/tensor/attention.hpp"
#include "model/tensor/device.hpp"
#include "model/tensor/value_table.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model::tensor {
namespace {

constexpr double kNormEpsilon = 1e-5;

/// x = (residual - mean) * scale, before weight and bias.
struct Norm {
  at::Tensor residual, mean, scale;
};

/// What a layer's forward pass leaves for its way back; rows are cells of all samples.
struct LayerState {
  at::Tensor input;  ///< [rows, width]
  AttentionState attention;
  at::Tensor mixed;  ///< [rows, width]: attention before the output projection
  Norm norm1, norm2;
  at::Tensor middle;                ///< [rows, width]: after the first norm
  at::Tensor inner;                 ///< [rows, inner]: before GELU
  at::Tensor active;                ///< [rows, inner]: after GELU and dropout
  std::array<at::Tensor, 3> masks;  ///< by DropoutSite; undefined without dropout
};

/// x W^T + b
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return at::addmm(bias, x, weight.t());
}

at::Tensor masked(const at::Tensor& x, const at::Tensor& mask) {
  return mask.defined() ? x * mask : x;
}

class TensorEngine final : public Engine {
 public:
  TensorEngine(const Shape& shape, int micro_batch, double dropout, at::Device device, Holds holds)
      : shape_(shape),
        layout_(shape),
        micro_batch_(micro_batch),
        dropout_(dropout),
        device_(device),
        holds_(device.is_cuda() || holds == Holds::anywhere),
        attention_(device) {
    at::set_num_threads(1);
    const std::vector<double> table = positional_encoding(shape);
    positions_ = at::tensor(std::vector<float>(table.begin(), table.end()), at::kFloat)
                     .view({1, shape.cells, shape.width})
                     .to(device);
  }

  std::string name() const override { return device_.is_cuda() ? "tensor/cuda" : "tensor/cpu"; }

  void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    check_prediction(shape_, parameters, samples, inputs, logits);
    const c10::InferenceMode mode;
    const at::Tensor weights = upload(parameters.values());
    const std::size_t size = sample_size();
    // Always as many rows as a micro-batch: products round differently for another number.
    std::vector<float> rows(static_cast<std::size_t>(micro_batch_) * size);
    for (int first = 0; first < samples; first += micro_batch_) {
      const int count = std::min(micro_batch_, samples - first);
      std::ranges::fill(rows, 0.0f);
      std::ranges::copy(
          inputs.subspan(static_cast<std::size_t>(first) * size, static_cast<std::size_t>(count) * size),
          rows.begin());
      predict_rows(weights, upload(rows),
                   logits.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)));
    }
  }

  Holding hold(const ColumnTable& table) override {
    if (!holds_) return {};
    try {
      return {.columns = std::make_shared<ValueTable>(table, device_), .problem = {}, .wants_cells = true};
    } catch (const c10::Error& error) {
      return {.columns = nullptr, .problem = error.what_without_backtrace()};
    }
  }

  void predict_held(const Parameters& parameters, std::span<const HeldSample> samples,
                    std::span<float> logits) override {
    require_held(samples, micro_batch_, holds_);
    const c10::InferenceMode mode;
    predict_rows(upload(parameters.values()), take(samples), logits);
  }

  StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                          std::span<float> gradient) override {
    check_micro_batch(shape_, parameters, batch, gradient, micro_batch_, dropout_ > 0, holds_);
    const c10::InferenceMode mode;
    const std::size_t size = sample_size();
    // Rows of weight 0 are padding: what they hold, even NaN, is not looked at.
    std::vector<float> rows(static_cast<std::size_t>(micro_batch_) * size);
    std::vector<bool> counts(static_cast<std::size_t>(micro_batch_));
    for (std::size_t row = 0; row < static_cast<std::size_t>(batch.samples); ++row) {
      counts[row] = batch.weights[row] != 0.0f;
      if (counts[row] && batch.held.empty()) {
        std::ranges::copy(batch.inputs.subspan(row * size, size),
                          rows.begin() + static_cast<std::ptrdiff_t>(row * size));
      }
    }
    const at::Tensor weights = upload(parameters.values());
    at::Tensor result = at::zeros({static_cast<std::int64_t>(gradient.size())}, weights.options());
    std::vector<LayerState> states(static_cast<std::size_t>(shape_.layers));
    const at::Tensor flat = encode(weights, batch.held.empty() ? upload(rows) : take(batch.held),
                                   dropout_ > 0 ? batch.names : std::span<const std::uint64_t>{}, &states);
    const at::Tensor hidden = hidden_units(weights, flat);

    const at::Tensor logits = logits_of(weights, hidden).to(at::kCPU).contiguous();
    StepStatistics statistics;
    std::vector<float> slopes(counts.size());
    for (std::size_t row = 0; row < counts.size(); ++row) {
      if (!counts[row]) continue;
      const auto logit = static_cast<double>(static_cast<float>(logits.data_ptr<double>()[row]));
      const LossTerm term = binary_cross_entropy(logit, batch.labels[row], batch.weights[row]);
      statistics.loss += term.loss;
      slopes[row] = static_cast<float>(term.slope);
    }
    const at::Tensor slope = upload(slopes).unsqueeze(1);
    at::Tensor here = at::empty({micro_batch_, 1}, at::kBool);
    std::ranges::copy(counts, here.data_ptr<bool>());
    here = here.to(device_);
    statistics.live_hidden =
        static_cast<std::uint64_t>(hidden.gt(0.0).logical_and_(here).any(0).sum().item<std::int64_t>());

    // Zero only where the unit is off: a NaN unit passes its NaN on. Padding's slope is 0.
    const at::Tensor hidden_gradient =
        at::where(hidden.eq(0.0), 0.0, slope * predictor(weights, kLogitWeight).view({1, -1}));
    predictor(result, kLogitWeight).copy_(at::mm(slope.t(), hidden));
    predictor(result, kLogitBias).copy_(slope.sum(0));
    predictor(result, kHiddenWeight).copy_(at::mm(hidden_gradient.t(), flat));
    predictor(result, kHiddenBias).copy_(hidden_gradient.sum(0));
    encode_backward(weights, states, at::mm(hidden_gradient, predictor(weights, kHiddenWeight)), result);

    const at::Tensor done = result.to(at::kCPU).contiguous();
    std::copy_n(done.data_ptr<float>(), gradient.size(), gradient.begin());
    clear_key_bias(gradient);
    return statistics;
  }

 private:
  std::size_t sample_size() const {
    return static_cast<std::size_t>(shape_.cells) * static_cast<std::size_t>(shape_.width);
  }

  at::Tensor take(std::span<const HeldSample> samples) const {
    return take_samples(samples, micro_batch_, shape_.cells, shape_.width, device_);
  }

  void predict_rows(const at::Tensor& weights, const at::Tensor& inputs, std::span<float> logits) const {
    const at::Tensor hidden = hidden_units(weights, encode(weights, inputs, {}, nullptr));
    const at::Tensor result = logits_of(weights, hidden).to(at::kCPU).contiguous();
    std::transform(result.data_ptr<double>(), result.data_ptr<double>() + logits.size(), logits.begin(),
                   [](double value) { return static_cast<float>(value); });
  }

  at::Tensor upload(std::span<const float> values) const {
    // The copy is made before the caller's memory goes: on a CPU by clone(), else by the transfer.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): from_blob() takes no other
    at::Tensor here = at::from_blob(const_cast<float*>(values.data()),
                                    {static_cast<std::int64_t>(values.size())}, at::kFloat);
    return device_.is_cpu() ? here.clone() : here.to(device_);
  }

  at::Tensor view(const at::Tensor& all, std::size_t index) const {
    const ParameterView& at = layout_.views()[index];
    return all.narrow(0, static_cast<std::int64_t>(at.offset), static_cast<std::int64_t>(at.size))
        .view(at.shape);
  }
  at::Tensor layer(const at::Tensor& all, int index, LayerTensor tensor) const {
    return view(all, static_cast<std::size_t>(index) * kLayerTensors + tensor);
  }
  at::Tensor predictor(const at::Tensor& all, PredictorTensor tensor) const {
    return view(all, static_cast<std::size_t>(shape_.layers) * kLayerTensors + tensor);
  }

  /// [rows, columns] of 0 and the kept values' factor.
  at::Tensor make_mask(std::span<const std::uint64_t> names, int layer, DropoutSite site, int columns) const {
    const int words_per_column = (shape_.cells + kMaskCells - 1) / kMaskCells;
    std::vector<std::uint32_t> words(static_cast<std::size_t>(columns * words_per_column));
    std::vector<float> mask(static_cast<std::size_t>(micro_batch_) *
                            static_cast<std::size_t>(shape_.cells * columns));
    const auto scale = static_cast<float>(dropout_scale(dropout_));
    std::size_t next = 0;
    for (const std::uint64_t name : names) {
      dropout_mask(name, layer, site, dropout_threshold(dropout_), columns, words_per_column, words);
      for (int n = 0; n < shape_.cells; ++n) {
        for (int c = 0; c < columns; ++c) {
          const std::uint32_t word = words[static_cast<std::size_t>(c * words_per_column + n / kMaskCells)];
          mask[next++] = (word >> (n % kMaskCells) & 1u) != 0 ? scale : 0.0f;
        }
      }
    }
    return upload(mask).view({-1, columns});
  }

  /// normalised * weight + bias
  static at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                               Norm& state) {
    auto [result, mean, scale] = at::native_layer_norm(x, {x.size(1)}, weight, bias, kNormEpsilon);
    state = {x, mean, scale};
    return result;
  }
  static at::Tensor layer_norm_backward(const at::Tensor& gradient, const Norm& state,
                                        const at::Tensor& weight, const at::Tensor& bias,
                                        const at::Tensor& weight_gradient, const at::Tensor& bias_gradient) {
    const auto [result, dw, db] =
        at::native_layer_norm_backward(gradient, state.residual, {state.residual.size(1)}, state.mean,
                                       state.scale, weight, bias, {true, true, true});
    weight_gradient.copy_(dw);
    bias_gradient.copy_(db);
    return result;
  }

  at::Tensor attention(const at::Tensor& qkv, AttentionState& state) const {
    const std::int64_t head_width = shape_.width / shape_.heads;
    const at::Tensor parts = qkv.view({micro_batch_, shape_.cells, 3, shape_.heads, head_width})
                                 .permute({2, 0, 3, 1, 4})
                                 .contiguous()
                                 .view({3, -1, shape_.cells, head_width});
    at::Tensor mixed;
    if (head_width == 1) {
      const at::Tensor rows = parts.squeeze(3);
      mixed = attention_.forward(rows[0], rows[1], rows[2], state).unsqueeze(2);
    } else {
      mixed = wide_forward(parts[0] * query_scale(), parts[1], parts[2], state);
    }
    return mixed.view({micro_batch_, shape_.heads, shape_.cells, head_width})
        .transpose(1, 2)
        .reshape({-1, shape_.width});
  }

  at::Tensor attention_backward(const at::Tensor& gradient, const AttentionState& state) const {
    const std::int64_t head_width = shape_.width / shape_.heads;
    const at::Tensor g = gradient.view({micro_batch_, shape_.cells, shape_.heads, head_width})
                             .transpose(1, 2)
                             .reshape({-1, shape_.cells, head_width});
    QkvGradient back;
    if (head_width == 1) {
      back = scalar_backward(state, g.squeeze(2));
    } else {
      back = wide_backward(state, g);
      back.query = back.query * query_scale();
    }
    return at::stack({back.query, back.key, back.value})
        .view({3, micro_batch_, shape_.heads, shape_.cells, head_width})
        .permute({1, 3, 0, 2, 4})
        .reshape({-1, 3 * shape_.width});
  }

  double query_scale() const {
    const std::int64_t head_width = shape_.width / shape_.heads;
    return 1.0 / std::sqrt(static_cast<double>(head_width));
  }

  /// inputs [micro_batch * cells * width] -> [micro_batch, cells * width]
  at::Tensor encode(const at::Tensor& weights, const at::Tensor& inputs, std::span<const std::uint64_t> names,
                    std::vector<LayerState>* states) const {
    at::Tensor x =
        (inputs.view({micro_batch_, shape_.cells, shape_.width}) + positions_).view({-1, shape_.width});
    for (int at = 0; at < shape_.layers; ++at) {
      const auto w = [&](LayerTensor tensor) { return layer(weights, at, tensor); };
      LayerState state;
      if (!names.empty()) {
        const int columns[3] = {shape_.width, shape_.feed_forward(), shape_.width};
        for (std::uint32_t site = 0; site < 3; ++site) {
          state.masks[site] = make_mask(names, at, static_cast<DropoutSite>(site), columns[site]);
        }
      }
      state.input = x;
      state.mixed = attention(linear(x, w(kInWeight), w(kInBias)), state.attention);
      const at::Tensor projected = linear(state.mixed, w(kOutWeight), w(kOutBias));
      state.middle =
          layer_norm(x + masked(projected, state.masks[0]), w(kNorm1Weight), w(kNorm1Bias), state.norm1);
      state.inner = linear(state.middle, w(kInnerWeight), w(kInnerBias));
      state.active = masked(at::gelu(state.inner), state.masks[1]);
      const at::Tensor outer = linear(state.active, w(kOuterWeight), w(kOuterBias));
      x = layer_norm(state.middle + masked(outer, state.masks[2]), w(kNorm2Weight), w(kNorm2Bias),
                     state.norm2);
      if (states != nullptr) (*states)[static_cast<std::size_t>(at)] = std::move(state);
    }
    return x.view({micro_batch_, -1});
  }

  void encode_backward(const at::Tensor& weights, const std::vector<LayerState>& states,
                       const at::Tensor& flat_gradient, const at::Tensor& result) const {
    at::Tensor stream = flat_gradient.view({-1, shape_.width});
    for (int at = shape_.layers - 1; at >= 0; --at) {
      const LayerState& state = states[static_cast<std::size_t>(at)];
      const auto w = [&](LayerTensor tensor) { return layer(weights, at, tensor); };
      const auto d = [&](LayerTensor tensor) { return layer(result, at, tensor); };
      const auto weight_gradient = [&](LayerTensor weight, LayerTensor bias, const at::Tensor& gradient,
                                       const at::Tensor& input) {
        d(weight).copy_(at::mm(gradient.t(), input));
        d(bias).copy_(gradient.sum(0));
      };
      const at::Tensor residual2 = layer_norm_backward(stream, state.norm2, w(kNorm2Weight), w(kNorm2Bias),
                                                       d(kNorm2Weight), d(kNorm2Bias));
      const at::Tensor outer = masked(residual2, state.masks[2]);
      weight_gradient(kOuterWeight, kOuterBias, outer, state.active);
      const at::Tensor inner =
          at::gelu_backward(masked(at::mm(outer, w(kOuterWeight)), state.masks[1]), state.inner);
      weight_gradient(kInnerWeight, kInnerBias, inner, state.middle);
      const at::Tensor residual1 =
          layer_norm_backward(residual2 + at::mm(inner, w(kInnerWeight)), state.norm1, w(kNorm1Weight),
                              w(kNorm1Bias), d(kNorm1Weight), d(kNorm1Bias));
      const at::Tensor projected = masked(residual1, state.masks[0]);
      weight_gradient(kOutWeight, kOutBias, projected, state.mixed);
      const at::Tensor qkv = attention_backward(at::mm(projected, w(kOutWeight)), state.attention);
      weight_gradient(kInWeight, kInBias, qkv, state.input);
      if (at > 0) stream = residual1 + at::mm(qkv, w(kInWeight));
    }
  }

  at::Tensor hidden_units(const at::Tensor& weights, const at::Tensor& flat) const {
    return linear(flat, predictor(weights, kHiddenWeight), predictor(weights, kHiddenBias)).relu();
  }
  /// In double: a hundred terms once per sample, and the loss sees no rounding of ours.
  at::Tensor logits_of(const at::Tensor& weights, const at::Tensor& hidden) const {
    return hidden.to(at::kDouble).mv(predictor(weights, kLogitWeight).view({-1}).to(at::kDouble)) +
           predictor(weights, kLogitBias).to(at::kDouble);
  }

  /// Softmax does not see a shift of all keys, so the key bias has no gradient; what the sums hold is
  /// rounding, which Adam would scale up to full steps.
  void clear_key_bias(std::span<float> gradient) const {
    for (int at = 0; at < shape_.layers; ++at) {
      const std::size_t offset =
          layout_.views()[static_cast<std::size_t>(at) * kLayerTensors + kInBias].offset;
      const auto width = static_cast<std::size_t>(shape_.width);
      for (float& value : gradient.subspan(offset + width, width)) {
        if (std::isfinite(value)) value = 0.0f;
      }
    }
  }

  Shape shape_;
  Parameters layout_;
  int micro_batch_;
  double dropout_;
  at::Device device_;
  bool holds_;
  ScalarAttention attention_;
  at::Tensor positions_;
};

}  // namespace

std::unique_ptr<Engine> make_tensor_engine(const Shape& shape, int micro_batch, const EngineOptions& options,
                                           Holds holds) {
  if (options.isa != "auto") {
    throw base::UsageError({.what = "the tensor engine does not choose its instruction set",
                            .file = "train.isa",
                            .expected = "auto",
                            .got = options.isa,
                            .hint = "Set train.isa to auto, or train.engine to quadratic or linear."});
  }
  return std::make_unique<TensorEngine>(shape, micro_batch, options.dropout,
                                        open_device(options.device, options.gpu), holds);
}

}  // namespace mgrn::model::tensor
