// SPDX-License-Identifier: Apache-2.0
// From "every rank has some cells of every gene" to "every gene's cells are with one rank": the turn of the
// matrix that lets a gene's mean, variance and z-scores be summed by one rank, in cell order, whatever the
// number of ranks.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::prepare {

/// Rows that travel together: 2^21 entries a rank if every cell had one in every row, which bounds memory at
/// 12 bytes each, and 2^24 over all ranks.
inline std::uint64_t rows_per_block(std::uint64_t cells, int ranks) {
  constexpr std::uint64_t kEntriesOfRank = std::uint64_t{1} << 21;
  constexpr std::uint64_t kEntries = std::uint64_t{1} << 24;
  constexpr std::uint64_t kMostRows = 2048;
  const std::uint64_t entries = std::min(kEntries, kEntriesOfRank * static_cast<std::uint64_t>(ranks));
  return std::clamp<std::uint64_t>(entries / std::max<std::uint64_t>(cells, 1), 1, kMostRows);
}

/// Consecutive rows (genes), each with its entries ascending by cell.
template <typename Value>
struct Rows {
  std::uint64_t first = 0;                   ///< number of the first row
  std::vector<std::uint64_t> offsets = {0};  ///< rows + 1
  std::vector<std::uint32_t> cell;
  std::vector<Value> value;
  std::uint64_t rows() const { return offsets.size() - 1; }
  std::span<const std::uint32_t> cells_of(std::uint64_t row) const {
    return std::span(cell).subspan(offsets[row], offsets[row + 1] - offsets[row]);
  }
  std::span<const Value> values_of(std::uint64_t row) const {
    return std::span(value).subspan(offsets[row], offsets[row + 1] - offsets[row]);
  }
};

/// The rows of first .. last-1 that a rank owns: contiguous runs, rank order = row order.
inline std::pair<std::uint64_t, std::uint64_t> run_of_rank(std::uint64_t first, std::uint64_t last, int rank,
                                                           int size) {
  const std::uint64_t rows = last - first;
  const auto cut = [&](int r) {
    return first + rows * static_cast<std::uint64_t>(r) / static_cast<std::uint64_t>(size);
  };
  return {cut(rank), cut(rank + 1)};
}

/// Collective. `mine` holds this rank's cells of rows `mine.first` .. (the same rows on every rank; the cells
/// of a lower rank come before those of a higher). Returns all cells of the rows that this rank owns.
template <typename Value>
Rows<Value> exchange_rows(comm::Communicator& communicator, Rows<Value> mine) {
  const std::uint64_t first = mine.first;
  const std::uint64_t last = first + mine.rows();
  const int size = communicator.size();
  std::vector<comm::Bytes> messages(static_cast<std::size_t>(size));
  for (int rank = 0; rank < size; ++rank) {
    const auto [begin, end] = run_of_rank(first, last, rank, size);
    const std::uint64_t from = mine.offsets[begin - first];
    const std::uint64_t entries = mine.offsets[end - first] - from;
    // Row lengths, then cells, then values.
    std::vector<std::uint32_t> lengths(end - begin);
    for (std::uint64_t row = begin; row < end; ++row) {
      lengths[row - begin] =
          static_cast<std::uint32_t>(mine.offsets[row - first + 1] - mine.offsets[row - first]);
    }
    comm::Bytes& message = messages[static_cast<std::size_t>(rank)];
    message.resize(lengths.size() * sizeof(std::uint32_t) +
                   entries * (sizeof(std::uint32_t) + sizeof(Value)));
    std::byte* place = message.data();
    const auto put = [&place](const void* data, std::size_t bytes) {
      if (bytes > 0) {
        std::memcpy(place, data, bytes);
        place += bytes;
      }
    };
    put(lengths.data(), lengths.size() * sizeof(std::uint32_t));
    put(mine.cell.data() + from, entries * sizeof(std::uint32_t));
    put(mine.value.data() + from, entries * sizeof(Value));
  }
  mine = {};
  const std::vector<comm::Bytes> arrived = communicator.exchange(std::move(messages));

  const auto [begin, end] = run_of_rank(first, last, communicator.rank(), size);
  const std::uint64_t rows = end - begin;
  const std::uint64_t head = rows * sizeof(std::uint32_t);
  Rows<Value> whole;
  whole.first = begin;
  whole.offsets.assign(rows + 1, 0);
  std::vector<std::uint32_t> lengths(arrived.size() * rows);  // (rank, row)
  for (std::size_t rank = 0; rank < arrived.size(); ++rank) {
    const comm::Bytes& message = arrived[rank];
    const auto of_rank = std::span(lengths).subspan(rank * rows, rows);
    std::uint64_t entries = 0;
    if (message.size() >= head && rows > 0) {
      std::memcpy(of_rank.data(), message.data(), head);
    }
    for (std::uint64_t row = 0; row < rows; ++row) {
      whole.offsets[row + 1] += of_rank[row];
      entries += of_rank[row];
    }
    if (message.size() != head + entries * (sizeof(std::uint32_t) + sizeof(Value))) {
      throw base::InternalError({.what = "rows from another rank have the wrong length"});
    }
  }
  for (std::uint64_t row = 0; row < rows; ++row) {
    whole.offsets[row + 1] += whole.offsets[row];
  }
  whole.cell.resize(whole.offsets.back());
  whole.value.resize(whole.offsets.back());
  std::vector<std::uint64_t> next(whole.offsets.begin(), whole.offsets.end() - 1);
  for (std::size_t rank = 0; rank < arrived.size(); ++rank) {
    std::uint64_t entries = 0;
    const auto of_rank = std::span<const std::uint32_t>(lengths).subspan(rank * rows, rows);
    for (const std::uint32_t length : of_rank) {
      entries += length;
    }
    const std::byte* cells = arrived[rank].data() + head;
    const std::byte* values = cells + entries * sizeof(std::uint32_t);
    for (std::uint64_t row = 0; row < rows; ++row) {
      const std::uint64_t length = of_rank[row];
      if (length == 0) {
        continue;
      }
      std::memcpy(whole.cell.data() + next[row], cells, length * sizeof(std::uint32_t));
      std::memcpy(whole.value.data() + next[row], values, length * sizeof(Value));
      cells += length * sizeof(std::uint32_t);
      values += length * sizeof(Value);
      next[row] += length;
    }
  }
  return whole;
}

}  // namespace mgrn::prepare
