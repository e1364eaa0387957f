// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/pool_engine.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "model/checks.hpp"
#include "model/cpu/aligned.hpp"
#include "model/cpu/kernel_choice.hpp"
#include "model/cpu/kernels.hpp"
#include "model/cpu/subnormals.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model::cpu {
namespace {

/// Values that are kept for the way back: 4 GiB of them.
constexpr std::int64_t kMostActivations = std::int64_t{1} << 30;

int padded_to_block(int count) {
  return (count + kTokenBlock - 1) / kTokenBlock * kTokenBlock;
}

std::size_t product(int a, int b) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
}

/// weight [units][inputs] -> [inputs][units].
void transpose(const float* weight, int units, int inputs, float* to) {
  for (int i = 0; i < inputs; ++i) {
    for (int u = 0; u < units; ++u)
      to[product(i, units) + static_cast<std::size_t>(u)] = weight[u * inputs + i];
  }
}

class PoolEngine final : public Engine {
 public:
  PoolEngine(const Shape& shape, int micro_batch, const Kernels& kernels)
      : shape_(shape),
        kernels_(kernels),
        micro_batch_(micro_batch),
        padded_(padded_to_block(shape.cells)),
        rows_(padded_to_block(micro_batch)),
        layout_(shape),
        inputs_(product(micro_batch, shape.columns()) * static_cast<std::size_t>(padded_)),
        activations_(product(micro_batch, shape.layers) * product(shape.width, padded_)),
        slopes_(2 * product(shape.width, padded_)),
        pooled_(product(2 * shape.width, rows_)),
        pooled_slope_(product(2 * shape.width, rows_)),
        hidden_(product(shape.hidden, rows_)),
        hidden_slope_(product(shape.hidden, rows_)),
        transposed_(std::max(product(shape.width, shape.width), product(shape.hidden, 2 * shape.width))) {}

  std::string name() const override { return std::string("pool/") + kernels_.name; }

  void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    check_prediction(shape_, parameters, samples, inputs, logits);
    const FlushSubnormals mode;
    const std::size_t size = product(shape_.cells, shape_.columns());
    for (int first = 0; first < samples; first += micro_batch_) {
      const int count = std::min(micro_batch_, samples - first);
      clear_pooled();
      for (int row = 0; row < count; ++row) {
        encode(parameters, row, inputs.subspan(static_cast<std::size_t>(first + row) * size, size));
      }
      predict_rows(parameters);
      for (int row = 0; row < count; ++row) {
        logits[static_cast<std::size_t>(first + row)] = logit(parameters, row);
      }
    }
  }

  StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                          std::span<float> gradient) override {
    check_micro_batch(shape_, parameters, batch, gradient, micro_batch_, false);
    const FlushSubnormals mode;
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    const std::size_t size = product(shape_.cells, shape_.columns());
    clear_pooled();
    for (int row = 0; row < batch.samples; ++row) {
      // Padding is left out, whatever it holds.
      if (batch.weights[static_cast<std::size_t>(row)] != 0.0f) {
        encode(parameters, row, batch.inputs.subspan(static_cast<std::size_t>(row) * size, size));
      }
    }
    predict_rows(parameters);
    const StepStatistics statistics = output_layer_backward(parameters, batch, gradient);
    const int inputs = 2 * shape_.width;
    kernels_.dense_gradient(inputs, shape_.hidden, rows_, pooled_.data(), hidden_slope_.data(),
                            gradient.data() + predictor(0).offset, gradient.data() + predictor(1).offset);
    transpose(weights(parameters, predictor(0)), shape_.hidden, inputs, transposed_.data());
    kernels_.dense(shape_.hidden, inputs, rows_, hidden_slope_.data(), transposed_.data(), nullptr, nullptr,
                   false, pooled_slope_.data());
    for (int row = 0; row < batch.samples; ++row) {
      if (batch.weights[static_cast<std::size_t>(row)] != 0.0f) cells_backward(parameters, row, gradient);
    }
    return statistics;
  }

 private:
  const ParameterView& layer(int number, int which) const {
    return layout_.views()[static_cast<std::size_t>(2 * number + which)];
  }
  /// Weight and bias of the hidden layer, then of the output.
  const ParameterView& predictor(int which) const { return layer(shape_.layers, which); }
  static const float* weights(const Parameters& parameters, const ParameterView& view) {
    return parameters.values().data() + view.offset;
  }

  float* input(int row) { return inputs_.data() + product(row, shape_.columns() * padded_); }
  float* activation(int row, int number) {
    return activations_.data() +
           (product(row, shape_.layers) + static_cast<std::size_t>(number)) * product(shape_.width, padded_);
  }
  float* deviations(Aligned<float>& values) const { return values.data() + product(shape_.width, rows_); }

  void clear_pooled() { std::fill_n(pooled_.data(), pooled_.size(), 0.0f); }

  // A sample's means and deviations become column `row` of pooled_.
  void encode(const Parameters& parameters, int row, std::span<const float> sample) {
    const int columns = shape_.columns();
    float* const x = input(row);
    for (int c = 0; c < columns; ++c) {  // [cells][columns] -> [columns][padded]
      for (int n = 0; n < shape_.cells; ++n)
        x[c * padded_ + n] = sample[product(n, columns) + static_cast<std::size_t>(c)];
    }
    const float* below = x;
    int width = columns;
    for (int number = 0; number < shape_.layers; ++number) {
      kernels_.dense(width, shape_.width, padded_, below, weights(parameters, layer(number, 0)),
                     weights(parameters, layer(number, 1)), nullptr, true, activation(row, number));
      below = activation(row, number);
      width = shape_.width;
    }
    kernels_.pool(shape_.width, shape_.cells, padded_, activation(row, shape_.layers - 1), rows_,
                  pooled_.data() + row, deviations(pooled_) + row);
  }

  void predict_rows(const Parameters& parameters) {
    kernels_.dense(2 * shape_.width, shape_.hidden, rows_, pooled_.data(), weights(parameters, predictor(0)),
                   weights(parameters, predictor(1)), nullptr, true, hidden_.data());
  }

  // In double, in the order of the units: 64 products.
  float logit(const Parameters& parameters, int row) const {
    const float* const weight = weights(parameters, layout_.views()[layout_.views().size() - 2]);
    double total = static_cast<double>(weights(parameters, layout_.views().back())[0]);
    for (int u = 0; u < shape_.hidden; ++u) {
      total += static_cast<double>(weight[u]) * static_cast<double>(hidden_.data()[u * rows_ + row]);
    }
    return static_cast<float>(total);
  }

  StepStatistics output_layer_backward(const Parameters& parameters, const MicroBatch& batch,
                                       std::span<float> gradient) {
    const ParameterView& weight = predictor(2);
    std::fill_n(hidden_slope_.data(), hidden_slope_.size(), 0.0f);
    StepStatistics statistics;
    std::vector<bool>& live = live_;
    live.assign(static_cast<std::size_t>(shape_.hidden), false);
    for (int row = 0; row < batch.samples; ++row) {
      const auto at = static_cast<std::size_t>(row);
      if (batch.weights[at] == 0.0f) continue;
      const LossTerm term =
          binary_cross_entropy(static_cast<double>(logit(parameters, row)),
                               static_cast<double>(batch.labels[at]), static_cast<double>(batch.weights[at]));
      statistics.loss += term.loss;
      const float slope = static_cast<float>(term.slope);
      gradient[predictor(3).offset] += slope;
      for (int u = 0; u < shape_.hidden; ++u) {
        const float value = hidden_.data()[u * rows_ + row];
        gradient[weight.offset + static_cast<std::size_t>(u)] += slope * value;
        if (value > 0.0f) {
          live[static_cast<std::size_t>(u)] = true;
          hidden_slope_.data()[u * rows_ + row] = slope * weights(parameters, weight)[u];
        }
        // A NaN is neither, and must reach the gradient all the same: slope * value above carries it.
      }
    }
    statistics.live_hidden = static_cast<std::uint64_t>(std::count(live.begin(), live.end(), true));
    return statistics;
  }

  void cells_backward(const Parameters& parameters, int row, std::span<float> gradient) {
    float* slope = slopes_.data();
    float* below_slope = slopes_.data() + product(shape_.width, padded_);
    kernels_.pool_backward(shape_.width, shape_.cells, padded_, activation(row, shape_.layers - 1), rows_,
                           pooled_.data() + row, deviations(pooled_) + row, pooled_slope_.data() + row,
                           deviations(pooled_slope_) + row, slope);
    for (int number = shape_.layers - 1; number >= 0; --number) {
      const float* const below = number > 0 ? activation(row, number - 1) : input(row);
      const int width = number > 0 ? shape_.width : shape_.columns();
      kernels_.dense_gradient(width, shape_.width, padded_, below, slope,
                              gradient.data() + layer(number, 0).offset,
                              gradient.data() + layer(number, 1).offset);
      if (number > 0) {
        transpose(weights(parameters, layer(number, 0)), shape_.width, width, transposed_.data());
        kernels_.dense(shape_.width, width, padded_, slope, transposed_.data(), nullptr, below, false,
                       below_slope);
        std::swap(slope, below_slope);
      }
    }
  }

  Shape shape_;
  const Kernels& kernels_;
  int micro_batch_;
  int padded_;
  int rows_;  ///< samples of a micro-batch, padded: the pooled values' cells
  Parameters layout_;
  Aligned<float> inputs_;        ///< [samples][columns][padded]; padding stays 0
  Aligned<float> activations_;   ///< [samples][layers][width][padded]
  Aligned<float> slopes_;        ///< two of [width][padded]
  Aligned<float> pooled_;        ///< [2 width][rows]: means, then deviations
  Aligned<float> pooled_slope_;  ///< the same
  Aligned<float> hidden_;        ///< [hidden][rows]
  Aligned<float> hidden_slope_;  ///< [hidden][rows]
  Aligned<float> transposed_;
  std::vector<bool> live_;
};

}  // namespace

std::unique_ptr<Engine> make_pool_engine(const Shape& shape, int micro_batch, const EngineOptions& options) {
  validate(shape);
  check_options(micro_batch, options);
  if (options.kind != "auto") {
    throw base::UsageError({.what = "the pooling readout has no attention that an engine could compute",
                            .file = "train.engine",
                            .expected = "auto, or reference, with model.readout = pool",
                            .got = options.kind,
                            .hint = "Set train.engine to auto."});
  }
  if (options.device == "cuda") {
    throw base::UsageError({.what = "the pooling readout runs on the processor only",
                            .file = "train.device",
                            .expected = "cpu, with model.readout = pool",
                            .got = options.device,
                            .hint = "Set train.device to auto or cpu."});
  }
  const std::int64_t values =
      std::int64_t{micro_batch} * padded_to_block(shape.cells) * shape.width * shape.layers;
  if (values > kMostActivations) {
    throw base::UsageError({.what = "a micro-batch of such samples would not fit",
                            .file = "train.micro_batch",
                            .expected = "micro_batch * cells * width * layers of at most 2^30",
                            .got = std::to_string(values),
                            .hint = "Set train.micro_batch or model.cells to less."});
  }
  return std::make_unique<PoolEngine>(shape, micro_batch, choose_kernels(options.isa));
}

}  // namespace mgrn::model::cpu
