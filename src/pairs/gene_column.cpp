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

// Writes a value, as `coding` has it, to the index-th place.
void encode(const Coding& coding, std::byte* to, std::size_t index, float value) {
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

}  // namespace

Coding choose_coding(std::span<const float> values, bool compact) {
  if (!compact) {
    return {};
  }
  float least = values.empty() ? 0.0f : values.front();
  float most = least;
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

std::uint64_t largest_columns(std::uint64_t values, std::uint64_t cells, bool atac) {
  return whole_lines(blocks_of(cells) * sizeof(CellBlock)) +
         whole_lines(values * (atac ? 2 : 1) * sizeof(float));
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

StoredColumns ColumnWriter::add(const GeneCells& gene) {
  StoredColumns stored;
  stored.count = static_cast<std::uint32_t>(gene.rna.size());
  stored.rna = choose_coding(gene.rna, compact_);
  stored.rp = choose_coding(gene.rp, compact_);
  if (stored.rna.exact() || stored.rp.exact()) {
    stored.rna = stored.rp = {};
  }
  auto* blocks = reinterpret_cast<CellBlock*>(take(blocks_of(cells_) * sizeof(CellBlock), stored.cells_at));
  write_cells({blocks, blocks_of(cells_)}, gene.expressed);
  const std::size_t each = gene.rp.empty() ? 1 : 2;
  std::byte* to = take(gene.rna.size() * each * stored.rna.width(), stored.values_at);
  for (std::size_t i = 0; i < gene.rna.size(); ++i) {
    encode(stored.rna, to, each * i, gene.rna[i]);
    if (each == 2) {
      encode(stored.rp, to, 2 * i + 1, gene.rp[i]);
    }
  }
  return stored;
}

GeneColumns open_columns(std::span<const std::byte> memory, const StoredColumns& stored) {
  return {.cells = reinterpret_cast<const CellBlock*>(memory.data() + stored.cells_at),
          .values = memory.data() + stored.values_at,
          .count = stored.count,
          .rna = stored.rna,
          .rp = stored.rp};
}

}  // namespace mgrn::pairs
