// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/edge_table.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::EdgeTable;
using test::expect_data_error;
using test::expect_error;
using test::write;

EdgeTable small_table() {
  return {{"Zic1", "A<\"&'>", "Pax6", "lonely"}, {{0, 2, 0.1}, {2, 0, -0.9}, {1, 2, 0.1}}};
}

TEST(EdgeTable, RankedEdgesAreTabSeparatedBestFirst) {
  const test::TemporaryDirectory folder;
  EdgeTable table = small_table();
  formats::sort_edges(table);
  formats::write_ranked_edges(folder / "rankedEdges.csv", table);
  EXPECT_EQ(test::bytes_of(folder / "rankedEdges.csv"),
            "Gene1\tGene2\tEdgeWeight\nPax6\tZic1\t-0.9\nA<\"&'>\tPax6\t0.1\nZic1\tPax6\t0.1\n");
  formats::write_arboreto(folder / "a.tsv.gz", table);
  const EdgeTable back = formats::read_ranked_edges(folder / "a.tsv.gz");
  ASSERT_EQ(back.edges.size(), 3U);
  EXPECT_EQ(back.genes[back.edges[1].tf], "A<\"&'>");
  EXPECT_EQ(back.edges[0].weight, -0.9);
}

TEST(EdgeTable, GraphmlEscapesNamesAndLeavesOutGenesWithoutEdges) {
  const test::TemporaryDirectory folder;
  formats::write_graphml(folder / "n.graphml", small_table());
  const std::string text = test::bytes_of(folder / "n.graphml");
  EXPECT_NE(text.find("<node id=\"A&lt;&quot;&amp;&apos;&gt;\"/>"), std::string::npos);
  EXPECT_NE(text.find("<edge source=\"Zic1\" target=\"Pax6\"><data key=\"weight\">0.1</data></edge>"),
            std::string::npos);
  EXPECT_EQ(text.find("lonely"), std::string::npos);
}

TEST(EdgeTable, ReadsAnyToolsColumnsWithOrWithoutHeader) {
  const test::TemporaryDirectory folder;
  const auto first = [&](const std::string& text) {
    const EdgeTable table = formats::read_ranked_edges(write(folder / "e.csv", text));
    return table.genes[table.edges[0].tf] + ">" + table.genes[table.edges[0].gene] + "/" +
           std::to_string(table.edges.size());
  };
  EXPECT_EQ(first("A,B,0.5\nA,C,0.25\n"), "A>B/2");
  EXPECT_EQ(first("\"regulatoryGene\" \"targetGene\" \"weight\"\n\"A\" \"B\" 0.5\n"), "A>B/1");
  EXPECT_EQ(first(",importance,TF,target\n0,3,A,B\n"), "A>B/1");
  EXPECT_EQ(first("x\ty\tz\nA\tB\t1e-5\n"), "A>B/1");
}

TEST(EdgeTable, BadEdgesAreErrors) {
  const test::TemporaryDirectory folder;
  const auto fails = [&](const std::string& text, std::initializer_list<std::string> parts) {
    expect_data_error([&] { formats::read_ranked_edges(write(folder / "e.csv", text)); }, parts);
  };
  fails("Gene1\tGene2\tEdgeWeight\n", {"e.csv", "no edge"});
  fails("A,B,1\nA,C,high\n", {"e.csv", "line 2", "'high'"});
  fails("A,B,1\nA,C,nan\n", {"line 2", "finite"});
  fails("A,B,1\nA,C\n", {"line 2", "too few columns"});
  EdgeTable table = small_table();
  table.edges[0].weight = std::numeric_limits<double>::infinity();
  expect_error(base::ExitCode::internal, [&] { formats::write_ranked_edges(folder / "r.csv", table); },
               {"r.csv"});
  EXPECT_FALSE(std::filesystem::exists(folder / "r.csv"));
}

}  // namespace
}  // namespace mgrn
