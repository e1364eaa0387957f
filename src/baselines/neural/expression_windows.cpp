// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/expression_windows.hpp"

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "encoded_columns.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::baselines {

void require_window(std::uint64_t cells, int window, const std::string& file) {
  if (cells < static_cast<std::uint64_t>(window)) {
    throw base::DataError({.what = "the dataset has fewer cells than one window takes",
                           .file = file,
                           .expected = "at least " + std::to_string(window) + " cells (baseline.window)",
                           .got = std::to_string(cells),
                           .hint = "set baseline.window to " + std::to_string(cells) + " or less"});
  }
}

struct ExpressionWindows::State {
  std::size_t window;
  std::size_t windows;
  EncodedColumns logs;
};

ExpressionWindows::ExpressionWindows(std::uint32_t cells, std::vector<std::uint32_t> genes, const Read& read,
                                     int window, comm::Communicator& communicator) {
  const auto length = static_cast<std::size_t>(window);
  const std::size_t windows = cells / length;
  const std::size_t used = windows * length;
  const auto encode = [used](std::span<const double> values, std::span<std::byte> column) {
    auto* logs = reinterpret_cast<float*>(column.data());
    for (std::size_t i = 0; i < used; ++i) {
      logs[i] = static_cast<float>(std::log10(values[i] + 0.01));
    }
  };
  state_ = std::make_unique<State>(
      State{length, windows,
            EncodedColumns(cells, std::move(genes), read, used * sizeof(float), encode, communicator)});
}

ExpressionWindows::~ExpressionWindows() = default;

std::size_t ExpressionWindows::windows() const {
  return state_->windows;
}

std::size_t ExpressionWindows::sample_size() const {
  return state_->windows * 2 * state_->window;
}

bool ExpressionWindows::has_sample(std::uint32_t tf, std::uint32_t gene) const {
  return state_->logs.has(tf) && state_->logs.has(gene);
}

bool ExpressionWindows::shares_cells(std::uint32_t tf, std::uint32_t gene) const {
  return state_->logs.share_cells(tf, gene);
}

bool ExpressionWindows::gather(const pairs::SampleName& name, std::span<float> out) const {
  const std::byte* tf = state_->logs.at(name.tf);
  const std::byte* gene = state_->logs.at(name.gene);
  const std::size_t bytes = state_->window * sizeof(float);
  auto* to = reinterpret_cast<std::byte*>(out.data());
  for (std::size_t w = 0; w < state_->windows; ++w) {
    std::memcpy(to + 2 * w * bytes, tf + w * bytes, bytes);
    std::memcpy(to + (2 * w + 1) * bytes, gene + w * bytes, bytes);
  }
  return true;
}

}  // namespace mgrn::baselines
