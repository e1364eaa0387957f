// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/sampler.hpp"

#include <algorithm>
#include <array>

#include "column_store.hpp"
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
  std::vector<std::uint32_t> members;  // places of all shared cells, where listing them is faster
  RankDraw draw;
};

Scratch& scratch() {
  thread_local Scratch mine;
  return mine;
}

/// A sample on its way: its cells, then where their values are.
struct DrawnSample {
  const GeneColumns* tf = nullptr;
  const GeneColumns* gene = nullptr;
  std::vector<std::uint32_t> places;                // N
  std::array<std::vector<std::uint32_t>, 4> index;  // N each: RNA and RP of the TF, then of the gene

  const Column& column(std::size_t number) const {
    const GeneColumns& columns = number < 2 ? *tf : *gene;
    return number % 2 == 0 ? columns.rna : columns.rp;
  }
};

// Into the second-level cache: a sample's lines are more than the first level holds.
__attribute__((always_inline)) inline void fetch_ahead(const void* address) {
  __builtin_prefetch(address, 0, 2);
}

// Where the values of a column's cells are.
void locate(const Column& column, bool rna, std::span<const std::uint32_t> places,
            std::vector<std::uint32_t>& index) {
  if (column.values == nullptr) {
    return;
  }
  index.resize(places.size());
  if (column.cells == nullptr) {
    std::transform(places.begin(), places.end(), index.begin(), cell_of);
  } else if (rna) {
    sampler_kernels().rank_members(column.cells, places, index.data());
  } else {
    sampler_kernels().rank_any(column.cells, places, column.count, index.data());
  }
}

void copy_values(const Column& column, std::span<const std::uint32_t> index, std::size_t count,
                 std::size_t width, float* out) {
  if (column.values == nullptr) {
    for (std::size_t i = 0; i < count; ++i) {
      out[i * width] = 0.0f;
    }
  } else if (column.coding.exact()) {
    const auto* values = reinterpret_cast<const float*>(column.values);
    for (std::size_t i = 0; i < count; ++i) {
      out[i * width] = values[index[i]];
    }
  } else {
    const auto* numbers = reinterpret_cast<const std::uint16_t*>(column.values);
    for (std::size_t i = 0; i < count; ++i) {
      out[i * width] = static_cast<float>(static_cast<std::int32_t>(numbers[index[i]]) + column.coding.zero) *
                       column.coding.step;
    }
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

bool is_compact(Precision precision, std::uint64_t cells) {
  return precision == Precision::int16 || (precision == Precision::automatic && cells >= kCompactFrom);
}

}  // namespace

struct Sampler::State {
  State(const std::string& dataset_id, const SamplerOptions& chosen)
      : options(chosen), seeded(base::NameHash().add(chosen.seed).add(dataset_id)) {}

  void name_gene(std::uint32_t gene, const std::string& symbol) {
    const std::uint32_t place = columns.place(gene);
    keys.resize(std::max<std::size_t>(keys.size(), place + std::size_t{1}));
    keys[place] = base::symbol_key(symbol);
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
  const std::string& key(std::uint32_t gene) const {
    at(gene);
    return keys[columns.place(gene)];
  }

  base::NameHash pair_name(const SampleName& name) const {
    base::NameHash hash = seeded;
    hash.add(key(name.tf)).add(key(name.gene)).add(static_cast<std::uint64_t>(name.purpose));
    return hash;
  }

  /// The places of the sample's cells. False when the genes share none.
  bool draw(const SampleName& name, DrawnSample& drawn) const {
    drawn.tf = &at(name.tf);
    drawn.gene = &at(name.gene);
    const CellBlock* a = drawn.tf->rna.cells;
    const CellBlock* b = drawn.gene->rna.cells;
    const SamplerKernels& kernels = sampler_kernels();
    Scratch& memory = scratch();
    const std::size_t blocks = columns.blocks();
    memory.index.resize(blocks);
    const std::uint32_t count = kernels.intersect(a, b, blocks, memory.index.before.data());
    if (count == 0) {
      return false;
    }
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
    auto& ranks = memory.draw.draw(count, static_cast<std::size_t>(options.cells), draws.value());
    if (once) {
      memory.draw.shuffle(ranks, base::NameHash(pair).add("order").add(name.variant).value());
    }
    drawn.places.resize(ranks.size());
    if (listing_is_faster(blocks, ranks.size())) {
      memory.members.resize(std::max<std::size_t>(memory.members.size(), count + kListOverrun));
      kernels.list(a, b, blocks, memory.members.data());
      for (std::size_t i = 0; i < ranks.size(); ++i) {
        drawn.places[i] = memory.members[ranks[i]];
      }
    } else {
      memory.index.finish(blocks);
      kernels.select(a, b, memory.index, ranks, drawn.places.data());
    }
    return true;
  }

  /// What locate() will read of the columns that draw() has not read.
  void fetch_cells(const DrawnSample& drawn) const {
    for (const CellBlock* cells : {drawn.tf->rp.cells, drawn.gene->rp.cells}) {
      if (cells != nullptr) {
        for (const std::uint32_t place : drawn.places) {
          fetch_ahead(cells + (place >> 8));
        }
      }
    }
  }

  void locate_values(DrawnSample& drawn) const {
    for (std::size_t column = 0; column < 4; ++column) {
      locate(drawn.column(column), column % 2 == 0, drawn.places, drawn.index[column]);
    }
  }

  void fetch_values(const DrawnSample& drawn) const {
    for (std::size_t number = 0; number < 4; ++number) {
      const Column& column = drawn.column(number);
      if (column.values != nullptr) {
        const std::size_t width = column.coding.width();
        for (const std::uint32_t index : drawn.index[number]) {
          fetch_ahead(column.values + index * width);
        }
      }
    }
  }

  void copy(const DrawnSample& drawn, std::span<float> out) const {
    const auto width = static_cast<std::size_t>(options.width);
    const std::size_t count = drawn.places.size();
    for (std::size_t column = 0; column < 4; ++column) {
      copy_values(drawn.column(column), drawn.index[column], count, width, out.data() + column);
    }
    if (width > 4) {
      for (std::size_t i = 0; i < count; ++i) {
        std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(i * width + 4), width - 4, 0.0f);
      }
    }
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
  std::vector<std::string> keys;  // upper case: the same gene has the same samples in every spelling
};

Sampler::Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                 const SamplerOptions& options)
    : Sampler(dataset, genes, options, *comm::make_self_communicator()) {}

Sampler::Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes,
                 const SamplerOptions& options, comm::Communicator& communicator) {
  comm::agree(communicator, [&] { validate(options, dataset); });
  const store::DatasetHeader& header = dataset.header();
  state_ = std::make_unique<State>(header.id, options);
  state_->columns =
      ColumnStore(dataset, genes, options.atac, is_compact(options.precision, dataset.cells()), communicator);
  for (const std::uint32_t gene : genes) {
    state_->name_gene(gene, header.genes.at(gene));
  }
}

Sampler::Sampler(const std::string& dataset_id, std::uint32_t cells, std::span<const SamplerGene> genes,
                 const SamplerOptions& options) {
  validate(options);
  state_ = std::make_unique<State>(dataset_id, options);
  state_->columns = ColumnStore(cells, genes, options.atac, is_compact(options.precision, cells));
  for (const SamplerGene& gene : genes) {
    state_->name_gene(gene.index, gene.symbol);
  }
}

Sampler::~Sampler() = default;

const SamplerOptions& Sampler::options() const {
  return state_->options;
}

std::uint32_t Sampler::shared_cells(std::uint32_t tf, std::uint32_t gene) const {
  return sampler_kernels().count_shared(state_->at(tf).rna.cells, state_->at(gene).rna.cells,
                                        state_->columns.blocks());
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
  if (!state_->draw(name, drawn)) {
    return false;
  }
  std::transform(drawn.places.begin(), drawn.places.end(), cells.begin(), cell_of);
  return true;
}

bool Sampler::gather(const SampleName& name, std::span<float> out) const {
  state_->require_room(out.size());
  DrawnSample& drawn = single();
  if (!state_->draw(name, drawn)) {
    return false;
  }
  state_->locate_values(drawn);
  state_->copy(drawn, out);
  return true;
}

std::uint64_t Sampler::sample_name_hash(const SampleName& name) const {
  return state_->pair_name(name).add("name").add(name.epoch).add(name.variant).value();
}

std::uint64_t Sampler::bytes() const {
  return state_->columns.bytes();
}

/// Three samples in three stages; of one thread.
class SamplePipeline {
 public:
  std::size_t run(std::span<const SampleRequest> requests, std::span<float> out) {
    std::size_t count = requests.size();
    for (std::size_t step = 0; step < count + 2; ++step) {
      if (step < count) {
        const SampleRequest& request = requests[step];
        const Sampler::State& state = *request.sampler->state_;
        DrawnSample& drawn = stages_[step % 3];
        if (state.draw(request.name, drawn)) {
          state.fetch_cells(drawn);
        } else {
          count = step;  // those before are still brought to their end
        }
      }
      if (step >= 1 && step - 1 < count) {
        const Sampler::State& state = *requests[step - 1].sampler->state_;
        DrawnSample& drawn = stages_[(step - 1) % 3];
        state.locate_values(drawn);
        state.fetch_values(drawn);
      }
      if (step >= 2 && step - 2 < count) {
        const Sampler::State& state = *requests[step - 2].sampler->state_;
        const std::size_t size = state.sample_size();
        state.copy(stages_[(step - 2) % 3], out.subspan((step - 2) * size, size));
      }
    }
    return count;
  }

 private:
  std::array<DrawnSample, 3> stages_;
};

std::size_t gather_samples(std::span<const SampleRequest> requests, std::span<float> out) {
  if (requests.empty()) {
    return 0;
  }
  const SamplerOptions& options = requests.front().sampler->options();
  const std::size_t size = static_cast<std::size_t>(options.cells) * static_cast<std::size_t>(options.width);
  for (const SampleRequest& request : requests) {
    const SamplerOptions& other = request.sampler->options();
    if (other.cells != options.cells || other.width != options.width ||
        out.size() != size * requests.size()) {
      throw base::InternalError({.what = "the room for samples has the wrong size",
                                 .expected = std::to_string(requests.size()) + " x " +
                                             std::to_string(other.cells) + " x " +
                                             std::to_string(other.width),
                                 .got = std::to_string(out.size()),
                                 .hint = "Report this as a defect."});
    }
  }
  thread_local SamplePipeline pipeline;
  return pipeline.run(requests, out);
}

}  // namespace mgrn::pairs
