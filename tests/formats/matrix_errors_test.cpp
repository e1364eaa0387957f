// SPDX-License-Identifier: Apache-2.0
// Bad matrices: each must end in exit code 65 with a message that names the file and the place.
#include <gtest/gtest.h>

#include <limits>

#include "format_support.hpp"
#include "multigrnformer/formats/hdf5.hpp"

namespace mgrn {
namespace {

using formats::hdf5::File;
using formats::hdf5::Group;
using test::expect_data_error;
using test::golden;
using test::read_all;
using test::write;

// A 10x file of 3 features x 2 cells; a test spoils one part of it.
struct Parts {
  std::vector<float> data = {1, 2, 3};
  std::vector<std::int64_t> indices = {0, 2, 1};
  std::vector<std::int64_t> indptr = {0, 2, 3};
  std::vector<std::int64_t> shape = {3, 2};
  std::vector<std::string> barcodes = {"cellA", "cellB"};
  std::vector<std::string> names = {"geneA", "geneB", "geneC"};
  bool features = true;
};

std::filesystem::path tenx(const std::filesystem::path& path, const Parts& parts) {
  File file = File::create(path);
  Group matrix = file.create_group("matrix");
  matrix.write_dataset<float>("data", parts.data);
  matrix.write_dataset<std::int64_t>("indices", parts.indices);
  matrix.write_dataset<std::int64_t>("indptr", parts.indptr);
  matrix.write_dataset<std::int64_t>("shape", parts.shape);
  matrix.write_strings("barcodes", parts.barcodes);
  if (parts.features) {
    Group features = matrix.create_group("features");
    features.write_strings("id", parts.names);
    features.write_strings("name", parts.names);
  }
  file.close();
  return path;
}

class BadMatrix : public ::testing::Test {
 protected:
  void fails(const std::filesystem::path& file, std::initializer_list<std::string> parts,
             const formats::MatrixOptions& options = {}) {
    expect_data_error([&] { read_all(file, options); }, parts);
  }
  void tenx_fails(const Parts& parts, std::initializer_list<std::string> said) {
    fails(tenx(folder_ / "m.h5", parts), said);
  }
  void text_fails(const std::string& text, std::initializer_list<std::string> said) {
    fails(write(folder_ / "m.csv", text), said);
  }
  std::filesystem::path mtx(const std::string& matrix) {
    write(folder_ / "matrix.mtx", matrix);
    write(folder_ / "features.tsv", "g1\tA\tGene Expression\ng2\tB\tGene Expression\n");
    write(folder_ / "barcodes.tsv", "c1\nc2\nc3\n");
    return folder_.path();
  }
  test::TemporaryDirectory folder_;
};

TEST_F(BadMatrix, TheUnspoiledFileIsFine) {
  EXPECT_EQ(read_all(tenx(folder_ / "m.h5", {})).feature.size(), 3U);
}

TEST_F(BadMatrix, MissingEmptyAndUnknownFiles) {
  fails(folder_ / "absent.h5", {"absent.h5", "does not exist"});
  fails(write(folder_ / "empty.csv", ""), {"empty.csv", "empty", "0 bytes"});
  fails(write(folder_ / "fake.h5", "words"), {"fake.h5", "not an HDF5 file"});
  fails(write(folder_ / "fake.bin", std::string("\1\0\2\0", 4)), {"fake.bin", "binary content"});
  {
    File file = File::create(folder_ / "other.h5");
    file.create_group("results");
    file.close();
  }
  fails(folder_ / "other.h5", {"other.h5", "not known", "results"});
}

TEST_F(BadMatrix, TruncatedHdf5) {
  std::filesystem::copy_file(golden("csr.h5ad"), folder_ / "cut.h5ad");
  std::filesystem::permissions(folder_ / "cut.h5ad", std::filesystem::perms::owner_all);
  test::truncate(folder_ / "cut.h5ad", 9000);
  fails(folder_ / "cut.h5ad", {"cut.h5ad", "truncated file", "hint:"});
}

TEST_F(BadMatrix, TenxWithoutFeatures) {
  Parts parts;
  parts.features = false;
  tenx_fails(parts, {"m.h5", "'/matrix/features' is missing"});
}

TEST_F(BadMatrix, TenxWrongShapes) {
  Parts parts;
  parts.shape = {3, 3};
  tenx_fails(parts, {"m.h5", "/matrix/indptr", "expected 4"});
  parts = {};
  parts.shape = {4, 2};
  tenx_fails(parts, {"/matrix/features/id", "expected 4 names, got 3"});
  parts = {};
  parts.shape = {3};
  tenx_fails(parts, {"/matrix/shape"});
  parts = {};
  parts.shape = {-3, 2};
  tenx_fails(parts, {"/matrix/shape"});
  parts = {};
  parts.shape = {0, 0};
  tenx_fails(parts, {"matrix is empty"});
  parts = {};
  parts.barcodes.pop_back();
  tenx_fails(parts, {"/matrix/barcodes", "expected 2 names, got 1"});
}

TEST_F(BadMatrix, TenxOffsetsThatDoNotAscendOrDoNotEndWithTheData) {
  Parts parts;
  parts.indptr = {0, 4, 3};
  tenx_fails(parts, {"m.h5", "/matrix/indptr", "do not ascend", "3 after 4"});
  parts.indptr = {0, 2, 4};
  tenx_fails(parts, {"/matrix/indptr", "0 to 3", "0 to 4"});
  parts.indptr = {1, 2, 3};
  tenx_fails(parts, {"/matrix/indptr"});
}

TEST_F(BadMatrix, TenxIndicesOutOfRange) {
  Parts parts;
  parts.indices = {0, 3, 1};
  tenx_fails(parts, {"m.h5", "/matrix/indices", "position 1", "got 3"});
  parts.indices = {0, 2, -1};
  tenx_fails(parts, {"/matrix/indices", "position 2", "got -1"});
}

TEST_F(BadMatrix, TenxArraysOfDifferentLength) {
  Parts parts;
  parts.indices.pop_back();
  tenx_fails(parts, {"m.h5", "data and indices", "3 and 2"});
}

TEST_F(BadMatrix, TenxNonFiniteValues) {
  Parts parts;
  parts.data[2] = std::numeric_limits<float>::quiet_NaN();
  tenx_fails(parts, {"m.h5", "not finite", "cellB", "geneB", "position 2", "got nan"});
  parts.data[2] = std::numeric_limits<float>::infinity();
  tenx_fails(parts, {"got inf"});
}

TEST_F(BadMatrix, AnndataWithoutTheLayerAskedFor) {
  fails(golden("csr.h5ad"), {"csr.h5ad", "layers/counts", "the layers doubled"}, {.layer = "counts"});
  fails(golden("csc.h5ad"), {"no layers"}, {.layer = "counts"});
  fails(tenx(folder_ / "m.h5", {}), {"no layers"}, {.layer = "counts"});
}

TEST_F(BadMatrix, AnndataWhoseMatrixDoesNotMatchItsFrames) {
  File file = File::create(folder_ / "m.h5ad");
  Group obs = file.create_group("obs");
  obs.write_string_attribute("_index", "_index");
  obs.write_strings("_index", std::vector<std::string>{"c1", "c2"});
  file.create_group("var").write_strings("_index", std::vector<std::string>{"g1"});
  file.create_dataset<float>("X", {2, 2}).write<float>(std::vector<float>{1, 2, 3, 4});
  file.close();
  fails(folder_ / "m.h5ad", {"m.h5ad", "'/X'", "expected 2 x 1, got 2 x 2"});
}

TEST_F(BadMatrix, AnndataWithUnknownEncodingOrNonFiniteDenseValues) {
  for (const bool sparse : {true, false}) {
    File file = File::create(folder_ / "m.h5ad");
    file.create_group("obs").write_strings("_index", std::vector<std::string>{"c1"});
    file.create_group("var").write_strings("_index", std::vector<std::string>{"g1"});
    if (sparse) {
      file.create_group("X").write_string_attribute("encoding-type", "coo_matrix");
    } else {
      file.create_dataset<double>("X", {1, 1}).write<double>(std::vector<double>{1e300});  // no float
    }
    file.close();
    if (sparse) {
      fails(folder_ / "m.h5ad", {"'/X'", "coo_matrix"});
    } else {
      fails(folder_ / "m.h5ad", {"not finite", "row 0, column 0", "cell 'c1'", "feature 'g1'"});
    }
  }
}

TEST_F(BadMatrix, MudataWithoutTheModality) {
  File file = File::create(folder_ / "m.h5mu");
  file.create_group("mod/protein");
  file.close();
  fails(folder_ / "m.h5mu", {"m.h5mu", "RNA modality", "protein"});
}

TEST_F(BadMatrix, FolderWithoutMatrixOrWithoutBarcodes) {
  fails(folder_.path(), {folder_.path().string(), "no matrix.mtx"});
  write(folder_ / "matrix.mtx.gz", "%%MatrixMarket matrix coordinate integer general\n1 1 0\n");
  fails(folder_.path(), {"barcodes.tsv", "hint:"});
  write(folder_ / "matrix.mtx", "%%MatrixMarket matrix coordinate integer general\n1 1 0\n");
  fails(folder_.path(), {"both matrix.mtx and matrix.mtx.gz"});
}

TEST_F(BadMatrix, MatrixMarketMistakes) {
  const std::string banner = "%%MatrixMarket matrix coordinate integer general\n%c\n";
  fails(mtx(banner + "2 3 1\n1 1 1\n2 3 1\n"), {"matrix.mtx", "more entries", "line 5"});
  fails(mtx(banner + "5 3 1\n1 1 1\n"), {"matrix.mtx", "line 3", "2 features x 3 cells", "5 x 3"});
  fails(mtx(banner + "2 3 2\n1 1 1\n"), {"matrix.mtx", "truncated", "expected 2 entries, got 1"});
  fails(mtx(banner + "2 3 1\n3 1 1\n"), {"line 4", "out of range", "3, 1"});
  fails(mtx(banner + "2 3 1\n0 1 1\n"), {"line 4", "out of range"});
  fails(mtx(banner + "2 3 1\n1 1 x\n"), {"line 4", "not a Matrix Market entry"});
  fails(mtx(banner + "2 3 1\n1 1 inf\n"), {"line 4", "not finite", "'c1'", "'A'"});
  fails(mtx(banner + "2 3\n"), {"line 3", "size line"});
  fails(mtx(banner), {"ends before its size line"});
  fails(mtx("%%MatrixMarket matrix array real general\n2 3\n"), {"line 1", "not supported"});
  fails(mtx("%%MatrixMarket matrix coordinate real symmetric\n3 3 0\n"), {"line 1", "not supported"});
  fails(mtx("1 2 3\n"), {"matrix.mtx", "line 1", "not a Matrix Market file"});
}

TEST_F(BadMatrix, MatrixMarketTruncatedGzip) {
  std::string text = "%%MatrixMarket matrix coordinate integer general\n2 3 90000\n";
  for (int i = 0; i < 90'000; ++i) {
    text += "1 " + std::to_string(1 + i % 3) + " " + std::to_string(i * 31 % 1013) + "\n";
  }
  mtx("x");
  std::filesystem::remove(folder_ / "matrix.mtx");
  write(folder_ / "matrix.mtx.gz", text);
  test::truncate(folder_ / "matrix.mtx.gz", std::filesystem::file_size(folder_ / "matrix.mtx.gz") / 2);
  fails(folder_.path(), {"matrix.mtx.gz", "ends inside its compressed data after line"});
}

TEST_F(BadMatrix, TextMistakes) {
  text_fails(",c1,c2\nA,1,2\nB,1\n", {"m.csv", "line 3", "2 values", "2 fields"});
  text_fails(",c1,c2\nA,1,2\nB,1,two\n", {"m.csv", "line 3", "column 'c2'", "row 'B'", "'two'"});
  text_fails(",c1,c2\nA,1,2\nB,,2\n", {"line 3", "column 'c1'", "''"});
  text_fails(",c1,c2\nA,1,NA\n", {"line 2", "'NA'"});
  text_fails(",c1,c2\nA,1,nan\n", {"m.csv", "line 2", "not finite", "column 'c2'"});
  text_fails(",c1,c2\n", {"m.csv", "no values"});
  text_fails("A,0.5,1.5\nB,2,3\n", {"m.csv", "numbers instead of names", "first line"});
  text_fails("x,\"y\n", {"m.csv", "not closed"});
}

}  // namespace
}  // namespace mgrn
