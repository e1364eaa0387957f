// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/weights.hpp"

#include <algorithm>
#include <cstring>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/train/build_id.hpp"
#include "multigrnformer/train/run_folder.hpp"

namespace mgrn::train {
namespace {

std::string position_name(model::Positions positions) {
  switch (positions) {
    case model::Positions::standard:
      return "standard";
    case model::Positions::paper:
      return "paper";
    case model::Positions::none:
      return "none";
  }
  return "standard";
}

std::map<std::string, std::string> shape_keys(const model::Shape& shape) {
  std::map<std::string, std::string> keys = {
      {"model.cells", std::to_string(shape.cells)},   {"model.width", std::to_string(shape.width)},
      {"model.heads", std::to_string(shape.heads)},   {"model.layers", std::to_string(shape.layers)},
      {"model.hidden", std::to_string(shape.hidden)}, {"model.positions", position_name(shape.positions)}};
  if (shape.readout == model::Readout::pool) {
    keys.erase("model.heads");
    keys["model.readout"] = "pool";
    keys["model.context_columns"] = std::to_string(shape.context);
  }
  return keys;
}

std::map<std::string, std::string> network_keys(const model::Parameters& parameters) {
  return parameters.network().empty() ? shape_keys(parameters.shape()) : parameters.network();
}

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (const auto extent : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  }
  return text + "]";
}

std::string type_name(formats::TensorType type) {
  switch (type) {
    case formats::TensorType::float32:
      return "float32";
    case formats::TensorType::float64:
      return "float64";
    case formats::TensorType::int64:
      return "int64";
    case formats::TensorType::uint8:
      return "uint8";
  }
  return "another type";
}

constexpr const char* kOtherWeights = "give weights of this model, or set the model.* keys to the weights'";

}  // namespace

void add_tensors(formats::TensorFile& file, const model::Parameters& layout, std::span<const float> values,
                 const std::string& prefix) {
  for (const auto& view : layout.views()) {
    const auto bytes = std::as_bytes(values.subspan(view.offset, view.size));
    file.tensors[prefix + view.name] = {.type = formats::TensorType::float32,
                                        .shape = view.shape,
                                        .bytes = std::vector<std::byte>(bytes.begin(), bytes.end())};
  }
}

void take_tensors(const formats::TensorFile& file, const model::Parameters& layout, std::span<float> values,
                  const std::filesystem::path& name, const std::string& prefix) {
  std::fill(values.begin(), values.end(), 0.0f);
  for (const auto& view : layout.views()) {
    const auto place = file.tensors.find(prefix + view.name);
    if (place == file.tensors.end()) {
      throw base::DataError({.what = "weights lack a tensor",
                             .file = name.string(),
                             .expected = prefix + view.name,
                             .got = std::to_string(file.tensors.size()) + " other tensors",
                             .hint = kOtherWeights});
    }
    const formats::Tensor& tensor = place->second;
    if (tensor.type != formats::TensorType::float32 || tensor.shape != view.shape ||
        tensor.bytes.size() != view.size * sizeof(float)) {
      throw base::DataError({.what = "tensor " + prefix + view.name + " does not fit this model",
                             .file = name.string(),
                             .expected = "float32 " + shape_text(view.shape),
                             .got = type_name(tensor.type) + " " + shape_text(tensor.shape),
                             .hint = kOtherWeights});
    }
    std::memcpy(values.data() + view.offset, tensor.bytes.data(), tensor.bytes.size());
  }
}

std::map<std::string, std::string> network_metadata(const model::Parameters& parameters) {
  auto metadata = network_keys(parameters);
  metadata["program"] = "multigrnformer " + program_version();
  return metadata;
}

void write_weights(const std::filesystem::path& file, const model::Parameters& parameters,
                   const std::map<std::string, std::string>& extra) {
  formats::TensorFile content;
  content.metadata = network_metadata(parameters);
  content.metadata.insert(extra.begin(), extra.end());
  add_tensors(content, parameters, parameters.values());
  formats::write_safetensors(file, content);
}

Weights read_weights(const std::filesystem::path& file, const model::Parameters& expected) {
  const formats::TensorFile content = formats::read_safetensors(file);
  for (const auto& [key, value] : network_keys(expected)) {
    const auto got = content.metadata.find(key);
    if (got != content.metadata.end() && got->second != value) {
      throw base::DataError({.what = "weights are of another model: " + key + " differs",
                             .file = file.string(),
                             .expected = key + " = " + value,
                             .got = got->second,
                             .hint = kOtherWeights});
    }
  }
  Weights weights{.parameters = expected, .metadata = content.metadata};
  take_tensors(content, weights.parameters, weights.parameters.values(), file);
  for (const auto& [name, tensor] : content.tensors) {
    const auto& views = weights.parameters.views();
    // Clang does not let a lambda capture what a structured binding names.
    const auto is_it = [&wanted = name](const auto& view) { return view.name == wanted; };
    if (std::none_of(views.begin(), views.end(), is_it)) {
      throw base::DataError({.what = "weights hold a tensor that this model has not",
                             .file = file.string(),
                             .expected = std::to_string(views.size()) + " tensors of other names",
                             .got = name + " " + shape_text(tensor.shape),
                             .hint = kOtherWeights});
    }
  }
  return weights;
}

model::Parameters finished_weights(const std::filesystem::path& run, const model::Parameters& expected) {
  const RunFolder folder(run);
  if (!std::filesystem::exists(folder.weights())) {
    throw base::DataError({.what = "the run has no final weights",
                           .file = run.string(),
                           .expected = "model.safetensors",
                           .got = "none: the run is not finished",
                           .hint = "give the training command again; it goes on from its last checkpoint"});
  }
  return read_weights(folder.weights(), expected).parameters;
}

}  // namespace mgrn::train
