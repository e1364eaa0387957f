// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/key_table.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

#include "multigrnformer/base/error.hpp"

namespace {

using mgrn::base::UsageError;
using mgrn::cli::KeyTable;
using mgrn::cli::nearest_name;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const UsageError& error) {
    return error.what();
  }
  return {};
}

TEST(KeyTable, IntegersMustBeWholeAndInRange) {
  int epochs = 3;
  KeyTable table;
  table.integer("train.epochs", epochs, 1, 100, "passes");
  const auto* key = table.find("train.epochs");
  key->set("7");
  EXPECT_EQ(epochs, 7);
  EXPECT_EQ(key->get(), "7");
  for (const char* bad : {"", "7x", " 7", "7.5", "0", "101", "-1", "1e2", "99999999999999999999"}) {
    const std::string message = message_of([&] { key->set(bad); });
    EXPECT_NE(message.find("train.epochs"), std::string::npos) << bad;
    EXPECT_NE(message.find("an integer from 1 to 100"), std::string::npos) << message;
    EXPECT_EQ(epochs, 7) << "an illegal value must change nothing";
  }
}

TEST(KeyTable, RealsMustBeFiniteAndInRange) {
  double rate = 0.5;
  KeyTable table;
  table.real("train.learning_rate", rate, 0, 10, "rate");
  const auto* key = table.find("train.learning_rate");
  key->set("3e-3");
  EXPECT_EQ(rate, 3e-3);
  EXPECT_EQ(key->get(), "0.003");
  for (const char* bad : {"nan", "inf", "-1", "11", "a", "0.1,"}) {
    EXPECT_NE(message_of([&] { key->set(bad); }), "") << bad;
  }
}

TEST(KeyTable, AWordMayStandForAValueThatNoNumberHas) {
  double limit = 2.5;
  std::int64_t genes = 500;
  KeyTable table;
  table.number_or_word("prepare.max_genes", limit, 0.0, std::numeric_limits<double>::infinity(), "inf",
                       std::numeric_limits<double>::infinity(), "limit");
  table.number_or_word<std::int64_t>("data.genes", genes, 1, 1000, "all", -1, "genes");
  const auto* real = table.find("prepare.max_genes");
  EXPECT_EQ(real->placeholder, "X|inf");
  real->set("inf");
  EXPECT_EQ(limit, std::numeric_limits<double>::infinity());
  EXPECT_EQ(real->get(), "inf");
  real->set("1e3");
  EXPECT_EQ(limit, 1000.0);
  EXPECT_EQ(real->get(), "1000");
  const auto* integer = table.find("data.genes");
  integer->set("all");
  EXPECT_EQ(genes, -1);
  EXPECT_EQ(integer->get(), "all");
  integer->set("7");
  EXPECT_EQ(integer->get(), "7");
  for (const char* bad : {"-1", "0", "1001", "All", "all ", ""}) {
    const std::string message = message_of([&] { integer->set(bad); });
    EXPECT_NE(message.find("illegal value of data.genes"), std::string::npos) << message;
    EXPECT_NE(message.find("an integer from 1 to 1000, or all"), std::string::npos) << message;
    EXPECT_EQ(genes, 7) << bad;
  }
}

TEST(KeyTable, AWordOutsideTheListNamesTheNearestOne) {
  int field = 0;
  KeyTable table;
  table.choice<int>("pairs.resample", field, {{"once", 0}, {"copies", 1}, {"epoch", 2}}, "when");
  table.find("pairs.resample")->set("epoch");
  EXPECT_EQ(field, 2);
  EXPECT_EQ(table.find("pairs.resample")->get(), "epoch");
  const std::string message = message_of([&] { table.find("pairs.resample")->set("epochs"); });
  EXPECT_NE(message.find("did you mean epoch?"), std::string::npos) << message;
}

TEST(KeyTable, ListsOfFilesSplitAtCommas) {
  std::vector<std::filesystem::path> files;
  KeyTable table;
  table.files("data.dataset", files, "datasets");
  table.find("data.dataset")->set("a.h5, b.h5,,c.h5 ");
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[1], "b.h5");
  EXPECT_EQ(table.find("data.dataset")->get(), "a.h5,b.h5,c.h5");
}

TEST(NearestName, ForgivesSlipsAndAMissingSection) {
  const std::vector<std::string> names = {"train.epochs", "train.batch", "pairs.seed", "train.seed"};
  EXPECT_EQ(nearest_name("train.epoch", names), "train.epochs");
  EXPECT_EQ(nearest_name("trian.epochs", names), "train.epochs");
  EXPECT_EQ(nearest_name("batch", names), "train.batch");
  EXPECT_EQ(nearest_name("xyzzyxyzzy", names), "");
}

}  // namespace
