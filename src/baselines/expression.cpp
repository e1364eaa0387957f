// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/expression.hpp"

#include <algorithm>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::baselines {
namespace {

// Neighbours share chunks of the file; what is read is held beside the columns until it is copied into them.
constexpr std::uint64_t kEntriesAtATime = std::uint64_t{1} << 21;
constexpr std::size_t kGenesAtATime = 64;

template <typename T>
std::span<T> carve(std::span<std::byte> memory, std::uint64_t& at, std::uint64_t count) {
  const std::span<T> part(reinterpret_cast<T*>(memory.data() + at), count);
  at += count * sizeof(T);
  return part;
}

}  // namespace

Expression::Expression(const store::Dataset& dataset, std::span<const std::uint32_t> genes, bool rp,
                       comm::Communicator& communicator)
    : cells_(static_cast<std::uint32_t>(dataset.cells())), genes_(genes.begin(), genes.end()) {
  const auto node = communicator.split_by_node();
  comm::agree(communicator, [&] {
    std::sort(genes_.begin(), genes_.end());
    genes_.erase(std::unique(genes_.begin(), genes_.end()), genes_.end());
    const auto lay_out = [&](store::Layer which, Layer& layer, const std::vector<float>& background) {
      layer.first.push_back(0);
      for (const auto gene : genes_) {
        layer.first.push_back(layer.first.back() + dataset.nonzeros(which, gene));
        layer.background.push_back(background.at(gene));
      }
    };
    lay_out(store::Layer::rna, rna_, dataset.header().rna_background);
    if (rp) {
      lay_out(store::Layer::rp, rp_, dataset.header().rp_background);
    }
  });
  const std::uint64_t in_rna = rna_.first.back();
  const std::uint64_t in_rp = rp ? rp_.first.back() : 0;
  static_assert(sizeof(float) == sizeof(std::uint32_t));
  memory_ = node->share_memory((3 * in_rna + 2 * in_rp) * sizeof(float));
  std::uint64_t at = 0;
  rna_.cell = carve<std::uint32_t>(memory_.bytes(), at, in_rna);
  rna_.value = carve<float>(memory_.bytes(), at, in_rna);
  rna_.count = carve<float>(memory_.bytes(), at, in_rna);
  rp_.cell = carve<std::uint32_t>(memory_.bytes(), at, in_rp);
  rp_.value = carve<float>(memory_.bytes(), at, in_rp);
  comm::agree(communicator, [&] {
    const auto ranks = static_cast<std::size_t>(node->size());
    const auto rank = static_cast<std::size_t>(node->rank());
    const std::size_t first = genes_.size() * rank / ranks;
    const std::size_t last = genes_.size() * (rank + 1) / ranks;
    read(dataset, store::Layer::rna, rna_, first, last);
    if (rp) {
      read(dataset, store::Layer::rp, rp_, first, last);
    }
  });  // also tells each rank that all have written
}

void Expression::read(const store::Dataset& dataset, store::Layer which, Layer& layer, std::size_t first,
                      std::size_t last) {
  for (std::size_t begin = first; begin < last;) {
    std::size_t end = begin;
    while (end < last && end - begin < kGenesAtATime &&
           (end == begin || layer.first[end] - layer.first[begin] < kEntriesAtATime)) {
      ++end;
    }
    const auto block = std::span<const std::uint32_t>(genes_).subspan(begin, end - begin);
    const auto rows = dataset.rows(which, block);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const auto& row = rows[i];
      const auto from = static_cast<std::ptrdiff_t>(layer.first[begin + i]);
      const bool counts = which != store::Layer::rna || row.count.size() == row.cell.size();
      if (row.cell.size() != layer.first[begin + i + 1] - layer.first[begin + i] || !counts) {
        throw base::DataError(
            {.what = "a gene has another number of entries than its dataset says",
             .file = dataset.file().string(),
             .expected = std::to_string(layer.first[begin + i + 1] - layer.first[begin + i]),
             .got = std::to_string(row.cell.size()),
             .hint = "prepare the dataset again"});
      }
      std::copy(row.cell.begin(), row.cell.end(), layer.cell.begin() + from);
      std::copy(row.value.begin(), row.value.end(), layer.value.begin() + from);
      if (which == store::Layer::rna) {
        std::copy(row.count.begin(), row.count.end(), layer.count.begin() + from);
      }
    }
    begin = end;
  }
}

std::size_t Expression::place(std::uint32_t gene) const {
  const auto found = std::lower_bound(genes_.begin(), genes_.end(), gene);
  if (found == genes_.end() || *found != gene) {
    throw base::InternalError(
        {.what = "gene " + std::to_string(gene) + " was not loaded", .hint = "report this as a defect"});
  }
  return static_cast<std::size_t>(found - genes_.begin());
}

Column Expression::column(const Layer& layer, std::size_t place) {
  const auto first = layer.first[place];
  const auto count = layer.first[place + 1] - first;
  return {.cell = layer.cell.subspan(first, count),
          .value = layer.value.subspan(first, count),
          .count = layer.count.empty() ? std::span<const float>() : layer.count.subspan(first, count),
          .background = layer.background[place]};
}

Column Expression::rna(std::uint32_t gene) const {
  return column(rna_, place(gene));
}

Column Expression::rp(std::uint32_t gene) const {
  if (!has_rp()) {
    throw base::InternalError(
        {.what = "the regulatory potential was not loaded", .hint = "report this as a defect"});
  }
  return column(rp_, place(gene));
}

std::vector<float> dense(const Column& column, std::uint32_t cells) {
  std::vector<float> values(cells, column.background);
  for (std::size_t i = 0; i < column.cell.size(); ++i) {
    values[column.cell[i]] = column.value[i];
  }
  return values;
}

std::uint32_t shared_cells(const Column& a, const Column& b) {
  std::uint32_t shared = 0;
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.cell.size() && j < b.cell.size()) {
    if (a.cell[i] < b.cell[j]) {
      ++i;
    } else if (b.cell[j] < a.cell[i]) {
      ++j;
    } else {
      shared += a.count[i] != 0 && b.count[j] != 0 ? 1 : 0;
      ++i;
      ++j;
    }
  }
  return shared;
}

}  // namespace mgrn::baselines
