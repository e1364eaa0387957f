// SPDX-License-Identifier: Apache-2.0
// A dense matrix as CSV, TSV or blank-separated text with names in its first row and column, either way
// round.
#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include "feature_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"
#include "sources.hpp"

namespace mgrn::formats {
namespace {

bool is_fraction(const std::string& name) {
  double value = 0;
  return parse_number(std::string_view(name), value) && name.find_first_of(".eE") != std::string::npos;
}

struct Orientation {
  bool features_in_rows = true;
  bool peaks = false;
  std::string reason;
};

Orientation detect(const std::vector<std::string>& rows, const std::vector<std::string>& columns,
                   const MatrixOptions& options) {
  Orientation result;
  result.peaks = options.modality == Modality::atac;
  if (are_peaks(rows) != are_peaks(columns)) {
    result.features_in_rows = are_peaks(rows);
    result.peaks = true;
    result.reason = "by peak names";
    return result;
  }
  if (!options.known_genes.empty()) {
    std::unordered_set<std::string> known;
    for (const std::string& gene : options.known_genes) {
      known.insert(base::symbol_key(gene));
    }
    const auto is_known = [&known](const std::string& name) {
      return known.contains(base::symbol_key(name));
    };
    const double in_rows = share(rows, is_known);
    const double in_columns = share(columns, is_known);
    if (in_rows != in_columns) {
      result.features_in_rows = in_rows > in_columns;
      result.reason = "by known gene symbols";
      return result;
    }
  }
  const double barcodes_in_rows = share(rows, looks_like_barcode);
  const double barcodes_in_columns = share(columns, looks_like_barcode);
  if ((barcodes_in_rows > 0.5) != (barcodes_in_columns > 0.5)) {
    result.features_in_rows = barcodes_in_columns > 0.5;
    result.reason = "by barcodes";
    return result;
  }
  const double genes_in_rows = share(rows, looks_like_gene);
  const double genes_in_columns = share(columns, looks_like_gene);
  if (genes_in_rows != genes_in_columns) {
    result.features_in_rows = genes_in_rows > genes_in_columns;
    result.reason = "by gene names";
    return result;
  }
  result.reason = "assumed: names do not tell";
  return result;
}

class TextMatrixSource : public MatrixSource {
 public:
  TextMatrixSource(const std::filesystem::path& file, const MatrixOptions& options) {
    // Orientation needs all names, so the file is read here, once.
    LineReader reader(file);
    Entries entries;
    std::vector<std::string> rows;
    std::vector<std::string> columns;
    char delimiter = ',';
    read(reader, entries, rows, columns, delimiter);

    const Orientation orientation = detect(rows, columns, options);
    std::vector<std::string>& names = orientation.features_in_rows ? rows : columns;
    barcodes_ = std::move(orientation.features_in_rows ? columns : rows);
    if (orientation.features_in_rows) {
      std::swap(entries.cell, entries.feature);
    }
    for (std::string& name : names) {
      Feature feature;
      feature.id = name;
      feature.name = std::move(name);
      feature.type = orientation.peaks ? FeatureType::peaks : FeatureType::gene_expression;
      if (orientation.peaks) {
        set_peak_interval(feature);
      }
      features_.push_back(std::move(feature));
    }
    whole_ = to_cells(std::move(entries), barcodes_.size());
    nonzeros_ = whole_.feature.size();
    description_ = std::string(delimiter == '\t'  ? "TSV"
                               : delimiter == ',' ? "CSV"
                                                  : "text") +
                   ", " + (orientation.peaks ? "peaks" : "genes") + " in " +
                   (orientation.features_in_rows ? "rows" : "columns") + " (" + orientation.reason + ")";
  }

  CellBlock read_cells(std::uint64_t first, std::uint64_t last) override {
    return slice(whole_, first, last);
  }

 private:
  // Entries with rows as "cell" and columns as "feature".
  static void read(LineReader& reader, Entries& entries, std::vector<std::string>& rows,
                   std::vector<std::string>& columns, char& delimiter) {
    std::string_view line;
    if (!reader.next(line) || trim(line).empty()) {
      throw base::DataError({.what = "matrix has no header line",
                             .file = reader.file(),
                             .expected = "names in the first line",
                             .got = "an empty line or file"});
    }
    delimiter = detect_delimiter(line);
    FieldSplitter splitter(delimiter);
    const auto header = splitter.split(line, reader);
    columns.assign(header.begin(), header.end());
    bool first = true;
    while (reader.next(line)) {
      if (line.empty()) {
        continue;
      }
      const auto fields = splitter.split(line, reader);
      if (first) {
        first = false;
        // R's write.table leaves out the corner; everything else has one.
        if (fields.size() == columns.size()) {
          columns.erase(columns.begin());
        }
        require_names(reader, columns, "first line");
        require_indexable(columns.size(), "columns", reader.file());
      }
      if (fields.size() != columns.size() + 1) {
        reader.fail("row with the wrong number of fields",
                    "a name and " + std::to_string(columns.size()) + " values",
                    std::to_string(fields.size()) + " fields");
      }
      const std::size_t row = rows.size();
      rows.emplace_back(trim(fields[0]));
      for (std::size_t column = 0; column < columns.size(); ++column) {
        float value = 0;
        const std::string_view field = fields[column + 1];
        if (field == "0") {
          continue;
        }
        if (!parse_number(trim(field), value)) {
          reader.fail(
              "field is not a number, in column '" + columns[column] + "' of row '" + rows.back() + "'",
              "a number", excerpt(field), "remove columns that hold no values, or impute missing ones");
        }
        if (value != 0) {  // also NaN
          if (!std::isfinite(value)) {
            reader.fail("matrix holds a value that is not finite, in column '" + columns[column] +
                            "' of row '" + rows.back() + "'",
                        "finite numbers", std::string(trim(field)), "remove or impute such values before");
          }
          entries.add(row, column, value);
        }
      }
    }
    if (rows.empty() || columns.empty()) {
      reader.fail("matrix has no values after its header", "at least one row and one column",
                  std::to_string(rows.size()) + " rows, " + std::to_string(columns.size()) + " columns");
    }
    require_names(reader, rows, "first column");
    require_indexable(rows.size(), "rows", reader.file());
  }

  // Fractions where names should stand are values: the file lacks its header or its first column.
  static void require_names(const LineReader& reader, const std::vector<std::string>& names,
                            const char* place) {
    if (!names.empty() && std::any_of(names.begin(), names.end(), is_fraction) &&
        share(names, [](const std::string& name) {
          double value = 0;
          return parse_number(std::string_view(name), value);
        }) == 1.0) {
      throw base::DataError({.what = std::string("matrix has numbers instead of names in its ") + place,
                             .file = reader.file(),
                             .expected = "names of genes or cells",
                             .got = names.front(),
                             .hint = "write the matrix with row and column names"});
    }
  }

  CellBlock whole_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_text_matrix(const std::filesystem::path& file,
                                               const MatrixOptions& options) {
  return std::make_unique<TextMatrixSource>(file, options);
}

}  // namespace mgrn::formats
