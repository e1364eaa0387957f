// SPDX-License-Identifier: Apache-2.0
#include "model/cpu/fused_engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "model/checks.hpp"
#include "model/cpu/aligned.hpp"
#include "model/cpu/attention_path.hpp"
#include "model/cpu/exponential_polynomials.hpp"
#include "model/cpu/folded_encoder.hpp"
#include "model/cpu/kernel_choice.hpp"
#include "model/cpu/kernels.hpp"
#include "model/cpu/subnormals.hpp"
#include "model/dropout.hpp"
#include "model/positions.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/model/fixed_point.hpp"

namespace mgrn::model::cpu {
namespace {

/// Samples that go forward and back together, a multiple of 4: what a sample leaves for its way back is to be
/// found in a near cache still, and each pass over the predictor's weights is to serve many. Changes no bits.
constexpr int kMostTogether = 8;

/// Hands out 64-byte aligned pieces of one allocation: first counted with no storage, then placed.
class Arena {
 public:
  explicit Arena(float* base) : base_(base) {}
  float* take(std::size_t floats) {
    float* piece = base_ == nullptr ? nullptr : base_ + used_;
    used_ += (floats + 15) / 16 * 16;
    return piece;
  }
  std::size_t used() const { return used_; }

 private:
  float* base_;
  std::size_t used_ = 0;
};

Dimensions make_dimensions(const Shape& shape, bool linear, double dropout) {
  Dimensions d;
  d.cells = shape.cells;
  d.padded = (shape.cells + kTokenBlock - 1) / kTokenBlock * kTokenBlock;
  d.width = shape.width;
  d.heads = shape.heads;
  d.head_width = shape.width / shape.heads;
  d.inner = shape.feed_forward();
  d.layers = shape.layers;
  d.hidden = shape.hidden;
  d.linear = linear;
  d.query_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(d.head_width)));
  d.dropout_scale = static_cast<float>(dropout_scale(dropout));
  d.polynomials = exponential_polynomials().data();
  d.polynomial_count = static_cast<int>(exponential_polynomials().size());
  return d;
}

class FusedEngine final : public Engine {
 public:
  FusedEngine(const Shape& shape, int micro_batch, bool linear, double dropout, const Kernels& kernels)
      : shape_(shape),
        kernels_(kernels),
        dims_(make_dimensions(shape, linear, dropout)),
        dropout_(dropout),
        micro_batch_(micro_batch),
        rows_((micro_batch + 3) / 4 * 4),
        together_(std::min(rows_, kMostTogether)),
        columns_(shape.cells * shape.width),
        flat_stride_((columns_ + kFlatPadding - 1) / kFlatPadding * kFlatPadding),
        layout_(shape),
        encoder_(dims_, dropout > 0),
        collapsed_(encoder_.sums_size()),
        states_(static_cast<std::size_t>(together_) * static_cast<std::size_t>(shape.layers)),
        floats_(place(nullptr)),
        panels_(states_.size() * static_cast<std::size_t>(dims_.heads * dims_.padded)),
        plans_(states_.size() * static_cast<std::size_t>(dims_.heads)),
        masks_(dropout > 0 ? states_.size() * mask_words() : 0),
        positions_(static_cast<std::size_t>(dims_.width * dims_.padded)) {
    const std::vector<double> encoding = positional_encoding(shape);
    for (int n = 0; n < dims_.cells; ++n) {
      for (int c = 0; c < dims_.width; ++c) {
        positions_[static_cast<std::size_t>(c * dims_.padded + n)] =
            static_cast<float>(encoding[static_cast<std::size_t>(n * dims_.width + c)]);
      }
    }
    place(floats_.data());
    for (std::size_t i = 0; i < states_.size(); ++i) {
      states_[i].panel_of = panels_.data() + i * static_cast<std::size_t>(dims_.heads * dims_.padded);
      states_[i].plan = plans_.data() + i * static_cast<std::size_t>(dims_.heads);
    }
  }

  std::string name() const override {
    return std::string(dims_.linear ? "linear/" : "quadratic/") + kernels_.name;
  }

  void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    check_prediction(shape_, parameters, samples, inputs, logits);
    require_nothing_pending();
    const FlushSubnormals mode;
    encoder_.fold(parameters);
    const std::size_t sample_size = static_cast<std::size_t>(columns_);
    set_masks(false);
    for (int first = 0; first < samples; first += together_) {
      const int count = std::min(together_, samples - first);
      for (int row = 0; row < together_; ++row) {
        if (row < count) {
          encode(row, inputs.subspan(static_cast<std::size_t>(first + row) * sample_size, sample_size));
        } else {
          clear_row(flat_, row);
        }
      }
      predict_rows(parameters, 0, together_);
      for (int row = 0; row < count; ++row)
        logits[static_cast<std::size_t>(first + row)] = logit(parameters, row);
    }
  }

  StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                          std::span<float> gradient) override {
    check_micro_batch(shape_, parameters, batch, gradient, micro_batch_, dropout_ > 0);
    require_nothing_pending();
    prepare_backward(parameters);
    const StepStatistics statistics = backward(parameters, batch, gradient);
    kernels_.predictor_weight_gradient(rows_, dims_.hidden, columns_, flat_, flat_stride_, hidden_gradient_,
                                       predictor_work_, gradient.data() + predictor_weight().offset);
    return statistics;
  }

  StepStatistics accumulate(const Parameters& parameters, const MicroBatch& batch,
                            FixedPointSum& sum) override {
    rest_.resize(parameters.values().size());
    check_micro_batch(shape_, parameters, batch, rest_, micro_batch_, dropout_ > 0);
    // Nothing pending: a sum begins. Its weights stay what they are.
    if (pending_ == 0) prepare_backward(parameters);
    if (pending_ == kMostPending) sum_pending(sum);
    if (pending_ == 0) overwrite_ = sum.fresh;
    use_pending(pending_);
    const StepStatistics statistics = backward(parameters, batch, rest_);
    ++pending_;
    // All but the predictor's large matrix, whose gradient waits for its neighbours.
    const ParameterView& large = predictor_weight();
    const std::size_t behind = large.offset + large.size;
    if (sum.fresh) {
      std::fill_n(sum.values.begin(), large.offset, 0);
      std::fill(sum.values.begin() + static_cast<std::ptrdiff_t>(behind), sum.values.end(), 0);
    }
    const std::span<const float> rest = rest_;
    sum.largest.push_back(
        std::max(add_fixed_point(rest.first(large.offset), sum.scale, sum.values.first(large.offset)),
                 add_fixed_point(rest.subspan(behind), sum.scale, sum.values.subspan(behind))));
    sum.fresh = false;
    return statistics;
  }

  void finish(FixedPointSum& sum) override { sum_pending(sum); }

  void visit_heads(const Parameters& parameters, int samples, std::span<const float> inputs,
                   const HeadVisitor& visit) override {
    if (dims_.head_width > 1) return;
    const std::size_t sample_size = static_cast<std::size_t>(columns_);
    const std::size_t cells = static_cast<std::size_t>(dims_.cells);
    std::vector<float> logits(static_cast<std::size_t>(together_));
    for (int first = 0; first < samples; first += together_) {
      const int count = std::min(together_, samples - first);
      predict(parameters, count,
              inputs.subspan(static_cast<std::size_t>(first) * sample_size,
                             static_cast<std::size_t>(count) * sample_size),
              std::span(logits).first(static_cast<std::size_t>(count)));
      for (int row = 0; row < count; ++row) {
        for (int layer = 0; layer < dims_.layers; ++layer) {
          const LayerState& state = row_states(row)[layer];
          for (int head = 0; head < dims_.heads; ++head) {
            const float* queries = state.qkv + head * dims_.padded;
            const std::ptrdiff_t plane = std::ptrdiff_t{dims_.width} * dims_.padded;
            visit({.sample = first + row,
                   .layer = layer,
                   .head = head,
                   .path = attention_path(dims_, state, head),
                   .queries = {queries, cells},
                   .keys = {queries + plane, cells},
                   .values = {queries + 2 * plane, cells}});
          }
        }
      }
    }
  }

 private:
  /// Forward, loss and backward, with weights that are prepared; writes every gradient but that of the
  /// predictor's large matrix, which then is hidden_gradient_^T flat_.
  StepStatistics backward(const Parameters& parameters, const MicroBatch& batch, std::span<float> gradient) {
    const FlushSubnormals mode;
    const std::size_t sample_size = static_cast<std::size_t>(columns_);
    set_masks(dropout_ > 0);
    std::memset(sample_sums_, 0, sums_floats() * sizeof(float));
    std::memset(batch_sums_, 0, sums_floats() * sizeof(float));
    StepStatistics statistics;
    clear_head_gradient(gradient);
    for (int first = 0; first < rows_; first += together_) {
      const int end = std::min(first + together_, rows_);
      for (int row = first; row < end; ++row) {
        // Rows of weight 0 are padding: what they hold, even NaN, is not looked at.
        if (!counts(batch, row)) {
          clear_row(flat_, row);
          continue;
        }
        const std::size_t r = static_cast<std::size_t>(row);
        if (dropout_ > 0) fill_masks(row, batch.names[r]);
        encode(row, batch.inputs.subspan(r * sample_size, sample_size));
      }
      predict_rows(parameters, first, end);
      for (int row = first; row < end; ++row) head_backward(parameters, batch, row, gradient, statistics);
      flat_backward(first, end);
      for (int row = first; row < end; ++row) {
        if (!counts(batch, row)) continue;
        kernels_.encode_backward(dims_, encoder_.weights(), row_states(row), input(row), scratch_,
                                 flat_row(flat_gradient_, row % together_), sums_);
        // Closed per sample, so that rounding does not grow with cells times samples.
        kernels_.drain(sample_sums_, static_cast<int>(encoder_.sums_size()), batch_sums_);
      }
    }
    statistics.live_hidden = live_units(batch);
    write_encoder_gradient(parameters, gradient);
    return statistics;
  }

  void use_pending(int place) {
    flat_ = pending_flat_ + static_cast<std::size_t>(place) * static_cast<std::size_t>(rows_ * flat_stride_);
    hidden_gradient_ = pending_hidden_gradient_ +
                       static_cast<std::size_t>(place) * static_cast<std::size_t>(rows_ * dims_.hidden);
  }

  void sum_pending(FixedPointSum& sum) {
    if (pending_ == 0) return;
    const FlushSubnormals mode;
    PendingGradients gradients;
    gradients.count = pending_;
    for (int place = 0; place < pending_; ++place) {
      use_pending(place);
      gradients.flat[place] = flat_;
      gradients.hidden_gradient[place] = hidden_gradient_;
    }
    kernels_.predictor_exact_weight_gradient(
        rows_, dims_.hidden, columns_, gradients, flat_stride_, std::ldexp(1.0, sum.scale), overwrite_,
        predictor_work_, sum.values.data() + predictor_weight().offset,
        sum.largest.data() + sum.largest.size() - static_cast<std::size_t>(pending_));
    pending_ = 0;
    overwrite_ = false;
    use_pending(0);
  }

  void require_nothing_pending() const {
    if (pending_ > 0) {
      throw base::InternalError({.what = "an engine was asked for something else before it finished a sum",
                                 .hint = "Report this as a defect."});
    }
  }

  const ParameterView& predictor_weight() const { return view(layout_.views().size() - 4); }

  const ParameterView& view(std::size_t index) const { return layout_.views()[index]; }
  std::size_t mask_words() const {
    return static_cast<std::size_t>((2 * dims_.width + dims_.inner) * (dims_.padded / kTokenBlock));
  }
  LayerState* row_states(int row) {
    return states_.data() +
           static_cast<std::size_t>(row % together_) * static_cast<std::size_t>(dims_.layers);
  }
  float* input(int row) {
    return inputs_ +
           static_cast<std::size_t>(row % together_) * static_cast<std::size_t>(dims_.width * dims_.padded);
  }
  float* flat_row(float* rows, int row) const {
    return rows + static_cast<std::size_t>(row) * static_cast<std::size_t>(flat_stride_);
  }
  float* hidden_row(float* rows, int row) const {
    return rows + static_cast<std::size_t>(row) * static_cast<std::size_t>(dims_.hidden);
  }
  static bool counts(const MicroBatch& batch, int row) {
    return row < batch.samples && batch.weights[static_cast<std::size_t>(row)] != 0.0f;
  }
  void clear_row(float* rows, int row) const {
    std::memset(flat_row(rows, row), 0, static_cast<std::size_t>(flat_stride_) * sizeof(float));
  }
  std::size_t sums_floats() const { return encoder_.sums_size() * static_cast<std::size_t>(kernels_.lanes); }

  /// Lays out all float storage; returns its size. Called once to count and once to place.
  std::size_t place(float* base) {
    Arena arena(base);
    const std::size_t padded = static_cast<std::size_t>(dims_.padded);
    const std::size_t slots = static_cast<std::size_t>(cpu::slots(dims_.padded));
    const std::size_t width = static_cast<std::size_t>(dims_.width);
    const std::size_t inner = static_cast<std::size_t>(dims_.inner);
    const std::size_t heads = static_cast<std::size_t>(dims_.heads);
    const std::size_t rows = static_cast<std::size_t>(rows_);
    const std::size_t together = static_cast<std::size_t>(together_);
    const std::size_t lanes = static_cast<std::size_t>(kernels_.lanes);
    for (LayerState& state : states_) {
      state.qkv = arena.take(3 * width * padded);
      state.mixed = arena.take(width * padded);
      state.slope = arena.take(dims_.head_width == 1 ? width * padded : 0);
      state.inverse_total = arena.take(heads * padded);
      state.row_max = arena.take(dims_.head_width == 1 ? 0 : heads * padded);
      state.key_weight = arena.take(dims_.head_width == 1 ? heads * padded : 0);
      state.sorted = arena.take(dims_.linear ? heads * kSortedRows * slots : 0);
      state.norm1 = arena.take((width - 1) * padded);
      state.norm2 = arena.take((width - 1) * padded);
      state.scale1 = arena.take(padded);
      state.scale2 = arena.take(padded);
      state.centre = arena.take(width);
    }
    inputs_ = arena.take(together * width * padded);
    scratch_.stream = arena.take((width - 1) * padded);
    scratch_.residual = arena.take((width - 1) * padded);
    scratch_.mixed_gradient = arena.take(width * padded);
    scratch_.qkv_gradient = arena.take(3 * width * padded);
    scratch_.rows = arena.take(kScratchRows * slots);
    scratch_.block = arena.take((2 * inner + 2 * width) * kTile);
    scratch_.column = arena.take(width);
    pending_flat_ = arena.take(kMostPending * rows * static_cast<std::size_t>(flat_stride_));
    flat_gradient_ = arena.take(together * static_cast<std::size_t>(flat_stride_));
    hidden_ = arena.take(rows * static_cast<std::size_t>(dims_.hidden));
    pending_hidden_gradient_ = arena.take(kMostPending * rows * static_cast<std::size_t>(dims_.hidden));
    use_pending(0);
    const std::size_t hidden = static_cast<std::size_t>(dims_.hidden);
    predictor_work_ = arena.take(std::max({hidden * together * lanes + together * kColumnBlock,
                                           cpu::flat_gradient_room(together, hidden),
                                           cpu::weight_gradient_room(rows, hidden, kMostPending)}));
    strips_ = arena.take(hidden * static_cast<std::size_t>(flat_stride_));
    sample_sums_ = arena.take(sums_floats());
    batch_sums_ = arena.take(sums_floats());
    sums_ = encoder_.place_sums(sample_sums_, kernels_.lanes);
    return arena.used();
  }

  /// The weights as both ways read them: once for all micro-batches of a sum.
  void prepare_backward(const Parameters& parameters) {
    encoder_.fold(parameters);
    kernels_.predictor_strips(dims_.hidden, columns_, parameters.values().data() + predictor_weight().offset,
                              strips_);
  }

  void encode(int row, std::span<const float> sample) {
    kernels_.encode(dims_, encoder_.weights(), row_states(row), sample.data(), positions_.data(), input(row),
                    scratch_, flat_row(flat_, row));
  }

  void predict_rows(const Parameters& parameters, int first, int end) {
    const std::size_t views = layout_.views().size();
    const float* values = parameters.values().data();
    kernels_.predictor(end - first, dims_.hidden, columns_, flat_row(flat_, first), flat_stride_,
                       values + view(views - 4).offset, values + view(views - 3).offset, predictor_work_,
                       hidden_row(hidden_, first));
  }

  void flat_backward(int first, int end) {
    kernels_.predictor_flat_gradient(end - first, dims_.hidden, columns_, flat_stride_, strips_,
                                     hidden_row(hidden_gradient_, first), predictor_work_, flat_gradient_);
  }

  float logit(const Parameters& parameters, int row) const {
    const std::size_t views = layout_.views().size();
    const float* weight = parameters.values().data() + view(views - 2).offset;
    const float* hidden = hidden_row(hidden_, row);
    // In double: a hundred terms once per sample, and the loss sees no rounding of ours.
    double total = parameters.values()[view(views - 1).offset];
    for (int u = 0; u < dims_.hidden; ++u)
      total += static_cast<double>(weight[u]) * static_cast<double>(hidden[u]);
    return static_cast<float>(total);
  }

  /// The gradient of all behind the predictor's large matrix.
  void clear_head_gradient(std::span<float> gradient) const {
    const std::size_t begin = view(layout_.views().size() - 3).offset;
    std::fill(gradient.begin() + static_cast<std::ptrdiff_t>(begin), gradient.end(), 0.0f);
  }

  /// A row's loss, added to the statistics, and its way back to hidden_gradient_.
  void head_backward(const Parameters& parameters, const MicroBatch& batch, int row,
                     std::span<float> gradient, StepStatistics& statistics) {
    const std::size_t views = layout_.views().size();
    const std::size_t units = static_cast<std::size_t>(dims_.hidden);
    float* hidden_gradient = hidden_row(hidden_gradient_, row);
    if (!counts(batch, row)) {
      std::fill_n(hidden_gradient, units, 0.0f);
      return;
    }
    const float* weight = parameters.values().data() + view(views - 2).offset;
    float* bias0 = gradient.data() + view(views - 3).offset;
    float* weight2 = gradient.data() + view(views - 2).offset;
    float* bias2 = gradient.data() + view(views - 1).offset;
    const std::size_t r = static_cast<std::size_t>(row);
    const LossTerm term = binary_cross_entropy(logit(parameters, row), batch.labels[r], batch.weights[r]);
    statistics.loss += term.loss;
    const float slope = static_cast<float>(term.slope);
    *bias2 += slope;
    const float* hidden = hidden_row(hidden_, row);
    for (std::size_t u = 0; u < units; ++u) {
      weight2[u] += slope * hidden[u];
      // Zero only where the unit is off: a NaN unit passes its NaN on.
      const float unit_gradient = hidden[u] == 0.0f ? 0.0f : slope * weight[u];
      hidden_gradient[u] = unit_gradient;
      bias0[u] += unit_gradient;
    }
  }

  /// Hidden units that are on for a sample of the micro-batch.
  std::uint64_t live_units(const MicroBatch& batch) const {
    std::uint64_t live = 0;
    for (int u = 0; u < dims_.hidden; ++u) {
      bool on = false;
      for (int row = 0; row < rows_ && !on; ++row)
        on = counts(batch, row) && hidden_row(hidden_, row)[u] > 0.0f;
      live += on ? 1U : 0U;
    }
    return live;
  }

  void write_encoder_gradient(const Parameters& parameters, std::span<float> gradient) {
    kernels_.collapse(batch_sums_, static_cast<int>(encoder_.sums_size()), collapsed_.data());
    encoder_.unfold(collapsed_, parameters, gradient);
    // Gaps between tensors belong to nobody, and their gradient is zero.
    for (std::size_t i = 0; i < layout_.views().size(); ++i) {
      const std::size_t end = i + 1 < layout_.views().size() ? view(i + 1).offset : gradient.size();
      for (std::size_t at = view(i).offset + view(i).size; at < end; ++at) gradient[at] = 0.0f;
    }
  }

  void set_masks(bool on) {
    for (std::size_t i = 0; i < states_.size(); ++i) {
      states_[i].masks = on ? masks_.data() + i * mask_words() : nullptr;
    }
  }

  void fill_masks(int row, std::uint64_t sample_name) {
    const int blocks = dims_.padded / kTokenBlock;
    const std::uint32_t threshold = dropout_threshold(dropout_);
    const std::size_t narrow = static_cast<std::size_t>(dims_.width * blocks);
    const std::size_t inner = static_cast<std::size_t>(dims_.inner * blocks);
    for (int layer = 0; layer < dims_.layers; ++layer) {
      const std::size_t state = static_cast<std::size_t>(row % together_ * dims_.layers + layer);
      const std::span<std::uint32_t> words(masks_.data() + state * mask_words(), mask_words());
      dropout_mask(sample_name, layer, DropoutSite::attention_output, threshold, dims_.width, blocks,
                   words.first(narrow));
      dropout_mask(sample_name, layer, DropoutSite::feed_forward_inner, threshold, dims_.inner, blocks,
                   words.subspan(narrow, inner));
      dropout_mask(sample_name, layer, DropoutSite::feed_forward_output, threshold, dims_.width, blocks,
                   words.last(narrow));
    }
  }

  Shape shape_;
  const Kernels& kernels_;
  Dimensions dims_;
  double dropout_;
  int micro_batch_;
  int rows_;         // of the predictor's micro-batch, a multiple of 4
  int together_;     // rows that go forward and back together, a multiple of 4
  int columns_;      // cells * width
  int flat_stride_;  // columns_ rounded up
  Parameters layout_;
  FoldedEncoder encoder_;
  EncoderSums sums_{};
  std::vector<float> collapsed_;    // the sums, lanes added up
  std::vector<LayerState> states_;  // [together][layers]
  float* inputs_ = nullptr;
  Scratch scratch_{};
  float* flat_ = nullptr;                     // of the micro-batch at work
  float* pending_flat_ = nullptr;             // [kMostPending][rows][flat_stride]
  float* pending_hidden_gradient_ = nullptr;  // [kMostPending][rows][hidden]
  float* predictor_work_ = nullptr;
  int pending_ = 0;          // micro-batches whose predictor weight gradient is not summed yet
  bool overwrite_ = false;   // the first of them starts the sum
  std::vector<float> rest_;  // their other gradients, while they are added
  float* flat_gradient_ = nullptr;
  float* hidden_ = nullptr;
  float* hidden_gradient_ = nullptr;
  float* strips_ = nullptr;  // the predictor's weights, as the way back reads them
  float* sample_sums_ = nullptr;
  float* batch_sums_ = nullptr;
  Aligned<float> floats_;
  Aligned<int> panels_;
  Aligned<HeadPlan> plans_;
  Aligned<std::uint32_t> masks_;
  std::vector<float> positions_;
};

}  // namespace

std::unique_ptr<Engine> make_fused_engine(const Shape& shape, int micro_batch, const EngineOptions& options) {
  validate(shape);
  check_options(micro_batch, options);
  const bool scalar_heads = shape.heads == shape.width;
  if (options.kind == "linear" && !scalar_heads) {
    throw base::UsageError({.what = "the linear engine needs heads of one column",
                            .file = "train.engine",
                            .expected = "model.heads equal to the width " + std::to_string(shape.width),
                            .got = "model.heads = " + std::to_string(shape.heads),
                            .hint = "Set train.engine to auto or quadratic, or model.heads to the width."});
  }
  // The kernels count values in 32 bits. All else that they multiply is below the bounds of validate().
  const std::int64_t rows = (std::int64_t{micro_batch} + 3) / 4 * 4;
  const std::int64_t row_values =
      (std::int64_t{shape.cells} * shape.width + kFlatPadding - 1) / kFlatPadding * kFlatPadding;
  if (rows * row_values > std::numeric_limits<int>::max()) {
    throw base::UsageError({.what = "a micro-batch of such samples would not fit",
                            .file = "train.micro_batch",
                            .expected = "micro_batch * cells * width below 2^31",
                            .got = std::to_string(rows * row_values),
                            .hint = "Set train.micro_batch to less: 16 does."});
  }
  const bool linear = options.kind == "linear" || (options.kind == "auto" && scalar_heads);
  return std::make_unique<FusedEngine>(shape, micro_batch, linear, options.dropout,
                                       choose_kernels(options.isa));
}

}  // namespace mgrn::model::cpu
