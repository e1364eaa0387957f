// SPDX-License-Identifier: Apache-2.0
#include "gene_column.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "multigrnformer/base/error.hpp"

namespace mgrn::pairs {

namespace {

constexpr std::uint64_t kLine = 64;

std::uint64_t whole_lines(std::uint64_t bytes) {
  return (bytes + kLine - 1) / kLine * kLine;
}

std::uint64_t sparse_bytes(std::uint64_t entries, std::uint64_t cells, std::uint64_t width) {
  return whole_lines(blocks_of(cells) * sizeof(CellBlock)) + whole_lines((entries + 1) * width);
}
std::uint64_t dense_bytes(std::uint64_t cells, std::uint64_t width) {
  return whole_lines(cells * width);
}

}  // namespace

Coding choose_coding(std::span<const float> values, float background, bool compact) {
  if (!compact || !std::isfinite(background)) {
    return {};
  }
  float least = background;
  float most = background;
  for (const float value : values) {
    if (!std::isfinite(value)) {
      return {};
    }
    least = std::min(least, value);
    most = std::max(most, value);
  }
  // Numbers with their zero stay below 2^23, so that a float holds them exactly.
  constexpr double kExact = 0x1p23;
  for (double step = 0x1p-20; step <= static_cast<double>(kLargestStep); step *= 2) {
    const double low = std::nearbyint(static_cast<double>(least) / step);
    const double high = std::nearbyint(static_cast<double>(most) / step);
    if (high - low <= 65535 && std::max(std::fabs(low), std::fabs(high)) < kExact) {
      return {.step = static_cast<float>(step), .zero = static_cast<std::int32_t>(low)};
    }
  }
  return {};
}

std::uint64_t largest_column(std::uint64_t entries, std::uint64_t cells) {
  // Dense is only chosen where it is smaller.
  return sparse_bytes(entries, cells, sizeof(float));
}

ColumnWriter::ColumnWriter(std::span<std::byte> memory, std::uint64_t first, std::uint64_t last,
                           std::uint32_t cells, bool compact)
    : memory_(memory), first_(first), next_(first), last_(last), cells_(cells), compact_(compact) {}

std::byte* ColumnWriter::take(std::uint64_t bytes, std::uint64_t& at) {
  at = next_;
  next_ += whole_lines(bytes);
  if (next_ > last_) {
    throw base::InternalError({.what = "a gene's column is larger than the room kept for it",
                               .expected = std::to_string(last_ - first_) + " bytes",
                               .got = std::to_string(next_ - first_),
                               .hint = "report this as a defect"});
  }
  return memory_.data() + at;
}

void ColumnWriter::encode(const Coding& coding, std::byte* to, std::size_t index, float value) const {
  if (coding.exact()) {
    std::memcpy(to + index * sizeof(float), &value, sizeof value);
    return;
  }
  const auto number =
      static_cast<std::uint16_t>(static_cast<std::int32_t>(std::nearbyint(static_cast<double>(value) /
                                                                          static_cast<double>(coding.step))) -
                                 coding.zero);
  std::memcpy(to + index * sizeof number, &number, sizeof number);
}

StoredColumn ColumnWriter::add(std::span<const std::uint32_t> cells_ascending, std::span<const float> values,
                               float background, bool may_be_dense) {
  StoredColumn column;
  column.count = static_cast<std::uint32_t>(values.size());
  column.coding = choose_coding(values, background, compact_);
  const std::uint64_t width = column.coding.width();
  if (may_be_dense && dense_bytes(cells_, width) <= sparse_bytes(values.size(), cells_, width)) {
    column.dense = 1;
    std::byte* to = take(cells_ * width, column.values_at);
    std::size_t next = 0;
    for (std::uint32_t cell = 0; cell < cells_; ++cell) {
      const bool stored = next < cells_ascending.size() && cells_ascending[next] == cell;
      encode(column.coding, to, cell, stored ? values[next] : background);
      next += stored ? 1 : 0;
    }
    return column;
  }
  auto* blocks = reinterpret_cast<CellBlock*>(take(blocks_of(cells_) * sizeof(CellBlock), column.cells_at));
  write_cells({blocks, blocks_of(cells_)}, cells_ascending);
  std::byte* to = take((values.size() + 1) * width, column.values_at);
  for (std::size_t i = 0; i < values.size(); ++i) {
    encode(column.coding, to, i, values[i]);
  }
  encode(column.coding, to, values.size(), background);
  return column;
}

Column open_column(std::span<const std::byte> memory, const StoredColumn& stored) {
  return {.cells = stored.dense != 0 ? nullptr
                                     : reinterpret_cast<const CellBlock*>(memory.data() + stored.cells_at),
          .values = memory.data() + stored.values_at,
          .count = stored.count,
          .coding = stored.coding};
}

}  // namespace mgrn::pairs
