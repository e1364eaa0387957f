// SPDX-License-Identifier: Apache-2.0
// How many training edges the TF and the gene have: what a score reaches that never sees expression. The same
// control that stands in every result.json, as a method of its own.
#include "method_list.hpp"
#include "multigrnformer/evaluate/controls.hpp"

namespace mgrn::baselines {
namespace {

std::vector<formats::NamedEdge> known_edges(const Problem& problem) {
  std::vector<formats::NamedEdge> edges;
  for (const auto& pair : problem.split.pairs) {
    if (pair.set != pairs::Set::test && pair.label == 1) {
      edges.push_back({problem.header.genes[pair.tf], problem.header.genes[pair.gene]});
    }
  }
  return edges;
}

class DegreeScorer : public PairScorer {
 public:
  explicit DegreeScorer(const Problem& problem) : header_(problem.header), control_(known_edges(problem)) {}

  double score(std::uint32_t tf, std::uint32_t gene) const override {
    return control_.score(header_.genes[tf], header_.genes[gene]);
  }

 private:
  const store::DatasetHeader& header_;
  evaluate::DegreeControl control_;
};

std::unique_ptr<PairScorer> prepare(const Problem& problem, comm::Communicator&) {
  return std::make_unique<DegreeScorer>(problem);
}

}  // namespace

Method degree_method() {
  return {.name = "degree",
          .summary = "(1 + out-degree of the TF) (1 + in-degree of the gene) in the training edges",
          .work = PrepareScorer(prepare),
          .rna_alone = true};
}

}  // namespace mgrn::baselines
