// SPDX-License-Identifier: Apache-2.0
// The methods that MultiGRNFormer is compared with, in one table. All run on the split that `train` with the
// same keys would have, and leave the same folder.
//
// To add one:
//   1. a file of its own in src/baselines (a folder, where it is large) with a function that returns its
//   Method,
//      declared in src/baselines/method_list.hpp and named in method_list.cpp;
//   2. what it can be told: a field of Options, bound to a key in src/cli/keys_baseline.cpp;
//   3. either a PairScorer (below), for methods that score pairs from the matrices, or a function that does a
//      whole run through the trainer;
//   4. a section in docs/baselines.md, and tests against an independent source of numbers in tests/baselines.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"
#include "multigrnformer/baselines/expression.hpp"
#include "multigrnformer/baselines/options.hpp"
#include "multigrnformer/comm/communicator.hpp"
#include "multigrnformer/pairs/gene_set.hpp"
#include "multigrnformer/pairs/split.hpp"
#include "multigrnformer/store/dataset.hpp"
#include "multigrnformer/train/hooks.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::baselines {

/// What a method that scores pairs may look at; the same on every rank. Genes are indices into the dataset.
struct Problem {
  const train::Settings& settings;
  const Options& options;
  const store::DatasetHeader& header;
  const pairs::RestrictedNetwork& network;  ///< holds the test edges too: not for learning from
  const pairs::Split& split;                ///< labels of the sets train and validation may be learned from
  const Expression& expression;             ///< regulators and targets are loaded
  std::vector<std::uint32_t> regulators;    ///< TFs of the list, the network and the split, ascending
  std::vector<std::uint32_t> targets;       ///< genes of the gene set and the split, ascending
  std::filesystem::path folder;             ///< of the run: for partial results that a restart goes on from
};

/// A prepared method. The same on every rank; score and weight may be asked for from any thread, for any
/// regulator and target that are not the same gene.
class PairScorer {
 public:
  virtual ~PairScorer() = default;
  PairScorer() = default;
  PairScorer(const PairScorer&) = delete;
  PairScorer& operator=(const PairScorer&) = delete;

  /// Larger is more likely an edge; finite. 0 means: not predicted, and such pairs are left out of
  /// rankedEdges.csv.
  virtual double score(std::uint32_t tf, std::uint32_t gene) const = 0;
  /// What rankedEdges.csv says of the pair: the score, with a sign where the method knows one.
  virtual double weight(std::uint32_t tf, std::uint32_t gene) const { return score(tf, gene); }
  /// Fields for result.json; byte-stable.
  virtual base::Json facts() const;
};

/// Collective. Does the method's work, on any number of ranks and threads with the same bits; looks at the
/// stop signal where it takes long and throws Stopped.
using PrepareScorer = std::unique_ptr<PairScorer> (*)(const Problem& problem,
                                                      comm::Communicator& communicator);
/// Collective. A whole run in settings.out, as train::run_training does one; returns result.json's content.
using TrainMethod = base::Json (*)(const train::Settings& settings, const Options& options,
                                   comm::Communicator& communicator, const train::Hooks& hooks);

struct Method {
  std::string name;     ///< as --method takes it
  std::string summary;  ///< one line for help
  std::variant<PrepareScorer, TrainMethod> work;
  /// Never looks at the regulatory potential, which is then not loaded, whatever data.modalities says.
  bool rna_alone = false;
  /// Sets what the user has not (`given`: keys set by file or command line) to the method's own defaults,
  /// before config.ini is made, and settings.method for methods that train; null: train's defaults hold.
  void (*defaults)(train::Settings& settings, Options& options, const std::set<std::string>& given) = nullptr;
};

/// All methods of this build, controls first.
const std::vector<Method>& methods();
/// Throws UsageError that lists the methods there are.
const Method& find_method(const std::string& name);
/// Whether the method goes through the trainer. Throws as find_method.
bool trains(const std::string& name);
/// "random, degree, ..."
std::string method_names();

}  // namespace mgrn::baselines
