// SPDX-License-Identifier: Apache-2.0
// N numbers of {0, ..., count-1} in random order, as a pure function of a key. Internal to the room.
#pragma once

#include <cstdint>
#include <vector>

namespace mgrn::pairs {

/// Kept between draws, so that a draw allocates nothing; of one thread.
class RankDraw {
 public:
  /// Distinct where there are enough, else with replacement. `count` > 0. The result stays valid until the
  /// next call.
  std::vector<std::uint32_t>& draw(std::uint32_t count, std::size_t wanted, std::uint64_t key);
  /// Moves `items` into the order that base::shuffle gives with PhiloxStream(key, 0).
  void shuffle(std::vector<std::uint32_t>& items, std::uint64_t key);

 private:
  struct Moved {
    std::uint32_t place;
    std::uint32_t value;
  };

  void draw_distinct_of_few(std::uint32_t count);
  void draw_distinct_of_many();

  std::vector<std::uint32_t> ranks_;
  std::vector<std::uint32_t> random_;
  std::vector<std::uint32_t> identity_;  // identity_[i] == i between calls
  std::vector<std::uint32_t> head_;
  std::vector<Moved> moved_;  // open addressing; empty between calls
};

}  // namespace mgrn::pairs
