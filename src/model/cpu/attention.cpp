// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/attention.hpp"

#include <algorithm>
#include <vector>

#include "model/cpu/aligned.hpp"
#include "model/cpu/attention_path.hpp"
#include "model/cpu/exponential_polynomials.hpp"
#include "model/cpu/kernel_choice.hpp"
#include "model/cpu/kernels.hpp"
#include "model/cpu/subnormals.hpp"
#include "multigrnformer/base/error.hpp"

namespace mgrn::model {

struct Attention::State {
  State(int cells, int head_count, bool linear, const cpu::Kernels& table)
      : kernels(table),
        padded(static_cast<std::size_t>((cells + cpu::kTokenBlock - 1) / cpu::kTokenBlock) *
               cpu::kTokenBlock),
        heads(static_cast<std::size_t>(head_count)),
        qkv(3 * heads * padded),
        mixed(heads * padded),
        slope(heads * padded),
        inverse_total(heads * padded),
        key_weight(heads * padded),
        mixed_gradient(heads * padded),
        qkv_gradient(3 * heads * padded),
        sorted(heads * cpu::kSortedRows * static_cast<std::size_t>(cpu::slots(static_cast<int>(padded)))),
        rows(cpu::kScratchRows * static_cast<std::size_t>(cpu::slots(static_cast<int>(padded)))),
        centre(heads),
        panels(heads * padded),
        plans(heads),
        output(padded) {
    dims.cells = cells;
    dims.padded = static_cast<int>(padded);
    dims.width = dims.heads = head_count;
    dims.head_width = 1;
    dims.linear = linear;
    dims.polynomials = cpu::exponential_polynomials().data();
    dims.polynomial_count = static_cast<int>(cpu::exponential_polynomials().size());
    layer.qkv = qkv.data();
    layer.mixed = mixed.data();
    layer.slope = slope.data();
    layer.inverse_total = inverse_total.data();
    layer.key_weight = key_weight.data();
    layer.sorted = sorted.data();
    layer.centre = centre.data();
    layer.panel_of = panels.data();
    layer.plan = plans.data();
    scratch.mixed_gradient = mixed_gradient.data();
    scratch.qkv_gradient = qkv_gradient.data();
    scratch.rows = rows.data();
  }

  std::size_t cells() const { return static_cast<std::size_t>(dims.cells); }

  void check(std::span<const float> values) const {
    if (values.size() != heads * cells()) {
      throw base::InternalError({.what = "an array for attention has the wrong size",
                                 .expected = std::to_string(heads) + " x " + std::to_string(cells()),
                                 .got = std::to_string(values.size()),
                                 .hint = "Report this as a defect."});
    }
  }

  /// [heads][cells] -> [heads][padded]; what is behind the last cell repeats it, or is zero.
  void place(std::span<const float> from, bool repeat, float* to) const {
    check(from);
    for (std::size_t head = 0; head < heads; ++head) {
      const float* row = from.data() + head * cells();
      std::copy_n(row, cells(), to);
      std::fill(to + cells(), to + padded, repeat ? row[cells() - 1] : 0.0f);
      to += padded;
    }
  }

  std::span<const float> gradient_row(std::size_t part, int head) const {
    return {qkv_gradient.data() + (part * heads + static_cast<std::size_t>(head)) * padded, cells()};
  }

  const cpu::Kernels& kernels;
  std::size_t padded;
  std::size_t heads;
  cpu::Aligned<float> qkv, mixed, slope, inverse_total, key_weight, mixed_gradient, qkv_gradient, sorted,
      rows;
  std::vector<float> centre;
  cpu::Aligned<int> panels;
  std::vector<cpu::HeadPlan> plans;
  std::vector<float> output;
  cpu::Dimensions dims;
  cpu::LayerState layer{};
  cpu::Scratch scratch{};
};

Attention::Attention(int cells, int heads, const EngineOptions& options) {
  if (cells < 1 || heads < 1) {
    throw base::UsageError({.what = "attention needs cells and heads",
                            .expected = "1 or more of each",
                            .got = std::to_string(cells) + " cells, " + std::to_string(heads) + " heads"});
  }
  if (options.kind != "auto" && options.kind != "linear" && options.kind != "quadratic") {
    throw base::UsageError({.what = "this engine has no attention of its own",
                            .file = "train.engine",
                            .expected = "auto, linear or quadratic",
                            .got = options.kind});
  }
  state_ =
      std::make_unique<State>(cells, heads, options.kind != "quadratic", cpu::choose_kernels(options.isa));
}

Attention::~Attention() = default;

std::string Attention::name() const {
  return std::string(state_->dims.linear ? "linear/" : "quadratic/") + state_->kernels.name;
}

void Attention::forward(std::span<const float> queries, std::span<const float> keys,
                        std::span<const float> values) {
  State& s = *state_;
  const std::size_t part = s.heads * s.padded;
  // Copied each time, as the projections of a real layer write them each time: the kernels centre in place.
  s.place(queries, true, s.layer.qkv);
  s.place(keys, true, s.layer.qkv + part);
  s.place(values, true, s.layer.qkv + 2 * part);
  const cpu::FlushSubnormals mode;
  s.kernels.attention(s.dims, s.layer, s.scratch);
}

void Attention::backward(std::span<const float> output_gradient) {
  State& s = *state_;
  s.place(output_gradient, false, s.scratch.mixed_gradient);
  const cpu::FlushSubnormals mode;
  s.kernels.attention_backward(s.dims, s.layer, s.scratch);
}

std::span<const float> Attention::output(int head) {
  State& s = *state_;
  const std::size_t h = static_cast<std::size_t>(head);
  for (std::size_t i = 0; i < s.cells(); ++i) {
    s.output[i] = s.mixed.data()[h * s.padded + i] + s.centre[h];
  }
  return std::span<const float>(s.output).first(s.cells());
}

std::span<const float> Attention::query_gradient(int head) const {
  return state_->gradient_row(0, head);
}
std::span<const float> Attention::key_gradient(int head) const {
  return state_->gradient_row(1, head);
}
std::span<const float> Attention::value_gradient(int head) const {
  return state_->gradient_row(2, head);
}

AttentionPath Attention::path(int head) const {
  return cpu::attention_path(state_->dims, state_->layer, head);
}

bool Attention::padding_is_untouched() const {
  const State& s = *state_;
  for (std::size_t row = 0; row < 3 * s.heads; ++row) {
    const float* gradient = s.qkv_gradient.data() + row * s.padded;
    if (!std::all_of(gradient + s.cells(), gradient + s.padded, [](float g) { return g == 0.0f; })) {
      return false;
    }
  }
  return true;
}

}  // namespace mgrn::model
