// SPDX-License-Identifier: Apache-2.0
#include "model/checks.hpp"

#include <cmath>
#include <string>

#include "multigrnformer/base/error.hpp"

namespace mgrn::model {
namespace {

void require_size(const char* what, std::size_t expected, std::size_t got) {
  if (expected != got) {
    throw base::InternalError({.what = std::string("an engine was handed ") + what + " of the wrong size",
                               .expected = std::to_string(expected) + " values",
                               .got = std::to_string(got),
                               .hint = "Report this as a defect of the program."});
  }
}

void require_shape(const Shape& shape, const Parameters& parameters) {
  if (!(parameters.shape() == shape)) {
    throw base::InternalError({.what = "an engine was handed weights of another shape",
                               .hint = "Report this as a defect of the program."});
  }
}

}  // namespace

void require_held(std::span<const HeldSample> held, int most, bool holds) {
  if (!holds || held.size() > static_cast<std::size_t>(most)) {
    throw base::InternalError({.what = "an engine was handed samples that it cannot make",
                               .expected = holds ? "at most " + std::to_string(most) + " samples"
                                                 : std::string("samples with their values"),
                               .got = std::to_string(held.size()) + " samples to be made",
                               .hint = "Report this as a defect of the program."});
  }
}

void check_options(int micro_batch, const EngineOptions& options) {
  if (options.kind != "auto" && options.kind != "linear" && options.kind != "quadratic" &&
      options.kind != "tensor" && options.kind != "reference") {
    throw base::UsageError({.what = "unknown engine",
                            .file = "train.engine",
                            .expected = "auto, linear, quadratic, tensor or reference",
                            .got = options.kind,
                            .hint = "Set train.engine to auto."});
  }
  if (options.device != "auto" && options.device != "cpu" && options.device != "cuda") {
    throw base::UsageError({.what = "unknown device",
                            .file = "train.device",
                            .expected = "auto, cpu or cuda",
                            .got = options.device,
                            .hint = "Set train.device to auto."});
  }
  if (options.device == "cuda" && (options.kind == "quadratic" || options.kind == "reference")) {
    throw base::UsageError({.what = "this engine runs on the processor only",
                            .file = "train.engine",
                            .expected = "auto, linear or tensor, with train.device = cuda",
                            .got = options.kind,
                            .hint = "Set train.engine to auto, or train.device to cpu."});
  }
  if (micro_batch < 1 || micro_batch > 4096) {
    throw base::UsageError({.what = "the micro-batch is not usable",
                            .file = "train.micro_batch",
                            .expected = "1 to 4096 samples",
                            .got = std::to_string(micro_batch),
                            .hint = "Set train.micro_batch to 16."});
  }
  // Beyond 0.99 the 16-bit decisions and the factor of kept values leave nothing to learn from.
  if (!(options.dropout >= 0.0 && options.dropout <= 0.99)) {
    throw base::UsageError({.what = "the dropout is not usable",
                            .file = "model.dropout",
                            .expected = "a share from 0 to 0.99",
                            .got = std::to_string(options.dropout),
                            .hint = "Set model.dropout to a small share, such as 0.1, or to 0."});
  }
}

void check_pooling_dropout(const Shape& shape, const EngineOptions& options) {
  if (shape.readout == Readout::pool && options.dropout > 0) {
    throw base::UsageError({.what = "the pooling readout has no dropout",
                            .file = "model.dropout",
                            .expected = "0, with model.readout = pool",
                            .got = std::to_string(options.dropout),
                            .hint = "Leave model.dropout out; train.weight_decay holds weights down."});
  }
}

void check_prediction(const Shape& shape, const Parameters& parameters, int samples,
                      std::span<const float> inputs, std::span<const float> logits) {
  require_shape(shape, parameters);
  const std::size_t count = static_cast<std::size_t>(samples < 0 ? 0 : samples);
  require_size("samples",
               count * static_cast<std::size_t>(shape.cells) * static_cast<std::size_t>(shape.columns()),
               inputs.size());
  require_size("logits", count, logits.size());
}

void check_micro_batch(const Shape& shape, const Parameters& parameters, const MicroBatch& batch,
                       std::span<const float> gradient, int micro_batch, bool needs_names, bool holds) {
  require_shape(shape, parameters);
  if (batch.samples < 0 || batch.samples > micro_batch) {
    throw base::InternalError({.what = "an engine was handed a micro-batch that it was not made for",
                               .expected = "at most " + std::to_string(micro_batch) + " samples",
                               .got = std::to_string(batch.samples),
                               .hint = "Report this as a defect of the program."});
  }
  const std::size_t count = static_cast<std::size_t>(batch.samples);
  if (batch.held.empty()) {
    require_size("samples",
                 count * static_cast<std::size_t>(shape.cells) * static_cast<std::size_t>(shape.columns()),
                 batch.inputs.size());
  } else {
    require_held(batch.held, batch.samples, holds);
  }
  require_size("labels", count, batch.labels.size());
  require_size("weights", count, batch.weights.size());
  if (needs_names) require_size("sample names", count, batch.names.size());
  require_size("a gradient", parameters.values().size(), gradient.size());
}

LossTerm binary_cross_entropy(double logit, double label, double weight) {
  const double small = std::exp(-std::fabs(logit));
  const double loss = std::fmax(logit, 0.0) - logit * label + std::log1p(small);
  // p and 1 - p, each without a difference of near-equal numbers.
  const double larger = 1.0 / (1.0 + small);
  const double smaller = small / (1.0 + small);
  const double positive = logit >= 0 ? larger : smaller;
  const double negative = logit >= 0 ? smaller : larger;
  return {weight * loss, weight * ((1.0 - label) * positive - label * negative)};
}

}  // namespace mgrn::model
