// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/tenx_writer.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "feature_names.hpp"
#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/annotation.hpp"
#include "multigrnformer/formats/hdf5.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_writer.hpp"

namespace mgrn::formats {
namespace {

constexpr std::uint64_t kChunk = 80'000;  // Cell Ranger's

std::int32_t as_count(float value, const std::filesystem::path& file) {
  // 2^31 is the first float that no longer fits.
  if (!(value >= 0.0F && value < 2147483648.0F) || std::floor(value) != value) {
    throw base::InternalError({.what = "10x files hold counts only",
                               .file = file.string(),
                               .expected = "a whole number from 0 to 2^31-1",
                               .got = number_text(value)});
  }
  return static_cast<std::int32_t>(value);
}

void require_block(const CellBlock& block, std::uint64_t next_cell, std::uint64_t cells,
                   std::uint64_t features, const std::filesystem::path& file) {
  const bool fits = block.first_cell == next_cell && block.cells() <= cells - next_cell &&
                    block.feature.size() == block.value.size() &&
                    (block.offsets.empty() || block.offsets.back() == block.feature.size()) &&
                    std::all_of(block.feature.begin(), block.feature.end(),
                                [features](std::uint32_t feature) { return feature < features; });
  if (!fits) {
    throw base::InternalError(
        {.what = "block of cells does not fit the 10x file",
         .file = file.string(),
         .expected = "cells from " + std::to_string(next_cell),
         .got = std::to_string(block.cells()) + " cells from " + std::to_string(block.first_cell)});
  }
}

}  // namespace

struct TenxH5Writer::State {
  State(const std::filesystem::path& target, const std::vector<Feature>& features,
        const std::vector<std::string>& barcodes)
      : file(target),
        atomic(target),
        hdf5(hdf5::File::create(atomic.temporary())),
        matrix(hdf5.create_group("matrix")),
        data(matrix.create_dataset<std::int32_t>("data", {0}, extendable())),
        indices(matrix.create_dataset<std::int64_t>("indices", {0}, extendable())),
        feature_count(features.size()),
        cell_count(barcodes.size()) {
    hdf5.write_string_attribute("filetype", "matrix");
    hdf5.write_string_attribute("chemistry_description", "Single Cell Multiome ATAC + Gene Expression v1");
    hdf5.write_string_attribute("software_version", "multigrnformer");
    hdf5.write_attribute<std::int64_t>("version", 2);
    const hdf5::Layout packed{.chunk = {kChunk}, .deflate = 4};
    matrix.write_strings("barcodes", barcodes, packed);
    std::vector<std::string> id, name, type, genome, interval;
    for (const Feature& feature : features) {
      id.push_back(feature.id);
      name.push_back(feature.name);
      type.emplace_back(feature_type_name(feature.type));
      genome.push_back(feature.genome);
      interval.push_back(feature.interval);
    }
    hdf5::Group group = matrix.create_group("features");
    const std::array<std::string, 2> tags = {"genome", "interval"};
    group.write_strings("_all_tag_keys", tags);
    group.write_strings("feature_type", type, packed);
    group.write_strings("genome", genome, packed);
    group.write_strings("id", id, packed);
    group.write_strings("interval", interval, packed);
    group.write_strings("name", name, packed);
    if (feature_count > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max()) ||
        cell_count > static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max())) {
      throw base::InternalError(
          {.what = "10x files hold fewer than 2^31 cells and features", .file = file.string()});
    }
    const std::array<std::int32_t, 2> shape = {static_cast<std::int32_t>(feature_count),
                                               static_cast<std::int32_t>(cell_count)};
    matrix.write_dataset<std::int32_t>("shape", shape);
    indptr.push_back(0);
  }
  static hdf5::Layout extendable() {
    return {.chunk = {kChunk}, .deflate = 4, .shuffle = true, .extendable = true};
  }

  std::filesystem::path file;
  base::AtomicFile atomic;
  hdf5::File hdf5;
  hdf5::Group matrix;
  hdf5::Dataset data;
  hdf5::Dataset indices;
  std::uint64_t feature_count;
  std::uint64_t cell_count;
  std::vector<std::int64_t> indptr;
};

TenxH5Writer::TenxH5Writer(const std::filesystem::path& file, const std::vector<Feature>& features,
                           const std::vector<std::string>& barcodes)
    : state_(std::make_unique<State>(file, features, barcodes)) {}
TenxH5Writer::~TenxH5Writer() = default;

void TenxH5Writer::append(const CellBlock& block) {
  State& state = *state_;
  require_block(block, state.indptr.size() - 1, state.cell_count, state.feature_count, state.file);
  // Counts are checked before anything changes, so that a refused block leaves the writer as it was.
  std::vector<std::int32_t> counts(block.feature.size());
  std::transform(block.value.begin(), block.value.end(), counts.begin(),
                 [&state](float value) { return as_count(value, state.file); });
  const auto before = static_cast<std::uint64_t>(state.indptr.back());
  for (std::size_t i = 1; i < block.offsets.size(); ++i) {
    state.indptr.push_back(static_cast<std::int64_t>(before + block.offsets[i] - block.offsets[0]));
  }
  const std::uint64_t added = counts.size();
  if (added == 0) {
    return;
  }
  const std::vector<std::int64_t> indices(block.feature.begin(), block.feature.end());
  state.data.extend({before + added});
  state.indices.extend({before + added});
  state.data.write<std::int32_t>({before}, {added}, counts);
  state.indices.write<std::int64_t>({before}, {added}, indices);
}

void TenxH5Writer::finish() {
  State& state = *state_;
  if (state.indptr.size() != state.cell_count + 1) {
    throw base::InternalError({.what = "10x file lacks cells",
                               .file = state.file.string(),
                               .expected = std::to_string(state.cell_count),
                               .got = std::to_string(state.indptr.size() - 1)});
  }
  state.matrix.write_dataset<std::int64_t>("indptr", state.indptr, {.chunk = {kChunk}, .deflate = 4});
  state.hdf5.close();
  state.atomic.commit();
}

void write_tenx_folder(const std::filesystem::path& folder, const std::vector<Feature>& features,
                       const std::vector<std::string>& barcodes, const CellBlock& cells) {
  require_block(cells, 0, barcodes.size(), features.size(), folder);
  base::AtomicDirectory directory(folder);
  std::string text;
  for (const std::string& barcode : barcodes) {
    text.append(barcode).append(1, '\n');
  }
  write_text(directory.temporary() / "barcodes.tsv.gz", text);
  text.clear();
  for (const Feature& feature : features) {
    text.append(feature.id)
        .append(1, '\t')
        .append(feature.name)
        .append(1, '\t')
        .append(feature_type_name(feature.type));
    GenomicInterval place;
    if (parse_interval(
            feature.interval.empty() && feature.type == FeatureType::peaks ? feature.id : feature.interval,
            place)) {
      text.append(1, '\t').append(place.chromosome).append(1, '\t');
      append_number(text, place.start);
      text += '\t';
      append_number(text, place.end);
    }
    text += '\n';
  }
  write_text(directory.temporary() / "features.tsv.gz", text);

  TextWriter writer(directory.temporary() / "matrix.mtx.gz");
  text =
      "%%MatrixMarket matrix coordinate integer general\n%metadata_json: {\"software_version\": "
      "\"multigrnformer\", "
      "\"format_version\": 2}\n";
  text += std::to_string(features.size()) + " " + std::to_string(barcodes.size()) + " " +
          std::to_string(cells.feature.size()) + "\n";
  for (std::size_t cell = 0; cell + 1 < cells.offsets.size(); ++cell) {
    for (std::size_t i = cells.offsets[cell]; i < cells.offsets[cell + 1]; ++i) {
      append_number(text, std::uint64_t{cells.feature[i]} + 1);
      text += ' ';
      append_number(text, std::uint64_t{cell} + 1);
      text += ' ';
      append_number(text, static_cast<std::int64_t>(as_count(cells.value[i], folder)));
      text += '\n';
    }
    if (text.size() > (std::size_t{1} << 20)) {
      writer.write(text);
      text.clear();
    }
  }
  writer.write(text);
  writer.finish();
  directory.commit();
}

}  // namespace mgrn::formats
