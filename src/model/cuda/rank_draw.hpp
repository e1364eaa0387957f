// SPDX-License-Identifier: Apache-2.0
// N cells' ranks in random order by the threads of a block, as a pure function of a key: those of
// pairs/rank_draw.cpp.
//
// The steps of a shuffle depend on one another: step i exchanges place i with place other(i) >= i. But what a
// place holds follows from who wrote to it last, so that all steps look for their writers at once: place p
// holds p until a step k with other(k) = p puts there what place k held before step k.
#pragma once

#include "model/cuda/layout.hpp"

namespace mgrn::model::cuda {

/// Words of shared memory that a draw of N works in.
MGRN_BOTH std::size_t rank_words(int cells) {
  return 4 * static_cast<std::size_t>(cells) + 1;
}

// Philox4x32-10, as base/philox.hpp: number `index` of the stream (key, 0).
MGRN_DEVICE void philox(std::uint64_t key, std::uint32_t index, std::uint32_t (&numbers)[4]) {
  std::uint32_t c0 = index, c1 = 0, c2 = 0, c3 = 0;
  std::uint32_t key0 = static_cast<std::uint32_t>(key), key1 = static_cast<std::uint32_t>(key >> 32);
  MGRN_UNROLL
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53u} * c0;
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57u} * c2;
    c0 = static_cast<std::uint32_t>(product1 >> 32) ^ c1 ^ key0;
    c1 = static_cast<std::uint32_t>(product1);
    c2 = static_cast<std::uint32_t>(product0 >> 32) ^ c3 ^ key1;
    c3 = static_cast<std::uint32_t>(product0);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  numbers[0] = c0;
  numbers[1] = c1;
  numbers[2] = c2;
  numbers[3] = c3;
}

/// All threads of the block call, all with the same values.
template <typename Block>
struct RankDraw {
  Block& block;
  int cells;      ///< N
  float* shared;  ///< [rank_words]

  /// [N], after draw().
  MGRN_DEVICE std::uint32_t* ranks() const { return words() + 3 * cells; }

  /// N ranks below `count`: the first of a shuffle, or with replacement where there are fewer.
  MGRN_DEVICE void draw(std::uint64_t key, std::uint32_t count) const {
    const bool distinct = count >= static_cast<std::uint32_t>(cells);
    fill_below(key, count, distinct ? 1 : 0);
    if (distinct) {
      for (int i = block.thread(); i < cells; i += block.threads()) {
        others()[i] += static_cast<std::uint32_t>(i);
      }
      block.sync();
      exchange();
    }
    const std::uint32_t* const drawn = distinct ? moved() : others();
    for (int i = block.thread(); i < cells; i += block.threads()) ranks()[i] = drawn[i];
    block.sync();
  }

  /// base::shuffle goes from the last place down: seen in a mirror it is the shuffle from the front.
  MGRN_DEVICE void reorder(std::uint64_t key) const {
    const std::uint32_t last = static_cast<std::uint32_t>(cells) - 1;
    fill_below(key, static_cast<std::uint32_t>(cells), 1);
    for (int i = block.thread(); i < cells; i += block.threads()) others()[i] = last - others()[i];
    block.sync();
    exchange();
    for (int i = block.thread(); i < cells; i += block.threads()) {
      others()[i] = ranks()[last - moved()[i]];
    }
    block.sync();
    for (int i = block.thread(); i < cells; i += block.threads()) {
      ranks()[last - static_cast<std::uint32_t>(i)] = others()[i];
    }
    block.sync();
  }

 private:
  MGRN_DEVICE std::uint32_t* words() const { return reinterpret_cast<std::uint32_t*>(shared); }
  MGRN_DEVICE std::uint32_t* others() const { return words(); }
  MGRN_DEVICE std::int32_t* link() const { return reinterpret_cast<std::int32_t*>(words() + cells); }
  MGRN_DEVICE std::uint32_t* moved() const { return words() + 2 * cells; }
  MGRN_DEVICE std::uint32_t* doubtful_numbers() const { return words() + 4 * cells; }

  MGRN_DEVICE static std::uint32_t number(std::uint64_t key, std::uint32_t index) {
    std::uint32_t four[4];
    philox(key, index / 4, four);
    const std::uint32_t at = index % 4;
    return at == 0 ? four[0] : at == 1 ? four[1] : at == 2 ? four[2] : four[3];
  }

  /// others[i] = the i-th number of the stream, brought below bound - i * step without bias (Lemire, as
  /// PhiloxStream::below). One that may have to be drawn again shifts all later ones: then one thread draws
  /// them all in their order.
  MGRN_DEVICE void fill_below(std::uint64_t key, std::uint32_t bound, std::uint32_t step) const {
    if (block.thread() == 0) *doubtful_numbers() = 0;
    block.sync();
    bool doubtful = false;
    for (int first = 4 * block.thread(); first < cells; first += 4 * block.threads()) {
      std::uint32_t four[4];
      philox(key, static_cast<std::uint32_t>(first) / 4, four);
      MGRN_UNROLL
      for (int i = 0; i < 4; ++i) {
        if (first + i >= cells) continue;
        const std::uint32_t limit = bound - static_cast<std::uint32_t>(first + i) * step;
        const std::uint64_t product = std::uint64_t{four[i]} * limit;
        doubtful = doubtful || static_cast<std::uint32_t>(product) < limit;
        others()[first + i] = static_cast<std::uint32_t>(product >> 32);
      }
    }
    if (doubtful) block.atomic_max(doubtful_numbers(), 1u);
    block.sync();
    if (*doubtful_numbers() != 0 && block.thread() == 0) fill_in_order(key, bound, step);
    block.sync();
  }

  MGRN_DEVICE void fill_in_order(std::uint64_t key, std::uint32_t bound, std::uint32_t step) const {
    std::uint32_t next = 0;
    for (int i = 0; i < cells; ++i) {
      const std::uint32_t limit = bound - static_cast<std::uint32_t>(i) * step;
      std::uint64_t product = std::uint64_t{number(key, next++)} * limit;
      if (static_cast<std::uint32_t>(product) < limit) {
        const std::uint32_t threshold = (0u - limit) % limit;
        while (static_cast<std::uint32_t>(product) < threshold) {
          product = std::uint64_t{number(key, next++)} * limit;
        }
      }
      others()[i] = static_cast<std::uint32_t>(product >> 32);
    }
  }

  /// moved[i] = what place others[i] holds before step i of the shuffle; others[i] >= i.
  MGRN_DEVICE void exchange() const {
    for (int i = block.thread(); i < cells; i += block.threads()) {
      const std::uint32_t mine = static_cast<std::uint32_t>(i), other = others()[i];
      std::int32_t wrote_mine = -1, wrote_other = -1;
      for (int k = 0; k < i; ++k) {
        const std::uint32_t place = others()[k];
        wrote_mine = place == mine ? k : wrote_mine;
        wrote_other = place == other ? k : wrote_other;
      }
      link()[i] = wrote_mine;
      moved()[i] = static_cast<std::uint32_t>(wrote_other);
    }
    block.sync();
    for (int i = block.thread(); i < cells; i += block.threads()) {
      std::int32_t step = static_cast<std::int32_t>(moved()[i]);
      std::uint32_t held = others()[i];
      if (step >= 0) {
        while (link()[step] >= 0) step = link()[step];
        held = static_cast<std::uint32_t>(step);
      }
      moved()[i] = held;
    }
    block.sync();
  }
};

}  // namespace mgrn::model::cuda
