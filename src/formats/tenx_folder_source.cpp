// SPDX-License-Identifier: Apache-2.0
// 10x Matrix Market folder: matrix.mtx, features.tsv (genes.tsv, peaks.bed), barcodes.tsv, plain or gzip,
// with or without a prefix common to the three names, as GEO gives them.
#include <algorithm>
#include <optional>

#include "feature_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/annotation.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "sources.hpp"

namespace mgrn::formats {
namespace {

std::vector<std::string> read_barcodes(const std::filesystem::path& file) {
  LineReader reader(file);
  std::vector<std::string> barcodes;
  std::string_view line;
  while (reader.next(line)) {
    const std::string_view barcode = trim(line.substr(0, line.find('\t')));
    if (barcode.empty()) {
      reader.fail("barcode is empty", "one barcode a line");
    }
    barcodes.emplace_back(barcode);
  }
  return barcodes;
}

std::vector<Feature> read_features(const std::filesystem::path& file, bool bed) {
  LineReader reader(file);
  std::vector<Feature> features;
  std::vector<std::string> types_seen;
  FieldSplitter splitter('\t');
  std::string_view line;
  while (reader.next(line)) {
    const auto fields = splitter.split(line, reader);
    if (fields[0].empty()) {
      reader.fail("feature has no id", "id, name, type");
    }
    Feature feature;
    if (bed) {
      if (fields.size() < 3) {
        reader.fail("peak has too few columns", "chromosome, start, end", std::to_string(fields.size()));
      }
      feature.id = std::string(fields[0]) + ":" + std::string(fields[1]) + "-" + std::string(fields[2]);
      feature.name = feature.id;
      feature.type = FeatureType::peaks;
    } else {
      feature.id = std::string(fields[0]);
      feature.name = std::string(fields.size() > 1 && !fields[1].empty() ? fields[1] : fields[0]);
      // Cell Ranger 2 has two columns and genes only.
      feature.type = fields.size() > 2 ? parse_feature_type(fields[2]) : FeatureType::gene_expression;
      if (fields.size() >= 6 && !fields[3].empty() && !fields[4].empty()) {
        feature.interval =
            std::string(fields[3]) + ":" + std::string(fields[4]) + "-" + std::string(fields[5]);
      }
    }
    if (feature.type == FeatureType::peaks) {
      set_peak_interval(feature);
    }
    features.push_back(std::move(feature));
  }
  return features;
}

class TenxFolderSource : public MatrixSource {
 public:
  TenxFolderSource(std::filesystem::path matrix, std::vector<Feature> features,
                   std::vector<std::string> barcodes)
      : matrix_(std::move(matrix)) {
    features_ = std::move(features);
    barcodes_ = std::move(barcodes);
    require_indexable(features_.size(), "features", matrix_.string());
    require_indexable(barcodes_.size(), "cells", matrix_.string());
    LineReader reader(matrix_);
    const Header header = read_header(reader);
    nonzeros_ = header.entries;
    description_ = std::string("10x Matrix Market folder") + (header.transposed ? " (cells in rows)" : "");
  }

  CellBlock read_cells(std::uint64_t first, std::uint64_t last) override {
    require_range(first, last, barcodes_.size());
    if (!whole_) {
      whole_ = read_all();
    }
    return slice(*whole_, first, last);
  }

 private:
  struct Header {
    std::uint64_t entries = 0;
    bool pattern = false;     // entries without values: ones
    bool transposed = false;  // rows are cells
  };

  Header read_header(LineReader& reader) const {
    Header header;
    std::string_view line;
    if (!reader.next(line)) {
      throw base::DataError({.what = "matrix file is empty",
                             .file = reader.file(),
                             .expected = "%%MatrixMarket",
                             .hint = "copy the file again from its source"});
    }
    const std::string banner = base::symbol_key(line);
    if (!banner.starts_with("%%MATRIXMARKET")) {
      reader.fail("not a Matrix Market file", "%%MatrixMarket matrix coordinate ...",
                  std::string(line.substr(0, 40)));
    }
    header.pattern = banner.find("PATTERN") != std::string::npos;
    const bool numbers = header.pattern || banner.find("INTEGER") != std::string::npos ||
                         banner.find("REAL") != std::string::npos;
    if (banner.find("COORDINATE") == std::string::npos || banner.find("GENERAL") == std::string::npos ||
        !numbers) {
      reader.fail("kind of Matrix Market file not supported",
                  "coordinate, integer or real or pattern, general", std::string(line.substr(0, 80)));
    }
    do {
      if (!reader.next(line)) {
        reader.fail("Matrix Market file ends before its size line", "rows, columns, entries", "end of file");
      }
    } while (line.empty() || line.front() == '%');
    FieldSplitter splitter(' ');
    const auto fields = splitter.split(line, reader);
    std::uint64_t rows = 0;
    std::uint64_t columns = 0;
    if (fields.size() != 3 || !parse_number(fields[0], rows) || !parse_number(fields[1], columns) ||
        !parse_number(fields[2], header.entries)) {
      reader.fail("size line is wrong", "rows, columns, entries", std::string(line.substr(0, 60)));
    }
    if (rows != features_.size() || columns != barcodes_.size()) {
      header.transposed = rows == barcodes_.size() && columns == features_.size();
      if (!header.transposed) {
        reader.fail(
            "matrix does not match its features and barcodes",
            std::to_string(features_.size()) + " features x " + std::to_string(barcodes_.size()) + " cells",
            std::to_string(rows) + " x " + std::to_string(columns),
            "check that the three files belong together");
      }
    }
    return header;
  }

  CellBlock read_all() const {
    LineReader reader(matrix_);
    const Header header = read_header(reader);
    const std::uint64_t rows = header.transposed ? barcodes_.size() : features_.size();
    const std::uint64_t columns = header.transposed ? features_.size() : barcodes_.size();
    Entries entries;
    // The announced count is the file's word: believed only as far as a first allocation.
    const auto expected =
        static_cast<std::size_t>(std::min<std::uint64_t>(header.entries, std::uint64_t{1} << 26));
    entries.cell.reserve(expected);
    entries.feature.reserve(expected);
    entries.value.reserve(expected);
    std::uint64_t seen = 0;
    const std::size_t wanted = header.pattern ? 2 : 3;
    FieldSplitter splitter(' ');
    std::string_view line;
    while (reader.next(line)) {
      const auto fields = splitter.split(line, reader);
      if (fields.empty()) {
        continue;
      }
      std::uint64_t row = 0;
      std::uint64_t column = 0;
      float value = 1;
      if (fields.size() != wanted || !parse_number(fields[0], row) || !parse_number(fields[1], column) ||
          (!header.pattern && !parse_number(fields[2], value))) {
        reader.fail("not a Matrix Market entry", header.pattern ? "row, column" : "row, column, value",
                    std::string(line.substr(0, 60)));
      }
      if (row < 1 || row > rows || column < 1 || column > columns) {
        reader.fail("index out of range",
                    "row 1 to " + std::to_string(rows) + ", column 1 to " + std::to_string(columns),
                    std::to_string(row) + ", " + std::to_string(column));
      }
      const std::uint64_t cell = (header.transposed ? row : column) - 1;
      const std::uint64_t feature = (header.transposed ? column : row) - 1;
      require_finite(value, barcodes_[cell], features_[feature].name,
                     "line " + std::to_string(reader.number()), reader.file());
      if (++seen > header.entries) {
        reader.fail("more entries than announced", std::to_string(header.entries) + " entries",
                    "another one");
      }
      entries.add(cell, feature, value);
    }
    if (seen != header.entries) {
      reader.fail("Matrix Market file is truncated", std::to_string(header.entries) + " entries",
                  std::to_string(seen) + " at the end of the file", "copy the file again from its source");
    }
    return to_cells(std::move(entries), barcodes_.size());
  }

  std::filesystem::path matrix_;
  std::optional<CellBlock> whole_;
};

bool is_file(const std::filesystem::path& path) {
  std::error_code code;
  return std::filesystem::is_regular_file(path, code);
}

// `stem` plain or gzip; empty when neither is there. Both at once is an error: which one is meant?
std::filesystem::path plain_or_gzip(const std::filesystem::path& folder, const std::string& stem) {
  const std::filesystem::path plain = folder / stem;
  const std::filesystem::path packed = folder / (stem + ".gz");
  if (is_file(plain) && is_file(packed)) {
    throw base::DataError({.what = "folder holds both " + stem + " and " + stem + ".gz",
                           .file = folder.string(),
                           .expected = "one of them",
                           .hint = "remove the one that is out of date"});
  }
  return is_file(plain) ? plain : is_file(packed) ? packed : std::filesystem::path();
}

std::string without_gz(const std::filesystem::path& path) {
  return path.extension() == ".gz" ? path.stem().string() : path.filename().string();
}

}  // namespace

std::unique_ptr<MatrixSource> open_tenx_folder(const std::filesystem::path& folder,
                                               const std::filesystem::path& matrix_file) {
  std::filesystem::path matrix = matrix_file;
  constexpr std::string_view kMatrix = "matrix.mtx";
  if (matrix.empty()) {
    matrix = plain_or_gzip(folder, std::string(kMatrix));
  }
  if (matrix.empty()) {
    std::vector<std::filesystem::path> candidates;
    std::error_code code;
    for (const auto& entry : std::filesystem::directory_iterator(folder, code)) {
      if (is_file(entry.path()) && without_gz(entry.path()).ends_with(kMatrix)) {
        candidates.push_back(entry.path());
      }
    }
    if (candidates.size() != 1) {
      throw base::DataError(
          {.what = candidates.empty() ? "folder holds no matrix.mtx or matrix.mtx.gz"
                                      : "folder holds several matrices",
           .file = folder.string(),
           .expected = "matrix.mtx, features.tsv and barcodes.tsv (plain or .gz)",
           .got = candidates.empty() ? "" : std::to_string(candidates.size()) + " files *matrix.mtx",
           .hint = candidates.empty() ? "give the folder that Cell Ranger wrote"
                                      : "give the path of one matrix.mtx instead of the folder"});
    }
    matrix = candidates.front();
  }
  const std::string name = without_gz(matrix);
  const std::string prefix = name.ends_with(kMatrix) ? name.substr(0, name.size() - kMatrix.size()) : "";
  const std::filesystem::path barcodes = plain_or_gzip(folder, prefix + "barcodes.tsv");
  std::filesystem::path features = plain_or_gzip(folder, prefix + "features.tsv");
  bool bed = false;
  if (features.empty()) {
    features = plain_or_gzip(folder, prefix + "genes.tsv");
  }
  if (features.empty()) {
    features = plain_or_gzip(folder, prefix + "peaks.bed");
    bed = true;
  }
  if (barcodes.empty() || features.empty()) {
    throw base::DataError({.what = "matrix without " + prefix +
                                   (barcodes.empty() ? "barcodes.tsv" : "features.tsv") + " beside it",
                           .file = folder.string(),
                           .expected = prefix + "features.tsv (or genes.tsv, peaks.bed) and " + prefix +
                                       "barcodes.tsv, plain or .gz",
                           .hint = "give the folder that Cell Ranger wrote"});
  }
  auto read =
      std::make_unique<TenxFolderSource>(matrix, read_features(features, bed), read_barcodes(barcodes));
  if (read->features().empty() || read->barcodes().empty()) {
    throw base::DataError({.what = "matrix has no features or no cells", .file = folder.string()});
  }
  return read;
}

}  // namespace mgrn::formats
