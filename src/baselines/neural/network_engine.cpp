// SPDX-License-Identifier: Apache-2.0
#include <ATen/Version.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <cctype>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/baselines/dropout_masks.hpp"
#include "network.hpp"

namespace mgrn::baselines {

torch::Tensor Dropout::apply(const torch::Tensor& value, std::uint32_t place, double share) const {
  if (!active() || share <= 0) {
    return value;
  }
  const auto samples = static_cast<std::size_t>(value.size(0));
  const auto each = static_cast<std::size_t>(value.numel()) / samples;
  torch::Tensor mask = torch::empty_like(value.detach(), torch::TensorOptions().dtype(torch::kFloat32));
  for (std::size_t sample = 0; sample < samples; ++sample) {
    dropout_mask(names_[sample], place, share, {mask.data_ptr<float>() + sample * each, each});
  }
  return value * mask.to(value.scalar_type());
}

namespace {

void require(bool holds, const char* what) {
  if (!holds) {
    throw base::InternalError({.what = std::string("an engine was handed ") + what + " of the wrong size",
                               .hint = "Report this as a defect of the program."});
  }
}

// LibTorch's sums depend on its number of threads, which belongs to the calling thread.
void use_one_thread() {
  thread_local bool done = false;
  if (!std::exchange(done, true)) {
    torch::set_num_threads(1);
  }
}

// LibTorch asks for a layer's activations anew in each micro-batch, megabytes each, and gives them back.
// glibc would hand such memory to the system every time and clear its pages again: a fifth of a CNNC step.
void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kLargest = 32 << 20;  // what glibc takes for the first; what is larger stays the system's
  mallopt(M_MMAP_THRESHOLD, kLargest);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  mallopt(M_TOP_PAD, 2 * kLargest);
#endif
}

// Leaves over the weights' own memory: nothing is copied. LibTorch writes to no leaf that it only reads.
std::vector<torch::Tensor> leaves(const model::Parameters& parameters, bool needs_gradient) {
  std::vector<torch::Tensor> weights;
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): from_blob() takes no other
  auto* values = const_cast<float*>(parameters.values().data());
  for (const model::ParameterView& view : parameters.views()) {
    weights.push_back(torch::from_blob(values + view.offset, view.shape, torch::kFloat32)
                          .set_requires_grad(needs_gradient));
  }
  return weights;
}

torch::Tensor rows_of(std::span<const float> values, std::int64_t rows) {
  torch::Tensor tensor = torch::empty({rows, static_cast<std::int64_t>(values.size()) / rows});
  std::copy(values.begin(), values.end(), tensor.data_ptr<float>());
  return tensor;
}

class NetworkEngine final : public model::Engine {
 public:
  NetworkEngine(std::shared_ptr<const Network> network, int micro_batch, double dropout)
      : network_(std::move(network)), micro_batch_(micro_batch), dropout_(dropout) {}

  // The kernels that LibTorch chooses by the processor decide the bits.
  std::string name() const override {
    std::string capability = at::get_cpu_capability();
    std::transform(capability.begin(), capability.end(), capability.begin(),
                   [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
    return network_->name() + "/libtorch/" + capability;
  }

  void predict(const model::Parameters& parameters, int samples, std::span<const float> inputs,
               std::span<float> logits) override {
    require(logits.size() == static_cast<std::size_t>(samples), "logits");
    if (samples == 0) {
      return;
    }
    use_one_thread();
    const torch::NoGradGuard no_gradient;
    const auto weights = leaves(parameters, false);
    const std::size_t size = inputs.size() / logits.size();
    for (int first = 0; first < samples; first += micro_batch_) {
      const auto begin = static_cast<std::size_t>(first);
      const auto count = static_cast<std::size_t>(std::min(micro_batch_, samples - first));
      const torch::Tensor x =
          rows_of(inputs.subspan(begin * size, count * size), static_cast<std::int64_t>(count));
      const torch::Tensor result = network_->forward(weights, x, {}).logits.contiguous();
      std::copy_n(result.data_ptr<float>(), count, logits.data() + begin);
    }
  }

  model::StepStatistics gradient(const model::Parameters& parameters, const model::MicroBatch& batch,
                                 std::span<float> gradient) override {
    require(gradient.size() == parameters.values().size(), "a gradient");
    require(batch.samples <= micro_batch_ && batch.labels.size() == static_cast<std::size_t>(batch.samples),
            "a micro-batch");
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    // Padding stands behind the real samples, whose number belongs to the micro-batch, and is left out.
    const auto real = static_cast<std::size_t>(std::find(batch.weights.begin(), batch.weights.end(), 0.0f) -
                                               batch.weights.begin());
    if (real == 0) {
      return {};
    }
    require(dropout_ <= 0 || batch.names.size() >= real, "sample names");
    use_one_thread();
    const std::size_t size = batch.inputs.size() / batch.labels.size();
    const auto weights = leaves(parameters, true);
    const torch::Tensor x = rows_of(batch.inputs.first(real * size), static_cast<std::int64_t>(real));
    const Dropout dropout = dropout_ > 0 ? Dropout(batch.names.first(real), dropout_) : Dropout();
    const NetworkOutput out = network_->forward(weights, x, dropout);
    const torch::Tensor labels = rows_of(batch.labels.first(real), static_cast<std::int64_t>(real)).flatten();
    const torch::Tensor loss =
        at::binary_cross_entropy_with_logits(out.logits, labels, {}, {}, at::Reduction::Sum);
    const auto gradients = torch::autograd::grad({loss}, weights);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      const model::ParameterView& view = parameters.views()[i];
      const torch::Tensor dense = gradients[i].contiguous();
      std::copy_n(dense.data_ptr<float>(), view.size, gradient.data() + view.offset);
    }
    return {.loss = loss.item<double>(),
            .live_hidden =
                static_cast<std::uint64_t>(out.hidden.detach().gt(0).any(0).sum().item<std::int64_t>())};
  }

 private:
  std::shared_ptr<const Network> network_;
  int micro_batch_;
  double dropout_;
};

}  // namespace

std::unique_ptr<model::Engine> make_network_engine(std::shared_ptr<const Network> network, int micro_batch,
                                                   double dropout) {
  keep_freed_memory();
  return std::make_unique<NetworkEngine>(std::move(network), micro_batch, dropout);
}

}  // namespace mgrn::baselines
