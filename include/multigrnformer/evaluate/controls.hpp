// SPDX-License-Identifier: Apache-2.0
// The degree-only control: what a score reaches that never sees expression, only how many training edges each
// TF and each gene has. It stands beside every result. Pure functions, any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>

#include "multigrnformer/formats/network_file.hpp"

namespace mgrn::evaluate {

/// Degrees over training positives; symbols are compared ignoring case.
class DegreeControl {
 public:
  /// `training_positives`: the positive pairs outside the test set, those held out for validation included
  /// (they were chosen from the training pairs, and a person who looks at degrees may look at them).
  explicit DegreeControl(std::span<const formats::NamedEdge> training_positives);

  /// (1 + out-degree of the TF) (1 + in-degree of the gene); a symbol never seen has degree 0.
  double score(const std::string& tf, const std::string& gene) const;

 private:
  std::unordered_map<std::string, std::uint64_t> out_degree_;
  std::unordered_map<std::string, std::uint64_t> in_degree_;
};

}  // namespace mgrn::evaluate
