// SPDX-License-Identifier: Apache-2.0
// What computes the model: the seam between the training loop and the kernels. Engines are interchangeable
// to stated tolerances; each is deterministic, bit for bit, for one build and instruction set.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/model/device_weights.hpp"
#include "multigrnformer/model/fixed_point.hpp"
#include "multigrnformer/model/held_samples.hpp"
#include "multigrnformer/model/parameters.hpp"

namespace mgrn::model {

/// Samples of one micro-batch. Memory belongs to the caller.
struct MicroBatch {
  int samples = 0;                       ///< B_micro; rows beyond the real ones are padding with weight 0
  std::span<const float> inputs;         ///< [samples, N, width], without positional encoding
  std::span<const float> labels;         ///< [samples], 0 or 1
  std::span<const float> weights;        ///< [samples], 1 or 0 (padding)
  std::span<const std::uint64_t> names;  ///< [samples], hash of each sample's name: seeds its dropout masks
  /// Instead of inputs, for engines that hold columns: at most [samples], the rows behind them are padding.
  std::span<const HeldSample> held = {};
};

struct StepStatistics {
  double loss = 0;                ///< sum over samples of weight * binary cross entropy
  std::uint64_t live_hidden = 0;  ///< predictor units that were positive for at least one sample
};

struct EngineOptions {
  /// auto | linear | quadratic | tensor | reference (train.engine); auto is linear for heads of one column.
  std::string kind = "auto";
  std::string isa = "auto";  ///< auto | avx2 | baseline | avx512 (train.isa)
  /// Share of values dropped after attention, inside and after the feed-forward net: PyTorch's places but for
  /// the attention probabilities, which linear-time attention never forms. 0 to 0.99.
  double dropout = 0;
  std::string device = "auto";  ///< auto | cpu | cuda (train.device); auto is the processor
  int gpu = 0;                  ///< for cuda: its number among the GPUs that this process sees
};

/// How a head of one column was computed, which its values decide.
struct AttentionPath {
  int panels = 0;    ///< ranges of queries with an expansion of their own; 0: quadratic
  int terms = 0;     ///< of the exponential's polynomials, over all panels
  double range = 0;  ///< R: half the range of queries times that of keys
};

/// One head of one sample, for measuring and testing; the spans are valid during the visit.
struct HeadView {
  int sample = 0;
  int layer = 0;
  int head = 0;
  AttentionPath path;
  /// [cells]; keys and values less the middle of their range, which changes no weight of the softmax.
  std::span<const float> queries, keys, values;
};
using HeadVisitor = std::function<void(const HeadView&)>;

/// One engine serves one thread; make one per thread. No global state.
class Engine {
 public:
  virtual ~Engine() = default;

  /// "quadratic/avx2", for logs and for the comparison of ranks.
  virtual std::string name() const = 0;
  /// Forward without dropout: one logit per sample. The fused engines' logits do not depend on `samples`.
  virtual void predict(const Parameters& parameters, int samples, std::span<const float> inputs,
                       std::span<float> logits) = 0;
  /// Columns to make samples from: a micro-batch may then bring `held` instead of inputs. Engines of one kind
  /// on one device share them; they must go before the last of these engines does.
  virtual Holding hold(const ColumnTable& /*table*/) { return {}; }
  /// predict() of held samples, at most a micro-batch: a logit each. For engines that hold columns.
  virtual void predict_held(const Parameters& parameters, std::span<const HeldSample> samples,
                            std::span<float> logits);
  /// Forward and backward. `gradient` (as large as parameters.values()) is overwritten with the gradient of
  /// the summed, weighted loss over this micro-batch.
  virtual StepStatistics gradient(const Parameters& parameters, const MicroBatch& batch,
                                  std::span<float> gradient) = 0;
  /// Adds to `sum` exactly what gradient() followed by add_fixed_point() would, with less traffic: a part may
  /// wait until finish(), which must come before any other call, with the same sum. Until then all calls
  /// bring the same weights.
  virtual StepStatistics accumulate(const Parameters& parameters, const MicroBatch& batch,
                                    FixedPointSum& sum);
  virtual void finish(FixedPointSum& sum);
  /// Where what waits for finish() lies, in the memory of the GPU: all of `sum`, complete, zero where nothing
  /// was added, so that it may be reduced in place there before finish() fetches it. Empty for engines that
  /// add in the host's memory.
  virtual std::span<std::uint64_t> device_sum(FixedPointSum& sum);

  /// Weights with `moments` (1 or 2) moments on this engine's GPU; null for engines that have none, or whose
  /// sum is not there (device_sum).
  virtual std::shared_ptr<DeviceWeights> make_device_weights(int /*moments*/) { return nullptr; }
  /// From now on accumulate() reads these weights, of an engine of the same kind on the same GPU, whatever
  /// its argument holds; the other calls do not.
  virtual void use_weights(const std::shared_ptr<const DeviceWeights>& /*weights*/) {}

  /// predict(), with a look at every head on the way: by sample, layer and head, as training computes them.
  /// Visits none where heads are wider than a column, or where no way is chosen by the values (reference,
  /// tensor, CUDA).
  virtual void visit_heads(const Parameters& /*parameters*/, int /*samples*/,
                           std::span<const float> /*inputs*/, const HeadVisitor& /*visit*/) {}

 private:
  std::vector<float> separate_;  // the gradient of an engine without a fused accumulate()
};

/// Throws UsageError for an engine, instruction set or device that this build or machine lacks.
std::unique_ptr<Engine> make_engine(const Shape& shape, int micro_batch, const EngineOptions& options);

}  // namespace mgrn::model
