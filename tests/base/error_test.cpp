// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/naming_file.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace mgrn::base;

TEST(Error, SaysWhatWhereExpectedGotAndHint) {
  DataError error({.what = "matrix has no genes",
                   .file = "a.h5",
                   .expected = "one gene or more",
                   .got = "0",
                   .hint = "give another file"});
  EXPECT_STREQ(error.what(),
               "error: matrix has no genes (file a.h5): expected one gene or more, got 0\n"
               "hint: give another file");
  error.set_rank(2);
  EXPECT_EQ(std::string(error.what()).find("error: matrix has no genes (rank 2, file a.h5)"), 0u);
}

TEST(Error, StaysOnOneLineWhateverAFileNameHolds) {
  const DataError error({.what = "bad", .file = "a\nb\x01", .got = "c\td"});
  EXPECT_STREQ(error.what(),
               "error: bad (file a\\nb\\x01): got c\\td\n"
               "hint: mend or replace that input, then run the same command again");
}

TEST(Error, EveryTypeKeepsItsExitCodeWhenThrownAgain) {
  for (const ExitCode code : {ExitCode::usage, ExitCode::data, ExitCode::internal, ExitCode::output,
                              ExitCode::stopped, ExitCode::communication, ExitCode::numeric}) {
    try {
      throw_error(code, {.what = "x"}, 3);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_EQ(error.rank(), 3);
    }
  }
  EXPECT_THROW(throw_error(ExitCode::data, {.what = "x"}, 0), DataError);
  EXPECT_THROW(throw_error(ExitCode::output, {.what = "x"}, 0), OutputError);
}

TEST(Error, GetsTheNameOfAFileFromWhoeverKnowsIt) {
  const auto message = [](const std::string& file) {
    try {
      naming_file("outer.csv", [&] { throw DataError({.what = "x", .file = file}); });
    } catch (const DataError& error) {
      return error.text().file;
    }
    return std::string();
  };
  EXPECT_EQ(message(""), "outer.csv");
  EXPECT_EQ(message("inner.csv"), "inner.csv");
  EXPECT_EQ(naming_file("a", [] { return 7; }), 7);
}

}  // namespace
