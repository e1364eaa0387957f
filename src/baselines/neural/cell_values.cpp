// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/cell_values.hpp"

#include <algorithm>
#include <cmath>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/progress.hpp"
#include "multigrnformer/comm/agree.hpp"

namespace mgrn::baselines {
namespace {

constexpr double kCountsPerCell = 1e4;
// Counts are whole numbers; this leaves 20 bits for sources that hold fractions of them.
constexpr double kFixedPoint = 1 << 20;
// Rows of the matrix that are read together: neighbours share chunks of the file.
constexpr std::size_t kGenesAtATime = 256;

// prepare.rna of the dataset; empty where the file does not say.
std::string preparation(const store::Dataset& dataset) {
  const base::Json settings = base::Json::parse(dataset.header().settings, nullptr, false);
  return settings.is_object() && settings.contains("rna") && settings["rna"].is_string()
             ? settings["rna"].get<std::string>()
             : std::string();
}

bool holds_counts(const std::string& preparation) {
  return preparation.rfind("lognorm", 0) == 0;
}

std::vector<double> library_sizes(const store::Dataset& dataset, comm::Communicator& communicator) {
  std::vector<std::int64_t> sums(dataset.cells());
  comm::agree(communicator, [&] {
    const auto ranks = static_cast<std::size_t>(communicator.size());
    const auto rank = static_cast<std::size_t>(communicator.rank());
    const std::size_t genes = dataset.genes();
    base::Progress progress("library sizes", genes, "genes");
    std::vector<std::uint32_t> block;
    for (std::size_t first = rank * kGenesAtATime; first < genes; first += ranks * kGenesAtATime) {
      const std::size_t last = std::min(first + kGenesAtATime, genes);
      block.resize(last - first);
      for (std::size_t i = 0; i < block.size(); ++i) {
        block[i] = static_cast<std::uint32_t>(first + i);
      }
      for (const store::GeneRow& row : dataset.rows(store::Layer::rna, block)) {
        for (std::size_t i = 0; i < row.cell.size(); ++i) {
          sums[row.cell[i]] += std::llround(static_cast<double>(row.count[i]) * kFixedPoint);
        }
      }
      progress.advance(std::min(ranks * block.size(), genes - std::min(genes, first / ranks)));
    }
    progress.finish();
  });
  communicator.all_reduce(sums, comm::Reduction::sum);
  std::vector<double> sizes(sums.size());
  std::transform(sums.begin(), sums.end(), sizes.begin(),
                 [](std::int64_t sum) { return static_cast<double>(sum) / kFixedPoint; });
  return sizes;
}

}  // namespace

std::string to_text(Values values) {
  switch (values) {
    case Values::automatic:
      return "auto";
    case Values::source:
      return "source";
    case Values::normalised:
      return "normalised";
    case Values::lognorm:
      return "lognorm";
  }
  return "auto";
}

Values resolve_values(Values chosen, Values own, const store::Dataset& dataset) {
  const std::string prepared = preparation(dataset);
  if (chosen == Values::automatic) {
    return holds_counts(prepared) ? own : Values::source;
  }
  if (chosen != Values::source && !holds_counts(prepared)) {
    throw base::DataError(
        {.what = "this dataset was not made from counts, so its values cannot be normalised",
         .file = dataset.file().string(),
         .expected = "prepare.rna = lognorm+z or lognorm for baseline.values = " + to_text(chosen),
         .got = prepared.empty() ? "no word of it in the file" : "prepare.rna = " + prepared,
         .hint = "set baseline.values = source, or prepare the dataset from counts"});
  }
  return chosen;
}

CellValues::CellValues(const store::Dataset& dataset, std::span<const std::uint32_t> genes, Values values,
                       comm::Communicator& communicator)
    : expression_(dataset, genes, false, communicator), values_(values) {
  comm::agree(communicator, [&] {
    for (const std::uint32_t gene : expression_.genes()) {
      const Column column = expression_.rna(gene);
      const auto wrong = std::find_if(column.count.begin(), column.count.end(),
                                      [](float count) { return !(count >= 0 && std::isfinite(count)); });
      if (wrong != column.count.end()) {
        throw base::DataError(
            {.what = "a gene has a value that its logarithm cannot be taken of",
             .file = dataset.file().string(),
             .expected = "finite values, 0 or more, of " + dataset.header().genes.at(gene),
             .got = std::to_string(*wrong),
             .hint = "prepare the dataset from counts or from values that were not centred"});
      }
    }
  });
  if (values != Values::source) {
    library_size_ = library_sizes(dataset, communicator);
  }
}

void CellValues::read(std::uint32_t gene, std::span<double> out) const {
  std::fill(out.begin(), out.end(), 0.0);
  const Column column = expression_.rna(gene);
  for (std::size_t i = 0; i < column.cell.size(); ++i) {
    const std::uint32_t cell = column.cell[i];
    double value = static_cast<double>(column.count[i]);
    if (values_ != Values::source && value > 0) {
      value = value / library_size_[cell] * kCountsPerCell;
      value = values_ == Values::lognorm ? std::log1p(value) : value;
    }
    out[cell] = value;
  }
}

}  // namespace mgrn::baselines
