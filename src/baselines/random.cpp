// SPDX-License-Identifier: Apache-2.0
// A score drawn for each pair by its name: what no knowledge at all reaches on this split.
#include "method_list.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::baselines {
namespace {

class RandomScorer : public PairScorer {
 public:
  RandomScorer(const store::DatasetHeader& header, std::uint64_t seed) : header_(header), seed_(seed) {}

  double score(std::uint32_t tf, std::uint32_t gene) const override {
    const auto name = base::NameHash().add("random baseline").add(header_.genes[tf]).add(header_.genes[gene]);
    return 1.0 - base::PhiloxStream(seed_, name.value()).uniform();  // in (0, 1]: 0 would mean not predicted
  }

 private:
  const store::DatasetHeader& header_;
  std::uint64_t seed_;
};

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator&) {
  return std::make_unique<RandomScorer>(problem.header, problem.settings.seed);
}

}  // namespace

Method random_method() {
  return {.name = "random",
          .summary = "a number drawn for each pair",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
