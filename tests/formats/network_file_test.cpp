// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/network_file.hpp"

#include <gtest/gtest.h>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::read_network;
using formats::read_tf_list;
using test::expect_data_error;
using test::write;

TEST(Network, DropsRepeatsAndSelfLoopsIgnoringCaseAndKeepsSpelling) {
  const test::TemporaryDirectory folder;
  const auto network =
      read_network(write(folder / "n.csv.gz",
                         "\xef\xbb\xbf"
                         "Gene1,Gene2\r\nSox2,\"Pax6\"\r\nSOX2,PAX6\r\nPax6,Sox2\r\nActb,ACTB\r\n\r\n"));
  EXPECT_EQ(network.lines, 4U);
  EXPECT_EQ(network.duplicates, 1U);
  EXPECT_EQ(network.self_loops, 1U);
  ASSERT_EQ(network.edges.size(), 2U);
  EXPECT_EQ(network.edges[0].tf, "Sox2");
  EXPECT_EQ(network.edges[0].gene, "Pax6");
}

TEST(Network, NamesThatRunIntoEachOtherAreDifferentEdges) {
  const test::TemporaryDirectory folder;
  const auto network = read_network(write(folder / "n.csv", "TF,Target\nAB,C\nA,BC\n"));
  EXPECT_EQ(network.edges.size(), 2U);
  EXPECT_EQ(network.duplicates, 0U);
}

TEST(Network, FindsHeadersAndNamedColumns) {
  const test::TemporaryDirectory folder;
  const auto first = [&](const std::string& text) {
    const auto network = read_network(write(folder / "n.csv", text));
    return network.edges[0].tf + ">" + network.edges[0].gene + "/" + std::to_string(network.lines);
  };
  EXPECT_EQ(first("A,B\nC,D\n"), "A>B/2");
  EXPECT_EQ(first("TF,B\nC,D\n"), "TF>B/2");  // transferrin
  EXPECT_EQ(first("TF\ttarget\timportance\nA\tB\t3\n"), "A>B/1");
  EXPECT_EQ(first(",TF,Target\n0,A,B\n1,C,D\n"), "A>B/2");
  EXPECT_EQ(first("target_gene;score;Regulator\nB;0.5;A\n"), "A>B/1");
  EXPECT_EQ(first("one,two,value\nA,B,0.5\n"), "A>B/1");
  EXPECT_EQ(first("A,B,+\nC,D,-\n"), "A>B/2");
  EXPECT_EQ(first("A,B,+\n"), "A>B/1");
  EXPECT_EQ(first("A B\n"), "A>B/1");
  EXPECT_EQ(first("# made by hand\nFrom,To\nA,B\n"), "A>B/1");
}

TEST(Network, EmptyOrBrokenNetworksAreErrors) {
  const test::TemporaryDirectory folder;
  const auto fails = [&](const std::string& text, std::initializer_list<std::string> parts) {
    expect_data_error([&] { read_network(write(folder / "n.csv", text)); }, parts);
  };
  fails("", {"n.csv", "no edge"});
  fails("Gene1,Gene2\n", {"no edge", "0 rows"});
  fails("Gene1,Gene2\nA,a\n", {"no edge", "1 of them self-loops"});
  fails("Gene1,Gene2\nA,B\nC\n", {"n.csv", "line 3", "too few columns"});
  fails("A,B\nC,\n", {"line 2", "no gene"});
}

TEST(Network, RealNetworksHaveTheirPublishedCounts) {
  struct Case {
    const char* file;
    std::uint64_t lines, distinct, self_loops;
  };
  // STRING writes every line about twice; `distinct` counts self-loops too.
  for (const Case& c :
       {Case{"human/string.csv.gz", 198'285, 99'149, 6}, Case{"mouse/string.csv.gz", 157'134, 78'567, 0},
        Case{"mouse/nonspecific_chipseq.csv.gz", 100'139, 100'139, 149},
        Case{"mouse/mDC-ChIP-seq-network.csv.gz", 30'658, 30'658, 8},
        Case{"human/nonspecific_chipseq_partial.csv.gz", 9'084, 9'084, 0}}) {
    const auto file = test::real_data(std::string("networks/") + c.file);
    MGRN_REQUIRE_REAL_DATA(file);
    const auto network = read_network(file);
    EXPECT_EQ(network.lines, c.lines) << c.file;
    EXPECT_EQ(network.self_loops, c.self_loops) << c.file;
    EXPECT_EQ(network.edges.size() + network.duplicates + network.self_loops, c.lines) << c.file;
    const std::uint64_t distinct_self_loops = std::string(c.file) == "human/string.csv.gz" ? 3 : c.self_loops;
    EXPECT_EQ(network.edges.size(), c.distinct - distinct_self_loops) << c.file;
  }
}

TEST(TfList, ReadsCsvWithHeaderPlainListsAndNamedColumns) {
  const test::TemporaryDirectory folder;
  const std::vector<std::string> expected = {"Sox2", "Pax6"};
  EXPECT_EQ(read_tf_list(write(folder / "t.csv", "TF,Sources\r\nSox2,a|b\r\nPax6,c\r\nSOX2,d\r\n")),
            expected);
  EXPECT_EQ(read_tf_list(write(folder / "t.txt.gz", "# mouse\nSox2\n\n Pax6 \n")), expected);
  EXPECT_EQ(read_tf_list(write(folder / "t.csv", ",TF,index\n0,Sox2,6\n1,Pax6,8\n")), expected);
  expect_data_error([&] { read_tf_list(write(folder / "t.csv", "TF\n")); },
                    {"t.csv", "TF list is empty", "hint:"});
  expect_data_error([&] { read_tf_list(write(folder / "t.csv", "TF,Sources\n,x\n")); }, {"line 2"});
}

TEST(TfList, RealListsHaveTheirCounts) {
  const auto human = test::real_data("networks/human/tfs.csv");
  const auto mouse = test::real_data("networks/mouse/tfs.csv");
  MGRN_REQUIRE_REAL_DATA(human);
  MGRN_REQUIRE_REAL_DATA(mouse);
  EXPECT_EQ(read_tf_list(human).size(), 1'563U);
  EXPECT_EQ(read_tf_list(mouse).size(), 1'479U);
}

}  // namespace
}  // namespace mgrn
