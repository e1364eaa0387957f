// SPDX-License-Identifier: Apache-2.0
#include "block_update.hpp"

#include <algorithm>
#include <array>

namespace mgrn::train {

BlockUpdate::BlockUpdate(ComputeTeam& team, TrainingState& state, const Settings& settings,
                         std::span<float> first_moment, std::span<float> second_moment,
                         std::span<double> squares)
    : team_(team),
      state_(state),
      optimizer_(make_optimizer(state.parameters, settings, first_moment, second_moment)),
      squares_(squares) {
  optimizer_->set_steps(state.adam_steps);
  if (optimizer_->clips()) {
    clipped_.resize(parameters());
  }
}

BlockUpdate::Range BlockUpdate::share(Range whole, std::size_t part, std::size_t parts) {
  const std::size_t size = whole.last - whole.first;
  return {whole.first + size * part / parts, whole.first + size * (part + 1) / parts};
}

BlockUpdate::Range BlockUpdate::blocks_of(int thread) {
  return share(blocks(), static_cast<std::size_t>(thread), static_cast<std::size_t>(team_.threads()));
}

template <typename Visit>
void BlockUpdate::for_each_block(const Visit& visit) {
  team_.run([&](int thread) {
    const Range mine = blocks_of(thread);
    for (std::size_t block = mine.first; block < mine.last; ++block) {
      const std::size_t first = block * Optimizer::kBlock;
      visit(block, first, std::min(Optimizer::kBlock, parameters() - first));
    }
  });
}

double BlockUpdate::apply(double rate_factor) {
  optimizer_->begin_step(rate_factor);
  if (optimizer_->clips()) {
    for_each_block([&](std::size_t block, std::size_t first, std::size_t count) {
      const auto room = std::span(clipped_).subspan(first, count);
      const auto values = gradient(first, room);
      optimizer_->mask(first, values);
      squares_[block] = Optimizer::squares(values);
      if (values.data() != room.data()) {
        std::ranges::copy(values, room.begin());
      }
    });
    meet();
    const float factor = optimizer_->clip_factor(Optimizer::norm(squares_));
    for_each_block([&](std::size_t, std::size_t first, std::size_t count) {
      const auto values = std::span(clipped_).subspan(first, count);
      Optimizer::scale(values, factor);
      optimizer_->update(first, values, weights());
      publish(first, count);
    });
  } else {
    for_each_block([&](std::size_t block, std::size_t first, std::size_t count) {
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): gradient() fills it, and once is enough
      alignas(64) std::array<float, Optimizer::kBlock> room;
      const auto values = gradient(first, std::span(room).first(count));
      optimizer_->mask(first, values);
      squares_[block] = Optimizer::squares(values);
      optimizer_->update(first, values, weights());
      publish(first, count);
    });
  }
  meet();
  collect();
  return Optimizer::norm(squares_);
}

void BlockUpdate::store(TrainingState& state) const {
  std::ranges::copy(optimizer_->first_moment(), state.first_moment.begin());
  std::ranges::copy(optimizer_->second_moment(), state.second_moment.begin());
  state.adam_steps = optimizer_->steps();
}

}  // namespace mgrn::train
