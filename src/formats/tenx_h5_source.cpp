// SPDX-License-Identifier: Apache-2.0
// 10x HDF5: v3 ("matrix/features", also Cell Ranger ARC and ATAC) and v2 (a group per genome).
#include <algorithm>

#include "feature_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "sources.hpp"

namespace mgrn::formats {
namespace {

std::vector<std::string> strings_of_length(const hdf5::Group& group, const std::string& name,
                                           std::uint64_t count) {
  const hdf5::Dataset dataset = group.dataset(name);
  std::vector<std::string> strings = dataset.read_strings();
  if (strings.size() != count) {
    dataset.fail("list does not match the matrix's shape", std::to_string(count) + " names",
                 std::to_string(strings.size()));
  }
  return strings;
}

struct MatrixShape {
  std::uint64_t features = 0;
  std::uint64_t cells = 0;
};

MatrixShape shape_of(const hdf5::Group& matrix) {
  const hdf5::Dataset dataset = matrix.dataset("shape");
  const std::vector<std::int64_t> shape = dataset.read<std::int64_t>();
  if (shape.size() != 2 || shape[0] < 0 || shape[1] < 0) {
    dataset.fail("shape of the matrix is wrong", "two whole numbers: features, cells",
                 std::to_string(shape.size()) + " numbers" + (shape.size() == 2 ? ", a negative one" : ""));
  }
  MatrixShape result{static_cast<std::uint64_t>(shape[0]), static_cast<std::uint64_t>(shape[1])};
  require_indexable(result.features, "features", matrix.file());
  require_indexable(result.cells, "cells", matrix.file());
  if (result.features == 0 || result.cells == 0) {
    dataset.fail("matrix is empty", "at least one feature and one cell",
                 std::to_string(result.features) + " features, " + std::to_string(result.cells) + " cells");
  }
  return result;
}

class TenxH5Source : public MatrixSource {
 public:
  TenxH5Source(hdf5::File file, const hdf5::Group& matrix, std::vector<Feature> features,
               const MatrixShape& shape, std::string description)
      : file_(std::move(file)), sparse_(matrix, shape.cells, shape.features) {
    features_ = std::move(features);
    barcodes_ = strings_of_length(matrix, "barcodes", shape.cells);
    description_ = std::move(description);
    nonzeros_ = sparse_.entries();
  }
  CellBlock read_cells(std::uint64_t first, std::uint64_t last) override {
    require_range(first, last, barcodes_.size());
    CellBlock block = sparse_.read(first, last, barcodes_, &features_, nullptr);
    normalise(block);
    return block;
  }

 private:
  hdf5::File file_;
  SparseGroup sparse_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_tenx_v3(hdf5::File file) {
  const hdf5::Group matrix = file.group("matrix");
  const MatrixShape shape = shape_of(matrix);
  const hdf5::Group group = matrix.group("features");
  const std::vector<std::string> id = strings_of_length(group, "id", shape.features);
  const std::vector<std::string> name = strings_of_length(group, "name", shape.features);
  const auto optional = [&](const std::string& field) {
    return group.has_dataset(field) ? strings_of_length(group, field, shape.features)
                                    : std::vector<std::string>();
  };
  const std::vector<std::string> type = optional("feature_type");
  const std::vector<std::string> genome = optional("genome");
  const std::vector<std::string> interval = optional("interval");
  std::vector<Feature> features(shape.features);
  bool genes = false;
  bool peaks = false;
  bool others = false;
  for (std::size_t i = 0; i < features.size(); ++i) {
    Feature& feature = features[i];
    feature.id = id[i];
    feature.name = name[i];
    feature.type = type.empty() ? FeatureType::gene_expression : parse_feature_type(type[i]);
    feature.genome = genome.empty() ? "" : genome[i];
    feature.interval = interval.empty() || interval[i] == "NA" ? "" : interval[i];
    if (feature.type == FeatureType::peaks) {
      set_peak_interval(feature);
    }
    genes = genes || feature.type == FeatureType::gene_expression;
    peaks = peaks || feature.type == FeatureType::peaks;
    others = others || feature.type == FeatureType::other;
  }
  std::string kinds;
  for (const auto& [present, word] :
       {std::pair(genes, "Gene Expression"), {peaks, "Peaks"}, {others, "others"}}) {
    if (present) {
      kinds += (kinds.empty() ? "" : " + ") + std::string(word);
    }
  }
  return std::make_unique<TenxH5Source>(std::move(file), matrix, std::move(features), shape,
                                        "10x HDF5 (v3, " + kinds + ")");
}

std::unique_ptr<MatrixSource> open_tenx_v2(hdf5::File file, const std::vector<std::string>& genomes) {
  if (genomes.size() != 1) {
    std::string all;
    for (const std::string& genome : genomes) {
      all += (all.empty() ? "" : ", ") + genome;
    }
    throw base::DataError({.what = "10x file (v2) holds several genomes, each with cells of its own",
                           .file = file.file(),
                           .expected = "one genome",
                           .got = all,
                           .hint = "write one genome's matrix to a file of its own"});
  }
  const hdf5::Group matrix = file.group(genomes.front());
  const MatrixShape shape = shape_of(matrix);
  const std::vector<std::string> id = strings_of_length(matrix, "genes", shape.features);
  const std::vector<std::string> name = strings_of_length(matrix, "gene_names", shape.features);
  std::vector<Feature> features(shape.features);
  for (std::size_t i = 0; i < features.size(); ++i) {
    features[i] = {id[i], name[i], FeatureType::gene_expression, genomes.front(), ""};
  }
  return std::make_unique<TenxH5Source>(std::move(file), matrix, std::move(features), shape,
                                        "10x HDF5 (v2, genome " + genomes.front() + ")");
}

}  // namespace mgrn::formats
