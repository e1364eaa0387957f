// SPDX-License-Identifier: Apache-2.0
// A pair's sample [N, d_model] is computed on the fly from per-gene columns; it is a pure function of its
// name, so any rank, thread or restart computes the same one.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/column_image.hpp"
#include "multigrnformer/pairs/sample_source.hpp"
#include "multigrnformer/store/dataset.hpp"

namespace mgrn::pairs {

/// How a training sample's cells depend on its name. Samples of other purposes depend on their variant alone,
/// a new draw for each.
enum class Resample {
  once,  ///< one draw of cells per pair; the augmented copies are orders of it, the same in every epoch (the
         ///< paper)
  copies,  ///< a new draw for every augmented copy, the same in every epoch
  epoch,   ///< a new draw and order for every copy in every epoch
};

/// How values are held in memory.
enum class Precision {
  automatic,  ///< float32 below kCompactFrom cells, int16 from there: a function of the dataset alone
  float32,    ///< as they are in the dataset file
  int16,      ///< 16 bits where a gene's values allow an error below 0.001, else float32 for that gene
};
inline constexpr std::uint32_t kCompactFrom = 100'000;

/// Which cells a pair's samples are drawn from.
enum class PairCells {
  both,    ///< those in which both genes are expressed (the paper); a pair without any has no sample
  either,  ///< those in which at least one is
  all,     ///< all of the dataset
};

/// "a cell that expresses both genes", and so on: what a pair without samples lacks.
std::string wanted_cell(PairCells rule);

/// Context features of a sample, in further columns: of each cell, and of the pair's genes, the same in every
/// cell.
struct ContextOptions {
  bool cell = false;  ///< library size and first principal components of the cell
  bool gene = false;  ///< correlation of each gene's profile with the first principal components
  bool operator==(const ContextOptions&) const = default;
};
inline constexpr int kCellContext = 5;        ///< columns of a cell: its size, four components
inline constexpr int kGeneContext = 8;        ///< of each gene
inline constexpr int kComponentGenes = 1000;  ///< components are those of the most variable genes
constexpr int context_columns(const ContextOptions& options) {
  return (options.cell ? kCellContext : 0) + (options.gene ? 2 * kGeneContext : 0);
}

struct SamplerOptions {
  int cells = 500;  ///< N
  /// d_model; columns (RNA TF, RP TF, RNA gene, RP gene), then the context's (cell, TF, gene), further ones
  /// zero
  int width = 4;
  bool atac = true;  ///< false: the RP columns stay zero
  Resample resample = Resample::epoch;
  std::uint64_t seed = 1;  ///< train.seed
  Precision precision = Precision::automatic;
  /// Other than `both`, values of every cell are held, 4 to 8 bytes for each gene and cell (2 to 4 compact).
  PairCells pair_cells = PairCells::both;
  ContextOptions context = {};
};

/// One gene as the sampler takes it in: its stored entries, ascending by cell. RNA entries with a count above
/// zero are its expressed cells.
struct SamplerGene {
  std::uint32_t index = 0;  ///< dataset gene index, by which samples are asked for
  std::string symbol;
  store::GeneRow rna;
  store::GeneRow rp;         ///< ignored without atac
  float rp_background = 0;   ///< RP of cells without an entry
  float rna_background = 0;  ///< RNA of cells without an entry
};

/// Per-gene columns of the genes in use and the sampler on them. Immutable after construction: any number of
/// threads may call. Asking for a gene that was not loaded throws InternalError.
class Sampler final : public SampleSource {
 public:
  /// Loads the rows of `genes` (dataset indices, any order) from the dataset file. Throws UsageError for
  /// illegal options, DataError for atac without RP in the dataset.
  Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes, const SamplerOptions& options);
  /// Collective. The same with one copy of the columns per node, each rank reading its part of the genes. An
  /// error of any rank is thrown on every rank. The ranks of a node let go of the sampler together.
  Sampler(const store::Dataset& dataset, std::span<const std::uint32_t> genes, const SamplerOptions& options,
          comm::Communicator& communicator);
  /// The same from memory, without context features. `dataset_id` enters every sample's name.
  Sampler(const std::string& dataset_id, std::uint32_t cells, std::span<const SamplerGene> genes,
          const SamplerOptions& options);
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;
  ~Sampler() override;

  const SamplerOptions& options() const;
  /// Cells that the pair's samples are drawn from, by `pair_cells`; 0: the pair has no sample.
  std::uint32_t pair_cells(std::uint32_t tf, std::uint32_t gene) const;
  /// The N cells of a sample, in order. `cells` has N elements. False, untouched, when there are none.
  /// Distinct cells when there are at least N to draw from, else drawn with replacement.
  bool draw(const SampleName& name, std::span<std::uint32_t> cells) const;
  /// The sample itself, [N, width] row-major, without positional encoding. `out` has N * width elements.
  bool gather(const SampleName& name, std::span<float> out) const override;
  std::size_t sample_size() const override;  ///< N * width
  bool has_sample(std::uint32_t tf, std::uint32_t gene) const override;
  /// The name as a number, different for every (seed, dataset, TF, gene, purpose, epoch, variant), whatever
  /// `resample` is; seeds the sample's dropout masks.
  std::uint64_t sample_name_hash(const SampleName& name) const;
  std::uint64_t bytes() const;  ///< memory held by the columns, of which a node has one copy
  /// What samples are made of, context features left out, and of what one of them is, for who makes them
  /// elsewhere. The spans are the sampler's.
  ColumnImage image() const;
  SampleRecipe recipe(const SampleName& name) const;

 private:
  /// While one sample is copied, the values of the next are on their way from memory.
  std::size_t gather_all(std::span<const SampleRequest> requests, std::span<float> out) const override;

  friend class SamplePipeline;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mgrn::pairs
