// SPDX-License-Identifier: Apache-2.0
// One rank's slice of the cells in memory: the non-zero entries of one modality, cell by cell: 5 bytes
// each where a block's values are counts below 256, 8 otherwise. Kept in the blocks they were read in, so
// that nothing is ever copied to grow.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "multigrnformer/formats/matrix_source.hpp"

namespace mgrn::prepare {

struct Entry {
  std::uint32_t feature = 0;  ///< number among the features of the modality
  float value = 0.0f;
};

/// The entries of one cell, ascending by feature.
class CellView {
 public:
  CellView() = default;
  /// One of `small` and `values` is null.
  CellView(std::span<const std::uint32_t> features, const std::uint8_t* small, const float* values)
      : features_(features), small_(small), values_(values) {}

  std::size_t size() const { return features_.size(); }
  std::span<const std::uint32_t> features() const { return features_; }
  float value(std::size_t i) const { return small_ != nullptr ? static_cast<float>(small_[i]) : values_[i]; }

  class Iterator {
   public:
    Iterator(const CellView& view, std::size_t i) : view_(view), i_(i) {}
    Entry operator*() const { return {view_.features_[i_], view_.value(i_)}; }
    Iterator& operator++() {
      ++i_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return i_ != other.i_; }

   private:
    const CellView& view_;
    std::size_t i_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  std::span<const std::uint32_t> features_;
  const std::uint8_t* small_ = nullptr;
  const float* values_ = nullptr;
};

/// What kind of numbers a modality holds; of this rank's slice until combined.
struct ValueSummary {
  std::int64_t entries = 0;
  std::int64_t fractional = 0;  ///< entries that are no whole number
  float largest = 0.0f;
};

class CellEntries {
 public:
  explicit CellEntries(std::size_t cells) : place_(cells) {}

  std::size_t cells() const { return place_.size(); }
  /// Entries of the rank's cell number `cell`; valid until a block is added.
  CellView cell(std::size_t cell) const {
    const Place& place = place_[cell];
    if (place.count == 0) {
      return {};
    }
    const Block& block = blocks_[place.block];
    return {std::span(block.feature).subspan(place.first, place.count),
            block.small.empty() ? nullptr : block.small.data() + place.first,
            block.value.empty() ? nullptr : block.value.data() + place.first};
  }
  const ValueSummary& values() const { return values_; }

  /// The entries of several cells at once; `ends` has, per cell of `cells`, where its entries end.
  void add_block(std::span<const Entry> entries, std::span<const std::size_t> cells,
                 std::span<const std::size_t> ends);

 private:
  struct Place {
    std::size_t block = 0;
    std::size_t first = 0;
    std::size_t count = 0;
  };
  std::vector<Place> place_;
  // Values stand in one of the two.
  struct Block {
    std::vector<std::uint32_t> feature;
    std::vector<std::uint8_t> small;
    std::vector<float> value;
  };
  std::vector<Block> blocks_;
  ValueSummary values_;
};

/// Where entries of a source's features go.
struct Destination {
  /// Per feature of the source its number in the modality, -1: not of it. Ascending where not -1.
  std::span<const std::int64_t> number;
  CellEntries* entries = nullptr;
};

/// Reads the cells `source_cells` (the rank's cells 0, 1, ...; in any order in the source) in one pass over
/// the source, each entry to its modality. Throws DataError on a negative or non-finite value, naming cell
/// and feature.
void read_cells(formats::MatrixSource& source, const std::string& file,
                std::span<const std::uint64_t> source_cells, std::span<const Destination> destinations);

/// Feature-major entries of one rank's cells: per feature the kept cells' numbers, ascending, and values.
struct FeatureRows {
  std::vector<std::uint64_t> offsets = {0};  ///< features + 1
  std::vector<std::uint32_t> cell;           ///< number among all kept cells
  std::vector<float> value;                  ///< empty when not asked for
  std::span<const std::uint32_t> cells_of(std::uint64_t row) const {
    return std::span(cell).subspan(offsets[row], offsets[row + 1] - offsets[row]);
  }
  std::span<const float> values_of(std::uint64_t row) const {
    return std::span(value).subspan(offsets[row], offsets[row + 1] - offsets[row]);
  }
};

/// Turns cells into feature rows. `kept_cell`: per cell of the slice its number among all kept cells, or -1;
/// ascending. `row_of`: per feature its row, or -1.
FeatureRows transpose(const CellEntries& entries, std::span<const std::int64_t> kept_cell,
                      std::span<const std::int64_t> row_of, std::uint64_t rows, bool with_values);

}  // namespace mgrn::prepare
