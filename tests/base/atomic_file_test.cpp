// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/atomic_file.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/temporary_directory.hpp"

namespace {

using namespace mgrn::base;
namespace fs = std::filesystem;

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

TEST(AtomicFile, ReplacesContentWhole) {
  const mgrn::test::TemporaryDirectory folder;
  write_file_atomically(folder / "a", "one");
  write_file_atomically(folder / "a", "two");
  EXPECT_EQ(read_file(folder / "a"), "two");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(AtomicFile, LeavesNothingBehindWithoutCommit) {
  const mgrn::test::TemporaryDirectory folder;
  {
    const AtomicFile file(folder / "a");
    std::ofstream(file.temporary()) << "half";
    EXPECT_EQ(entries(folder.path()), 1u);
  }
  EXPECT_EQ(entries(folder.path()), 0u);
}

TEST(AtomicFile, AFolderThatIsMissingIsAnOutputErrorThatNamesIt) {
  const mgrn::test::TemporaryDirectory folder;
  try {
    write_file_atomically(folder / "no" / "a", "x");
    FAIL();
  } catch (const OutputError& error) {
    EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos);
    EXPECT_EQ(static_cast<int>(error.code()), 74);
  }
}

TEST(AtomicDirectory, AppearsWholeOrNotAtAll) {
  const mgrn::test::TemporaryDirectory folder;
  {
    const AtomicDirectory abandoned(folder / "d");
    std::ofstream(abandoned.temporary() / "f") << "half";
  }
  EXPECT_EQ(entries(folder.path()), 0u);
  AtomicDirectory made(folder / "d");
  std::ofstream(made.temporary() / "f") << "whole";
  EXPECT_FALSE(fs::exists(folder / "d"));
  made.commit();
  EXPECT_EQ(read_file(folder / "d" / "f"), "whole");
  EXPECT_EQ(entries(folder.path()), 1u);
}

TEST(FreeSpace, AsksBeforeLongWork) {
  const mgrn::test::TemporaryDirectory folder;
  EXPECT_NO_THROW(require_free_space(folder.path(), 1, "a test"));
  EXPECT_THROW(require_free_space(folder.path(), std::uintmax_t{1} << 60, "a test"), OutputError);
}

TEST(Digest, EqualsThePublishedSha256Vectors) {
  const std::string abc = "abc";
  EXPECT_EQ(sha256(std::as_bytes(std::span(abc))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const mgrn::test::TemporaryDirectory folder;
  write_file_atomically(folder / "a", abc);
  EXPECT_EQ(sha256_of_file(folder / "a"), sha256(std::as_bytes(std::span(abc))));
}

TEST(Json, TextDependsOnContentAlone) {
  Json a, b;
  a["z"] = 0.1;
  a["a"] = 1;
  b["a"] = 1;
  b["z"] = 0.1;
  EXPECT_EQ(json_text(a), json_text(b));
  EXPECT_EQ(json_line(a), "{\"a\":1,\"z\":0.1}");
}

TEST(Json, AMistakeNamesTheFileAndThePlace) {
  const mgrn::test::TemporaryDirectory folder;
  write_file_atomically(folder / "a.json", "{\"a\": }");
  try {
    read_json(folder / "a.json");
    FAIL();
  } catch (const DataError& error) {
    EXPECT_NE(std::string(error.what()).find("a.json"), std::string::npos);
    EXPECT_NE(std::string(error.what()).find("column"), std::string::npos);
  }
}

}  // namespace
