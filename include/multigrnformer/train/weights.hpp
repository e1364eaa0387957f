// SPDX-License-Identifier: Apache-2.0
// Weights in safetensors files, under the names that torch.nn.TransformerEncoderLayer gives them; the model's
// shape is in the file's metadata, so that weights never meet another model unnoticed. Byte-stable. Not
// collective.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "multigrnformer/formats/safetensors.hpp"
#include "multigrnformer/model/parameters.hpp"

namespace mgrn::train {

/// Adds `values` (as large as layout.values()) as one tensor per view, each name with `prefix` before it.
void add_tensors(formats::TensorFile& file, const model::Parameters& layout, std::span<const float> values,
                 const std::string& prefix = {});
/// The reverse; values between views (padding) become 0. Throws DataError, with `name` as the file, for a
/// tensor that is missing, not float32 or of another shape.
void take_tensors(const formats::TensorFile& file, const model::Parameters& layout, std::span<float> values,
                  const std::filesystem::path& name, const std::string& prefix = {});

/// The keys that the network's shape follows from (`model.cells`, `model.layers`, ...) and the program's
/// version, as the metadata of a weights file holds them.
std::map<std::string, std::string> network_metadata(const model::Parameters& parameters);

/// Writes the weights with network_metadata and `extra`. Neither atomic nor durable: the caller's AtomicFile
/// or AtomicDirectory is.
void write_weights(const std::filesystem::path& file, const model::Parameters& parameters,
                   const std::map<std::string, std::string>& extra = {});

struct Weights {
  model::Parameters parameters;
  std::map<std::string, std::string> metadata;
};

/// Throws DataError naming the first key in which the file's model differs from `expected` ("N, L and hidden
/// must agree"), or the tensor that is missing, superfluous or of another shape. Files without metadata (made
/// in Python) are judged by their tensors alone.
Weights read_weights(const std::filesystem::path& file, const model::Parameters& expected);
inline Weights read_weights(const std::filesystem::path& file, const model::Shape& expected) {
  return read_weights(file, model::Parameters(expected));
}

/// The final weights in a run's folder; those of a checkpoint are not the chosen epoch's. Throws DataError,
/// also when the run is not finished.
model::Parameters finished_weights(const std::filesystem::path& run, const model::Parameters& expected);
inline model::Parameters finished_weights(const std::filesystem::path& run, const model::Shape& expected) {
  return finished_weights(run, model::Parameters(expected));
}

}  // namespace mgrn::train
