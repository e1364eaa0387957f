// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <vector>

#include "block_update.hpp"
#include "exact_sum.hpp"
#include "multigrnformer/comm/nodes.hpp"
#include "unit_queue.hpp"

namespace mgrn::train {
namespace {

constexpr std::size_t kLine = 64;

/// What the ranks of a node share: one of each, but for the sums, of which every thread of every rank has its
/// own.
struct NodeMemory {
  /// Collective.
  NodeMemory(comm::Communicator& communicator, const TrainingState& state, int threads)
      : nodes(comm::find_nodes(communicator)), values(state.parameters.values().size()) {
    std::size_t sum_count = 0;
    for (const auto& bytes : nodes.node->all_gather(std::as_bytes(std::span(&threads, 1)))) {
      first_sum_of_rank.push_back(sum_count);
      sum_count += static_cast<std::size_t>(comm::from_bytes<int>(bytes).at(0));
    }
    // Once to count and once to place.
    const std::size_t used = lay_out(nullptr, sum_count);
    memory = nodes.node->share_memory(used);
    lay_out(memory.bytes().data(), sum_count);
    if (nodes.node->rank() == 0) {
      taken[0] = 0;
      std::ranges::copy(state.first_moment, first_moment.begin());
      std::ranges::copy(state.second_moment, second_moment.begin());
    }
    nodes.node->barrier();
  }

  std::size_t lay_out(std::byte* base, std::size_t sum_count) {
    std::size_t at = 0;
    const auto place = [&]<typename Value>(std::span<Value>& array, std::size_t count) {
      array = base == nullptr ? std::span<Value>() : std::span(reinterpret_cast<Value*>(base + at), count);
      at += (count * sizeof(Value) + kLine - 1) / kLine * kLine;
    };
    place(first_moment, values);
    place(second_moment, values);
    place(new_weights, values);
    place(squares, Optimizer::blocks(values));
    place(taken, 1);
    place(total, ExactSum::words(values));
    sums.resize(sum_count);
    for (auto& sum : sums) {
      place(sum, ExactSum::words(values));
    }
    return at;
  }

  comm::Nodes nodes;
  std::size_t values;
  comm::SharedMemory memory;
  std::span<float> first_moment;
  std::span<float> second_moment;
  std::span<float> new_weights;    // written by the rank whose slice they are
  std::span<double> squares;       // of the gradient's blocks, likewise
  std::span<std::uint64_t> taken;  // of the step's micro-batches (UnitQueue)
  std::span<std::uint64_t> total;  // of the node, then of all nodes, where there are several
  std::vector<std::span<std::uint64_t>> sums;
  std::vector<std::size_t> first_sum_of_rank;
};

// What one rank writes others read after a collective: sums after the one between close() and reduce(),
// squares and weights after meet(). Nobody writes again before all have read: sums are started anew after the
// last meet() of a step, and the next step's squares and weights come after its reduce(). Micro-batches are
// counted anew between the collective and the last meet().
class SlicedUpdate final : private NodeMemory, public BlockUpdate {
 public:
  SlicedUpdate(ComputeTeam& computing, TrainingState& state, const Settings& settings,
               comm::Communicator& communicator)
      : NodeMemory(communicator, state, computing.threads()),
        BlockUpdate(computing, state, settings, first_moment, second_moment, squares),
        units_(communicator, *nodes.node, computing.threads(), taken[0]) {
    const std::size_t first = first_sum_of_rank[static_cast<std::size_t>(nodes.node->rank())];
    for (int thread = 0; thread < computing.threads(); ++thread) {
      sums_.emplace_back(parameters(), sums[first + static_cast<std::size_t>(thread)]);
    }
  }

  GradientSum& sum(int thread) override { return sums_[static_cast<std::size_t>(thread)]; }

  std::optional<std::uint64_t> next_unit(int thread, std::uint64_t units) override {
    return units_.next(thread, units);
  }

  void close(int thread, bool by_engine) override {
    units_.close(thread);
    ExactSum& mine = sums_[static_cast<std::size_t>(thread)];
    if (by_engine) {
      team().engine(thread).finish(*mine.direct());
    }
    mine.close();
  }

  ReductionOutcome reduce(double samples) override {
    if (nodes.node->rank() == 0) {
      units_.restart();
    }
    find_sources();
    if (nodes.several) {
      add_up_nodes();
    }
    const ReductionOutcome outcome = ExactSum::outcome(counters_);
    additions_ = static_cast<std::uint64_t>(outcome.units);
    divisor_ = samples;
    if (!outcome.usable()) {
      meet();  // others may still read the counters of sums that are about to be started anew
    }
    return outcome;
  }

 private:
  std::span<const std::uint64_t> counters_of(std::span<const std::uint64_t> sum) const {
    return sum.subspan(parameters(), ExactSum::kCounters);
  }

  /// The sums of this node that hold something, and the counters of all.
  void find_sources() {
    sources_.clear();
    counters_ = {};
    for (const auto& sum : sums) {
      const auto counters = counters_of(sum);
      for (std::size_t i = 0; i < counters_.size(); ++i) {
        counters_[i] += counters[i];
      }
      if (counters[ExactSum::kFilled] != 0) {
        sources_.push_back(sum.data());
      }
    }
  }

  /// Collective. One message a node; the total is then the only source.
  void add_up_nodes() {
    team().run([&](int thread) {
      const Range mine = blocks_of(thread);
      const std::size_t last = std::min(parameters(), mine.last * Optimizer::kBlock);
      for (std::size_t i = mine.first * Optimizer::kBlock; i < last; ++i) {
        std::uint64_t value = 0;
        for (const std::uint64_t* source : sources_) {
          value += source[i];
        }
        total[i] = value;
      }
    });
    const auto all = total.first(parameters() + ExactSum::kCounters);
    const bool leads = nodes.node->rank() == 0;
    if (leads) {
      std::ranges::copy(counters_, all.last(ExactSum::kCounters).begin());
    }
    nodes.node->barrier();
    if (leads) {
      nodes.leaders->all_reduce(std::span(reinterpret_cast<std::int64_t*>(all.data()), all.size()),
                                comm::Reduction::sum);
    }
    nodes.node->barrier();
    std::ranges::copy(counters_of(total), counters_.begin());
    sources_ = {total.data()};
  }

  Range blocks() const override {
    return share({0, Optimizer::blocks(values)}, static_cast<std::size_t>(nodes.node->rank()),
                 static_cast<std::size_t>(nodes.node->size()));
  }

  std::span<float> gradient(std::size_t first, std::span<float> room) override {
    model::to_float(sources_, first, additions_, sums_.front().scale(), divisor_, room);
    return room;
  }

  bool alone() const { return nodes.node->size() == 1; }

  void publish(std::size_t first, std::size_t count) override {
    if (!alone()) {
      std::ranges::copy(weights().subspan(first, count), new_weights.subspan(first).begin());
    }
  }

  void meet() override {
    if (!alone()) {
      nodes.node->barrier();
    }
  }

  void collect() override {
    if (alone()) {
      return;
    }
    const Range mine = blocks();
    const std::size_t others = Optimizer::blocks(values) - (mine.last - mine.first);
    team().run([&](int thread) {
      const Range range =
          share({0, others}, static_cast<std::size_t>(thread), static_cast<std::size_t>(team().threads()));
      for (std::size_t i = range.first; i < range.last; ++i) {
        const std::size_t first = (i < mine.first ? i : i + (mine.last - mine.first)) * Optimizer::kBlock;
        const std::size_t count = std::min(Optimizer::kBlock, values - first);
        std::ranges::copy(new_weights.subspan(first, count), weights().subspan(first).begin());
      }
    });
  }

  UnitQueue units_;
  std::vector<ExactSum> sums_;  // one per thread
  std::vector<const std::uint64_t*> sources_;
  std::array<std::uint64_t, ExactSum::kCounters> counters_{};
  std::uint64_t additions_ = 0;
  double divisor_ = 1;
};

}  // namespace

std::unique_ptr<Update> make_sliced_update(ComputeTeam& team, TrainingState& state, const Settings& settings,
                                           comm::Communicator& communicator) {
  return std::make_unique<SlicedUpdate>(team, state, settings, communicator);
}

}  // namespace mgrn::train
