// SPDX-License-Identifier: Apache-2.0
// One rank's slice of the cells in memory: the non-zero entries of one modality, cell by cell, 8 bytes each.
// Kept in the blocks they were read in, so that nothing is ever copied to grow.
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
  /// Entries of the rank's cell number `cell`, ascending by feature.
  std::span<const Entry> cell(std::size_t cell) const {
    const Place& place = place_[cell];
    return std::span(blocks_[place.block]).subspan(place.first, place.count);
  }
  const ValueSummary& values() const { return values_; }

  /// The entries of several cells at once; `ends` has, per cell of `cells`, where its entries end.
  void add_block(std::vector<Entry> entries, std::span<const std::size_t> cells,
                 std::span<const std::size_t> ends);

 private:
  struct Place {
    std::size_t block = 0;
    std::size_t first = 0;
    std::size_t count = 0;
  };
  std::vector<Place> place_;
  std::vector<std::vector<Entry>> blocks_;
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
