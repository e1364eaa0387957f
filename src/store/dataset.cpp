// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/store/dataset.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <numeric>
#include <optional>
#include <unordered_map>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/hdf5.hpp"
#include "schema.hpp"

namespace mgrn::store {
namespace {

namespace hdf5 = formats::hdf5;

// Elements read at a time: a run of rows, or a slab of verify().
constexpr std::uint64_t kRun = std::uint64_t{1} << 22;
// Rows further apart than this are read apart. A quarter of a chunk: skipping less saves nothing, since the
// chunk between them is decompressed anyway.
constexpr std::uint64_t kGap = schema::kChunk / 4;

}  // namespace

struct Dataset::State {
  struct LayerFile {
    std::vector<std::uint64_t> offsets;  // genes + 1
    std::optional<hdf5::Dataset> cell;
    std::optional<hdf5::Dataset> value;
    std::optional<hdf5::Dataset> count;  // RNA only
  };

  explicit State(const std::filesystem::path& name) : path(name), file(hdf5::File::open(name)) {
    check_kind_and_version();
    read_header();
    for (const Layer layer : schema::layers_of(header.has_atac)) {
      open_layer(layer);
    }
    for (std::size_t gene = 0; gene < header.genes.size(); ++gene) {
      by_symbol.emplace(base::symbol_key(header.genes[gene]), static_cast<std::int64_t>(gene));
    }
  }

  [[noreturn]] void wrong(const std::string& what, const std::string& expected = {},
                          const std::string& got = {}) const {
    throw base::DataError({.what = what,
                           .file = path.string(),
                           .expected = expected,
                           .got = got,
                           .hint = "make the dataset again with `multigrnformer prepare`, or copy it again"});
  }

  void check_kind_and_version() {
    const std::string format =
        file.has_attribute("format") && file.attribute_kind("format") == hdf5::ElementKind::string
            ? file.string_attribute("format")
            : "";
    if (format != schema::kFormat) {
      throw base::DataError(
          {.what = "not a dataset file",
           .file = path.string(),
           .expected = std::string("HDF5 with attribute format = \"") + schema::kFormat + "\"",
           .got = format.empty() ? "HDF5 of another kind" : "\"" + format + "\"",
           .hint = "make one from raw data with `multigrnformer prepare --rna FILE --out D.h5`"});
    }
    major = file.attribute<std::int32_t>("format_version_major");
    minor = file.attribute<std::int32_t>("format_version_minor");
    if (major != kFormatMajor) {
      throw base::DataError(
          {.what = major > kFormatMajor ? "dataset file of a newer format version"
                                        : "dataset file version is wrong",
           .file = path.string(),
           .expected = "major version " + std::to_string(kFormatMajor),
           .got = "version " + std::to_string(major) + "." + std::to_string(minor),
           .hint = major > kFormatMajor
                       ? "use a newer multigrnformer, or make the dataset again with this one"
                       : "make the dataset again with `multigrnformer prepare`"});
    }
  }

  void check(const std::string& part, const Checksum& sum) const {
    const auto stored = checksums.find(part);
    if (stored == checksums.end() || !stored->is_string()) {
      wrong("dataset is damaged: no checksum of " + part);
    }
    if (stored->get<std::string>() != sum.text()) {
      wrong("dataset is damaged: checksum of " + part + " differs", stored->get<std::string>(), sum.text());
    }
  }

  template <typename T>
  std::vector<T> read_known(const std::string& name, std::uint64_t count) const {
    const hdf5::Dataset dataset = file.dataset(name);
    require_length(name, dataset, count);
    auto values = dataset.read<T>();
    check(name, checksum_of(std::span<const T>(values)));
    return values;
  }
  std::vector<std::string> read_known_texts(const std::string& name, std::uint64_t count) const {
    const hdf5::Dataset dataset = file.dataset(name);
    require_length(name, dataset, count);
    auto texts = dataset.read_strings();
    const auto width = dataset.element_width();
    for (const auto& text : texts) {
      if (text.size() > width) {
        wrong(name + " is not stored as strings of fixed length");
      }
    }
    check(name, checksum_of(std::span<const char>(schema::padded(texts, width))));
    return texts;
  }
  std::string read_known_json(const std::string& name) const {
    const auto texts = read_known_texts(name, 1);
    if (!base::Json::accept(texts.at(0))) {
      wrong(name + " is not JSON");
    }
    return texts.front();
  }
  void require_length(const std::string& name, const hdf5::Dataset& dataset, std::uint64_t count) const {
    const auto shape = dataset.shape();
    if (shape.size() != 1 || shape.front() != count) {
      wrong("dataset is damaged: shape of " + name, std::to_string(count) + " elements",
            shape.size() == 1 ? std::to_string(shape.front()) : std::to_string(shape.size()) + " dimensions");
    }
  }

  void read_header() {
    const auto parsed = base::Json::parse(file.string_attribute("checksums"), nullptr, false);
    if (!parsed.is_object()) {
      wrong("dataset is damaged: checksums cannot be read");
    }
    checksums = parsed;
    header.id = file.string_attribute("id");
    const auto genes = file.attribute<std::uint64_t>("genes");
    const auto cells = file.attribute<std::uint64_t>("cells");
    header.has_atac = file.attribute<std::uint8_t>("has_atac") != 0;
    check("attributes", checksum_of(std::span<const char>(schema::attributes_text(
                            major, minor, header.id, genes, cells, header.has_atac))));
    header.genes = read_known_texts("genes", genes);
    header.barcodes = read_known_texts("barcodes", cells);
    header.variance = read_known<double>("variance", genes);
    header.vst = read_known<double>("vst", genes);
    header.rna_background = read_known<float>("rna/background", genes);
    if (header.has_atac) {
      header.rp_background = read_known<float>("rp/background", genes);
    }
    header.settings = read_known_json("settings");
    header.sources = read_known_json("sources");
    header.quality = read_known_json("quality");
  }

  void open_layer(Layer layer) {
    LayerFile& opened = layers[static_cast<std::size_t>(layer)];
    const std::string group = std::string(schema::group_of(layer)) + "/";
    opened.offsets = read_known<std::uint64_t>(group + "offsets", header.genes.size() + 1);
    if (opened.offsets.front() != 0 || !std::is_sorted(opened.offsets.begin(), opened.offsets.end())) {
      wrong("dataset is damaged: " + group + "offsets do not ascend from 0");
    }
    const auto open_column = [&](const char* name) {
      hdf5::Dataset column = file.dataset(group + name);
      require_length(group + name, column, opened.offsets.back());
      return column;
    };
    opened.cell = open_column("cell");
    opened.value = open_column("value");
    if (layer == Layer::rna) {
      opened.count = open_column("count");
    }
  }

  const LayerFile& layer_file(Layer layer) const {
    const LayerFile& opened = layers[static_cast<std::size_t>(layer)];
    if (opened.offsets.empty()) {
      throw base::InternalError(
          {.what = "a dataset of RNA alone was asked for its RP layer", .file = path.string()});
    }
    return opened;
  }
  void check_gene(std::uint32_t gene) const {
    if (gene >= header.genes.size()) {
      throw base::InternalError({.what = "a gene index beyond the dataset's genes",
                                 .file = path.string(),
                                 .expected = "below " + std::to_string(header.genes.size()),
                                 .got = std::to_string(gene)});
    }
  }

  // Cheap enough for every row, and it keeps a damaged file from becoming a crash.
  void check_cells(Layer layer, std::uint64_t gene, std::span<const std::uint32_t> cells) const {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i] >= header.barcodes.size() || (i > 0 && cells[i] <= cells[i - 1])) {
        wrong("dataset is damaged: cells of gene " + header.genes[gene] + " in " + schema::group_of(layer) +
                  "/cell",
              "ascending indices below " + std::to_string(header.barcodes.size()), std::to_string(cells[i]));
      }
    }
  }

  template <typename T>
  void verify_column(const std::string& name, const hdf5::Dataset& column, std::uint64_t count) const {
    Checksum sum;
    for (std::uint64_t first = 0; first < count; first += kRun) {
      const auto values = column.read<T>(first, std::min(kRun, count - first));
      sum.append(checksum_of(std::span<const T>(values)));
    }
    check(name, sum);
  }

  std::filesystem::path path;
  hdf5::File file;
  std::int32_t major = 0;
  std::int32_t minor = 0;
  DatasetHeader header;
  base::Json checksums;
  std::array<LayerFile, 2> layers;
  std::unordered_map<std::string, std::int64_t> by_symbol;
};

Dataset::Dataset(const std::filesystem::path& file) {
  const auto lock = schema::lock_hdf5();
  state_ = std::make_unique<State>(file);
}
Dataset::~Dataset() {
  const auto lock = schema::lock_hdf5();
  state_.reset();
}
Dataset::Dataset(Dataset&&) noexcept = default;
Dataset& Dataset::operator=(Dataset&& other) noexcept {
  const auto lock = schema::lock_hdf5();
  state_ = std::move(other.state_);
  return *this;
}

const DatasetHeader& Dataset::header() const {
  return state_->header;
}
const std::filesystem::path& Dataset::file() const {
  return state_->path;
}
const base::Json& Dataset::checksums() const {
  return state_->checksums;
}

std::uint64_t Dataset::nonzeros(Layer layer) const {
  return state_->layer_file(layer).offsets.back();
}
std::uint64_t Dataset::nonzeros(Layer layer, std::uint32_t gene) const {
  const auto& offsets = state_->layer_file(layer).offsets;
  state_->check_gene(gene);
  return offsets[gene + std::size_t{1}] - offsets[gene];
}

GeneRow Dataset::row(Layer layer, std::uint32_t gene) const {
  return std::move(rows(layer, std::span(&gene, 1)).front());
}

std::vector<GeneRow> Dataset::rows(Layer layer, std::span<const std::uint32_t> genes) const {
  const auto& opened = state_->layer_file(layer);
  const auto& offsets = opened.offsets;
  for (const auto gene : genes) {
    state_->check_gene(gene);
  }
  std::vector<std::size_t> order(genes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return genes[a] < genes[b]; });

  std::vector<GeneRow> result(genes.size());
  const auto lock = schema::lock_hdf5();
  for (std::size_t begin = 0; begin < order.size();) {
    // A run: rows near one another, of bounded size (one row may be larger).
    const std::uint64_t first = offsets[genes[order[begin]]];
    std::uint64_t last = offsets[genes[order[begin]] + std::size_t{1}];
    std::size_t end = begin + 1;
    for (; end < order.size(); ++end) {
      const std::uint64_t next_first = offsets[genes[order[end]]];
      const std::uint64_t next_last = offsets[genes[order[end]] + std::size_t{1}];
      if (next_first > last + kGap || next_last - first > kRun) {
        break;
      }
      last = std::max(last, next_last);
    }
    const auto cells = opened.cell->read<std::uint32_t>(first, last - first);
    const auto values = opened.value->read<float>(first, last - first);
    const auto counts = opened.count ? opened.count->read<float>(first, last - first) : std::vector<float>();
    for (; begin < end; ++begin) {
      const std::uint32_t gene = genes[order[begin]];
      const auto from = static_cast<std::ptrdiff_t>(offsets[gene] - first);
      const auto to = static_cast<std::ptrdiff_t>(offsets[gene + std::size_t{1}] - first);
      GeneRow& row = result[order[begin]];
      row.cell.assign(cells.begin() + from, cells.begin() + to);
      row.value.assign(values.begin() + from, values.begin() + to);
      if (opened.count) {
        row.count.assign(counts.begin() + from, counts.begin() + to);
      }
      state_->check_cells(layer, gene, row.cell);
    }
  }
  return result;
}

std::int64_t Dataset::find_gene(const std::string& symbol) const {
  const auto found = state_->by_symbol.find(base::symbol_key(symbol));
  return found == state_->by_symbol.end() ? -1 : found->second;
}

void Dataset::verify() const {
  const auto lock = schema::lock_hdf5();
  for (const Layer layer : schema::layers_of(header().has_atac)) {
    const auto& opened = state_->layer_file(layer);
    const std::string group = std::string(schema::group_of(layer)) + "/";
    state_->verify_column<std::uint32_t>(group + "cell", *opened.cell, opened.offsets.back());
    state_->verify_column<float>(group + "value", *opened.value, opened.offsets.back());
    if (opened.count) {
      state_->verify_column<float>(group + "count", *opened.count, opened.offsets.back());
    }
  }
}

}  // namespace mgrn::store
