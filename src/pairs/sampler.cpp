// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/sampler.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "gene_column.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/symbol.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace mgrn::pairs {

namespace {

/// What a thread needs while it draws; kept between calls so that a sample allocates nothing.
struct Scratch {
  std::vector<std::uint32_t> before;    // per word: shared cells in earlier words
  std::vector<std::uint64_t> shared;    // the two bitsets' intersection
  std::vector<std::uint32_t> identity;  // identity[i] == i between calls
  std::vector<std::uint32_t> partner;   // what the steps of the shuffle swapped with
  std::vector<std::uint32_t> ranks;     // N drawn ranks among the shared cells
  std::vector<std::uint32_t> members;   // all shared cells, where listing them is cheaper than selecting
  std::vector<std::uint32_t> cells;     // N drawn cells
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

// The functions below are compiled twice, for processors with and without population count and bit deposit;
// integers come out the same.
#define MGRN_INLINE __attribute__((always_inline)) inline

MGRN_INLINE std::uint32_t count_shared_of(const CellSet& a, const CellSet& b) {
  const auto left = a.words();
  const auto right = b.words();
  std::uint32_t count = 0;
  for (std::size_t word = 0; word < left.size(); ++word) {
    count += static_cast<std::uint32_t>(__builtin_popcountll(left[word] & right[word]));
  }
  return count;
}

MGRN_INLINE std::uint32_t intersect_of(const CellSet& a, const CellSet& b, Scratch& memory) {
  const auto left = a.words();
  const auto right = b.words();
  memory.shared.resize(left.size());
  memory.before.resize(left.size());
  std::uint32_t count = 0;
  for (std::size_t word = 0; word < left.size(); ++word) {
    const std::uint64_t both = left[word] & right[word];
    memory.shared[word] = both;
    memory.before[word] = count;
    count += static_cast<std::uint32_t>(__builtin_popcountll(both));
  }
  return count;
}

MGRN_INLINE void list_members_of(Scratch& memory, std::uint32_t count) {
  memory.members.resize(count);
  std::uint32_t* next = memory.members.data();
  for (std::size_t word = 0; word < memory.shared.size(); ++word) {
    for (std::uint64_t bits = memory.shared[word]; bits != 0; bits &= bits - 1) {
      *next++ = static_cast<std::uint32_t>(word * 64) + static_cast<std::uint32_t>(__builtin_ctzll(bits));
    }
  }
}

struct PortableSelect {
  /// Place of the bit that has `rank` set bits below it.
  MGRN_INLINE static std::uint32_t in_word(std::uint64_t word, std::uint32_t rank) {
    for (; rank > 0; --rank) {
      word &= word - 1;
    }
    return static_cast<std::uint32_t>(__builtin_ctzll(word));
  }
};

template <typename Select>
MGRN_INLINE std::uint32_t select_of(const Scratch& memory, std::uint32_t rank) {
  // The last word with at most `rank` shared cells before it; empty words repeat their successor's count.
  const auto after = std::upper_bound(memory.before.begin(), memory.before.end(), rank);
  const auto word = static_cast<std::size_t>(after - memory.before.begin()) - 1;
  return static_cast<std::uint32_t>(word * 64) +
         Select::in_word(memory.shared[word], rank - memory.before[word]);
}

template <typename Select>
MGRN_INLINE void find_cells_of(Scratch& memory, std::uint32_t count) {
  const std::size_t wanted = memory.ranks.size();
  memory.cells.resize(wanted);
  // Listing costs about a nanosecond per shared cell, selecting about eight per drawn cell.
  if (count / 8 <= wanted) {
    list_members_of(memory, count);
    for (std::size_t i = 0; i < wanted; ++i) {
      memory.cells[i] = memory.members[memory.ranks[i]];
    }
  } else {
    for (std::size_t i = 0; i < wanted; ++i) {
      memory.cells[i] = select_of<Select>(memory, memory.ranks[i]);
    }
  }
}

MGRN_INLINE void gather_of(const GeneColumn& tf, const GeneColumn& gene, bool atac, std::size_t width,
                           const std::vector<std::uint32_t>& cells, float* out) {
  for (const std::uint32_t cell : cells) {
    out[0] = tf.rna[tf.expressed.rank(cell)];
    out[2] = gene.rna[gene.expressed.rank(cell)];
    out[1] = atac ? tf.rp.at(cell) : 0.0f;
    out[3] = atac ? gene.rp.at(cell) : 0.0f;
    for (std::size_t column = 4; column < width; ++column) {
      out[column] = 0.0f;
    }
    out += width;
  }
}

#if defined(__x86_64__)

#define MGRN_FAST __attribute__((target("avx2,popcnt,bmi,bmi2")))

struct DepositSelect {
  MGRN_FAST static inline std::uint32_t in_word(std::uint64_t word, std::uint32_t rank) {
    return static_cast<std::uint32_t>(__builtin_ctzll(_pdep_u64(std::uint64_t{1} << rank, word)));
  }
};

MGRN_FAST std::uint32_t count_shared_fast(const CellSet& a, const CellSet& b) {
  return count_shared_of(a, b);
}
MGRN_FAST std::uint32_t intersect_fast(const CellSet& a, const CellSet& b, Scratch& memory) {
  return intersect_of(a, b, memory);
}
MGRN_FAST void find_cells_fast(Scratch& memory, std::uint32_t count) {
  find_cells_of<DepositSelect>(memory, count);
}
MGRN_FAST void gather_fast(const GeneColumn& tf, const GeneColumn& gene, bool atac, std::size_t width,
                           const std::vector<std::uint32_t>& cells, float* out) {
  gather_of(tf, gene, atac, width, cells, out);
}

// AMD's first two Zen generations have bit deposit in microcode, slower than the portable loop.
bool is_fast() {
  static const bool fast = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("popcnt") != 0 &&
                           __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0 &&
                           __builtin_cpu_is("znver1") == 0 && __builtin_cpu_is("znver2") == 0;
  return fast;
}

std::uint32_t count_shared(const CellSet& a, const CellSet& b) {
  return is_fast() ? count_shared_fast(a, b) : count_shared_of(a, b);
}
std::uint32_t intersect(const CellSet& a, const CellSet& b, Scratch& memory) {
  return is_fast() ? intersect_fast(a, b, memory) : intersect_of(a, b, memory);
}
void find_cells(Scratch& memory, std::uint32_t count) {
  is_fast() ? find_cells_fast(memory, count) : find_cells_of<PortableSelect>(memory, count);
}
void gather_values(const GeneColumn& tf, const GeneColumn& gene, bool atac, std::size_t width,
                   const std::vector<std::uint32_t>& cells, float* out) {
  is_fast() ? gather_fast(tf, gene, atac, width, cells, out) : gather_of(tf, gene, atac, width, cells, out);
}

#else

std::uint32_t count_shared(const CellSet& a, const CellSet& b) {
  return count_shared_of(a, b);
}
std::uint32_t intersect(const CellSet& a, const CellSet& b, Scratch& memory) {
  return intersect_of(a, b, memory);
}
void find_cells(Scratch& memory, std::uint32_t count) {
  find_cells_of<PortableSelect>(memory, count);
}
void gather_values(const GeneColumn& tf, const GeneColumn& gene, bool atac, std::size_t width,
                   const std::vector<std::uint32_t>& cells, float* out) {
  gather_of(tf, gene, atac, width, cells, out);
}

#endif

/// N ranks of {0, ..., count-1} in random order: distinct where there are enough, else with replacement.
void draw_ranks(std::uint32_t count, std::size_t wanted, base::PhiloxStream random, Scratch& memory) {
  memory.ranks.resize(wanted);
  if (count < wanted) {
    for (std::uint32_t& rank : memory.ranks) {
      rank = random.below(count);
    }
    return;
  }
  // The first N steps of a Fisher-Yates shuffle of the identity, then taken back in reverse: O(N) whatever
  // `count` is.
  auto& places = memory.identity;
  if (places.size() < count) {
    const auto old = static_cast<std::uint32_t>(places.size());
    places.resize(count);
    std::iota(places.begin() + old, places.end(), old);
  }
  memory.partner.resize(wanted);
  for (std::uint32_t i = 0; i < wanted; ++i) {
    const std::uint32_t other = i + random.below(count - i);
    memory.partner[i] = other;
    std::swap(places[i], places[other]);
    memory.ranks[i] = places[i];
  }
  for (auto i = static_cast<std::uint32_t>(wanted); i > 0; --i) {
    std::swap(places[i - 1], places[memory.partner[i - 1]]);
  }
}

void validate(const SamplerOptions& options) {
  if (options.cells < 1) {
    throw base::UsageError({.what = "illegal number of cells per sample",
                            .file = "model.cells",
                            .expected = "1 or more",
                            .got = std::to_string(options.cells),
                            .hint = "Set model.cells to 500, say."});
  }
  if (options.width < 4) {
    throw base::UsageError({.what = "a sample has too few columns",
                            .file = "model.width",
                            .expected = "4 or more (RNA and RP of TF and gene)",
                            .got = std::to_string(options.width),
                            .hint = "Leave model.width at 4."});
  }
}

}  // namespace

struct Sampler::State {
  struct Gene {
    std::string key;  // upper case: the same gene has the same samples in every spelling
    GeneColumn column;
  };

  void add(const SamplerGene& gene) {
    if (gene.index >= place.size()) {
      place.resize(gene.index + std::size_t{1}, kAbsent);
    }
    if (place[gene.index] != kAbsent) {
      return;
    }
    std::vector<std::uint32_t> expressed;
    Gene loaded;
    loaded.key = base::symbol_key(gene.symbol);
    check(gene, gene.rna, "RNA");
    if (gene.rna.count.size() != gene.rna.cell.size()) {
      throw base::DataError({.what = "a gene's RNA entries have no counts",
                             .file = gene.symbol,
                             .expected = std::to_string(gene.rna.cell.size()) + " counts",
                             .got = std::to_string(gene.rna.count.size()),
                             .hint = "Prepare the dataset again."});
    }
    for (std::size_t i = 0; i < gene.rna.cell.size(); ++i) {
      if (gene.rna.count[i] > 0) {
        expressed.push_back(gene.rna.cell[i]);
        loaded.column.rna.push_back(gene.rna.value[i]);
      }
    }
    loaded.column.expressed = CellSet(expressed, cells);
    loaded.column.rna.shrink_to_fit();
    if (options.atac) {
      check(gene, gene.rp, "RP");
      loaded.column.rp = ValueColumn(gene.rp.cell, gene.rp.value, gene.rp_background, cells);
    }
    place[gene.index] = static_cast<std::uint32_t>(genes.size());
    genes.push_back(std::move(loaded));
  }

  void check(const SamplerGene& gene, const store::GeneRow& row, const char* layer) const {
    bool ascending = row.cell.size() == row.value.size();
    for (std::size_t i = 0; ascending && i < row.cell.size(); ++i) {
      ascending = row.cell[i] < cells && (i == 0 || row.cell[i - 1] < row.cell[i]);
    }
    if (!ascending) {
      throw base::DataError({.what = std::string("the ") + layer + " entries of a gene are not in order",
                             .file = gene.symbol,
                             .expected = "ascending cells below " + std::to_string(cells) + ", a value each",
                             .hint = "Prepare the dataset again."});
    }
  }

  const Gene& at(std::uint32_t index) const {
    if (index >= place.size() || place[index] == kAbsent) {
      throw base::InternalError({.what = "a sample was asked for of a gene that the sampler did not load",
                                 .got = "gene " + std::to_string(index),
                                 .hint = "Report this as a defect."});
    }
    return genes[place[index]];
  }

  base::NameHash pair_name(const SampleName& name) const {
    base::NameHash hash;
    hash.add(options.seed).add(dataset_id).add(at(name.tf).key).add(at(name.gene).key);
    hash.add(static_cast<std::uint64_t>(name.purpose));
    return hash;
  }

  /// Fills scratch().cells. False when the genes share no cell.
  bool draw(const SampleName& name) const {
    Scratch& memory = scratch();
    const std::uint32_t count =
        intersect(at(name.tf).column.expressed, at(name.gene).column.expressed, memory);
    if (count == 0) {
      return false;
    }
    const bool training = name.purpose == Purpose::train;
    const bool once = training && options.resample == Resample::once;
    base::NameHash draws = pair_name(name);
    draws.add("cells");
    if (!once) {
      draws.add(name.variant);
    }
    if (training && options.resample == Resample::epoch) {
      draws.add(name.epoch);
    }
    draw_ranks(count, static_cast<std::size_t>(options.cells), {draws.value(), 0}, memory);
    if (once) {
      base::PhiloxStream order(pair_name(name).add("order").add(name.variant).value(), 0);
      base::shuffle(memory.ranks, order);
    }
    find_cells(memory, count);
    return true;
  }

  static constexpr std::uint32_t kAbsent = std::numeric_limits<std::uint32_t>::max();

  std::string dataset_id;
  std::uint32_t cells = 0;
  SamplerOptions options;
  std::vector<Gene> genes;
  std::vector<std::uint32_t> place;  // by dataset gene index
};

Sampler::Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                 const SamplerOptions& options)
    : state_(std::make_unique<State>()) {
  validate(options);
  const store::DatasetHeader& header = dataset.header();
  if (options.atac && !header.has_atac) {
    throw base::DataError({.what = "the dataset has no ATAC data",
                           .file = dataset.file().string(),
                           .expected = "regulatory potentials beside the RNA",
                           .got = "RNA only",
                           .hint = "Set data.modalities = rna, or prepare the dataset with --atac."});
  }
  state_->dataset_id = header.id;
  state_->cells = static_cast<std::uint32_t>(dataset.cells());
  state_->options = options;
  state_->place.assign(header.genes.size(), State::kAbsent);
  // Neighbours are read together, but never more than a block of rows is held twice.
  constexpr std::size_t kBlock = 64;
  for (std::size_t first = 0; first < genes.size(); first += kBlock) {
    const auto block = genes.subspan(first, std::min(kBlock, genes.size() - first));
    auto rna = dataset.rows(store::Layer::rna, block);
    auto rp =
        options.atac ? dataset.rows(store::Layer::rp, block) : std::vector<store::GeneRow>(block.size());
    for (std::size_t i = 0; i < block.size(); ++i) {
      const std::uint32_t gene = block[i];
      state_->add({.index = gene,
                   .symbol = header.genes.at(gene),
                   .rna = std::move(rna[i]),
                   .rp = std::move(rp[i]),
                   .rp_background = options.atac ? header.rp_background.at(gene) : 0.0f});
    }
  }
}

Sampler::Sampler(const std::string& dataset_id, std::uint32_t cells, std::span<const SamplerGene> genes,
                 const SamplerOptions& options)
    : state_(std::make_unique<State>()) {
  validate(options);
  state_->dataset_id = dataset_id;
  state_->cells = cells;
  state_->options = options;
  for (const SamplerGene& gene : genes) {
    state_->add(gene);
  }
}

Sampler::~Sampler() = default;

const SamplerOptions& Sampler::options() const {
  return state_->options;
}

std::uint32_t Sampler::shared_cells(std::uint32_t tf, std::uint32_t gene) const {
  return count_shared(state_->at(tf).column.expressed, state_->at(gene).column.expressed);
}

bool Sampler::draw(const SampleName& name, std::span<std::uint32_t> cells) const {
  if (cells.size() != static_cast<std::size_t>(state_->options.cells)) {
    throw base::InternalError({.what = "the room for a sample's cells has the wrong size",
                               .expected = std::to_string(state_->options.cells),
                               .got = std::to_string(cells.size()),
                               .hint = "Report this as a defect."});
  }
  if (!state_->draw(name)) {
    return false;
  }
  std::copy(scratch().cells.begin(), scratch().cells.end(), cells.begin());
  return true;
}

bool Sampler::gather(const SampleName& name, std::span<float> out) const {
  const auto width = static_cast<std::size_t>(state_->options.width);
  if (out.size() != static_cast<std::size_t>(state_->options.cells) * width) {
    throw base::InternalError(
        {.what = "the room for a sample has the wrong size",
         .expected = std::to_string(state_->options.cells) + " x " + std::to_string(width),
         .got = std::to_string(out.size()),
         .hint = "Report this as a defect."});
  }
  if (!state_->draw(name)) {
    return false;
  }
  gather_values(state_->at(name.tf).column, state_->at(name.gene).column, state_->options.atac, width,
                scratch().cells, out.data());
  return true;
}

std::uint64_t Sampler::sample_name_hash(const SampleName& name) const {
  return state_->pair_name(name).add("name").add(name.epoch).add(name.variant).value();
}

std::uint64_t Sampler::bytes() const {
  std::uint64_t total = 0;
  for (const State::Gene& gene : state_->genes) {
    total += gene.column.expressed.bytes() + gene.column.rna.size() * sizeof(float) + gene.column.rp.bytes();
  }
  return total;
}

}  // namespace mgrn::pairs
