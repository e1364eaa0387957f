// SPDX-License-Identifier: Apache-2.0
#include "model/tensor/value_table.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/index.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

#include "model/cell_set_layout.hpp"

namespace mgrn::model::tensor {
namespace {

template <typename Value>
Value read(std::span<const std::byte> bytes, std::size_t index) {
  Value value;
  std::memcpy(&value, bytes.data() + index * sizeof value, sizeof value);
  return value;
}

bool is_member(const HostColumns& gene, std::uint32_t cell) {
  const std::uint32_t bit = kHeaderBits + cell % kCellsPerBlock;
  const auto byte =
      static_cast<unsigned>(gene.cell_set[cell / kCellsPerBlock * std::size_t{kCellBlockBytes} + bit / 8]);
  return (byte >> (bit % 8) & 1u) != 0;
}

float value_at(const HostColumns& gene, std::size_t index, std::int32_t zero, float step) {
  if (step == 0.0f) return read<float>(gene.values, index);
  return static_cast<float>(std::int32_t{read<std::uint16_t>(gene.values, index)} + zero) * step;
}

/// [cells, 2]
std::vector<float> dense(const HostColumns& gene, const ColumnTable& table) {
  std::vector<float> values(std::size_t{table.cells} * 2, 0.0f);
  const std::size_t each = table.atac ? 2 : 1;
  std::size_t next = 0;
  for (std::uint32_t cell = 0; cell < table.cells; ++cell) {
    if (table.from == DrawFrom::both && !is_member(gene, cell)) continue;
    values[std::size_t{cell} * 2] = value_at(gene, next, gene.rna_zero, gene.rna_step);
    if (table.atac) values[std::size_t{cell} * 2 + 1] = value_at(gene, next + 1, gene.rp_zero, gene.rp_step);
    next += each;
  }
  return values;
}

at::Tensor indices(const std::vector<std::int64_t>& numbers, at::Device device) {
  return at::tensor(numbers, at::kLong).to(device);
}

}  // namespace

ValueTable::ValueTable(const ColumnTable& table, at::Device device)
    : values_(at::empty({static_cast<std::int64_t>(table.genes.size()), table.cells, 2},
                        at::TensorOptions(at::kFloat).device(device))) {
  for (std::size_t gene = 0; gene < table.genes.size(); ++gene) {
    std::vector<float> values = dense(table.genes[gene], table);
    values_.select(0, static_cast<std::int64_t>(gene))
        .copy_(at::from_blob(values.data(), {std::int64_t{table.cells}, 2}, at::kFloat));
  }
}

at::Tensor take_samples(std::span<const HeldSample> samples, std::int64_t rows, std::int64_t cells,
                        std::int64_t width, at::Device device) {
  at::Tensor result = at::zeros({rows, cells, width}, at::TensorOptions(at::kFloat).device(device));
  std::map<const HeldColumns*, std::vector<std::int64_t>> rows_of;  // a micro-batch may mix datasets
  for (std::size_t row = 0; row < samples.size(); ++row) {
    rows_of[samples[row].columns].push_back(static_cast<std::int64_t>(row));
  }
  for (const auto& [columns, mine] : rows_of) {
    std::vector<std::int64_t> tf, gene, chosen;
    for (const std::int64_t row : mine) {
      const HeldSample& sample = samples[static_cast<std::size_t>(row)];
      tf.push_back(sample.tf);
      gene.push_back(sample.gene);
      chosen.insert(chosen.end(), sample.cells.begin(), sample.cells.end());
    }
    // What hold() of this engine's kind has made. NOLINTNEXTLINE(*-static-cast-downcast)
    const at::Tensor& values = static_cast<const ValueTable*>(columns)->values();
    const at::Tensor cell = indices(chosen, device).view({-1, cells});
    const at::Tensor to = indices(mine, device);
    const auto put = [&](const std::vector<std::int64_t>& genes, std::int64_t column) {
      result.narrow(2, column, 2)
          .index_copy_(0, to, values.index({indices(genes, device).unsqueeze(1), cell}));
    };
    put(tf, 0);
    put(gene, 2);
  }
  return result;
}

}  // namespace mgrn::model::tensor
