// SPDX-License-Identifier: Apache-2.0
#include "model/reference.hpp"

#include <torch/torch.h>

#include "model/checks.hpp"
#include "model/dropout.hpp"
#include "model/layer_tensors.hpp"
#include "model/positions.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

/// Each weight as a leaf tensor, in the order of Parameters::views().
using Weights = std::vector<torch::Tensor>;

template <typename Value>
Weights make_weights(const Parameters& layout, const Value* values, bool needs_gradient) {
  Weights weights;
  for (const ParameterView& view : layout.views()) {
    torch::Tensor tensor = torch::empty(view.shape, torch::CppTypeToScalarType<Value>::value);
    std::copy_n(values + view.offset, view.size, tensor.template data_ptr<Value>());
    weights.push_back(tensor.set_requires_grad(needs_gradient));
  }
  return weights;
}

/// [samples, cells, columns] of 0 and the kept values' factor.
torch::Tensor make_mask(const Shape& shape, std::span<const std::uint64_t> names, int layer, DropoutSite site,
                        int columns, double dropout, torch::ScalarType type) {
  const int words_per_column = (shape.cells + kMaskCells - 1) / kMaskCells;
  std::vector<std::uint32_t> words(static_cast<std::size_t>(columns * words_per_column));
  torch::Tensor mask =
      torch::zeros({static_cast<std::int64_t>(names.size()), shape.cells, columns}, torch::kFloat64);
  double* value = mask.data_ptr<double>();
  for (const std::uint64_t name : names) {
    dropout_mask(name, layer, site, dropout_threshold(dropout), columns, words_per_column, words);
    for (int n = 0; n < shape.cells; ++n) {
      for (int c = 0; c < columns; ++c) {
        const std::uint32_t word = words[static_cast<std::size_t>(c * words_per_column + n / kMaskCells)];
        *value++ = (word >> (n % kMaskCells) & 1u) != 0 ? dropout_scale(dropout) : 0.0;
      }
    }
  }
  return mask.to(type);
}

/// x [samples, cells, width], positions added.
torch::Tensor encoder_forward(const Shape& shape, const Weights& weights, torch::Tensor x,
                              std::span<const std::uint64_t> names, double dropout) {
  const std::int64_t samples = x.size(0);
  const auto drop = [&](const torch::Tensor& value, int layer, DropoutSite site) {
    if (dropout <= 0) return value;
    return value * make_mask(shape, names, layer, site, static_cast<int>(value.size(2)), dropout,
                             value.scalar_type());
  };
  for (int layer = 0; layer < shape.layers; ++layer) {
    const torch::Tensor* w = weights.data() + static_cast<std::size_t>(layer) * kLayerTensors;
    // [samples, cells, 3 width] -> three of [samples, heads, cells, head width]
    const std::vector<torch::Tensor> parts =
        torch::linear(x, w[0], w[1])
            .view({samples, shape.cells, 3, shape.heads, shape.width / shape.heads})
            .permute({2, 0, 3, 1, 4})
            .unbind(0);
    torch::Tensor mixed = at::scaled_dot_product_attention(parts[0], parts[1], parts[2]);
    mixed = mixed.transpose(1, 2).reshape({samples, shape.cells, shape.width});
    mixed = drop(torch::linear(mixed, w[2], w[3]), layer, DropoutSite::attention_output);
    x = torch::layer_norm(x + mixed, {shape.width}, w[8], w[9], 1e-5);
    torch::Tensor inner = torch::gelu(torch::linear(x, w[4], w[5]));
    inner = drop(inner, layer, DropoutSite::feed_forward_inner);
    const torch::Tensor outer =
        drop(torch::linear(inner, w[6], w[7]), layer, DropoutSite::feed_forward_output);
    x = torch::layer_norm(x + outer, {shape.width}, w[10], w[11], 1e-5);
  }
  return x;
}

torch::Tensor with_positions(const Shape& shape, const torch::Tensor& x) {
  const std::vector<double> table = positional_encoding(shape);
  return x + torch::tensor(table, torch::kFloat64).to(x.scalar_type()).view({1, shape.cells, shape.width});
}

struct Forward {
  torch::Tensor hidden;  ///< [samples, hidden]
  torch::Tensor logits;  ///< [samples]
};

/// x [samples, cells, columns] -> [samples, 2 width]: means, then standard deviations over the cells.
torch::Tensor pooled_cells(const Shape& shape, const Weights& weights, torch::Tensor x) {
  for (int layer = 0; layer < shape.layers; ++layer) {
    const torch::Tensor* w = weights.data() + static_cast<std::size_t>(2 * layer);
    x = torch::relu(torch::linear(x, w[0], w[1]));
  }
  const torch::Tensor mean = x.mean(1);
  const torch::Tensor deviation = (x - mean.unsqueeze(1)).square().mean(1).add(1e-5).sqrt();
  return torch::cat({mean, deviation}, 1);
}

Forward forward(const Shape& shape, const Weights& weights, const torch::Tensor& x,
                std::span<const std::uint64_t> names, double dropout) {
  const torch::Tensor row =
      shape.readout == Readout::pool
          ? pooled_cells(shape, weights, x)
          : encoder_forward(shape, weights, with_positions(shape, x), names, dropout).flatten(1);
  const torch::Tensor* w = weights.data() + weights.size() - 4;
  Forward result;
  result.hidden = torch::relu(torch::linear(row, w[0], w[1]));
  result.logits = torch::linear(result.hidden, w[2], w[3]).squeeze(1);
  return result;
}

template <typename Value, typename Given>
torch::Tensor make_inputs(const Shape& shape, std::int64_t samples, const Given* inputs) {
  torch::Tensor x =
      torch::empty({samples, shape.cells, shape.columns()}, torch::CppTypeToScalarType<Value>::value);
  std::copy_n(inputs, x.numel(), x.template data_ptr<Value>());
  return x;
}

struct Step {
  torch::Tensor logits;
  StepStatistics statistics;
};

/// Loss and gradient of the rows that count; `gradient` is overwritten.
template <typename Value>
Step step(const Shape& shape, const Parameters& layout, const Value* values, const MicroBatch& batch,
          double dropout, std::span<Value> gradient) {
  std::fill(gradient.begin(), gradient.end(), Value{0});
  const std::size_t size = static_cast<std::size_t>(shape.cells) * static_cast<std::size_t>(shape.columns());
  std::vector<float> inputs, labels, sample_weights;
  std::vector<std::uint64_t> names;
  for (std::size_t row = 0; row < static_cast<std::size_t>(batch.samples); ++row) {
    // Padding is left out, whatever it holds.
    if (batch.weights[row] == 0.0f) continue;
    const auto sample = batch.inputs.subspan(row * size, size);
    inputs.insert(inputs.end(), sample.begin(), sample.end());
    labels.push_back(batch.labels[row]);
    sample_weights.push_back(batch.weights[row]);
    names.push_back(batch.names.empty() ? 0 : batch.names[row]);
  }
  Step result;
  if (labels.empty()) {
    result.logits = torch::empty({0}, torch::CppTypeToScalarType<Value>::value);
    return result;
  }
  const auto type = torch::CppTypeToScalarType<Value>::value;
  const Weights weights = make_weights(layout, values, true);
  const torch::Tensor x = make_inputs<Value>(shape, static_cast<std::int64_t>(labels.size()), inputs.data());
  const Forward out = forward(shape, weights, x, names, dropout);
  const torch::Tensor loss =
      at::binary_cross_entropy_with_logits(out.logits, torch::tensor(labels).to(type),
                                           torch::tensor(sample_weights).to(type), {}, at::Reduction::Sum);
  const std::vector<torch::Tensor> gradients = torch::autograd::grad({loss}, weights);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const torch::Tensor dense = gradients[i].contiguous();
    std::copy_n(dense.template data_ptr<Value>(), layout.views()[i].size,
                gradient.data() + layout.views()[i].offset);
  }
  result.logits = out.logits.detach();
  result.statistics.loss = loss.template item<double>();
  result.statistics.live_hidden =
      static_cast<std::uint64_t>(out.hidden.detach().gt(0).any(0).sum().template item<std::int64_t>());
  return result;
}

class ReferenceEngine final : public Engine {
 public:
  ReferenceEngine(const Shape& shape, int micro_batch, double dropout)
      : shape_(shape), layout_(shape), micro_batch_(micro_batch), dropout_(dropout) {
    torch::set_num_threads(1);
  }

  std::string name() const override { return "reference/libtorch"; }

  void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    check_prediction(shape_, parameters, samples, inputs, logits);
    const torch::NoGradGuard no_gradient;
    const Weights weights = make_weights(layout_, parameters.values().data(), false);
    const std::size_t size =
        static_cast<std::size_t>(shape_.cells) * static_cast<std::size_t>(shape_.columns());
    for (int first = 0; first < samples; first += micro_batch_) {
      const int count = std::min(micro_batch_, samples - first);
      const torch::Tensor x =
          make_inputs<float>(shape_, count, inputs.data() + static_cast<std::size_t>(first) * size);
      const torch::Tensor result = forward(shape_, weights, x, {}, 0.0).logits.contiguous();
      std::copy_n(result.data_ptr<float>(), count, logits.begin() + first);
    }
  }

  StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                          std::span<float> gradient) override {
    check_micro_batch(shape_, parameters, batch, gradient, micro_batch_, dropout_ > 0);
    return step<float>(shape_, layout_, parameters.values().data(), batch, dropout_, gradient).statistics;
  }

 private:
  Shape shape_;
  Parameters layout_;
  int micro_batch_;
  double dropout_;
};

}  // namespace

std::unique_ptr<Engine> make_reference_engine(const Shape& shape, int micro_batch,
                                              const EngineOptions& options) {
  if (options.isa != "auto") {
    throw base::UsageError({.what = "the reference engine does not choose its instruction set",
                            .file = "train.isa",
                            .expected = "auto",
                            .got = options.isa,
                            .hint = "Set train.isa to auto, or train.engine to quadratic or linear."});
  }
  return std::make_unique<ReferenceEngine>(shape, micro_batch, options.dropout);
}

ReferenceStep reference_step(const Shape& shape, std::span<const double> values, const MicroBatch& batch,
                             double dropout) {
  torch::set_num_threads(1);
  const Parameters layout(shape);
  ReferenceStep result;
  result.gradient.resize(values.size());
  const Step done = step<double>(shape, layout, values.data(), batch, dropout, result.gradient);
  const torch::Tensor logits = done.logits.contiguous();
  result.logits.assign(logits.data_ptr<double>(), logits.data_ptr<double>() + logits.numel());
  result.loss = done.statistics.loss;
  result.live_hidden = done.statistics.live_hidden;
  return result;
}

std::vector<double> reference_encoder(const Shape& shape, std::span<const double> values, int samples,
                                      std::span<const double> inputs) {
  torch::set_num_threads(1);
  const torch::NoGradGuard no_gradient;
  const Weights weights = make_weights(Parameters(shape), values.data(), false);
  const torch::Tensor x = make_inputs<double>(shape, samples, inputs.data());
  const torch::Tensor y = encoder_forward(shape, weights, with_positions(shape, x), {}, 0.0).contiguous();
  return {y.data_ptr<double>(), y.data_ptr<double>() + y.numel()};
}

}  // namespace mgrn::model
