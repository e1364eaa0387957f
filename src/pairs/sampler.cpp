// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/sampler.hpp"

#include <algorithm>
#include <array>

#include "column_store.hpp"
#include "context.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "rank_draw.hpp"
#include "sampler_kernels.hpp"

namespace mgrn::pairs {

namespace {

/// What a thread needs while it draws; kept between calls so that a sample allocates nothing.
struct Scratch {
  SelectIndex index;
  // Of all cells to draw from, where listing them is faster: their places, or which of each gene's values are
  // theirs, the TF's in `members`.
  std::vector<std::uint32_t> members, gene_members;
  RankDraw draw;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

/// A sample on its way: its cells, and which of each gene's values are theirs.
struct DrawnSample {
  SampleName name;
  const GeneColumns* tf = nullptr;
  const GeneColumns* gene = nullptr;
  std::uint32_t candidates = 0;           // cells to draw from
  std::vector<std::uint32_t> places;      // N; not looked for where values are found without
  std::vector<std::uint32_t> tf_index;    // N
  std::vector<std::uint32_t> gene_index;  // N
};

constexpr std::size_t kCacheLine = 64;
/// Fetches with nothing between them help little: a processor seems to drop those that it has no room for.
constexpr std::size_t kFetchedTogether = 16;

// Into the second-level cache: a sample's lines are more than the first level holds.
__attribute__((always_inline)) inline void fetch_ahead(const void* address) {
  __builtin_prefetch(address, 0, 2);
}

void fetch_values(const GeneColumns& columns, std::span<const std::uint32_t> index, bool atac) {
  const std::size_t each = columns.value_bytes(atac);
  const std::size_t bytes = columns.count * each;
  // No more lines than cells: the lines in their order are the quicker way.
  if (bytes <= index.size() * kCacheLine) {
    for (std::size_t at = 0; at < bytes; at += kCacheLine) {
      fetch_ahead(columns.values + at);
    }
    return;
  }
  for (const std::uint32_t i : index) {
    fetch_ahead(columns.values + i * each);
  }
}

void fetch_to_write(const void* first, std::size_t bytes) {
  const auto* const line = static_cast<const std::byte*>(first);
  for (std::size_t at = 0; at < bytes; at += kCacheLine) {
    __builtin_prefetch(line + at, 1, 2);
  }
}

/// A gene's values: RNA, then RP where there is ATAC.
template <bool kAtac>
struct ExactValues {
  explicit ExactValues(const GeneColumns& columns) : values(reinterpret_cast<const float*>(columns.values)) {}
  void copy(std::uint32_t index, float* to) const {
    to[0] = values[(kAtac ? 2 : 1) * std::size_t{index}];
    to[1] = kAtac ? values[2 * std::size_t{index} + 1] : 0.0f;
  }

  const float* values;
};

template <bool kAtac>
struct NumberedValues {
  explicit NumberedValues(const GeneColumns& columns)
      : numbers(reinterpret_cast<const std::uint16_t*>(columns.values)), rna(columns.rna), rp(columns.rp) {}
  static float value(std::uint16_t number, const Coding& coding) {
    return static_cast<float>(std::int32_t{number} + coding.zero) * coding.step;
  }
  void copy(std::uint32_t index, float* to) const {
    to[0] = value(numbers[(kAtac ? 2 : 1) * std::size_t{index}], rna);
    to[1] = kAtac ? value(numbers[2 * std::size_t{index} + 1], rp) : 0.0f;
  }

  const std::uint16_t* numbers;
  Coding rna, rp;
};

template <typename TfValues, typename GeneValues>
void copy_rows(const DrawnSample& drawn, std::size_t width, float* rows) {
  const TfValues tf(*drawn.tf);
  const GeneValues gene(*drawn.gene);
  const std::uint32_t* const tf_index = drawn.tf_index.data();
  const std::uint32_t* const gene_index = drawn.gene_index.data();
  const std::size_t count = drawn.tf_index.size();
  for (std::size_t i = 0; i < count; ++i, rows += width) {
    tf.copy(tf_index[i], rows);
    gene.copy(gene_index[i], rows + 2);
    for (std::size_t column = 4; column < width; ++column) {
      rows[column] = 0.0f;
    }
  }
}

template <bool kAtac>
void copy_values(const DrawnSample& drawn, std::size_t width, float* rows) {
  using Exact = ExactValues<kAtac>;
  using Numbered = NumberedValues<kAtac>;
  const bool tf_exact = drawn.tf->rna.exact();
  const bool gene_exact = drawn.gene->rna.exact();
  const auto copy = tf_exact ? (gene_exact ? copy_rows<Exact, Exact> : copy_rows<Exact, Numbered>)
                             : (gene_exact ? copy_rows<Numbered, Exact> : copy_rows<Numbered, Numbered>);
  copy(drawn, width, rows);
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
  if (options.width < 4 + context_columns(options.context)) {
    throw base::InternalError({.what = "a sample has no room for its context features",
                               .expected = std::to_string(4 + context_columns(options.context)) + " columns",
                               .got = std::to_string(options.width),
                               .hint = "Report this as a defect."});
  }
}

void validate(const SamplerOptions& options, const store::Dataset& dataset) {
  validate(options);
  if (options.atac && !dataset.header().has_atac) {
    throw base::DataError({.what = "the dataset has no ATAC data",
                           .file = dataset.file().string(),
                           .expected = "regulatory potentials beside the RNA",
                           .got = "RNA only",
                           .hint = "Set data.modalities = rna, or prepare the dataset with --atac."});
  }
}

ColumnChoice column_choice(const SamplerOptions& options, std::uint64_t cells) {
  return {.atac = options.atac,
          .compact = options.precision == Precision::int16 ||
                     (options.precision == Precision::automatic && cells >= kCompactFrom),
          .every_cell = options.pair_cells != PairCells::both};
}

}  // namespace

std::string wanted_cell(PairCells rule) {
  switch (rule) {
    case PairCells::both:
      return "a cell that expresses both genes";
    case PairCells::either:
      return "a cell that expresses either gene";
    case PairCells::all:
      return "a cell";
  }
  return "a cell";
}

struct Sampler::State {
  State(const std::string& dataset_id, const SamplerOptions& chosen)
      : options(chosen), seeded(base::NameHash().add(chosen.seed).add(dataset_id)) {}

  void name_gene(std::uint32_t gene, const std::string& symbol) {
    const std::uint32_t place = columns.place(gene);
    keys.resize(std::max<std::size_t>(keys.size(), place + std::size_t{1}));
    keys[place] = base::NameHash::digest(base::symbol_key(symbol));
  }

  const GeneColumns& at(std::uint32_t gene) const {
    const GeneColumns* found = columns.find(gene);
    if (found == nullptr) {
      throw base::InternalError({.what = "a sample was asked for of a gene that the sampler did not load",
                                 .got = "gene " + std::to_string(gene),
                                 .hint = "Report this as a defect."});
    }
    return *found;
  }
  const base::NameHash::Digest& key(std::uint32_t gene) const {
    at(gene);
    return keys[columns.place(gene)];
  }

  base::NameHash pair_name(const SampleName& name) const {
    base::NameHash hash = seeded;
    hash.add(key(name.tf)).add(key(name.gene)).add(static_cast<std::uint64_t>(name.purpose));
    return hash;
  }

  bool draws_from_all() const { return options.pair_cells == PairCells::all; }
  const CombinedCellsKernels& combined_cells() const {
    return options.pair_cells == PairCells::both ? sampler_kernels().both : sampler_kernels().either;
  }

  struct Keys {
    std::uint64_t cells = 0;
    std::uint64_t order = 0;
    bool reordered = false;
  };
  Keys keys_of(const SampleName& name) const {
    const bool training = name.purpose == Purpose::train;
    const bool once = training && options.resample == Resample::once;
    const base::NameHash pair = pair_name(name);
    base::NameHash draws = pair;
    draws.add("cells");
    if (!once) {
      draws.add(name.variant);
    }
    if (training && options.resample == Resample::epoch) {
      draws.add(name.epoch);
    }
    return {.cells = draws.value(),
            .order = once ? base::NameHash(pair).add("order").add(name.variant).value() : 0,
            .reordered = once};
  }

  /// Draws the sample's cells: their ranks among those to draw from, in the thread's scratch memory. Empty
  /// when there are none to draw from.
  std::span<const std::uint32_t> draw_ranks(const SampleName& name, DrawnSample& drawn) const {
    drawn.name = name;
    drawn.tf = &at(name.tf);
    drawn.gene = &at(name.gene);
    Scratch& memory = scratch();
    const std::size_t blocks = columns.blocks();
    memory.index.resize(blocks);
    drawn.candidates = draws_from_all() ? columns.cells()
                                        : combined_cells().running_counts(drawn.tf->cells, drawn.gene->cells,
                                                                          blocks, memory.index.before.data());
    if (drawn.candidates == 0) {
      return {};
    }
    const Keys named = keys_of(name);
    auto& ranks = memory.draw.draw(drawn.candidates, static_cast<std::size_t>(options.cells), named.cells);
    if (named.reordered) {
      memory.draw.shuffle(ranks, named.order);
    }
    return ranks;
  }

  /// Where in the cell sets the drawn cells are.
  void find_places(std::span<const std::uint32_t> ranks, DrawnSample& drawn) const {
    const CombinedCellsKernels& kernels = combined_cells();
    Scratch& memory = scratch();
    const CellBlock* a = drawn.tf->cells;
    const CellBlock* b = drawn.gene->cells;
    const std::size_t blocks = columns.blocks();
    drawn.places.resize(ranks.size());
    if (draws_from_all()) {
      std::transform(ranks.begin(), ranks.end(), drawn.places.begin(), place_of);
    } else if (listing_is_faster(blocks, ranks.size())) {
      memory.members.resize(std::max<std::size_t>(memory.members.size(), drawn.candidates + kListOverrun));
      kernels.list(a, b, blocks, memory.members.data());
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        drawn.places[i] = memory.members[ranks[i]];
      }
    } else {
      memory.index.finish(blocks);
      kernels.select(a, b, memory.index, ranks, drawn.places.data());
    }
  }

  /// Which of each gene's values are the drawn cells'; from here on they are on their way.
  void locate(std::span<const std::uint32_t> ranks, DrawnSample& drawn) const {
    drawn.tf_index.resize(ranks.size());
    drawn.gene_index.resize(ranks.size());
    if (options.pair_cells != PairCells::both) {  // values of every cell are held, by its number
      find_places(ranks, drawn);
      std::transform(drawn.places.begin(), drawn.places.end(), drawn.tf_index.begin(), cell_of);
      drawn.gene_index = drawn.tf_index;
      fetch_values(*drawn.tf, drawn.tf_index, options.atac);
      fetch_values(*drawn.gene, drawn.gene_index, options.atac);
    } else if (!options.context.cell && ranking_all_is_faster(columns.blocks(), ranks.size())) {
      locate_by_all_ranks(ranks, drawn);
    } else {
      find_places(ranks, drawn);
      locate_places(drawn);
    }
  }

  void locate_by_all_ranks(std::span<const std::uint32_t> ranks, DrawnSample& drawn) const {
    auto& tf_ranks = scratch().members;
    auto& gene_ranks = scratch().gene_members;
    const std::size_t room = drawn.candidates + kListOverrun;
    tf_ranks.resize(std::max(tf_ranks.size(), room));
    gene_ranks.resize(std::max(gene_ranks.size(), room));
    sampler_kernels().rank_both(drawn.tf->cells, drawn.gene->cells, columns.blocks(), tf_ranks.data(),
                                gene_ranks.data());
    const auto take_and_fetch = [&](const GeneColumns& gene, const std::vector<std::uint32_t>& all,
                                    std::vector<std::uint32_t>& index) {
      const std::size_t each = gene.value_bytes(options.atac);
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        index[i] = all[ranks[i]];
        fetch_ahead(gene.values + index[i] * each);
      }
    };
    take_and_fetch(*drawn.tf, tf_ranks, drawn.tf_index);
    take_and_fetch(*drawn.gene, gene_ranks, drawn.gene_index);
  }

  void locate_places(DrawnSample& drawn) const {
    const auto rank_and_fetch = [&](const GeneColumns& gene, std::span<const std::uint32_t> places,
                                    std::uint32_t* index) {
      sampler_kernels().rank(gene.cells, places, index);
      const std::size_t each = gene.value_bytes(options.atac);
      for (std::size_t i = 0; i < places.size(); ++i) fetch_ahead(gene.values + index[i] * each);
    };
    const std::span<const std::uint32_t> all = drawn.places;
    for (std::size_t first = 0; first < all.size(); first += kFetchedTogether) {
      const auto some = all.subspan(first, std::min(kFetchedTogether, all.size() - first));
      rank_and_fetch(*drawn.tf, some, drawn.tf_index.data() + first);
      rank_and_fetch(*drawn.gene, some, drawn.gene_index.data() + first);
    }
  }

  void copy(const DrawnSample& drawn, std::span<float> out) const {
    const auto width = static_cast<std::size_t>(options.width);
    options.atac ? copy_values<true>(drawn, width, out.data()) : copy_values<false>(drawn, width, out.data());
    if (options.context.cell || options.context.gene) {
      copy_context(drawn, out);
    }
  }

  void copy_context(const DrawnSample& drawn, std::span<float> out) const {
    const auto width = static_cast<std::size_t>(options.width);
    for (std::size_t i = 0; i < drawn.tf_index.size(); ++i) {
      float* to = out.data() + i * width + 4;
      if (options.context.cell) {
        to = std::copy_n(context.cells.data() + std::size_t{cell_of(drawn.places[i])} * kCellContext,
                         kCellContext, to);
      }
      if (options.context.gene) {
        to = std::copy_n(gene_context(drawn.name.tf), kGeneContext, to);
        std::copy_n(gene_context(drawn.name.gene), kGeneContext, to);
      }
    }
  }
  const float* gene_context(std::uint32_t gene) const {
    return context.genes.data() + std::size_t{columns.place(gene)} * kGeneContext;
  }

  std::size_t sample_size() const {
    return static_cast<std::size_t>(options.cells) * static_cast<std::size_t>(options.width);
  }
  void require_room(std::size_t size) const {
    if (size != sample_size()) {
      throw base::InternalError(
          {.what = "the room for a sample has the wrong size",
           .expected = std::to_string(options.cells) + " x " + std::to_string(options.width),
           .got = std::to_string(size),
           .hint = "Report this as a defect."});
    }
  }

  SamplerOptions options;
  base::NameHash seeded;  // with what all names of this sampler begin with
  ColumnStore columns;
  Context context;  // genes in the order of `columns`
  // Of names in upper case: the same gene has the same samples in every spelling.
  std::vector<base::NameHash::Digest> keys;
};

Sampler::Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                 const SamplerOptions& options)
    : Sampler(dataset, genes, options, *comm::make_self_communicator()) {}

Sampler::Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                 const SamplerOptions& options, comm::Communicator& communicator) {
  comm::agree(communicator, [&] { validate(options, dataset); });
  const store::DatasetHeader& header = dataset.header();
  state_ = std::make_unique<State>(header.id, options);
  state_->columns = ColumnStore(dataset, genes, column_choice(options, dataset.cells()), communicator);
  std::vector<std::uint32_t> once;  // in the order of the columns, repeats left out
  for (const std::uint32_t gene : genes) {
    state_->name_gene(gene, header.genes.at(gene));
    const std::uint32_t place = state_->columns.place(gene);
    once.resize(std::max<std::size_t>(once.size(), place + std::size_t{1}));
    once[place] = gene;
  }
  if (options.context.cell || options.context.gene) {
    state_->context = make_context(dataset, once, options.context, communicator);
  }
}

Sampler::Sampler(const std::string& dataset_id, std::uint32_t cells, std::span<const SamplerGene> genes,
                 const SamplerOptions& options) {
  validate(options);
  if (options.context.cell || options.context.gene) {
    throw base::UsageError({.what = "context features are those of a dataset file",
                            .file = "model.context",
                            .expected = "none, for genes from memory",
                            .got = "context features",
                            .hint = "Give data.dataset, or leave model.context out."});
  }
  state_ = std::make_unique<State>(dataset_id, options);
  state_->columns = ColumnStore(cells, genes, column_choice(options, cells));
  for (const SamplerGene& gene : genes) {
    state_->name_gene(gene.index, gene.symbol);
  }
}

Sampler::~Sampler() = default;

const SamplerOptions& Sampler::options() const {
  return state_->options;
}

std::uint32_t Sampler::pair_cells(std::uint32_t tf, std::uint32_t gene) const {
  const GeneColumns& a = state_->at(tf);
  const GeneColumns& b = state_->at(gene);
  return state_->draws_from_all()
             ? state_->columns.cells()
             : state_->combined_cells().count(a.cells, b.cells, state_->columns.blocks());
}

bool Sampler::has_sample(std::uint32_t tf, std::uint32_t gene) const {
  return pair_cells(tf, gene) > 0;
}

std::size_t Sampler::sample_size() const {
  return state_->sample_size();
}

namespace {

DrawnSample& single() {
  thread_local DrawnSample mine;
  return mine;
}

}  // namespace

bool Sampler::draw(const SampleName& name, std::span<std::uint32_t> cells) const {
  if (cells.size() != static_cast<std::size_t>(state_->options.cells)) {
    throw base::InternalError({.what = "the room for a sample's cells has the wrong size",
                               .expected = std::to_string(state_->options.cells),
                               .got = std::to_string(cells.size()),
                               .hint = "Report this as a defect."});
  }
  DrawnSample& drawn = single();
  const auto ranks = state_->draw_ranks(name, drawn);
  if (ranks.empty()) {
    return false;
  }
  state_->find_places(ranks, drawn);
  std::transform(drawn.places.begin(), drawn.places.end(), cells.begin(), cell_of);
  return true;
}

bool Sampler::gather(const SampleName& name, std::span<float> out) const {
  state_->require_room(out.size());
  DrawnSample& drawn = single();
  const auto ranks = state_->draw_ranks(name, drawn);
  if (ranks.empty()) {
    return false;
  }
  state_->locate(ranks, drawn);
  state_->copy(drawn, out);
  return true;
}

std::uint64_t Sampler::sample_name_hash(const SampleName& name) const {
  return state_->pair_name(name).add("name").add(name.epoch).add(name.variant).value();
}

std::uint64_t Sampler::bytes() const {
  return state_->columns.bytes();
}

ColumnImage Sampler::image() const {
  ColumnImage image{.genes = {}, .cells = state_->columns.cells()};
  for (const GeneColumns& gene : state_->columns.all()) {
    image.genes.push_back({.cell_set = std::as_bytes(std::span(gene.cells, state_->columns.blocks())),
                           .values = {gene.values, gene.count * gene.value_bytes(state_->options.atac)},
                           .rna = gene.rna,
                           .rp = gene.rp});
  }
  return image;
}

SampleRecipe Sampler::recipe(const SampleName& name) const {
  const auto place = [&](std::uint32_t gene) {
    state_->at(gene);
    return state_->columns.place(gene);
  };
  const State::Keys keys = state_->keys_of(name);
  return {.tf = place(name.tf),
          .gene = place(name.gene),
          .cells_key = keys.cells,
          .order_key = keys.order,
          .reordered = keys.reordered};
}

/// Two samples in two stages; of one thread.
class SamplePipeline {
 public:
  std::size_t run(std::span<const SampleRequest> requests, std::span<float> out) {
    std::size_t count = requests.size();
    for (std::size_t step = 0; step < count + 1; ++step) {
      if (step < count) {
        const Sampler::State& state = state_of(requests[step]);
        DrawnSample& drawn = stages_[step % 2];
        if (const auto ranks = state.draw_ranks(requests[step].name, drawn); !ranks.empty()) {
          state.locate(ranks, drawn);
          fetch_to_write(out.data() + step * state.sample_size(), state.sample_size() * sizeof(float));
        } else {
          count = step;  // the one before is still brought to its end
        }
      }
      if (step >= 1 && step <= count) {
        const Sampler::State& state = state_of(requests[step - 1]);
        state.copy(stages_[(step - 1) % 2],
                   out.subspan((step - 1) * state.sample_size(), state.sample_size()));
      }
    }
    return count;
  }

 private:
  // gather_samples() has seen to it that all sources are of one kind.
  static const Sampler::State& state_of(const SampleRequest& request) {
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-static-cast-downcast): once a sample, and known already
    return *static_cast<const Sampler*>(request.sampler)->state_;
  }

  std::array<DrawnSample, 2> stages_;
};

std::size_t Sampler::gather_all(std::span<const SampleRequest> requests, std::span<float> out) const {
  thread_local SamplePipeline pipeline;
  return pipeline.run(requests, out);
}

}  // namespace mgrn::pairs
