// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/prepare/cell_entries.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::prepare {
namespace {

// Cells read at once: enough to amortise a read, little beside a slice.
constexpr std::uint64_t kCellsPerRead = 512;
// A gap in the wanted cells is read over when it is shorter than starting a new read costs.
constexpr std::uint64_t kBridgedGap = 64;

[[noreturn]] void throw_bad_value(const formats::MatrixSource& source, const std::string& file,
                                  std::uint64_t cell, const formats::Feature& feature, float value) {
  const bool negative = value < 0.0f;
  throw base::DataError(
      {.what = negative ? "the matrix holds negative values" : "the matrix holds values that are no numbers",
       .file = file,
       .expected = "counts or logged values, none below 0",
       .got = (std::isfinite(value) ? base::json_line(value) : std::string("a non-finite value")) + " for " +
              (feature.name.empty() ? feature.id : feature.name) + " in cell " + source.barcodes()[cell],
       .hint =
           negative
               ? "Give raw counts (in .h5ad often the layer 'counts' or .raw: --layer counts), not scaled "
                 "values."
               : "Remove or repair these values in the matrix."});
}

}  // namespace

void CellEntries::add_block(std::span<const Entry> entries, std::span<const std::size_t> cells,
                            std::span<const std::size_t> ends) {
  std::size_t first = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    place_[cells[i]] = {.block = blocks_.size(), .first = first, .count = ends[i] - first};
    first = ends[i];
  }
  std::int64_t fractional = 0;
  float largest = 0.0f;
  for (const Entry& entry : entries) {
    fractional += entry.value != std::floor(entry.value) ? 1 : 0;
    largest = std::max(largest, entry.value);
  }
  values_.fractional += fractional;
  values_.largest = std::max(values_.largest, largest);
  values_.entries += static_cast<std::int64_t>(entries.size());

  Block block;
  block.feature.resize(entries.size());
  std::transform(entries.begin(), entries.end(), block.feature.begin(),
                 [](const Entry& entry) { return entry.feature; });
  if (fractional == 0 && largest <= 255.0f) {
    block.small.resize(entries.size());
    std::transform(entries.begin(), entries.end(), block.small.begin(),
                   [](const Entry& entry) { return static_cast<std::uint8_t>(entry.value); });
  } else {
    block.value.resize(entries.size());
    std::transform(entries.begin(), entries.end(), block.value.begin(),
                   [](const Entry& entry) { return entry.value; });
  }
  blocks_.push_back(std::move(block));
}

void read_cells(formats::MatrixSource& source, const std::string& file,
                std::span<const std::uint64_t> source_cells, std::span<const Destination> destinations) {
  // The source's order, so that every part of the file is read once.
  std::vector<std::size_t> order(source_cells.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return source_cells[a] < source_cells[b]; });

  for (std::size_t begin = 0; begin < order.size();) {
    const std::uint64_t first = source_cells[order[begin]];
    std::size_t end = begin + 1;
    while (end < order.size() && source_cells[order[end]] - first < kCellsPerRead &&
           source_cells[order[end]] - source_cells[order[end - 1]] <= kBridgedGap) {
      ++end;
    }
    const formats::CellBlock block = source.read_cells(first, source_cells[order[end - 1]] + 1);
    const std::span<const std::size_t> cells = std::span(order).subspan(begin, end - begin);
    for (const Destination& destination : destinations) {
      std::size_t wanted = 0;
      for (const std::size_t cell : cells) {
        const std::uint64_t row = source_cells[cell] - first;
        for (std::uint64_t i = block.offsets[row]; i < block.offsets[row + 1]; ++i) {
          wanted += destination.number[block.feature[i]] >= 0 ? 1u : 0u;
        }
      }
      std::vector<Entry> entries;
      entries.reserve(wanted);
      std::vector<std::size_t> ends;
      ends.reserve(cells.size());
      for (const std::size_t cell : cells) {
        const std::uint64_t row = source_cells[cell] - first;
        for (std::uint64_t i = block.offsets[row]; i < block.offsets[row + 1]; ++i) {
          const std::int64_t number = destination.number[block.feature[i]];
          if (number < 0) {
            continue;
          }
          const float value = block.value[i];
          if (!(value >= 0.0f) || std::isinf(value)) {
            throw_bad_value(source, file, source_cells[cell], source.features()[block.feature[i]], value);
          }
          if (value != 0.0f) {
            entries.push_back({static_cast<std::uint32_t>(number), value});
          }
        }
        ends.push_back(entries.size());
      }
      destination.entries->add_block(entries, cells, ends);
    }
    begin = end;
  }
}

FeatureRows transpose(const CellEntries& entries, std::span<const std::int64_t> kept_cell,
                      std::span<const std::int64_t> row_of, std::uint64_t rows, bool with_values) {
  FeatureRows result;
  result.offsets.assign(rows + 1, 0);
  for (std::size_t cell = 0; cell < entries.cells(); ++cell) {
    if (kept_cell[cell] < 0) {
      continue;
    }
    for (const Entry entry : entries.cell(cell)) {
      if (row_of[entry.feature] >= 0) {
        ++result.offsets[static_cast<std::size_t>(row_of[entry.feature]) + 1];
      }
    }
  }
  std::partial_sum(result.offsets.begin(), result.offsets.end(), result.offsets.begin());
  result.cell.resize(result.offsets.back());
  result.value.resize(with_values ? result.offsets.back() : 0);
  std::vector<std::uint64_t> next(result.offsets.begin(), result.offsets.end() - 1);
  for (std::size_t cell = 0; cell < entries.cells(); ++cell) {
    if (kept_cell[cell] < 0) {
      continue;
    }
    for (const Entry entry : entries.cell(cell)) {
      if (row_of[entry.feature] < 0) {
        continue;
      }
      const std::uint64_t place = next[static_cast<std::size_t>(row_of[entry.feature])]++;
      result.cell[place] = static_cast<std::uint32_t>(kept_cell[cell]);
      if (with_values) {
        result.value[place] = entry.value;
      }
    }
  }
  return result;
}

}  // namespace mgrn::prepare
