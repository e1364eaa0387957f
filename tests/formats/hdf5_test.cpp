// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/hdf5.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::hdf5::ElementKind;
using formats::hdf5::File;
using formats::hdf5::Shape;
using test::expect_data_error;
using test::expect_error;

TEST(Hdf5, ReadsBackWholeDatasetsSlabsStringsAndAttributes) {
  const test::TemporaryDirectory folder;
  std::vector<std::int64_t> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), -3);
  const std::vector<std::string> names = {"Actb", "", "Gata4", "Ärger"};
  {
    File file = File::create(folder / "a.h5");
    auto group = file.create_group("deep/er");
    auto dataset = group.write_dataset<std::int64_t>("numbers", numbers, {.chunk = {64}, .deflate = 4});
    dataset.write_attribute("scale", 0.25);
    dataset.write_attribute<std::int32_t>("shape", std::vector<std::int32_t>{2, 3});
    dataset.write_string_attribute("note", "counts");
    dataset.write_string_attribute("empty", "");
    group.write_strings("names", names);
    auto grid = file.create_dataset<float>("grid", {3, 4}, {.chunk = {2, 100}, .deflate = 1});
    grid.write<float>({1, 1}, {2, 2}, std::vector<float>{1, 2, 3, 4});
    grid.write<float>({0, 0}, {0, 4}, std::vector<float>{});
    file.write_dataset<std::uint32_t>("nothing", std::vector<std::uint32_t>{}, {.chunk = {8}, .deflate = 4});
    file.close();
  }
  const File file = File::open(folder / "a.h5");
  EXPECT_TRUE(file.has("deep/er/numbers"));
  EXPECT_FALSE(file.has("deep/er/nowhere"));
  EXPECT_FALSE(file.has("nowhere/er/numbers"));
  EXPECT_FALSE(file.has("deep/er/numbers/below"));
  EXPECT_TRUE(file.has_group("deep/er"));
  EXPECT_FALSE(file.has_dataset("deep/er"));
  EXPECT_EQ(file.members(), (std::vector<std::string>{"deep", "grid", "nothing"}));
  const auto group = file.group("deep").group("er");
  const auto dataset = group.dataset("numbers");
  EXPECT_EQ(dataset.path(), "/deep/er/numbers");
  EXPECT_EQ(dataset.kind(), ElementKind::integer);
  EXPECT_EQ(dataset.read<std::int64_t>(), numbers);
  EXPECT_EQ(dataset.read<std::int32_t>(998, 2), (std::vector<std::int32_t>{995, 996}));
  EXPECT_TRUE(dataset.read<std::int32_t>(1000, 0).empty());
  EXPECT_EQ(dataset.attribute<double>("scale"), 0.25);
  EXPECT_EQ(dataset.attribute_values<std::int64_t>("shape"), (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(dataset.string_attribute("note"), "counts");
  EXPECT_EQ(dataset.string_attribute("empty"), "");
  EXPECT_FALSE(dataset.has_attribute("absent"));
  EXPECT_EQ(group.dataset("names").read_strings(), names);
  EXPECT_EQ(file.dataset("grid").read<float>(), (std::vector<float>{0, 0, 0, 0, 0, 1, 2, 0, 0, 3, 4, 0}));
  EXPECT_EQ(file.dataset("grid").read<float>(Shape{2, 1}, Shape{1, 3}), (std::vector<float>{3, 4, 0}));
  EXPECT_EQ(file.dataset("nothing").size(), 0U);
}

TEST(Hdf5, DatasetsGrowAlongTheirFirstDimension) {
  const test::TemporaryDirectory folder;
  {
    File file = File::create(folder / "a.h5");
    auto dataset = file.create_dataset<float>(
        "growing", {0}, {.chunk = {3}, .deflate = 1, .shuffle = true, .extendable = true});
    for (std::uint64_t i = 0; i < 10; ++i) {
      dataset.extend({i + 1});
      dataset.write<float>({i}, {1}, std::vector<float>{static_cast<float>(i)});
    }
    file.close();
  }
  const std::vector<float> values = File::open(folder / "a.h5").dataset("growing").read<float>();
  ASSERT_EQ(values.size(), 10U);
  EXPECT_EQ(values[9], 9.0F);
}

TEST(Hdf5, TheSameContentGivesTheSameBytes) {
  const test::TemporaryDirectory folder;
  for (const char* name : {"a.h5", "b.h5"}) {
    File file = File::create(folder / name);
    file.create_group("g").write_dataset<float>("x", std::vector<float>(5000, 1.5F),
                                                {.chunk = {512}, .deflate = 4});
    file.write_string_attribute("settings", std::string(100'000, 'x'));  // beyond HDF5's old 64 KiB
    file.close();
    // HDF5 stores times in whole seconds; a second apart would show them.
    if (std::string(name) == "a.h5") {
      timespec pause{1, 100'000'000};
      nanosleep(&pause, nullptr);
    }
  }
  EXPECT_EQ(test::bytes_of(folder / "a.h5"), test::bytes_of(folder / "b.h5"));
}

TEST(Hdf5, ErrorsNameTheFileTheObjectAndTheCause) {
  const test::TemporaryDirectory folder;
  {
    File file = File::create(folder / "a.h5");
    file.write_dataset<float>("numbers", std::vector<float>{1.5F, 2});
    file.write_strings("names", std::vector<std::string>{"a"});
    file.close();
  }
  const File file = File::open(folder / "a.h5");
  expect_data_error([&] { file.dataset("absent"); }, {"a.h5", "'/absent' is missing"});
  expect_data_error([&] { file.group("numbers"); }, {"a.h5", "'/numbers'", "another kind"});
  expect_data_error([&] { file.dataset("numbers").read<std::int64_t>(); },
                    {"a.h5", "'/numbers'", "integers"});
  expect_data_error([&] { file.dataset("numbers").read_strings(); }, {"'/numbers'", "expected strings"});
  expect_data_error([&] { file.dataset("names").read<float>(); }, {"'/names'", "got strings"});
  expect_data_error([&] { file.dataset("numbers").read<float>(1, 2); }, {"'/numbers'", "inside (2)"});
  expect_data_error([&] { file.dataset("numbers").attribute<double>("scale"); }, {"'scale'", "'/numbers'"});
  expect_data_error([&] { File::open(folder / "none.h5"); }, {"does not exist", "none.h5"});
  expect_error(base::ExitCode::output, [&] { File::create(folder / "no/such/folder.h5"); },
               {"cannot create HDF5 file", "no/such/folder.h5", "H5Fcreate"});
}

TEST(Hdf5, RefusesTruncatedFilesAndFilesOfAnotherKind) {
  const test::TemporaryDirectory folder;
  {
    File file = File::create(folder / "a.h5");
    file.write_dataset<double>("x", std::vector<double>(4096, 1));
    file.close();
  }
  test::truncate(folder / "a.h5", 4096);
  expect_data_error([&] { File::open(folder / "a.h5"); }, {"a.h5", "truncated file", "hint:"});
  test::write(folder / "b.h5", "not hdf5 at all");
  expect_data_error([&] { File::open(folder / "b.h5"); }, {"b.h5", "not an HDF5 file"});
  test::write(folder / "c.h5", "");
  expect_data_error([&] { File::open(folder / "c.h5"); }, {"c.h5", "an empty file"});
  expect_data_error([&] { File::open(folder.path()); }, {"a folder"});
}

TEST(Hdf5, DamagedCompressedChunkIsAnErrorAndNotZeros) {
  const test::TemporaryDirectory folder;
  std::vector<std::int32_t> values(20'000);
  std::iota(values.begin(), values.end(), 0);
  {
    File file = File::create(folder / "a.h5");
    file.write_dataset<std::int32_t>("x", values, {.chunk = {20'000}, .deflate = 6, .shuffle = false});
    file.close();
  }
  std::string bytes = test::bytes_of(folder / "a.h5");
  const std::size_t middle = bytes.size() / 2;
  for (std::size_t i = 0; i < 64; ++i) {
    bytes[middle + i] = static_cast<char>(~bytes[middle + i]);
  }
  test::write(folder / "a.h5", bytes);
  expect_data_error([&] { File::open(folder / "a.h5").dataset("x").read<std::int32_t>(); },
                    {"a.h5", "'/x'", "H5Dread failed", "inflate"});
}

}  // namespace
}  // namespace mgrn
