// SPDX-License-Identifier: Apache-2.0
#include "encoded_columns.hpp"

#include <algorithm>
#include <string>
#include <utility>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::baselines {
namespace {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kBits = 64;

std::size_t in_lines(std::size_t bytes) {
  return (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
}

}  // namespace

EncodedColumns::EncodedColumns(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read,
                               std::size_t bytes, const Encode& encode, comm::Communicator& communicator)
    : genes_(std::move(genes)),
      words_((cells + kBits - 1) / kBits),
      column_(in_lines(bytes)),
      stride_(column_ + in_lines(words_ * sizeof(std::uint64_t))) {
  std::sort(genes_.begin(), genes_.end());
  genes_.erase(std::unique(genes_.begin(), genes_.end()), genes_.end());
  const auto node = communicator.split_by_node();
  memory_ = node->share_memory(stride_ * genes_.size());
  // Also tells each rank that all have written.
  comm::agree(communicator, [&] {
    const auto ranks = static_cast<std::size_t>(node->size());
    base::Progress progress("gene columns", genes_.size(), "genes");
    std::vector<double> values(cells);
    for (auto place = static_cast<std::size_t>(node->rank()); place < genes_.size(); place += ranks) {
      const auto memory = memory_.bytes().subspan(place * stride_, stride_);
      read(genes_[place], values);
      encode(values, memory.first(bytes));
      auto* expressed = reinterpret_cast<std::uint64_t*>(memory.data() + column_);
      for (std::size_t cell = 0; cell < values.size(); ++cell) {
        expressed[cell / kBits] |= std::uint64_t{values[cell] > 0 ? 1U : 0U} << (cell % kBits);
      }
      progress.advance(std::min(ranks, genes_.size() - place));
    }
    progress.finish();
  });
}

bool EncodedColumns::has(std::uint32_t gene) const {
  return std::binary_search(genes_.begin(), genes_.end(), gene);
}

const std::byte* EncodedColumns::at(std::uint32_t gene) const {
  const auto found = std::lower_bound(genes_.begin(), genes_.end(), gene);
  if (found == genes_.end() || *found != gene) {
    throw base::InternalError({.what = "a sample was asked for of a gene that was not loaded",
                               .got = "gene " + std::to_string(gene),
                               .hint = "Report this as a defect."});
  }
  return memory_.bytes().data() + static_cast<std::size_t>(found - genes_.begin()) * stride_;
}

std::span<const std::uint64_t> EncodedColumns::expressed(std::uint32_t gene) const {
  return {reinterpret_cast<const std::uint64_t*>(at(gene) + column_), words_};
}

bool EncodedColumns::share_cells(std::uint32_t a, std::uint32_t b) const {
  const auto in_a = expressed(a);
  const auto in_b = expressed(b);
  for (std::size_t word = 0; word < words_; ++word) {
    if ((in_a[word] & in_b[word]) != 0) {
      return true;
    }
  }
  return false;
}

}  // namespace mgrn::baselines
