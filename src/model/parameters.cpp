// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/parameters.hpp"

#include <cmath>
#include <string_view>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::model {
namespace {

constexpr std::size_t kAlignment = 16;  // floats in 64 bytes
// The fused kernels keep a token's widest row in a fixed block of scratch; the paper's width is 4.
constexpr int kMaxWidth = 64;
constexpr int kMostPoolUnits = 1024;

void require(bool holds, const char* key, std::string expected, int got, const char* hint) {
  if (!holds) {
    throw base::UsageError({.what = "the model's shape is not usable",
                            .file = key,
                            .expected = std::move(expected),
                            .got = std::to_string(got),
                            .hint = hint});
  }
}

/// Where the view behind these begins.
std::size_t end_of(const std::vector<ParameterView>& views) {
  if (views.empty()) return 0;
  return (views.back().offset + views.back().size + kAlignment - 1) / kAlignment * kAlignment;
}

void validate_pool(const Shape& shape) {
  require(shape.width >= 1 && shape.width <= kMostPoolUnits, "model.width",
          "1 to 1024 units of a cell's layers", shape.width, "Set model.width to 32, say.");
  require(shape.layers >= 1 && shape.layers <= 64, "model.layers", "1 to 64 layers", shape.layers,
          "Set model.layers to 2, say.");
  require(shape.hidden >= 1 && shape.hidden <= 65536, "model.hidden", "1 to 65536 units", shape.hidden,
          "Set model.hidden to 64, say.");
  require(shape.context >= 0 && shape.context <= 64, "model.context", "at most 64 columns", shape.context,
          "Ask for fewer context features.");
  require(shape.heads == 1, "model.heads", "1, with model.readout = pool", shape.heads,
          "Leave model.heads out: the pooling readout has no attention.");
  if (shape.positions != Positions::none) {
    throw base::UsageError({.what = "the model's shape is not usable",
                            .file = "model.positions",
                            .expected = "none, with model.readout = pool",
                            .got = "an encoding of positions",
                            .hint = "Leave model.positions out: what is pooled has no order."});
  }
}

}  // namespace

void validate(const Shape& shape) {
  require(shape.cells >= 1, "model.cells", "at least 1 cell", shape.cells, "Set model.cells to 1 or more.");
  require(shape.cells <= 1'000'000, "model.cells", "at most 1000000 cells", shape.cells,
          "Set model.cells to a sample size, such as 500.");
  if (shape.readout == Readout::pool) {
    validate_pool(shape);
    return;
  }
  require(shape.context == 0, "model.context", "no context columns, with model.readout = flatten",
          shape.context, "Set model.readout to pool: the paper's encoder reads RNA and RP alone.");
  require(shape.width >= 4 && shape.width <= kMaxWidth && shape.width % 2 == 0, "model.width",
          "an even width from 4 to 64", shape.width,
          "Use two columns per modality, and at least four columns in all.");
  require(shape.heads >= 1 && shape.width % shape.heads == 0, "model.heads",
          "a divisor of the width " + std::to_string(shape.width), shape.heads,
          "Set model.heads to a divisor of the width; the paper uses one head per column.");
  require(shape.layers >= 1 && shape.layers <= 64, "model.layers", "1 to 64 layers", shape.layers,
          "Set model.layers to a small number; the paper uses 2.");
  require(shape.hidden >= 1 && shape.hidden <= 65536, "model.hidden", "1 to 65536 units", shape.hidden,
          "Set model.hidden to the predictor's number of hidden units, such as 128.");
  const std::int64_t predictor = std::int64_t{shape.hidden} * shape.cells * shape.width;
  if (predictor > (std::int64_t{1} << 30)) {
    throw base::UsageError({.what = "the predictor would not fit",
                            .file = "model.cells, model.hidden",
                            .expected = "cells * width * hidden of at most 2^30",
                            .got = std::to_string(predictor),
                            .hint = "Set model.cells or model.hidden to less."});
  }
}

void Parameters::add(std::string name, std::vector<std::int64_t> dimensions, bool predictor) {
  std::size_t size = 1;
  for (const std::int64_t dimension : dimensions) size *= static_cast<std::size_t>(dimension);
  views_.push_back({std::move(name), std::move(dimensions), end_of(views_), size, predictor});
}

Parameters::Parameters(std::map<std::string, std::string> network, const std::vector<TensorShape>& tensors)
    : network_(std::move(network)) {
  for (const TensorShape& tensor : tensors) add(tensor.name, tensor.shape, false);
  values_.assign(end_of(views_), 0.0f);
}

std::size_t Parameters::count() const {
  std::size_t count = 0;
  for (const ParameterView& view : views_) count += view.size;
  return count;
}

Parameters::Parameters(const Shape& shape) : shape_(shape) {
  validate(shape);
  if (shape.readout == Readout::pool) {
    std::int64_t inputs = shape.columns();
    for (int layer = 0; layer < shape.layers; ++layer) {
      const std::string prefix = "cells." + std::to_string(2 * layer) + ".";
      add(prefix + "weight", {shape.width, inputs}, false);
      add(prefix + "bias", {shape.width}, false);
      inputs = shape.width;
    }
    add("predictor.0.weight", {shape.hidden, 2 * inputs}, true);
    add("predictor.0.bias", {shape.hidden}, true);
    add("predictor.2.weight", {1, shape.hidden}, true);
    add("predictor.2.bias", {1}, true);
    values_.assign(end_of(views_), 0.0f);
    return;
  }
  const std::int64_t width = shape.width;
  const std::int64_t inner = shape.feed_forward();
  for (int layer = 0; layer < shape.layers; ++layer) {
    const std::string prefix = "encoder.layers." + std::to_string(layer) + ".";
    add(prefix + "self_attn.in_proj_weight", {3 * width, width}, false);
    add(prefix + "self_attn.in_proj_bias", {3 * width}, false);
    add(prefix + "self_attn.out_proj.weight", {width, width}, false);
    add(prefix + "self_attn.out_proj.bias", {width}, false);
    add(prefix + "linear1.weight", {inner, width}, false);
    add(prefix + "linear1.bias", {inner}, false);
    add(prefix + "linear2.weight", {width, inner}, false);
    add(prefix + "linear2.bias", {width}, false);
    add(prefix + "norm1.weight", {width}, false);
    add(prefix + "norm1.bias", {width}, false);
    add(prefix + "norm2.weight", {width}, false);
    add(prefix + "norm2.bias", {width}, false);
  }
  add("predictor.0.weight", {shape.hidden, shape.cells * width}, true);
  add("predictor.0.bias", {shape.hidden}, true);
  add("predictor.2.weight", {1, shape.hidden}, true);
  add("predictor.2.bias", {1}, true);
  values_.assign(end_of(views_), 0.0f);
}

const ParameterView& Parameters::view(const std::string& name) const {
  for (const ParameterView& view : views_) {
    if (view.name == name) return view;
  }
  throw base::InternalError({.what = "the model has no tensor of this name",
                             .got = name,
                             .hint = "Report this as a defect of the program."});
}

std::span<float> Parameters::tensor(const std::string& name) {
  const ParameterView& found = view(name);
  return std::span<float>(values_).subspan(found.offset, found.size);
}

std::span<const float> Parameters::tensor(const std::string& name) const {
  const ParameterView& found = view(name);
  return std::span<const float>(values_).subspan(found.offset, found.size);
}

void initialise(Parameters& parameters, std::uint64_t seed) {
  const auto ends_with = [](const std::string& name, const char* ending) {
    return std::string_view(name).ends_with(ending);
  };
  for (const ParameterView& view : parameters.views()) {
    const std::span<float> values = parameters.values().subspan(view.offset, view.size);
    if (view.name.find(".norm") != std::string::npos) {
      const float value = ends_with(view.name, "weight") ? 1.0f : 0.0f;
      for (float& weight : values) weight = value;
      continue;
    }
    if (view.name.find("self_attn") != std::string::npos && ends_with(view.name, "bias")) {
      for (float& weight : values) weight = 0.0f;
      continue;
    }
    double bound = 0;
    if (ends_with(view.name, "in_proj_weight")) {
      bound = std::sqrt(6.0 / static_cast<double>(view.shape[0] + view.shape[1]));
    } else {
      // A bias takes its bound from the fan-in of its weight, which stands right before it.
      const ParameterView& weight = view.shape.size() == 2 ? view : (&view)[-1];
      bound = 1.0 / std::sqrt(static_cast<double>(weight.shape[1]));
    }
    base::PhiloxStream random(seed, base::NameHash{}.add("weights").add(view.name).value());
    for (float& weight : values) weight = static_cast<float>((2.0 * random.uniform() - 1.0) * bound);
  }
}

}  // namespace mgrn::model
