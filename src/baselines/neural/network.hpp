// SPDX-License-Identifier: Apache-2.0
// A baseline's network in LibTorch's operations, and the engine that trains it with LibTorch's autograd.
// Internal to the room; the only header of it that includes LibTorch.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::baselines {

/// What a forward pass drops: nothing where there are no names.
class Dropout {
 public:
  Dropout() = default;
  /// One name per sample of the batch; `share` is what layers drop that say no other.
  Dropout(std::span<const std::uint64_t> names, double share) : names_(names), share_(share) {}

  bool active() const { return !names_.empty(); }
  double share() const { return share_; }
  /// value times the mask of the dropout layer `place`. A mask lies as `value` does in memory, samples first.
  torch::Tensor apply(const torch::Tensor& value, std::uint32_t place) const {
    return apply(value, place, share_);
  }
  torch::Tensor apply(const torch::Tensor& value, std::uint32_t place, double share) const;

 private:
  std::span<const std::uint64_t> names_;
  double share_ = 0;
};

struct NetworkOutput {
  torch::Tensor logits;  ///< [samples]
  torch::Tensor hidden;  ///< [samples, units]: the last hidden layer, after its ReLU
};

/// Stateless; works in the type of the tensors it is given.
class Network {
 public:
  virtual ~Network() = default;
  virtual std::string name() const = 0;
  /// `weights` in the order of the views, `inputs` [samples, floats of a sample].
  virtual NetworkOutput forward(const std::vector<torch::Tensor>& weights, const torch::Tensor& inputs,
                                const Dropout& dropout) const = 0;
};

std::shared_ptr<const Network> cnnc_network();
std::shared_ptr<const Network> stgrns_network(int window);

/// On the processor, with one thread of LibTorch. `dropout` as Dropout's share; 0 drops nothing at all.
/// Batches of up to `micro_batch` samples. From the first call on glibc keeps memory that the process frees.
std::unique_ptr<model::Engine> make_network_engine(std::shared_ptr<const Network> network, int micro_batch,
                                                   double dropout);

}  // namespace mgrn::baselines
