// SPDX-License-Identifier: Apache-2.0
// The fused engines' softmax attention by itself, for measuring and testing: heads of one column, queries,
// keys and values given. Training never comes here; it goes through Engine.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "multigrnformer/model/engine.hpp"

namespace mgrn::model {

/// Attention of one sample: o_i = sum_j v_j exp(q_i k_j) / sum_j exp(q_i k_j) in each head. Arrays are
/// [heads][cells], spans of results are valid until the next call. One object serves one thread.
class Attention {
 public:
  /// options.kind auto, linear or quadratic; options.isa as for engines. Throws UsageError.
  Attention(int cells, int heads, const EngineOptions& options);
  ~Attention();
  Attention(const Attention&) = delete;
  Attention& operator=(const Attention&) = delete;

  /// "linear/avx2".
  std::string name() const;

  void forward(std::span<const float> queries, std::span<const float> keys, std::span<const float> values);
  /// Gradients for the last forward(); may be called again and again.
  void backward(std::span<const float> output_gradient);

  std::span<const float> output(int head);
  std::span<const float> query_gradient(int head) const;
  std::span<const float> key_gradient(int head) const;
  std::span<const float> value_gradient(int head) const;
  AttentionPath path(int head) const;
  /// Whether what lies behind the last cell, up to a whole block, has got no gradient.
  bool padding_is_untouched() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mgrn::model
