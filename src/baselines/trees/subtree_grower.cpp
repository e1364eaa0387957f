// SPDX-License-Identifier: Apache-2.0
#include "subtree_grower.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <type_traits>
#include <vector>

namespace mgrn::baselines {
namespace {

using FourWords __attribute__((vector_size(32))) = std::uint64_t;

constexpr std::uint32_t kFewCells = 64;
constexpr std::size_t kManyWords = SubtreeGrower::kMostCells / 64;
// The smaller child is grown first, so that as many nodes wait as cells can be halved.
constexpr std::size_t kWaiting = 16;
// Up to here, entries are sorted by counting for each how many are greater.
constexpr std::uint32_t kCounted = 64;
// Beyond, a column is gone through from its greatest value down, if it has at most so many times as many. If
// not, they are sorted by a bit each in a bitmap of places, while that is not much longer than they are many.
constexpr std::uint32_t kScanned = 4;
constexpr std::uint32_t kBitmapWordsPerEntry = 4;
// Regressors with a greater share of entries are dense.
constexpr double kDenseShare = 0.25;
// Rows of the regressors are asked for so many cells before they are needed.
constexpr std::uint32_t kAhead = 8;
// Entries of so few cells are sorted by column one by one; those of more by transposing.
constexpr std::size_t kOneByOne = 32;
// A bound of what a column can take is worth its time where there are at most so many entries.
constexpr std::uint32_t kBounded = 24;
// What rounding may make of two quantities that are equal.
constexpr double kRounding = 1e-9;
// A number that sorts entries: the place in the column above, the cell's number in these lowest bits.
constexpr int kCellBits = 11;
constexpr std::uint32_t kCellMask = (1U << kCellBits) - 1;
constexpr std::uint32_t kLanes = 8;

constexpr std::uint32_t padded(std::uint32_t count) {
  return (count + kLanes - 1) / kLanes * kLanes;
}

template <typename Number>
struct EightLanes {
  using Type __attribute__((vector_size(kLanes * sizeof(Number)))) = Number;
};

template <typename Place>
using KeyOf = std::conditional_t<std::is_same_v<Place, std::uint16_t>, std::int32_t, std::int64_t>;

/// The cells of a node, numbered from 0, and what its subtree needs to know of them. The number after the
/// last stands for no cell: it fills blocks up and weighs nothing.
template <std::size_t kWords>
struct Problem {
  static constexpr auto kNobody = static_cast<std::uint32_t>(64 * kWords);
  std::uint32_t cells = 0;
  std::uint32_t words = kWords;                                  ///< of a set of its cells
  std::array<std::uint64_t, kWords> not_zero{};                  ///< those with y other than 0
  std::uint32_t weight_bits = 0;                                 ///< of the greatest weight
  std::array<std::array<std::uint64_t, kWords>, 32> with_bit{};  ///< by bit, those whose weight has it
  std::array<Share, kNobody + 1> share{};
  std::array<double, kNobody + 1> y{};
  std::array<std::uint32_t, kNobody + 1> cell{};
  std::array<std::uint16_t, kNobody + 1> above{};  ///< of a few: their numbers among the many
  std::vector<std::uint64_t> entries;              ///< of each column, the cells that have one

  void clear() {
    cells = 0;
    not_zero.fill(0);
    std::fill_n(with_bit.begin(), weight_bits, std::array<std::uint64_t, kWords>{});
    weight_bits = 0;
  }
  void append(std::uint32_t tree_cell, std::uint32_t number_above, const Share& its_share, double its_y) {
    const std::uint32_t i = cells++;
    above[i] = static_cast<std::uint16_t>(number_above);
    share[i] = its_share;
    y[i] = its_y;
    cell[i] = tree_cell;
    not_zero[i / 64] |= std::uint64_t{its_y != 0 ? 1U : 0U} << (i % 64);
    const auto times = static_cast<std::uint32_t>(its_share.weight);
    weight_bits = std::max(weight_bits, static_cast<std::uint32_t>(std::bit_width(times)));
    for (std::uint32_t bit = 0; bit < weight_bits; ++bit) {
      with_bit[bit][i / 64] |= std::uint64_t{(times >> bit) & 1} << (i % 64);
    }
  }
};

template <std::size_t kWords>
struct Node {
  std::array<std::uint64_t, kWords> member{};
  std::uint32_t cells = 0;
  int depth = 0;
  double weight = 0;
  double sum = 0;      ///< of y
  double squares = 0;  ///< of y
};

template <std::size_t kWords>
struct Best {
  double gain = -1;
  std::uint32_t column = 0;
  double weight = 0;                         ///< of `part`
  std::array<std::uint64_t, kWords> part{};  ///< the members on one side
};

/// The place of the set bit that `index` set bits precede (Vigna, doi 10.1007/978-3-540-68552-4_12): by sums
/// over bytes, then within the byte.
std::uint32_t select(std::uint64_t bits, std::uint32_t index) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  std::uint64_t sums = bits - ((bits >> 1) & 0x5555555555555555);
  sums = (sums & 0x3333333333333333) + ((sums >> 2) & 0x3333333333333333);
  sums = ((sums + (sums >> 4)) & 0x0F0F0F0F0F0F0F0F) * kOnes;
  const std::uint64_t reached = ((index * kOnes | 0x8080808080808080) - sums) & 0x8080808080808080;
  const auto place = static_cast<std::uint32_t>(std::popcount(reached)) * 8;
  index -= static_cast<std::uint32_t>((sums << 8) >> place) & 0xFF;
  std::uint64_t byte = bits >> place;
  for (std::uint32_t i = 0; i < 7; ++i) {
    byte = i < index ? byte & (byte - 1) : byte;
  }
  return place + static_cast<std::uint32_t>(std::countr_zero(byte));
}

/// Removes and returns the member of a set that `index` members precede.
std::uint32_t take(std::uint64_t* set, std::uint32_t index) {
  std::uint32_t word = 0;
  for (;; ++word) {
    const auto here = static_cast<std::uint32_t>(std::popcount(set[word]));
    if (index < here) {
      break;
    }
    index -= here;
  }
  const std::uint32_t place = select(set[word], index);
  set[word] &= ~(std::uint64_t{1} << place);
  return word * 64 + place;
}

std::uint32_t count_bits(const std::uint64_t* words, std::uint32_t count) {
  std::uint32_t bits = 0;
  for (std::uint32_t word = 0; word < count; ++word) {
    bits += static_cast<std::uint32_t>(std::popcount(words[word]));
  }
  return bits;
}

template <std::size_t kWords>
std::uint32_t count_bits_of_both(const std::array<std::uint64_t, kWords>& first,
                                 const std::array<std::uint64_t, kWords>& second, std::uint32_t count) {
  std::uint32_t bits = 0;
  for (std::uint32_t word = 0; word < count; ++word) {
    bits += static_cast<std::uint32_t>(std::popcount(first[word] & second[word]));
  }
  return bits;
}

/// 64 rows of 256 bits become 4 times 64 columns of 64 bits.
void transpose(std::array<FourWords, 64>& rows) {
  std::uint64_t mask = 0x00000000FFFFFFFF;
  for (std::uint32_t step = 32; step > 0; step /= 2, mask ^= mask << step) {
    for (std::uint32_t row = 0; row < 64; row = ((row | step) + 1) & ~step) {
      const FourWords swapped = ((rows[row] >> step) ^ rows[row | step]) & mask;
      rows[row] ^= swapped << step;
      rows[row | step] ^= swapped;
    }
  }
}

}  // namespace

struct SubtreeGrower::Memory {
  explicit Memory(const Regressors& all)
      : regressors(all),
        dense(!all.has_rows() || all.mean_count() > kDenseShare * all.cells()),
        allowed(all.bit_words()),
        maybe((kWaiting + 1) * all.bit_words()),
        undrawn(all.bit_words()),
        drawn(all.columns()),
        place_bits(all.cells() / 64 + 2),
        place_ranks(all.cells() / 64 + 2),
        number(all.cells(), kMostCells) {
    few.entries.resize(std::size_t{all.bit_words()} * 64);
    many.entries.resize(std::size_t{all.bit_words()} * 64 * kManyWords);
    first.resize(many.entries.size());
    next.resize(all.columns());
    all.with_places([&](const auto* places) { keys(places).list.resize(all.columns()); });
  }

  /// The entries of the many.
  template <typename Place>
  struct Keys {
    std::vector<std::vector<KeyOf<Place>>> list;  ///< by column, see Growth::listed
    std::vector<std::uint32_t> has_list;
  };
  Keys<std::uint16_t>& keys(const std::uint16_t*) { return narrow; }
  Keys<std::uint32_t>& keys(const std::uint32_t*) { return wide; }

  const Regressors& regressors;
  bool dense;
  std::vector<std::uint64_t> allowed;  ///< columns that may be drawn
  std::vector<std::uint32_t> order;    ///< the same in any order
  std::vector<std::uint64_t> maybe;    ///< per waiting node, the allowed columns not known to be constant
  std::vector<std::uint64_t> undrawn;
  std::vector<std::uint32_t> drawn;
  std::vector<std::uint64_t> place_bits;
  std::vector<std::uint32_t> place_ranks;
  std::vector<std::uint16_t> number;  ///< by cell, among the many; nobody's for others
  Problem<1> few;
  Problem<kManyWords> many;
  std::vector<std::uint16_t> many_places;  ///< column after column, as many.entries; from 1 on
  std::vector<std::uint32_t> first;        ///< for each word of many.entries, where its places begin
  std::vector<std::uint32_t> next;         ///< by column, where its next place is written
  Keys<std::uint16_t> narrow;
  Keys<std::uint32_t> wide;
};

namespace {

/// kDense: keys are looked up in the regressors, cell by cell. Otherwise those of the many are written column
/// by column first, since the regressors are mostly empty, and far away.
template <typename Memory, typename Place, bool kDense>
class Growth {
 public:
  Growth(Memory& memory, const TreeInputs& tree, const Place* places)
      : memory_(memory),
        tree_(tree),
        places_(places),
        random_(*tree.random),
        bit_words_(memory.regressors.bit_words()),
        keys_(memory.keys(static_cast<const Place*>(nullptr))) {}

  std::uint32_t grow(std::span<const std::uint32_t> cells, int depth, const std::uint64_t* constant) {
    const auto number = [&](auto& problem) {
      problem.clear();
      for (std::uint32_t i = 0; i < cells.size(); ++i) {
        problem.append(cells[i], i, tree_.share[cells[i]], tree_.y[cells[i]]);
      }
    };
    auto& many = memory_.many;
    many.words = static_cast<std::uint32_t>(cells.size() + 63) / 64;
    fill_entries(cells, many.words, many.entries.data());
    if constexpr (!kDense) {
      fill_places(cells);
    }
    if (cells.size() <= kFewCells) {
      auto& few = memory_.few;
      number(few);
      std::ranges::copy_n(many.entries.begin(), memory_.regressors.columns(), few.entries.begin());
      grow_from_root(few, depth);
      return splits_;
    }
    number(many);
    for (std::uint32_t i = 0; i < many.cells; ++i) {
      memory_.number[many.cell[i]] = static_cast<std::uint16_t>(i);
    }
    std::ranges::copy(memory_.allowed, memory_.maybe.begin());
    for (std::uint32_t word = 0; word < (memory_.regressors.columns() + 63) / 64; ++word) {
      memory_.maybe[word] &= ~constant[word];
    }
    grow_from_root(many, depth);
    for (const std::uint32_t column : keys_.has_list) {
      keys_.list[column].clear();
    }
    keys_.has_list.clear();
    for (const std::uint32_t cell : cells) {
      memory_.number[cell] = SubtreeGrower::kMostCells;
    }
    return splits_;
  }

 private:
  using Key = KeyOf<Place>;
  using KeyLanes = typename EightLanes<Key>::Type;

  /// The cells' sets of columns, as sets of cells for each column.
  void fill_entries(std::span<const std::uint32_t> cells, std::uint32_t words, std::uint64_t* entries) {
    const std::uint32_t columns = memory_.regressors.columns();
    if (!kDense && cells.size() <= kOneByOne) {
      std::fill_n(entries, columns, 0);
      for (std::uint32_t i = 0; i < cells.size(); ++i) {
        for (const auto& entry : memory_.regressors.row(cells[i])) {
          entries[entry.column] |= std::uint64_t{1} << i;
        }
      }
      return;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<FourWords, 64> rows;
    for (std::uint32_t word = 0; word < words; ++word) {
      const std::size_t from = std::size_t{word} * 64;
      const auto here = cells.subspan(from, std::min<std::size_t>(64, cells.size() - from));
      for (std::uint32_t four = 0; four < bit_words_; four += 4) {
        for (std::uint32_t i = 0; i < here.size(); ++i) {
          const std::size_t ahead = std::min(from + 64 + i, cells.size() - 1);
          __builtin_prefetch(memory_.regressors.entry_bits(cells[ahead]) + four);
          __builtin_memcpy(&rows[i], memory_.regressors.entry_bits(here[i]) + four, sizeof(FourWords));
        }
        std::fill(rows.begin() + here.size(), rows.end(), FourWords{});
        transpose(rows);
        for (std::uint32_t lane = 0; lane < 4 && (four + lane) * 64 < columns; ++lane) {
          std::uint64_t* const to = entries + std::size_t{four + lane} * 64 * words + word;
          for (std::uint32_t i = 0; i < 64; ++i) {
            to[std::size_t{i} * words] = rows[i][lane];
          }
        }
      }
    }
  }

  /// The places of the many, cell by cell, as the regressors lie in memory, next to each other: a place for
  /// each cell of a column would not stay in the cache.
  void fill_places(std::span<const std::uint32_t> cells) {
    const auto& many = memory_.many;
    const auto count = static_cast<std::uint32_t>(cells.size());
    const std::uint32_t columns = memory_.regressors.columns();
    std::uint32_t* const next = memory_.next.data();
    std::uint32_t entries = 1;
    for (std::uint32_t column = 0; column < columns; ++column) {
      next[column] = entries;
      for (std::uint32_t word = 0; word < many.words; ++word) {
        const std::size_t at = std::size_t{column} * many.words + word;
        memory_.first[at] = entries;
        entries += static_cast<std::uint32_t>(std::popcount(many.entries[at]));
      }
    }
    memory_.many_places.resize(std::max(memory_.many_places.size(), std::size_t{entries}));
    std::uint16_t* const to = memory_.many_places.data();
    for (std::uint32_t i = 0; i < count; ++i) {
      __builtin_prefetch(memory_.regressors.row(cells[std::min(i + kAhead, count - 1)]).data());
      for (const auto& entry : memory_.regressors.row(cells[i])) {
        to[next[entry.column]++] = entry.place;
      }
    }
  }

  /// The key of the entry that cell i has in a column.
  template <std::size_t kWords>
  Key key_of(const Problem<kWords>& problem, std::uint32_t column, std::uint32_t i) const {
    if constexpr (kDense) {
      const std::size_t cell = problem.cell[i];
      const Place place = places_[cell * memory_.regressors.columns() + column];
      return make_key(place, i);
    } else if constexpr (kWords == 1) {
      return (key_of(memory_.many, column, problem.above[i]) & ~static_cast<Key>(kCellMask)) |
             static_cast<Key>(i);
    } else {
      const std::size_t at = std::size_t{column} * problem.words + i / 64;
      const std::uint64_t before = problem.entries[at] & ((std::uint64_t{1} << (i % 64)) - 1);
      const std::uint16_t place =
          memory_.many_places[memory_.first[at] + static_cast<std::uint32_t>(std::popcount(before))];
      return make_key(place, i);
    }
  }

  template <std::size_t kWords>
  void grow_from_root(const Problem<kWords>& problem, int depth) {
    std::array<Node<kWords>, kWaiting> waiting;
    Node<kWords>& root = waiting[0];
    root.member.fill(0);
    root.weight = 0;
    for (std::uint32_t i = 0; i < problem.cells; ++i) {
      root.member[i / 64] |= std::uint64_t{1} << (i % 64);
      root.weight += problem.share[i].weight;
    }
    root.cells = problem.cells;
    root.depth = depth;
    sum_up(problem, root);
    std::size_t count = 1;
    while (count > 0) {
      const Node<kWords> node = waiting[--count];
      if (node.cells == 2) {
        split_pair(problem, node);
        continue;
      }
      std::uint64_t* const maybe = memory_.maybe.data() + count * bit_words_;
      if constexpr (kWords > 1) {
        if (node.cells <= kFewCells) {
          auto& few = memory_.few;
          few.clear();
          each(problem, node.member,
               [&](std::uint32_t i) { few.append(problem.cell[i], i, problem.share[i], problem.y[i]); });
          fill_entries({few.cell.data(), few.cells}, 1, few.entries.data());
          grow_from_root(few, node.depth);
          continue;
        }
      }
      Best<kWords> best;
      const bool perfect = find_split(problem, node, maybe, best);
      if (best.gain < 0) {
        continue;  // every column is constant
      }
      tree_.drop[best.column] += best.gain * node.weight;
      ++splits_;
      if (perfect) {
        continue;
      }
      Node<kWords>& part = waiting[count];
      Node<kWords>& rest = waiting[count + 1];
      part.cells = 0;
      for (std::uint32_t word = 0; word < words(problem); ++word) {
        part.member[word] = best.part[word];
        rest.member[word] = node.member[word] & ~best.part[word];
        part.cells += static_cast<std::uint32_t>(std::popcount(best.part[word]));
      }
      rest.cells = node.cells - part.cells;
      part.weight = best.weight;
      rest.weight = node.weight - best.weight;  // exact: both are integers
      part.depth = rest.depth = node.depth + 1;
      const bool part_splits = !is_leaf(problem, part);
      const bool rest_splits = !is_leaf(problem, rest);
      if (part_splits && rest_splits && part.cells < rest.cells) {
        std::swap(part, rest);
      }
      if (!part_splits && rest_splits) {
        part = rest;
      }
      count += (part_splits ? 1 : 0) + (rest_splits ? 1 : 0);
      if constexpr (kWords > 1) {
        if (part_splits && rest_splits) {
          std::copy_n(maybe, bit_words_, maybe + bit_words_);
        }
      }
    }
  }

  template <std::size_t kWords>
  static std::uint32_t words(const Problem<kWords>& problem) {
    return kWords == 1 ? 1 : problem.words;
  }

  template <std::size_t kWords, typename Work>
  static void each(const Problem<kWords>& problem, const std::array<std::uint64_t, kWords>& set,
                   Work&& work) {
    for (std::uint32_t word = 0; word < words(problem); ++word) {
      for (std::uint64_t bits = set[word]; bits != 0; bits &= bits - 1) {
        work(word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
      }
    }
  }

  /// Writes the keys of some of a column's entries. The first `kAtOnce` of each word are written whether
  /// there are as many or not, and then written over: how many there are is hard to foresee.
  template <std::uint32_t kAtOnce, std::size_t kWords>
  void write_keys(const Problem<kWords>& problem, std::uint32_t column,
                  const std::array<std::uint64_t, kWords>& set, Key* to) const {
    const std::size_t at = std::size_t{column} * words(problem);
    for (std::uint32_t word = 0; word < words(problem); ++word) {
      std::uint64_t bits = set[word];
      const auto count = static_cast<std::uint32_t>(std::popcount(bits));
      const auto write = [&](auto&& next_key) {
        for (std::uint32_t i = 0; i < kAtOnce; ++i, bits &= bits - 1) {
          to[i] = next_key();
        }
        for (std::uint32_t i = kAtOnce; i < count; ++i, bits &= bits - 1) {
          to[i] = next_key();
        }
      };
      if constexpr (kDense || kWords == 1) {
        write([&] {
          return key_of(problem, column, word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
        });
      } else {
        const std::uint64_t entries = problem.entries[at + word];
        const std::uint16_t* const from = memory_.many_places.data() + memory_.first[at + word] - 1;
        write([&] {
          const std::uint16_t place = from[std::popcount(entries & (bits ^ (bits - 1)))];
          return make_key(place, word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits)));
        });
      }
      to += count;
    }
  }

  /// Sums over the members, directly: by subtraction a pure node would not be seen to be pure. False where
  /// all y are 0.
  template <std::size_t kWords>
  static bool sum_up(const Problem<kWords>& problem, Node<kWords>& node) {
    node.sum = 0;
    node.squares = 0;
    std::uint64_t any = 0;
    for (std::uint32_t word = 0; word < words(problem); ++word) {
      any |= node.member[word] & problem.not_zero[word];
      for (std::uint64_t bits = node.member[word] & problem.not_zero[word]; bits != 0; bits &= bits - 1) {
        const std::uint32_t i = word * 64 + static_cast<std::uint32_t>(std::countr_zero(bits));
        node.sum += problem.share[i].sum;
        node.squares += problem.share[i].sum * problem.y[i];
      }
    }
    return any != 0;
  }

  template <std::size_t kWords>
  bool is_leaf(const Problem<kWords>& problem, Node<kWords>& node) const {
    if (node.cells < 2 || (tree_.options.max_depth > 0 && node.depth >= tree_.options.max_depth) ||
        !sum_up(problem, node)) {
      return true;
    }
    return variance(node) <= kPure;
  }

  template <std::size_t kWords>
  static double variance(const Node<kWords>& node) {
    const double mean = node.sum / node.weight;
    return node.squares / node.weight - mean * mean;
  }

  /// Two cells: every column that tells them apart makes the same split, so the first such drawn has it.
  template <std::size_t kWords>
  void split_pair(const Problem<kWords>& problem, const Node<kWords>& node) {
    std::array<std::uint32_t, 2> pair{};
    std::size_t found = 0;
    each(problem, node.member, [&](std::uint32_t i) { pair[found++] = i; });
    const std::uint64_t* const first = memory_.regressors.entry_bits(problem.cell[pair[0]]);
    const std::uint64_t* const second = memory_.regressors.entry_bits(problem.cell[pair[1]]);
    std::uint64_t* const undrawn = memory_.undrawn.data();
    for (std::uint32_t word = 0; word < bit_words_; ++word) {
      undrawn[word] = (first[word] | second[word]) & memory_.allowed[word];
    }
    for (std::uint32_t left = count_bits(undrawn, bit_words_); left > 0; --left) {
      const std::uint32_t column = take(undrawn, random_.below(left));
      const bool one = (((first[column / 64] ^ second[column / 64]) >> (column % 64)) & 1) != 0;
      const auto& sorted = memory_.regressors.sorted(column);
      if (!(one && sorted.apart)) {
        const auto value = [&](const std::uint64_t* bits, std::uint32_t i) {
          const bool has_entry = ((bits[column / 64] >> (column % 64)) & 1) != 0;
          return has_entry ? value_of(sorted, key_of(problem, column, i)) : sorted.background;
        };
        const auto [low, high] = std::minmax({value(first, pair[0]), value(second, pair[1])});
        if (high <= low + kSameValue) {
          continue;
        }
      }
      const double weight = problem.share[pair[0]].weight;
      const double d = problem.share[pair[0]].sum - weight * (node.sum / node.weight);
      tree_.drop[column] += d * d / (weight * (node.weight - weight)) * node.weight;
      ++splits_;
      return;
    }
  }

  /// Draws the columns of a node. Writes those of them that may_split(column) to memory_.drawn, and returns
  /// how many; all of them lead memory_.order.
  template <typename MaySplit>
  std::uint32_t draw(std::uint32_t draws, MaySplit&& may_split) {
    std::uint32_t* const order = memory_.order.data();
    std::uint32_t* const drawn = memory_.drawn.data();
    const auto columns = static_cast<std::uint32_t>(memory_.order.size());
    std::uint32_t count = 0;
    for (std::uint32_t i = 0; i < draws; ++i) {
      std::swap(order[i], order[i + random_.below(columns - i)]);
      drawn[count] = order[i];
      count += may_split(order[i]) ? 1 : 0;  // without a branch: it is hard to foresee
    }
    return count;
  }

  /// Finds the best split; true if both children are pure.
  template <std::size_t kWords>
  bool find_split(const Problem<kWords>& problem, const Node<kWords>& node, std::uint64_t* maybe,
                  Best<kWords>& best) {
    const double perfect = variance(node) * (1 - kRounding);
    const auto is_perfect = [&](double before) {  // nothing takes more
      return best.gain > before && best.gain >= perfect && parts_are_pure(problem, node, best);
    };
    const auto is_constant = [&](std::uint32_t column) {
      if (evaluate(problem, node, column, best)) {
        return false;
      }
      if constexpr (kWords > 1) {
        maybe[column / 64] &= ~(std::uint64_t{1} << (column % 64));
      }
      return true;
    };
    const std::uint32_t draws =
        std::min(tree_.options.max_columns, static_cast<std::uint32_t>(memory_.order.size()));
    const std::uint32_t drawn = draw(draws, [&](std::uint32_t column) {
      if constexpr (kWords == 1) {
        return (problem.entries[column] & node.member[0]) != 0;
      } else {
        return ((maybe[column / 64] >> (column % 64)) & 1) != 0;
      }
    });
    bool all_constant = true;
    for (std::uint32_t i = 0; i < drawn; ++i) {
      const double before = best.gain;
      if (!is_constant(memory_.drawn[i])) {
        all_constant = false;
        if (is_perfect(before)) {
          return true;
        }
      }
    }
    if (!all_constant) {
      return false;
    }
    std::uint64_t* const undrawn = memory_.undrawn.data();
    if constexpr (kWords == 1) {
      find_columns_with_entries(problem, node, undrawn);
    } else {
      std::copy_n(maybe, bit_words_, undrawn);
    }
    for (std::uint32_t i = 0; i < draws; ++i) {
      undrawn[memory_.order[i] / 64] &= ~(std::uint64_t{1} << (memory_.order[i] % 64));
    }
    for (std::uint32_t left = count_bits(undrawn, bit_words_); left > 0; --left) {
      if (!is_constant(take(undrawn, random_.below(left)))) {
        return is_perfect(-1);
      }
    }
    return false;
  }

  void find_columns_with_entries(const Problem<1>& problem, const Node<1>& node, std::uint64_t* to) const {
    for (std::uint32_t four = 0; four < bit_words_; four += 4) {
      FourWords any{};
      for (std::uint64_t bits = node.member[0]; bits != 0; bits &= bits - 1) {
        const std::uint32_t cell = problem.cell[static_cast<std::size_t>(std::countr_zero(bits))];
        FourWords row;
        __builtin_memcpy(&row, memory_.regressors.entry_bits(cell) + four, sizeof(row));
        any |= row;
      }
      FourWords allowed;
      __builtin_memcpy(&allowed, memory_.allowed.data() + four, sizeof(allowed));
      any &= allowed;
      __builtin_memcpy(to + four, &any, sizeof(any));
    }
  }

  template <std::size_t kWords>
  static bool parts_are_pure(const Problem<kWords>& problem, const Node<kWords>& node,
                             const Best<kWords>& best) {
    std::array<double, 2> y{};
    std::array<bool, 2> seen{};
    bool pure = true;
    each(problem, node.member, [&](std::uint32_t i) {
      const std::size_t side = (best.part[i / 64] >> (i % 64)) & 1;
      pure = pure && (!seen[side] || problem.y[i] == y[side]);
      seen[side] = true;
      y[side] = problem.y[i];
    });
    return pure;
  }

  /// Considers the splits of the column; false when it is constant in the node.
  template <std::size_t kWords>
  bool evaluate(const Problem<kWords>& problem, const Node<kWords>& node, std::uint32_t column,
                Best<kWords>& best) {
    constexpr auto kNobody = static_cast<std::uint32_t>(64 * kWords);
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<std::uint64_t, kWords> mine;
    const std::uint64_t* const entries = problem.entries.data() + std::size_t{column} * words(problem);
    std::uint32_t count = 0;
    std::uint64_t not_zero = 0;
    for (std::uint32_t word = 0; word < words(problem); ++word) {
      mine[word] = entries[word] & node.member[word];
      count += static_cast<std::uint32_t>(std::popcount(mine[word]));
      not_zero |= mine[word] & problem.not_zero[word];
    }
    if (count == 0) {
      return false;
    }
    const auto& sorted = memory_.regressors.sorted(column);
    const bool has_background = count < node.cells;
    const bool apart = has_background && sorted.apart;
    if (apart && not_zero == 0 && !tree_.options.random_thresholds) {
      consider_all(problem, node, column, mine, best);
      return true;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<Key, kNobody + kLanes> keys;
    if (count <= kCounted || tree_.options.random_thresholds) {
      if (kWords == 1 || count > words(problem)) {
        write_keys<4>(problem, column, mine, keys.data());
      } else {
        write_keys<2>(problem, column, mine, keys.data());
      }
    }
    if (tree_.options.random_thresholds) {
      return evaluate_at_random(problem, node, column, {keys.data(), count}, best);
    }
    const double mean = node.sum / node.weight;
    if (apart && best.gain >= 0 && count <= kBounded) {
      // Whichever of the entries a side has, A: d^2 = (sum of w (y - mean))^2 <= w(A) sum of w (y - mean)^2
      // (Cauchy and Schwarz). So the gain is at most the latter sum over all entries / (W - their weight),
      // and their order is not needed where this is not enough.
      double weight = 0;
      double squares = 0;
      for (std::uint32_t i = 0; i < count; ++i) {
        const std::uint32_t who = member_of(keys[i]);
        const double off = problem.y[who] - mean;
        weight += problem.share[who].weight;
        squares += problem.share[who].weight * off * off;
      }
      if (squares * (1 + kRounding) < best.gain * (node.weight - weight)) {
        return true;
      }
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<Key, kNobody + kLanes> order;
    sort_descending(problem, column, mine, keys.data(), count, order.data());
    if (apart) {
      consider(problem, node, column, order.data(), count, sorted.background, best);
      return true;
    }
    const auto value = [&](std::uint32_t i) { return value_of(sorted, order[i]); };
    std::uint32_t below = 0;
    while (below < count && (order[count - 1 - below] >> kCellBits) <= static_cast<Key>(sorted.below)) {
      ++below;
    }
    const std::uint32_t above = count - below;
    const float least = has_background && below == 0 ? sorted.background : value(count - 1);
    const float greatest = has_background && above == 0 ? sorted.background : value(0);
    if (greatest <= least + kSameValue) {
      return false;
    }
    // Those above the background are summed from the greatest down, those below it from the least up: the
    // background's own sum is never needed.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<Key, kNobody + kLanes> run;
    const auto consider_run = [&](std::uint32_t length, bool upwards) {
      // Without a background the last of all has nothing beyond; where there are some on both sides of it,
      // the split between them belongs to those above.
      const bool to_background = has_background && length > 0;
      const bool to_others = !has_background && !upwards && below > 0 && length > 0;
      const std::uint32_t candidates = to_background || to_others ? length : length - (length > 0 ? 1 : 0);
      const auto at = [&](std::uint32_t i) { return upwards ? count - 1 - i : i; };
      for (std::uint32_t i = 0; i < candidates; ++i) {
        run[i] = order[at(i)];
      }
      std::fill_n(run.begin() + candidates, kLanes, Key{kNobody});
      if (candidates > 0) {
        consider(problem, node, column, run.data(), candidates,
                 to_background ? sorted.background : value(at(candidates)), best);
      }
    };
    consider_run(above, false);
    consider_run(below, true);
    return true;
  }

  /// Considers parting a column's entries, all of which have y = 0, from the rest. Of parts of them none
  /// takes more: g grows with their weight.
  template <std::size_t kWords>
  static void consider_all(const Problem<kWords>& problem, const Node<kWords>& node, std::uint32_t column,
                           const std::array<std::uint64_t, kWords>& mine, Best<kWords>& best) {
    std::uint64_t times = 0;
    for (std::uint32_t bit = 0; bit < problem.weight_bits; ++bit) {
      times += std::uint64_t{count_bits_of_both(mine, problem.with_bit[bit], words(problem))} << bit;
    }
    const auto weight = static_cast<double>(times);
    const double d = weight * (node.sum / node.weight);
    const double both = weight * (node.weight - weight);
    if (d * d > best.gain * both) {
      best.gain = d * d / both;
      best.column = column;
      best.weight = weight;
      best.part = mine;
    }
  }

  static Key make_key(std::uint32_t place, std::uint32_t member) {
    return (static_cast<Key>(place) << kCellBits) | static_cast<Key>(member);
  }
  static std::uint32_t member_of(Key key) { return static_cast<std::uint32_t>(key) & kCellMask; }
  static std::uint32_t place_of(Key key) { return static_cast<std::uint32_t>(key >> kCellBits); }
  static float value_of(const Regressors::Sorted& sorted, Key key) { return sorted.value[place_of(key) - 1]; }

  /// Considers parting the first of `run` from the rest, the first two, and so on up to all `candidates` of
  /// them, which value `beyond` comes after. A split takes W g off the sum of squares, g = d^2 / (w (W - w));
  /// w and W are the weights of one side and of the node, d is the sum of y on that side less w times the
  /// node's mean. Blocks are filled up with nobody: that adds the last split again.
  template <std::size_t kWords>
  void consider(const Problem<kWords>& problem, const Node<kWords>& node, std::uint32_t column,
                const Key* run, std::uint32_t candidates, float beyond, Best<kWords>& best) {
    constexpr std::uint32_t kBlock = 4;
    using Block __attribute__((vector_size(kBlock * sizeof(double)))) = double;
    const auto& sorted = memory_.regressors.sorted(column);
    const double total = node.weight;
    const double mean = node.sum / total;
    double best_gain = best.gain;
    std::uint32_t length = 0;  // of the side that is best in this column
    double weight = 0;
    double sum = 0;
    for (std::uint32_t first = 0; first < candidates; first += kBlock) {
      Block weights;
      Block sums;
      for (std::uint32_t i = 0; i < kBlock; ++i) {
        const Share& share = problem.share[member_of(run[first + i])];
        weight += share.weight;
        sum += share.sum;
        weights[i] = weight;
        sums[i] = sum;
      }
      const Block d = sums - weights * mean;
      const Block squares = d * d;
      const Block both = weights * (total - weights);
      const auto better = squares > best_gain * both;
      if ((better[0] | better[1] | better[2] | better[3]) == 0) {
        continue;
      }
      for (std::uint32_t i = 0; i < kBlock && first + i < candidates; ++i) {
        if (!(squares[i] > best_gain * both[i])) {
          continue;
        }
        const float here = value_of(sorted, run[first + i]);
        const float next = first + i + 1 < candidates ? value_of(sorted, run[first + i + 1]) : beyond;
        if (std::max(here, next) > std::min(here, next) + kSameValue) {
          best_gain = squares[i] / both[i];
          best.weight = weights[i];
          length = first + i + 1;
        }
      }
    }
    if (length > 0) {
      best.gain = best_gain;
      best.column = column;
      best.part.fill(0);
      for (std::uint32_t i = 0; i < length; ++i) {
        const std::uint32_t member = member_of(run[i]);
        best.part[member / 64] |= std::uint64_t{1} << (member % 64);
      }
    }
  }

  /// Writes the entries `mine`, and some of nobody after them, in descending order of value to `order`.
  /// `keys` has those of at most kCounted and room for kLanes more.
  template <std::size_t kWords>
  void sort_descending(const Problem<kWords>& problem, std::uint32_t column,
                       const std::array<std::uint64_t, kWords>& mine, Key* keys, std::uint32_t count,
                       Key* order) {
    if (count <= kCounted) {
      std::fill_n(keys + count, kLanes, Key{-1});
      for (std::uint32_t first = 0; first < count; first += kLanes) {
        KeyLanes own;
        __builtin_memcpy(&own, keys + first, sizeof(own));
        KeyLanes rank{};
        for (std::uint32_t i = 0; i < padded(count); ++i) {
          rank -= keys[i] > own;
        }
        for (std::uint32_t lane = 0; lane < kLanes; ++lane) {
          order[rank[lane]] = own[lane];
        }
      }
    } else if constexpr (kWords > 1) {
      std::array<std::uint64_t, kWords + 1> set{};
      std::copy_n(mine.begin(), words(problem), set.begin());
      Key* to = order;
      for (const Key entry : listed(problem, column)) {
        const std::uint32_t member = member_of(entry);
        *to = entry;
        to += (set[member / 64] >> (member % 64)) & 1U;
      }
    }
    std::fill_n(order + count, kLanes, static_cast<Key>(64 * kWords));
  }

  /// All entries of a column in the problem, in descending order of value; made when they are first asked
  /// for.
  const std::vector<Key>& listed(const Problem<kManyWords>& problem, std::uint32_t column) {
    auto& list = keys_.list[column];
    if (!list.empty()) {
      return list;
    }
    keys_.has_list.push_back(column);
    const std::size_t at = std::size_t{column} * problem.words;
    const std::uint32_t count = count_bits(problem.entries.data() + at, problem.words);
    const auto& sorted = memory_.regressors.sorted(column);
    if (sorted.count <= kScanned * count) {
      list.resize(sorted.count + 1);
      std::size_t to = 0;
      for (std::uint32_t place = sorted.count; place > 0; --place) {
        const std::uint16_t i = memory_.number[sorted.cell[place - 1]];
        list[to] = make_key(place, i);
        to += i != SubtreeGrower::kMostCells ? 1 : 0;
      }
      list.resize(to);
      return list;
    }
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-member-init): filled below, and once is enough
    std::array<Key, SubtreeGrower::kMostCells + kLanes> all;
    std::array<std::uint64_t, kManyWords> set{};
    std::copy_n(problem.entries.begin() + static_cast<std::ptrdiff_t>(at), problem.words, set.begin());
    write_keys<4>(problem, column, set, all.data());
    const std::span<const Key> keys(all.data(), count);
    const std::uint32_t place_words = sorted.count / 64 + 1;
    if (place_words > kBitmapWordsPerEntry * count) {
      list.assign(keys.begin(), keys.end());
      std::ranges::sort(list, std::greater<>());
      return list;
    }
    list.resize(count);
    std::uint64_t* const bits = memory_.place_bits.data();
    std::uint32_t* const ranks = memory_.place_ranks.data();
    std::fill_n(bits, place_words, 0);
    for (const Key key : keys) {
      bits[place_of(key) / 64] |= std::uint64_t{1} << (place_of(key) % 64);
    }
    for (std::uint32_t word = place_words, greater = 0; word > 0; --word) {
      ranks[word - 1] = greater;
      greater += static_cast<std::uint32_t>(std::popcount(bits[word - 1]));
    }
    for (const Key key : keys) {
      const std::uint64_t after = (bits[place_of(key) / 64] >> (place_of(key) % 64)) >> 1;
      list[ranks[place_of(key) / 64] + static_cast<std::uint32_t>(std::popcount(after))] = key;
    }
    return list;
  }

  /// One threshold, uniform between the least and the greatest value.
  template <std::size_t kWords>
  bool evaluate_at_random(const Problem<kWords>& problem, const Node<kWords>& node, std::uint32_t column,
                          std::span<const Key> keys, Best<kWords>& best) {
    const auto& sorted = memory_.regressors.sorted(column);
    const bool has_background = keys.size() < node.cells;
    const auto [least_key, greatest_key] = std::ranges::minmax(keys);
    float least = value_of(sorted, least_key);
    float greatest = value_of(sorted, greatest_key);
    if (has_background) {
      least = std::min(least, sorted.background);
      greatest = std::max(greatest, sorted.background);
    }
    if (greatest <= least + kSameValue) {
      return false;
    }
    double threshold = least + random_.uniform() * (static_cast<double>(greatest) - least);
    if (threshold >= greatest) {
      threshold = least;
    }
    // The side without the background, or either.
    const bool from_left = !(sorted.background <= threshold);
    double weight = 0;
    double sum = 0;
    for (const Key key : keys) {
      if ((value_of(sorted, key) <= threshold) == from_left) {
        weight += problem.share[member_of(key)].weight;
        sum += problem.share[member_of(key)].sum;
      }
    }
    const double d = sum - weight * (node.sum / node.weight);
    const double gain = d * d / (weight * (node.weight - weight));
    if (gain > best.gain) {
      best.gain = gain;
      best.column = column;
      best.weight = weight;
      best.part.fill(0);
      for (const Key key : keys) {
        const std::uint32_t i = member_of(key);
        const bool part = (value_of(sorted, key) <= threshold) == from_left;
        best.part[i / 64] |= std::uint64_t{part ? 1U : 0U} << (i % 64);
      }
    }
    return true;
  }

  Memory& memory_;
  const TreeInputs& tree_;
  const Place* places_;
  base::BufferedPhiloxStream& random_;
  std::uint32_t bit_words_;
  typename Memory::template Keys<Place>& keys_;
  std::uint32_t splits_ = 0;
};

struct Work {
  const TreeInputs& tree;
  std::span<const std::uint32_t> cells;
  int depth;
  const std::uint64_t* constant;
};

template <bool kDense, typename Memory, typename Place>
inline std::uint32_t grow_plain(Memory& memory, const Work& work, const Place* places) {
  return Growth<Memory, Place, kDense>(memory, work.tree, places).grow(work.cells, work.depth, work.constant);
}

#if defined(__x86_64__)
// A sanitizer's compiler takes many minutes for all in one function.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MGRN_FLATTEN
#else
#define MGRN_FLATTEN , flatten
#endif
// All that is called is compiled here for the wider instructions; none of them rounds otherwise.
template <bool kDense, typename Memory, typename Place>
__attribute__((target("avx2,bmi,bmi2,popcnt") MGRN_FLATTEN)) std::uint32_t grow_wide(Memory& memory,
                                                                                     const Work& work,
                                                                                     const Place* places) {
  return grow_plain<kDense>(memory, work, places);
}
#endif

}  // namespace

SubtreeGrower::SubtreeGrower(const Regressors& regressors) : memory_(std::make_unique<Memory>(regressors)) {}

SubtreeGrower::~SubtreeGrower() = default;

void SubtreeGrower::use_columns(std::span<const std::uint32_t> columns) {
  std::fill(memory_->allowed.begin(), memory_->allowed.end(), 0);
  for (const std::uint32_t column : columns) {
    memory_->allowed[column / 64] |= std::uint64_t{1} << (column % 64);
  }
  memory_->order.assign(columns.begin(), columns.end());
}

std::uint32_t SubtreeGrower::grow(const TreeInputs& tree, std::span<const std::uint32_t> cells, int depth,
                                  const std::uint64_t* constant) {
  const Work work{tree, cells, depth, constant};
  return memory_->regressors.with_places([&](const auto* places) {
#if defined(__x86_64__)
    static const bool wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                             __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    if (wide) {
      if constexpr (sizeof(*places) == sizeof(std::uint16_t)) {  // others have no rows
        if (!memory_->dense) {
          return grow_wide<false>(*memory_, work, places);
        }
      }
      return grow_wide<true>(*memory_, work, places);
    }
#endif
    return grow_plain<true>(*memory_, work, places);
  });
}

}  // namespace mgrn::baselines
