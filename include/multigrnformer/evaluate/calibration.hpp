// SPDX-License-Identifier: Apache-2.0
// Probabilities that mean what they say: a score's map to the share of edges among pairs of that score,
// fitted on labelled pairs that training has not seen (validation pairs), and measures of how well it holds.
//
// Prior shift. Validation pairs are balanced, candidate pairs are not: of all TF-gene pairs a few per cent
// are edges. What carries over is the likelihood ratio p(score | edge) / p(score | no edge), so the odds are
// multiplied by the ratio of the two priors' odds (Saerens, Latinne and Decaestecker 2002,
// doi 10.1162/089976602753284446). Negatives must be drawn alike in both sets for that to hold.
//
// Pure functions, of any thread.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "multigrnformer/base/json_fwd.hpp"

namespace mgrn::evaluate {

enum class CalibrationMethod {
  none,      ///< scores as they are
  platt,     ///< a logistic function of the score's log-odds: two numbers (Platt 1999)
  isotonic,  ///< any function that does not fall (Zadrozny and Elkan 2002, doi 10.1145/775047.775151)
};

/// Fewer pairs of either label than this tell too little to fit anything.
inline constexpr std::uint64_t kLeastCalibrationPairs = 10;

class Calibration {
 public:
  /// Scores as they are; whoever asks for another prior gets them as they are too.
  Calibration() = default;
  /// `scores` lie in [0, 1]. Platt's smoothed targets, Newton's method; a slope below zero, which would turn
  /// the ranking round, becomes zero: then scores tell nothing, and every probability is the prior. Isotonic:
  /// pool-adjacent-violators, linear between its steps. Throws DataError where a label has fewer than
  /// kLeastCalibrationPairs pairs, InternalError for spans of different sizes.
  static Calibration fit(CalibrationMethod method, std::span<const double> scores,
                         std::span<const std::uint8_t> labels);

  CalibrationMethod method() const { return method_; }
  /// Share of positives among the pairs of the fit.
  double prior() const { return prior_; }
  /// Probability of an edge among pairs mixed as those of the fit. Does not fall with the score.
  double probability(double score) const;
  /// The same among pairs of which `prior` (above 0, below 1) are edges.
  double probability(double score, double prior) const;
  /// Platt's map: logit p = slope * logit(score) + offset.
  double slope() const { return slope_; }
  double offset() const { return offset_; }

  /// Method, the pairs of the fit, its parameters.
  base::Json to_json() const;

 private:
  CalibrationMethod method_ = CalibrationMethod::none;
  std::uint64_t positives_ = 0;
  std::uint64_t negatives_ = 0;
  double prior_ = 0.5;
  double slope_ = 1;
  double offset_ = 0;
  std::vector<double> knots_;  // isotonic: scores, ascending
  std::vector<double> steps_;  // and their probabilities
};

std::string name_of(CalibrationMethod method);

/// Mean squared difference between probability and label (Brier 1950).
double brier_score(std::span<const double> probabilities, std::span<const std::uint8_t> labels);

inline constexpr std::size_t kCalibrationBins = 15;
/// Expected calibration error: |share of positives - mean probability|, averaged over pairs, in
/// kCalibrationBins bins of equal width (Guo et al. 2017, arXiv 1706.04599). A probability on a bin's border
/// belongs to the upper one.
double expected_calibration_error(std::span<const double> probabilities,
                                  std::span<const std::uint8_t> labels);

/// `raw` scores, `calibrated` under the prior of the fit, `calibrated_for_prior` under the share of positives
/// among these pairs, which the split's design gives; beside them the control `prior_alone`, which tells
/// every pair that share.
base::Json calibration_report(const Calibration& calibration, std::span<const double> scores,
                              std::span<const std::uint8_t> labels);

}  // namespace mgrn::evaluate
