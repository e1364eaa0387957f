// SPDX-License-Identifier: Apache-2.0
// AnnData (.h5ad) and MuData (.h5mu): X or a layer as CSR, CSC or dense; data frames as groups (with
// categorical and nullable columns, present and former encodings) or, before AnnData 0.7, as compounds.
#include <algorithm>
#include <array>
#include <optional>

#include "feature_names.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "sources.hpp"

namespace mgrn::formats {
namespace {

using Column = std::optional<std::vector<std::string>>;

std::vector<std::string> decode_categories(const hdf5::Dataset& codes,
                                           const std::vector<std::string>& categories) {
  std::vector<std::string> values;
  for (const std::int64_t code : codes.read<std::int64_t>()) {
    if (code >= static_cast<std::int64_t>(categories.size())) {
      codes.fail("category code out of range", "below " + std::to_string(categories.size()),
                 std::to_string(code));
    }
    values.push_back(code < 0 ? "" : categories[static_cast<std::size_t>(code)]);  // negative: missing
  }
  return values;
}

// /obs or /var.
class Frame {
 public:
  Frame(const hdf5::Group& parent, const std::string& name) {
    if (parent.has_dataset(name)) {
      compound_.emplace(parent.dataset(name));
      members_ = compound_->compound_members();
      if (members_.empty()) {
        compound_->fail("not a data frame", "a group or a compound dataset", "another kind of dataset");
      }
      path_ = compound_->path();
    } else {
      group_.emplace(parent.group(name));
      path_ = group_->path();
    }
  }

  std::vector<std::string> index() const {
    std::vector<std::string> candidates = {"_index", "index"};
    if (group_ && group_->has_attribute("_index")) {
      candidates.insert(candidates.begin(), group_->string_attribute("_index"));
    }
    for (const std::string& name : candidates) {
      if (Column values = column(name)) {
        return std::move(*values);
      }
    }
    const hdf5::Object& object = group_ ? static_cast<const hdf5::Object&>(*group_) : *compound_;
    object.fail("data frame has no index of strings", "the column that its attribute '_index' names", "",
                "write the file with names for cells and genes");
  }

  /// A column of strings; nothing when it is absent or of another kind.
  Column column(const std::string& name) const {
    if (compound_) {
      if (std::find(members_.begin(), members_.end(), name) == members_.end()) {
        return {};
      }
      return compound_->read_string_member(name);
    }
    if (group_->has_group(name)) {
      const hdf5::Group nested = group_->group(name);
      if (nested.has_dataset("categories") && nested.has_dataset("codes") &&
          nested.dataset("categories").kind() == hdf5::ElementKind::string) {
        return decode_categories(nested.dataset("codes"), nested.dataset("categories").read_strings());
      }
      if (nested.has_dataset("values") && nested.dataset("values").kind() == hdf5::ElementKind::string) {
        return nested.dataset("values").read_strings();
      }
      return {};
    }
    if (!group_->has_dataset(name)) {
      return {};
    }
    const hdf5::Dataset dataset = group_->dataset(name);
    if (dataset.kind() == hdf5::ElementKind::string) {
      return dataset.read_strings();
    }
    const std::string categories = "__categories/" + name;  // AnnData 0.7
    if (dataset.kind() == hdf5::ElementKind::integer && group_->has_dataset(categories) &&
        group_->dataset(categories).kind() == hdf5::ElementKind::string) {
      return decode_categories(dataset, group_->dataset(categories).read_strings());
    }
    return {};
  }

  const std::string& path() const { return path_; }

 private:
  std::optional<hdf5::Group> group_;
  std::optional<hdf5::Dataset> compound_;
  std::vector<std::string> members_;
  std::string path_;
};

enum class Storage { csr, csc, dense };

class AnndataSource : public MatrixSource {
 public:
  AnndataSource(hdf5::File file, const std::string& root, const MatrixOptions& options,
                const std::string& container)
      : file_(std::move(file)) {
    std::optional<hdf5::Group> nested;
    const hdf5::Group& top = root.empty() ? file_ : nested.emplace(file_.group(root));
    const Frame obs(top, "obs");
    const Frame var(top, "var");
    barcodes_ = obs.index();
    require_indexable(barcodes_.size(), "cells", file_.file());
    const std::string symbols = set_features(var, options);
    require_indexable(features_.size(), "features", file_.file());
    if (barcodes_.empty() || features_.empty()) {
      top.fail(
          "matrix is empty", "at least one cell and one feature",
          std::to_string(barcodes_.size()) + " cells, " + std::to_string(features_.size()) + " features");
    }
    const std::string name = options.layer.empty() ? "X" : "layers/" + options.layer;
    if (!top.has(name)) {
      std::string layers;
      if (top.has_group("layers")) {
        for (const std::string& layer : top.group("layers").members()) {
          layers += (layers.empty() ? "" : ", ") + layer;
        }
      }
      top.fail("matrix '" + name + "' is missing", "X or a layer",
               layers.empty() ? "no layers" : "the layers " + layers,
               layers.empty() ? "" : "name one of the layers");
    }
    open_values(top, name);
    static constexpr std::array<const char*, 3> kNames = {"CSR", "CSC", "dense"};
    description_ =
        container + " (" + name + ", " + kNames.at(static_cast<std::size_t>(storage_)) + symbols + ")";
  }

  CellBlock read_cells(std::uint64_t first, std::uint64_t last) override {
    require_range(first, last, barcodes_.size());
    switch (storage_) {
      case Storage::csr: {
        CellBlock block = sparse_->read(first, last, barcodes_, &features_, nullptr);
        normalise(block);
        return block;
      }
      case Storage::csc:
        if (!whole_) {
          whole_ = read_columns();
        }
        return slice(*whole_, first, last);
      case Storage::dense:
        break;
    }
    return read_dense(first, last);
  }

 private:
  // Fills features_; says for the description where symbols came from.
  std::string set_features(const Frame& var, const MatrixOptions& options) {
    const std::vector<std::string> index = var.index();
    const bool ensembl = share(index, [](const std::string& name) { return is_ensembl_id(name); }) > 0.5;
    const auto same_length = [&](Column column, const std::string& name) {
      if (column && column->size() != index.size()) {
        throw base::DataError(
            {.what = "column '" + var.path() + "/" + name + "' does not match its data frame",
             .file = file_.file(),
             .expected = std::to_string(index.size()) + " rows",
             .got = std::to_string(column->size())});
      }
      return column;
    };
    const auto read = [&](const std::string& name) { return same_length(var.column(name), name); };
    Column names;
    std::string said;
    if (ensembl) {
      said = ", Ensembl ids for want of a column of symbols";
      for (const char* candidate :
           {"gene_symbols", "gene_symbol", "gene_name", "gene_names", "feature_name", "symbol", "name"}) {
        if ((names = read(candidate))) {
          said = std::string(", symbols from var/") + candidate;
          break;
        }
      }
    }
    Column ids = ensembl ? Column() : read("gene_ids");
    const Column types = read("feature_types");
    Column genomes = read("genome");
    const Column intervals = read("interval");
    const bool peaks = are_peaks(index) || (options.modality == Modality::atac && !types);
    features_.resize(index.size());
    for (std::size_t i = 0; i < index.size(); ++i) {
      Feature& feature = features_[i];
      feature.id = ids && !(*ids)[i].empty() ? (*ids)[i] : index[i];
      feature.name = names && !(*names)[i].empty() ? (*names)[i] : index[i];
      feature.type = types   ? parse_feature_type((*types)[i])
                     : peaks ? FeatureType::peaks
                             : FeatureType::gene_expression;
      feature.genome = genomes ? (*genomes)[i] : "";
      feature.interval = intervals && (*intervals)[i] != "NA" ? (*intervals)[i] : "";
      if (feature.type == FeatureType::peaks) {
        set_peak_interval(feature);
      }
    }
    return said;
  }

  void open_values(const hdf5::Group& top, const std::string& name) {
    if (top.has_dataset(name)) {
      storage_ = Storage::dense;
      dense_.emplace(top.dataset(name));
      const hdf5::Shape shape = dense_->shape();
      if (shape.size() != 2 || shape[0] != barcodes_.size() || shape[1] != features_.size()) {
        dense_->fail("matrix does not match obs and var",
                     std::to_string(barcodes_.size()) + " x " + std::to_string(features_.size()),
                     shape.size() == 2 ? std::to_string(shape[0]) + " x " + std::to_string(shape[1])
                                       : std::to_string(shape.size()) + " dimensions");
      }
      return;
    }
    const hdf5::Group group = top.group(name);
    std::string kind;
    for (const char* attribute : {"encoding-type", "h5sparse_format"}) {
      if (kind.empty() && group.has_attribute(attribute)) {
        kind = group.string_attribute(attribute);
      }
    }
    if (kind != "csr_matrix" && kind != "csr" && kind != "csc_matrix" && kind != "csc") {
      group.fail("encoding of the matrix is not known", "csr_matrix or csc_matrix",
                 kind.empty() ? "none" : kind);
    }
    storage_ = kind.starts_with("csr") ? Storage::csr : Storage::csc;
    for (const char* attribute : {"shape", "h5sparse_shape"}) {
      if (group.has_attribute(attribute)) {
        const std::vector<std::int64_t> shape = group.attribute_values<std::int64_t>(attribute);
        if (shape.size() != 2 || shape[0] != static_cast<std::int64_t>(barcodes_.size()) ||
            shape[1] != static_cast<std::int64_t>(features_.size())) {
          group.fail("matrix does not match obs and var",
                     std::to_string(barcodes_.size()) + " x " + std::to_string(features_.size()),
                     shape.size() == 2 ? std::to_string(shape[0]) + " x " + std::to_string(shape[1])
                                       : "another shape");
        }
        break;
      }
    }
    const bool by_cell = storage_ == Storage::csr;
    sparse_.emplace(group, by_cell ? barcodes_.size() : features_.size(),
                    by_cell ? features_.size() : barcodes_.size());
    nonzeros_ = sparse_->entries();
  }

  CellBlock read_columns() const {
    Entries entries;
    std::vector<std::string> names;
    names.reserve(features_.size());
    for (const Feature& feature : features_) {
      names.push_back(feature.name);
    }
    constexpr std::uint64_t kColumns = 256;
    for (std::uint64_t first = 0; first < features_.size(); first += kColumns) {
      const std::uint64_t last = std::min<std::uint64_t>(first + kColumns, features_.size());
      const CellBlock columns = sparse_->read(first, last, names, nullptr, &barcodes_);
      for (std::uint64_t column = 0; column < columns.cells(); ++column) {
        for (std::uint64_t i = columns.offsets[column]; i < columns.offsets[column + 1]; ++i) {
          entries.add(columns.feature[i], first + column, columns.value[i]);
        }
      }
    }
    return to_cells(std::move(entries), barcodes_.size());
  }

  CellBlock read_dense(std::uint64_t first, std::uint64_t last) const {
    CellBlock block;
    block.first_cell = first;
    block.offsets.push_back(0);
    const std::uint64_t width = features_.size();
    const std::uint64_t rows = std::max<std::uint64_t>(1, (std::uint64_t{1} << 22) / width);
    for (std::uint64_t from = first; from < last; from += rows) {
      const std::uint64_t count = std::min(rows, last - from);
      const std::vector<float> values = dense_->read<float>({from, 0}, {count, width});
      for (std::uint64_t row = 0; row < count; ++row) {
        for (std::uint64_t feature = 0; feature < width; ++feature) {
          const float value = values[row * width + feature];
          if (value != 0) {  // also NaN
            require_finite(value, barcodes_[from + row], features_[feature].name,
                           "row " + std::to_string(from + row) + ", column " + std::to_string(feature) +
                               " of '" + dense_->path() + "'",
                           file_.file());
            block.feature.push_back(static_cast<std::uint32_t>(feature));
            block.value.push_back(value);
          }
        }
        block.offsets.push_back(block.feature.size());
      }
    }
    return block;
  }

  hdf5::File file_;
  Storage storage_ = Storage::dense;
  std::optional<SparseGroup> sparse_;
  std::optional<hdf5::Dataset> dense_;
  std::optional<CellBlock> whole_;
};

}  // namespace

std::unique_ptr<MatrixSource> open_anndata(hdf5::File file, const MatrixOptions& options) {
  return std::make_unique<AnndataSource>(std::move(file), "", options, "AnnData .h5ad");
}

std::unique_ptr<MatrixSource> open_mudata(hdf5::File file, const MatrixOptions& options) {
  const bool rna = options.modality == Modality::rna;
  const std::vector<std::string> words =
      rna ? std::vector<std::string>{"RNA", "GEX", "GENE EXPRESSION", "GENE_EXPRESSION"}
          : std::vector<std::string>{"ATAC", "PEAKS", "CHROMATIN", "CHROMATIN_ACCESSIBILITY"};
  std::string all;
  for (const std::string& name : file.group("mod").members()) {
    if (std::find(words.begin(), words.end(), base::symbol_key(name)) != words.end()) {
      return std::make_unique<AnndataSource>(std::move(file), "mod/" + name, options,
                                             "MuData .h5mu, modality " + name);
    }
    all += (all.empty() ? "" : ", ") + name;
  }
  throw base::DataError({.what = std::string("file lacks the ") + (rna ? "RNA" : "ATAC") + " modality",
                         .file = file.file(),
                         .expected = rna ? "'rna' under '/mod'" : "'atac' under '/mod'",
                         .got = all.empty() ? "no modality" : all,
                         .hint = "name the modalities rna and atac"});
}

}  // namespace mgrn::formats
