// SPDX-License-Identifier: Apache-2.0
#include "rank_draw.hpp"

#include <bit>
#include <limits>
#include <numeric>
#include <utility>

#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {

namespace {

// Up to here the shuffle is carried out on an array of all places, which then stays in the second-level
// cache; beyond, the few places that it touches are kept in a table.
constexpr std::uint32_t kFew = 1u << 15;
constexpr std::uint32_t kEmpty = std::numeric_limits<std::uint32_t>::max();

#define MGRN_INLINE __attribute__((always_inline)) inline

// Turns numbers[i] into one below bound - i * step without bias (Lemire, as PhiloxStream::below does). False
// where one may have to be drawn again, which shifts all later ones: then numbers are useless.
MGRN_INLINE bool bound_of(std::uint32_t* numbers, std::size_t count, std::uint32_t bound,
                          std::uint32_t step) {
  std::uint32_t doubtful = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t limit = bound - static_cast<std::uint32_t>(i) * step;
    const std::uint64_t product = std::uint64_t{numbers[i]} * limit;
    doubtful |= static_cast<std::uint32_t>(product) < limit ? 1u : 0u;
    numbers[i] = static_cast<std::uint32_t>(product >> 32);
  }
  return doubtful == 0;
}

#if defined(__x86_64__)
__attribute__((target("avx2"), optimize("O3"))) bool bound_avx2(std::uint32_t* numbers, std::size_t count,
                                                                std::uint32_t bound, std::uint32_t step) {
  return bound_of(numbers, count, bound, step);
}
bool bound(std::uint32_t* numbers, std::size_t count, std::uint32_t first, std::uint32_t step) {
  static const bool wide = __builtin_cpu_supports("avx2") != 0;
  return wide ? bound_avx2(numbers, count, first, step) : bound_of(numbers, count, first, step);
}
#else
bool bound(std::uint32_t* numbers, std::size_t count, std::uint32_t first, std::uint32_t step) {
  return bound_of(numbers, count, first, step);
}
#endif

// numbers[i] is what the i-th call of below(first - i * step) of PhiloxStream(key, 0) gives.
void fill_below(std::vector<std::uint32_t>& numbers, std::uint32_t first, std::uint32_t step,
                std::uint64_t key) {
  base::philox_fill(key, 0, numbers);
  if (bound(numbers.data(), numbers.size(), first, step)) {
    return;
  }
  base::PhiloxStream random(key, 0);
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = random.below(first - static_cast<std::uint32_t>(i) * step);
  }
}

}  // namespace

std::vector<std::uint32_t>& RankDraw::draw(std::uint32_t count, std::size_t wanted, std::uint64_t key) {
  ranks_.resize(wanted);
  if (count < wanted) {
    fill_below(ranks_, count, 0, key);
    return ranks_;
  }
  random_.resize(wanted);
  fill_below(random_, count, 1, key);
  // The first N steps of a Fisher-Yates shuffle of the identity: O(N) whatever `count` is.
  if (count <= kFew) {
    draw_distinct_of_few(count);
  } else {
    draw_distinct_of_many();
  }
  return ranks_;
}

void RankDraw::draw_distinct_of_few(std::uint32_t count) {
  if (identity_.size() < count) {
    const auto old = static_cast<std::uint32_t>(identity_.size());
    identity_.resize(count);
    std::iota(identity_.begin() + old, identity_.end(), old);
  }
  const auto wanted = static_cast<std::uint32_t>(ranks_.size());
  std::uint32_t* places = identity_.data();
  for (std::uint32_t i = 0; i < wanted; ++i) {
    const std::uint32_t other = i + random_[i];
    const std::uint32_t drawn = places[other];
    places[other] = places[i];
    places[i] = drawn;
    ranks_[i] = drawn;
  }
  for (std::uint32_t i = 0; i < wanted; ++i) {
    places[i + random_[i]] = i + random_[i];
  }
  std::iota(places, places + wanted, 0u);
}

void RankDraw::draw_distinct_of_many() {
  const auto wanted = static_cast<std::uint32_t>(ranks_.size());
  head_.resize(wanted);
  std::iota(head_.begin(), head_.end(), 0u);
  const std::size_t slots = std::bit_ceil(std::size_t{wanted} * 4);
  if (moved_.size() < slots) {
    moved_.assign(slots, {kEmpty, 0});
  }
  const std::size_t mask = moved_.size() - 1;
  const auto slot_of = [&](std::uint32_t place) -> Moved& {
    std::size_t at = (place * 0x9E3779B1u) & mask;
    while (moved_[at].place != place && moved_[at].place != kEmpty) {
      at = (at + 1) & mask;
    }
    return moved_[at];
  };
  for (std::uint32_t i = 0; i < wanted; ++i) {
    const std::uint32_t other = i + random_[i];
    if (other < wanted) {
      ranks_[i] = std::exchange(head_[other], head_[i]);
    } else {
      Moved& slot = slot_of(other);
      ranks_[i] = slot.place == kEmpty ? other : slot.value;
      slot = {other, head_[i]};
    }
  }
  for (Moved& slot : moved_) {
    slot.place = kEmpty;
  }
}

void RankDraw::shuffle(std::vector<std::uint32_t>& items, std::uint64_t key) {
  if (items.size() < 2) {
    return;
  }
  const auto count = static_cast<std::uint32_t>(items.size());
  random_.resize(count - 1);
  fill_below(random_, count, 1, key);
  for (std::uint32_t last = count; last > 1; --last) {
    std::swap(items[last - 1], items[random_[count - last]]);
  }
}

}  // namespace mgrn::pairs
