// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/safetensors.hpp"

#include <gtest/gtest.h>

#include <cstring>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::read_safetensors;
using formats::Tensor;
using formats::TensorFile;
using formats::TensorType;
using test::expect_data_error;
using test::expect_error;
using test::write;

template <class T>
Tensor tensor(TensorType type, std::vector<std::int64_t> shape, const std::vector<T>& values) {
  Tensor result{type, std::move(shape), std::vector<std::byte>(values.size() * sizeof(T))};
  if (!values.empty()) {
    std::memcpy(result.bytes.data(), values.data(), result.bytes.size());
  }
  return result;
}

TensorFile sample() {
  TensorFile file;
  file.tensors["b.weight"] = tensor<float>(TensorType::float32, {2, 2}, {1, 2, 3, 4});
  file.tensors["a.mask"] = tensor<std::uint8_t>(TensorType::uint8, {3}, {1, 0, 1});
  file.tensors["step"] = tensor<std::int64_t>(TensorType::int64, {}, {42});
  file.tensors["none"] = tensor<float>(TensorType::float32, {0, 5}, {});
  file.metadata["format"] = "pt";
  return file;
}

std::string raw(const std::string& header, std::size_t data) {
  std::string text(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(text.data(), &length, 8);
  return text + header + std::string(data, '\1');
}

TEST(Safetensors, ReadsBackWhatItWritesByteStableAndAligned) {
  const test::TemporaryDirectory folder;
  write_safetensors(folder / "m.safetensors", sample());
  const std::string bytes = test::bytes_of(folder / "m.safetensors");
  std::uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0U);
  // Written by hand from the format's description: keys sorted, widest elements first in the data.
  const std::string expected =
      "{\"__metadata__\":{\"format\":\"pt\"},\"a.mask\":{\"data_offsets\":[24,27],\"dtype\":\"U8\",\"shape\":"
      "[3]},"
      "\"b.weight\":{\"data_offsets\":[8,24],\"dtype\":\"F32\",\"shape\":[2,2]},"
      "\"none\":{\"data_offsets\":[24,24],\"dtype\":\"F32\",\"shape\":[0,5]},"
      "\"step\":{\"data_offsets\":[0,8],\"dtype\":\"I64\",\"shape\":[]}}";
  EXPECT_EQ(bytes.substr(8, expected.size()), expected);
  EXPECT_EQ(bytes.size(), 8 + length + 27);
  const TensorFile back = read_safetensors(folder / "m.safetensors");
  EXPECT_EQ(back.metadata, sample().metadata);
  ASSERT_EQ(back.tensors.size(), 4U);
  for (const auto& [name, content] : sample().tensors) {
    EXPECT_EQ(back.tensors.at(name).bytes, content.bytes) << name;
    EXPECT_EQ(back.tensors.at(name).shape, content.shape) << name;
    EXPECT_EQ(back.tensors.at(name).type, content.type) << name;
  }
  write_safetensors(folder / "again", back);
  EXPECT_EQ(test::bytes_of(folder / "again"), bytes);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const test::TemporaryDirectory folder;
  write_safetensors(folder / "m", sample());
  const std::string bytes = test::bytes_of(folder / "m");
  for (std::size_t keep = 0; keep < bytes.size(); ++keep) {
    write(folder / "cut", bytes.substr(0, keep));
    expect_data_error([&] { read_safetensors(folder / "cut"); }, {"cut"});
  }
  write(folder / "more", bytes + "x");
  expect_data_error([&] { read_safetensors(folder / "more"); }, {"belong to no tensor"});
}

TEST(Safetensors, MalformedHeadersAreErrorsThatNameTheTensor) {
  const test::TemporaryDirectory folder;
  const auto fails = [&](const std::string& header, std::size_t data,
                         std::initializer_list<std::string> parts) {
    write(folder / "m", raw(header, data));
    expect_data_error([&] { read_safetensors(folder / "m"); }, parts);
  };
  const std::string a = "\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}";
  fails("{" + a + ",\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12,
        {"'b'", "overlaps"});
  fails("{" + a + ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[12,16]}}", 16, {"'b'", "gap"});
  fails("{" + a + ",\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", 8,
        {"'b'", "outside the file"});
  fails("{" + a + "," + a + "}", 8, {"'a' twice"});
  fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[3],\"data_offsets\":[0,8]}}", 8,
        {"'a'", "does not match its shape"});
  fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296,4294967296],\"data_offsets\":[0,8]}}", 8,
        {"'a'"});
  fails("{\"a\":{\"dtype\":\"BF16\",\"shape\":[4],\"data_offsets\":[0,8]}}", 8, {"'a'", "BF16"});
  fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, {"'a'", "bad shape"});
  fails("{\"a\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, {"'a'", "data_offsets"});
  fails("{\"a\":", 0, {"not valid JSON"});
  fails("[1]", 0, {"does not start with '{'"});
  fails("{\"__metadata__\":{\"x\":1}}", 0, {"'x'"});
  write(folder / "m", std::string(16, '\xff'));
  expect_data_error([&] { read_safetensors(folder / "m"); }, {"not a safetensors file"});
  expect_data_error([&] { read_safetensors(folder / "absent"); }, {"absent", "does not exist"});
}

TEST(Safetensors, ATensorThatDoesNotMatchItsShapeIsNotWritten) {
  const test::TemporaryDirectory folder;
  TensorFile file;
  file.tensors["a"] = tensor<float>(TensorType::float32, {3}, {1, 2});
  expect_error(base::ExitCode::internal, [&] { write_safetensors(folder / "m", file); }, {"'a'"});
  expect_error(base::ExitCode::output, [&] { write_safetensors(folder / "no/m", sample()); }, {"no/m"});
}

}  // namespace
}  // namespace mgrn
