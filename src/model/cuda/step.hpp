// SPDX-License-Identifier: Apache-2.0
// One training step of a micro-batch as a sequence of kernels and matrix products, on any Device: a GPU
// (module.cu) or its emulation (tests). A Device has
//   select()                                   makes it the calling thread's device
//   allocate(bytes), allocate_staging(bytes)   memory of the device, and of the host for transfers; its own
//   upload, download, copy(to, from, bytes), zero(place, bytes), finish(): copy is within the device
//   launch(body, blocks, threads, shared_bytes), shared_limit()
//   multiply(a_transposed, b_transposed, m, n, k, a, b, c)   row-major c[m][n] = a b
//   replay(graph, work)   runs `work`, the same each time for one `graph`: may record and replay it
//   Memory                a type with select, allocate, upload, finish and shared_limit only
#pragma once

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>

#include "model/cuda/encoder.hpp"
#include "model/cuda/gather.hpp"
#include "model/cuda/held_table.hpp"
#include "model/cuda/predictor.hpp"
#include "model/cuda/step_api.hpp"
#include "model/cuda/weights.hpp"

namespace mgrn::model::cuda {

/// Numbers that replay() is called with: predict, gradient, accumulate.
inline constexpr int kGraphs = 3;

struct Step {
  virtual ~Step() = default;
  virtual void predict(const StepInputs& inputs, StepOutputs& outputs) = 0;
  virtual void gradient(const StepInputs& inputs, StepOutputs& outputs) = 0;
  virtual void begin_sum() = 0;
  virtual std::uint32_t accumulate(const StepInputs& inputs, double factor, StepOutputs& outputs) = 0;
  virtual std::uint64_t* sum_place() = 0;
  virtual void take_sum(std::uint64_t* sum) = 0;
};

/// `most_threads`: of a block that computes a sample.
inline Sizes step_sizes(const StepShape& shape, int most_threads) {
  Sizes sizes{};
  sizes.samples = shape.samples;
  sizes.cells = shape.cells;
  sizes.layers = shape.layers;
  sizes.hidden = shape.hidden;
  sizes.mask_words = (shape.cells + 31) / 32;
  sizes.groups = std::min<int>(shape.width, kMostGroups);
  const int warps = std::clamp(most_threads / (kWarp * sizes.groups), 1, kMostGroupWarps);
  sizes.threads = sizes.groups * kWarp * std::min(warps, sizes.mask_words);
  sizes.dropout_scale = shape.dropout_scale;
  sizes.polynomial_count = shape.polynomial_count;
  return sizes;
}

template <int kWidth, typename Device>
class StepOf final : public Step {
  using Layer = LayerLayout<kWidth>;

 public:
  StepOf(const StepShape& shape, const Polynomial* polynomials, const float* positions, int device)
      : device_(device), shape_(shape) {
    use_threads(shape.samples <= kFewSamples ? kThreadsOfSample<kWidth> : kThreadsOfMany);
    // Fewer threads take less of the block's memory.
    if (shared_backward_ > device_.shared_limit()) use_threads(kThreadsOfMany);
    if (shared_backward_ > device_.shared_limit()) {
      throw std::runtime_error(
          "a sample of " + std::to_string(shape.cells) + " cells takes " + std::to_string(shared_backward_) +
          " bytes of a block's memory, this device has " + std::to_string(device_.shared_limit()));
    }
    const std::size_t samples = static_cast<std::size_t>(shape.samples);
    const std::size_t columns = static_cast<std::size_t>(shape.cells) * kWidth;
    const std::size_t layers = samples * static_cast<std::size_t>(shape.layers);
    const std::size_t weights = static_cast<std::size_t>(shape.weights);
    const std::size_t units = samples * static_cast<std::size_t>(shape.hidden);
    const auto both = [&](auto& staging, auto*& place, std::size_t count) {
      using Value = std::remove_reference_t<decltype(*place)>;
      staging = static_cast<Value*>(device_.allocate_staging(count * sizeof(Value)));
      place = make<Value>(count);
    };
    both(staged_.weights, weights_, weights);
    both(staged_.inputs, inputs_, samples * columns);
    both(staged_.labels, labels_, samples);
    both(staged_.sample_weights, sample_weights_, samples);
    mask_count_ = shape.dropout != 0 ? layers * 6 * kWidth * static_cast<std::size_t>(sizes_.mask_words) : 0;
    both(staged_.masks, masks_, mask_count_);
    both(staged_.gradient, gradient_, weights);
    both(staged_.logits, logits_, samples);
    both(staged_.loss, loss_, 1);
    both(staged_.counts, counts_, kCounts);
    both(staged_.rows, rows_, samples);
    state_ = make<float>(layers * StateLayout<kWidth>::kRows * static_cast<std::size_t>(shape.cells));
    plans_ = make<HeadPlan>(layers * kWidth);
    flat_ = make<float>(samples * columns);
    flat_gradient_ = make<float>(samples * columns);
    partial_sums_ = make<float>(layers * Layer::kFloats);
    units_ = make<float>(units);
    unit_gradient_ = make<float>(units);
    slopes_ = make<float>(samples);
    losses_ = make<double>(samples);
    sum_ = make<std::uint64_t>(weights);
    polynomials_ = make<Polynomial>(static_cast<std::size_t>(shape.polynomial_count));
    positions_ = make<float>(columns);
    device_.upload(polynomials_, polynomials,
                   static_cast<std::size_t>(shape.polynomial_count) * sizeof(Polynomial));
    device_.upload(positions_, positions, columns * sizeof(float));
    device_.zero(sum_, weights * sizeof(std::uint64_t));
    device_.finish();
  }

  void predict(const StepInputs& inputs, StepOutputs& outputs) override {
    device_.select();
    stage(inputs);
    device_.replay(0, [&] {
      upload_inputs(false);
      forward(false);
      device_.download(staged_.logits, logits_, samples() * sizeof(float));
    });
    device_.download(staged_.counts, counts_, kCounts * sizeof(std::uint32_t));
    device_.finish();
    std::memcpy(outputs.logits, staged_.logits, samples() * sizeof(float));
    outputs.without_cells = staged_.counts[kWithoutCells];
  }

  void gradient(const StepInputs& inputs, StepOutputs& outputs) override {
    device_.select();
    stage(inputs);
    device_.replay(1, [&] {
      forward_and_backward();
      device_.download(staged_.gradient, gradient_, weights() * sizeof(float));
      device_.download(staged_.logits, logits_, samples() * sizeof(float));
      device_.download(staged_.loss, loss_, sizeof(double));
      device_.download(staged_.counts, counts_, kCounts * sizeof(std::uint32_t));
    });
    device_.finish();
    std::memcpy(outputs.gradient, staged_.gradient, weights() * sizeof(float));
    if (outputs.logits != nullptr) std::memcpy(outputs.logits, staged_.logits, samples() * sizeof(float));
    tell(outputs);
  }

  void begin_sum() override {
    device_.select();
    device_.zero(sum_, weights() * sizeof(std::uint64_t));
  }

  std::uint32_t accumulate(const StepInputs& inputs, double factor, StepOutputs& outputs) override {
    device_.select();
    stage(inputs);
    device_.replay(2, [&] {
      forward_and_backward();
      device_.download(staged_.loss, loss_, sizeof(double));
    });
    // Not recorded: the factor changes from step to step.
    device_.launch(AddFixedPoint{{shape_.weights, factor, gradient_, sum_, counts_ + kLargestBits}},
                   static_cast<int>(std::min<std::int64_t>(1024, (shape_.weights + kThreads - 1) / kThreads)),
                   kThreads, 0);
    device_.download(staged_.counts, counts_, kCounts * sizeof(std::uint32_t));
    device_.finish();
    tell(outputs);
    return staged_.counts[kLargestBits];
  }

  std::uint64_t* sum_place() override {
    device_.select();
    device_.finish();
    return sum_;
  }

  void take_sum(std::uint64_t* sum) override {
    device_.select();
    device_.download(sum, sum_, weights() * sizeof(std::uint64_t));
    device_.finish();
  }

 private:
  template <typename Value>
  Value* make(std::size_t count) {
    return static_cast<Value*>(device_.allocate(count * sizeof(Value)));
  }
  std::size_t samples() const { return static_cast<std::size_t>(shape_.samples); }
  std::size_t weights() const { return static_cast<std::size_t>(shape_.weights); }
  std::size_t columns() const { return static_cast<std::size_t>(shape_.cells) * kWidth; }

  void use_threads(int most) {
    sizes_ = step_sizes(shape_, most);
    shared_forward_ = SharedLayout<kWidth>(sizes_, false).floats * sizeof(float);
    shared_backward_ = SharedLayout<kWidth>(sizes_, true).floats * sizeof(float);
  }

  void tell(StepOutputs& outputs) const {
    outputs.loss = *staged_.loss;
    outputs.live_hidden = staged_.counts[kLiveHidden];
    outputs.without_cells = staged_.counts[kWithoutCells];
  }

  /// Into memory that transfers may read at any time. Weights and samples are on their way at once: how they
  /// come varies, and so is no part of what is recorded.
  void stage(const StepInputs& inputs) {
    bring_weights(inputs);
    bring_samples(inputs);
    std::memcpy(staged_.sample_weights, inputs.sample_weights, samples() * sizeof(float));
    if (inputs.labels != nullptr) std::memcpy(staged_.labels, inputs.labels, samples() * sizeof(float));
    if (inputs.masks != nullptr)
      std::memcpy(staged_.masks, inputs.masks, mask_count_ * sizeof(std::uint32_t));
  }

  void bring_weights(const StepInputs& inputs) {
    if (inputs.held_weights == nullptr) {
      std::memcpy(staged_.weights, inputs.weights, weights() * sizeof(float));
      device_.upload(weights_, staged_.weights, weights() * sizeof(float));
      weights_version_ = 0;
    } else if (weights_version_ != inputs.held_weights->version) {
      device_.copy(weights_, inputs.held_weights->place, weights() * sizeof(float));
      weights_version_ = inputs.held_weights->version;
    }
  }

  void bring_samples(const StepInputs& inputs) {
    device_.zero(counts_ + kWithoutCells, sizeof(std::uint32_t));
    if (inputs.held == nullptr) {
      std::memcpy(staged_.inputs, inputs.inputs, samples() * columns() * sizeof(float));
      device_.upload(inputs_, staged_.inputs, samples() * columns() * sizeof(float));
      return;
    }
    std::uint32_t blocks = 0;
    for (std::size_t row = 0; row < samples(); ++row) {
      staged_.rows[row] = {};
      if (row >= static_cast<std::size_t>(inputs.held_count)) continue;
      staged_.rows[row] = gather_row(inputs.held[row]);
      blocks = std::max(blocks, staged_.rows[row].blocks);
    }
    device_.upload(rows_, staged_.rows, samples() * sizeof(GatherRow));
    device_.launch(Gather{{rows_, shape_.cells, kWidth, inputs_, counts_ + kWithoutCells}}, shape_.samples,
                   kThreads, gather_words(shape_.cells, blocks) * sizeof(float));
  }

  void upload_inputs(bool train) {
    device_.upload(sample_weights_, staged_.sample_weights, samples() * sizeof(float));
    if (!train) return;
    device_.upload(labels_, staged_.labels, samples() * sizeof(float));
    if (mask_count_ > 0) device_.upload(masks_, staged_.masks, mask_count_ * sizeof(std::uint32_t));
  }

  void forward_and_backward() {
    upload_inputs(true);
    // Gaps between tensors belong to nobody, and their gradient is zero.
    device_.zero(gradient_, weights() * sizeof(float));
    device_.zero(counts_, kWithoutCells * sizeof(std::uint32_t));
    forward(true);
    backward();
  }

  EncoderArguments encoder(float* flat, bool train) const {
    return {sizes_,       weights_,        inputs_,
            positions_,   sample_weights_, train && mask_count_ > 0 ? masks_ : nullptr,
            polynomials_, state_,          plans_,
            flat,         partial_sums_};
  }

  void forward(bool train) {
    device_.launch(Encode<kWidth>{encoder(flat_, train)}, shape_.samples, sizes_.threads, shared_forward_);
    device_.multiply(false, true, shape_.samples, shape_.hidden, static_cast<int>(columns()), flat_,
                     weights_ + shape_.hidden_weight, units_);
    const LossArguments loss{.samples = shape_.samples,
                             .hidden = shape_.hidden,
                             .train = train,
                             .hidden_bias = weights_ + shape_.hidden_bias,
                             .logit_weight = weights_ + shape_.logit_weight,
                             .logit_bias = weights_ + shape_.logit_bias,
                             .labels = labels_,
                             .sample_weights = sample_weights_,
                             .units = units_,
                             .logits = logits_,
                             .slopes = slopes_,
                             .losses = losses_,
                             .unit_gradient = unit_gradient_,
                             .hidden_bias_gradient = gradient_ + shape_.hidden_bias,
                             .logit_weight_gradient = gradient_ + shape_.logit_weight,
                             .logit_bias_gradient = gradient_ + shape_.logit_bias,
                             .loss = loss_,
                             .live_hidden = counts_ + kLiveHidden};
    device_.launch(LossOfSamples{loss}, LossOfSamples::blocks(shape_.samples), kThreads, 0);
    if (!train) return;
    device_.launch(LossOfUnits{loss}, LossOfUnits::blocks(shape_.hidden), kThreads,
                   LossOfUnits::kSharedBytes);
  }

  void backward() {
    device_.multiply(true, false, shape_.hidden, static_cast<int>(columns()), shape_.samples, unit_gradient_,
                     flat_, gradient_ + shape_.hidden_weight);
    device_.multiply(false, false, shape_.samples, static_cast<int>(columns()), shape_.hidden, unit_gradient_,
                     weights_ + shape_.hidden_weight, flat_gradient_);
    device_.launch(EncodeBackward<kWidth>{encoder(flat_gradient_, true)}, shape_.samples, sizes_.threads,
                   shared_backward_);
    const int elements = shape_.layers * Layer::kFloats;
    device_.launch(SumSamples{{shape_.samples, shape_.layers, Layer::kFloats, Layer::kInBias + kWidth, kWidth,
                               partial_sums_, gradient_}},
                   SumSamples::blocks(elements), kThreads, SumSamples::kSharedBytes);
  }

  Device device_;
  std::uint64_t weights_version_ = 0;  // of the held weights that weights_ is a copy of; 0: of none
  StepShape shape_;
  Sizes sizes_{};
  std::size_t shared_forward_ = 0, shared_backward_ = 0, mask_count_ = 0;
  struct {
    float *weights, *inputs, *labels, *sample_weights, *gradient, *logits;
    std::uint32_t *masks, *counts;
    double* loss;
    GatherRow* rows;
  } staged_{};
  float *weights_{}, *inputs_{}, *labels_{}, *sample_weights_{}, *gradient_{}, *logits_{};
  /// Places among counts_. The last is set before a recorded step, which leaves it.
  enum : int { kLiveHidden, kLargestBits, kWithoutCells, kCounts };
  std::uint32_t *masks_{}, *counts_{};
  GatherRow* rows_{};
  float *state_{}, *flat_{}, *flat_gradient_{}, *partial_sums_{}, *units_{}, *unit_gradient_{}, *slopes_{},
      *positions_{};
  double *losses_{}, *loss_{};
  HeadPlan* plans_{};
  std::uint64_t* sum_{};
  Polynomial* polynomials_{};
};

inline void say(Message* message, const char* text) {
  std::strncpy(message->text, text, sizeof message->text - 1);
  message->text[sizeof message->text - 1] = '\0';
}

/// Runs `work`; an exception becomes its message, since none may cross the seam.
template <typename Work>
int guarded(Message* message, const Work& work) {
  try {
    work();
    return 0;
  } catch (const std::exception& error) {
    say(message, error.what());
  } catch (...) {
    say(message, "an unknown error");
  }
  return 1;
}

/// A step on `device`; the module library specialises it, to compile every width in a source of its own.
template <typename Device>
Step* make_step(const StepShape& shape, const Polynomial* polynomials, const float* positions, int device) {
  switch (shape.width) {
    case 4:
      return new StepOf<4, Device>(shape, polynomials, positions, device);
    case 6:
      return new StepOf<6, Device>(shape, polynomials, positions, device);
    case 8:
      return new StepOf<8, Device>(shape, polynomials, positions, device);
    default:
      throw std::runtime_error("there are kernels for a width of 4, 6 and 8 only");
  }
}

/// The seam's functions for a Device, which also has static device_count(Message*) and device_name(int).
template <typename Device>
const Api* api_of(std::uint32_t version) {
  static const Api api{
      .version = kApiVersion,
      .device_count = [](Message* message) { return Device::device_count(message); },
      .device_name =
          [](int device, Message* name, Message* message) {
            return guarded(message, [&] { say(name, Device::device_name(device).c_str()); });
          },
      .create = [](const StepShape* shape, const Polynomial* polynomials, const float* positions, int device,
                   Message* message) -> Step* {
        Step* step = nullptr;
        guarded(message, [&] { step = make_step<Device>(*shape, polynomials, positions, device); });
        return step;
      },
      .destroy = [](Step* step) { delete step; },
      .hold = [](const GeneTable* table, int sample_cells, int device, Message* message) -> HeldTable* {
        HeldTable* held = nullptr;
        guarded(message,
                [&] { held = new HeldTableOf<typename Device::Memory>(*table, sample_cells, device); });
        return held;
      },
      .release = [](HeldTable* table) { delete table; },
      .predict = [](Step* step, const StepInputs* inputs, StepOutputs* outputs,
                    Message* message) { return guarded(message, [&] { step->predict(*inputs, *outputs); }); },
      .gradient =
          [](Step* step, const StepInputs* inputs, StepOutputs* outputs, Message* message) {
            return guarded(message, [&] { step->gradient(*inputs, *outputs); });
          },
      .begin_sum = [](Step* step, Message* message) { return guarded(message, [&] { step->begin_sum(); }); },
      .accumulate =
          [](Step* step, const StepInputs* inputs, double factor, StepOutputs* outputs,
             std::uint32_t* largest, Message* message) {
            return guarded(message, [&] { *largest = step->accumulate(*inputs, factor, *outputs); });
          },
      .sum_place = [](Step* step, std::uint64_t** place,
                      Message* message) { return guarded(message, [&] { *place = step->sum_place(); }); },
      .take_sum = [](Step* step, std::uint64_t* sum,
                     Message* message) { return guarded(message, [&] { step->take_sum(sum); }); },
      .make_weights = [](std::int64_t count, int moments, int device, Message* message) -> Weights* {
        Weights* weights = nullptr;
        guarded(message, [&] { weights = new WeightsOf<Device>(count, moments, device); });
        return weights;
      },
      .drop_weights = [](Weights* weights) { delete weights; },
      .put_weights =
          [](Weights* weights, const float* values, const float* first, const float* second,
             Message* message) { return guarded(message, [&] { weights->put(values, first, second); }); },
      .fetch_weights =
          [](Weights* weights, float* values, float* first, float* second, Message* message) {
            return guarded(message, [&] { weights->fetch(values, first, second); });
          },
      .add_sums = [](Weights* weights, std::uint64_t* to, const std::uint64_t* from,
                     Message* message) { return guarded(message, [&] { weights->add(to, from); }); },
      .take_gradient =
          [](Weights* weights, const std::uint64_t* sum, std::uint64_t bias, double factor,
             const UpdateGroup* groups, int group_count, Message* message) {
            return guarded(message, [&] { weights->take_gradient(sum, bias, factor, groups, group_count); });
          },
      .squares = [](Weights* weights, double* of_blocks,
                    Message* message) { return guarded(message, [&] { weights->squares(of_blocks); }); },
      .move_weights = [](Weights* weights, float clip_factor,
                         Message* message) { return guarded(message, [&] { weights->step(clip_factor); }); }};
  return version == kApiVersion ? &api : nullptr;
}

}  // namespace mgrn::model::cuda
