// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/weights.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::train {
namespace {

constexpr model::Shape kShape{.cells = 16, .width = 4, .heads = 4, .layers = 2, .hidden = 8};

model::Parameters some_weights(const model::Shape& shape = kShape) {
  model::Parameters parameters(shape);
  model::initialise(parameters, 7);
  return parameters;
}

std::string error_of(const std::filesystem::path& file, const model::Shape& shape) {
  try {
    read_weights(file, shape);
  } catch (const base::DataError& error) {
    return error.what();
  }
  return "no error";
}

TEST(Weights, SurviveTheirFileBitForBit) {
  const mgrn::test::TemporaryDirectory folder;
  const auto before = some_weights();
  write_weights(folder / "w.safetensors", before, {{"datasets", "aa"}});
  const Weights after = read_weights(folder / "w.safetensors", kShape);
  EXPECT_TRUE(std::ranges::equal(before.values(), after.parameters.values()));
  EXPECT_EQ(after.metadata.at("datasets"), "aa");
  EXPECT_EQ(after.metadata.at("model.cells"), "16");
}

TEST(Weights, CarryTheNamesOfPyTorch) {
  const mgrn::test::TemporaryDirectory folder;
  write_weights(folder / "w.safetensors", some_weights());
  const auto file = formats::read_safetensors(folder / "w.safetensors");
  EXPECT_EQ(file.tensors.at("encoder.layers.1.self_attn.in_proj_weight").shape,
            (std::vector<std::int64_t>{12, 4}));
  EXPECT_EQ(file.tensors.at("predictor.0.weight").shape, (std::vector<std::int64_t>{8, 64}));
}

TEST(Weights, TheFilesBytesDependOnTheWeightsAlone) {
  const mgrn::test::TemporaryDirectory folder;
  write_weights(folder / "a", some_weights());
  write_weights(folder / "b", some_weights());
  EXPECT_EQ(base::read_file(folder / "a"), base::read_file(folder / "b"));
}

TEST(Weights, OfAnotherModelAreRefusedByTheKeyThatDiffers) {
  const mgrn::test::TemporaryDirectory folder;
  write_weights(folder / "w", some_weights());
  model::Shape other = kShape;
  other.cells = 32;
  EXPECT_NE(error_of(folder / "w", other).find("model.cells differs"), std::string::npos);
  other = kShape;
  other.layers = 1;
  EXPECT_NE(error_of(folder / "w", other).find("model.layers differs"), std::string::npos);
  other = kShape;
  other.hidden = 16;
  EXPECT_NE(error_of(folder / "w", other).find("model.hidden differs"), std::string::npos);
  other = kShape;
  other.heads = 2;  // the tensors have the same shapes, only the metadata can tell
  EXPECT_NE(error_of(folder / "w", other).find("model.heads differs"), std::string::npos);
}

TEST(Weights, WithoutMetadataAreJudgedByTheirTensors) {
  const mgrn::test::TemporaryDirectory folder;
  formats::TensorFile file;
  const auto weights = some_weights();
  add_tensors(file, weights, weights.values());
  formats::write_safetensors(folder / "w", file);
  EXPECT_EQ(error_of(folder / "w", kShape), "no error");
  model::Shape other = kShape;
  other.cells = 32;
  EXPECT_NE(error_of(folder / "w", other).find("predictor.0.weight"), std::string::npos);
  other = kShape;
  other.layers = 3;
  EXPECT_NE(error_of(folder / "w", other).find("encoder.layers.2"), std::string::npos);
  other.layers = 1;
  EXPECT_NE(error_of(folder / "w", other).find("encoder.layers.1"), std::string::npos);
}

}  // namespace
}  // namespace mgrn::train
