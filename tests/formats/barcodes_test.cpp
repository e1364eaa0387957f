// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/barcodes.hpp"

#include <gtest/gtest.h>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::join_barcodes;
using test::expect_data_error;
using test::write;

TEST(Barcodes, JoinInRnaOrderWithCountsOfWhatIsLeft) {
  const auto join = join_barcodes({"A-1", "B-1", "C-2"}, {"C-2", "X-1", "A-1"});
  ASSERT_EQ(join.cells.size(), 2U);
  EXPECT_EQ(join.cells[0].rna, 0U);
  EXPECT_EQ(join.cells[0].atac, 2U);
  EXPECT_EQ(join.cells[1].rna, 2U);
  EXPECT_EQ(join.cells[1].atac, 0U);
  EXPECT_EQ(join.rna_only, 1U);
  EXPECT_EQ(join.atac_only, 1U);
  EXPECT_FALSE(join.suffix_ignored);
}

TEST(Barcodes, ASuffixInOneFileOnlyIsIgnored) {
  EXPECT_EQ(join_barcodes({"A-1", "B-1"}, {"B", "A"}).cells.size(), 2U);
  EXPECT_TRUE(join_barcodes({"A", "B"}, {"B-1", "A-1"}).suffix_ignored);
  EXPECT_FALSE(join_barcodes({"A-1", "B-1"}, {"B-1", "A-1"}).suffix_ignored);
  EXPECT_EQ(join_barcodes({"A-1", "B-1"}, {"B-1", "A-1"}).cells.size(), 2U);
  EXPECT_EQ(join_barcodes({"A-1", "B-1"}, {"A-1", "B"}).cells.size(), 1U);
  // In part of a file it tells cells apart and stays.
  EXPECT_EQ(join_barcodes({"A-1", "A-2"}, {"A"}).cells.size(), 0U);
}

TEST(Barcodes, RepeatedBarcodesAreAnError) {
  expect_data_error(
      [] {
        join_barcodes({"A", "B", "A"}, {"A"}, "rna.h5", "atac.h5");
      },
      {"rna.h5", "'A' occurs twice", "1 and 3"});
  expect_data_error([] { join_barcodes({"A"}, {"B", "B"}, "rna.h5", "atac.h5"); }, {"atac.h5", "'B'"});
}

TEST(Barcodes, ListsAreReadWithOrWithoutHeader) {
  const test::TemporaryDirectory folder;
  const std::vector<std::string> expected = {"A-1", "B-1"};
  EXPECT_EQ(formats::read_barcode_list(write(folder / "b.tsv.gz", "A-1\nB-1\nA-1\n")), expected);
  EXPECT_EQ(formats::read_barcode_list(write(folder / "b.csv", "kind,barcode\nx,A-1\ny,B-1\n")), expected);
  EXPECT_EQ(formats::read_barcode_list(write(folder / "b.csv", ",Batch,Barcode\nA-1,1,A\nB-1,1,B\n")),
            expected);
  expect_data_error([&] { formats::read_barcode_list(write(folder / "b.csv", "barcode\n")); },
                    {"b.csv", "empty"});
  const auto cells = test::real_data("mouse_cortex_snare/cells.csv.gz");
  MGRN_REQUIRE_REAL_DATA(cells);
  const auto matrix = formats::open_matrix(test::real_data("mouse_cortex_snare/feature_bc_matrix.h5"));
  const auto join = join_barcodes(matrix->barcodes(), formats::read_barcode_list(cells));
  EXPECT_EQ(join.cells.size(), 10'309U);
}

}  // namespace
}  // namespace mgrn
