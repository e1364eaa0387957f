// SPDX-License-Identifier: Apache-2.0
// A simulated dataset read back through the project's readers, dense, for tests.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json.hpp"
#include "multigrnformer/formats/matrix_source.hpp"

namespace mgrn::test {

struct Simulated {
  std::vector<formats::Feature> features;
  std::vector<std::string> barcodes;
  std::vector<std::vector<double>> counts;  // [feature][cell]
  std::vector<double> rna_total;            // per cell
  base::Json truth;
  std::map<std::string, std::size_t> by_name;  // symbols, and peaks by interval

  explicit Simulated(const std::filesystem::path& directory) {
    const auto source = formats::open_matrix(directory / "multiome.h5");
    features = source->features();
    barcodes = source->barcodes();
    counts.assign(features.size(), std::vector<double>(barcodes.size(), 0.0));
    rna_total.assign(barcodes.size(), 0.0);
    const formats::CellBlock block = source->read_cells(0, barcodes.size());
    for (std::size_t cell = 0; cell < barcodes.size(); ++cell) {
      for (std::uint64_t i = block.offsets[cell]; i < block.offsets[cell + 1]; ++i) {
        counts[block.feature[i]][cell] = static_cast<double>(block.value[i]);
        if (features[block.feature[i]].type == formats::FeatureType::gene_expression) {
          rna_total[cell] += static_cast<double>(block.value[i]);
        }
      }
    }
    truth = base::read_json(directory / "truth.json");
    for (std::size_t f = 0; f < features.size(); ++f) {
      by_name[features[f].name] = f;
    }
  }

  std::size_t of_type(formats::FeatureType type) const {
    std::size_t count = 0;
    for (const formats::Feature& feature : features) {
      count += feature.type == type ? 1 : 0;
    }
    return count;
  }

  // log(1 + counts per 10,000 of the cell's RNA counts), of a gene
  std::vector<double> normalised(std::size_t gene) const {
    std::vector<double> values(barcodes.size());
    for (std::size_t cell = 0; cell < values.size(); ++cell) {
      values[cell] = rna_total[cell] > 0.0 ? std::log1p(counts[gene][cell] / rna_total[cell] * 1e4) : 0.0;
    }
    return values;
  }
};

inline double correlation(std::span<const double> x, std::span<const double> y) {
  const double count = static_cast<double>(x.size());
  double mean_x = 0.0;
  double mean_y = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    mean_x += x[i] / count;
    mean_y += y[i] / count;
  }
  double xx = 0.0;
  double yy = 0.0;
  double xy = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    yy += (y[i] - mean_y) * (y[i] - mean_y);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  return xx > 0.0 && yy > 0.0 ? xy / std::sqrt(xx * yy) : 0.0;
}

}  // namespace mgrn::test
