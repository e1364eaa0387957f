// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "small_networks.hpp"
#include "support/shared_data.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::pairs {
namespace {

using test::count_of;

class SplitFile : public testing::Test {
 protected:
  std::filesystem::path write(const std::string& text) {
    const auto file = folder_ / "split.csv";
    std::ofstream(file) << text;
    return file;
  }
  const mgrn::test::TemporaryDirectory folder_;
  const store::DatasetHeader dataset_ = test::header_of({"Tf1", "Tf2", "Aa", "Bb", "Cc"});
};

TEST_F(SplitFile, ComesBackAsItWasWritten) {
  const auto one = test::random_case(10, 50, 100, 1);
  const Split split = draw_split(one.dataset, one.restricted(), {});
  const auto file = folder_ / "split.csv";
  write_split(file, one.dataset, split);
  const Split again = read_split(file, one.dataset, 77, 0.5);
  EXPECT_EQ(test::named(split, one.dataset), test::named(again, one.dataset));
  write_split(folder_ / "again.csv", one.dataset, again);
  EXPECT_EQ(base::read_file(file), base::read_file(folder_ / "again.csv"));
  EXPECT_EQ(base::read_file(file).substr(0, 18), "tf,gene,label,set\n");
}

TEST_F(SplitFile, MatchesSymbolsIgnoringCaseAndSpellsThemAsTheDatasetDoes) {
  const auto file =
      write("tf,gene,label,set\nTF1,AA,1,train\ntf2,bb,0,train\nTF1,CC,1,test\nTF1,NOWHERE,0,test\n");
  const Split split = read_split(file, dataset_, 1, 0);
  EXPECT_EQ(test::named(split, dataset_),
            (std::vector<std::string>{"Tf1,Aa,1,0", "Tf2,Bb,0,0", "Tf1,Cc,1,2"}));
  ASSERT_EQ(split.notes.size(), 1u);
  EXPECT_NE(split.notes[0].find("1 of 4 pairs"), std::string::npos);
}

TEST_F(SplitFile, HoldsOutValidationOnlyWhereTheFileHasNone) {
  std::string text = "tf,gene,label,set\nTf1,Tf2,1,test\n";
  std::vector<std::string> genes{"Tf1", "Tf2"};
  for (int gene = 100; gene < 140; ++gene) {
    genes.push_back("g" + std::to_string(gene));
    text += "Tf1,g" + std::to_string(gene) + ",1,train\nTf2,g" + std::to_string(gene) + ",0,train\n";
  }
  const auto dataset = test::header_of(genes);
  const Split drawn = read_split(write(text), dataset, 3, 0.25);
  EXPECT_EQ(count_of(drawn, Set::validation, 1), 10u);
  EXPECT_EQ(count_of(drawn, Set::validation, 0), 10u);
  EXPECT_EQ(test::named(drawn, dataset), test::named(read_split(write(text), dataset, 3, 0.25), dataset));
  EXPECT_NE(test::named(drawn, dataset), test::named(read_split(write(text), dataset, 4, 0.25), dataset));
  const Split given = read_split(write(text + "Tf2,Tf1,0,validation\n"), dataset, 3, 0.25);
  EXPECT_EQ(count_of(given, Set::validation, 1), 0u);
  EXPECT_EQ(count_of(given, Set::validation, 0), 1u);
}

TEST_F(SplitFile, NamesTheLineThatIsWrong) {
  const auto expect_error = [&](const std::string& text, const std::string& words) {
    try {
      read_split(write(text), dataset_, 1, 0);
      FAIL() << "accepted: " << text;
    } catch (const base::DataError& error) {
      EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
  };
  expect_error("tf,gene,label,set\nTf1,Aa,1,train\nTf1,Bb,2,test\n", "illegal label in line 3");
  expect_error("tf,gene,label,set\nTf1,Aa,1,training\n", "unknown set in line 2");
  expect_error("tf,gene,label,set\nTf1,Aa,1,train\nTF1,AA,0,test\n", "repeated pair in line 3");
  expect_error("tf,gene,label,set\nTf1,Aa,1,train\n", "no test pairs");
  expect_error("tf,gene,label,set\nX,Aa,1,train\nTf1,Aa,1,test\n", "no train pairs");
  expect_error("tf,gene,label\nTf1,Aa,1\n", "set");
}

TEST_F(SplitFile, ReadsTheGivenSplitsOfTheRealData) {
  const auto file = mgrn::test::real_data("splits/mdc.nonspecific.network.seed0.csv.gz");
  MGRN_REQUIRE_REAL_DATA(file);
  const auto expression = formats::Table::read(mgrn::test::real_data("mdc_rna/ExpressionData.csv.gz"));
  const auto dataset = test::header_of(expression.column(expression.names().front()));
  const Split split = read_split(file, dataset, 1, 0.1);
  EXPECT_TRUE(split.notes.empty());
  EXPECT_EQ(count_of(split, Set::train, 1) + count_of(split, Set::validation, 1), 2453u);
  EXPECT_EQ(count_of(split, Set::train, 0) + count_of(split, Set::validation, 0), 2453u);
  EXPECT_EQ(count_of(split, Set::test, 1), 614u);
  EXPECT_EQ(count_of(split, Set::test, 0), 15477u);

  // The same network, drawn here: the same numbers, and the same control.
  const auto networks = mgrn::test::real_data("networks/mouse/nonspecific_chipseq.csv.gz");
  const auto restricted =
      restrict_network(dataset, formats::read_network(networks), {}, {.variable_genes = -1, .ranking = {}});
  const Split mine = draw_split(dataset, restricted, {});
  for (const Set set : {Set::train, Set::validation, Set::test}) {
    for (const int label : {0, 1}) {
      EXPECT_EQ(count_of(mine, set, label), count_of(split, set, label));
    }
  }
  EXPECT_NEAR(test::degree_only_auroc(split, dataset.genes.size()),
              test::degree_only_auroc(mine, dataset.genes.size()), 0.03);
}

}  // namespace
}  // namespace mgrn::pairs
