// SPDX-License-Identifier: Apache-2.0
// What may be said about differences between repeated runs and between settings. Pure functions, any thread.
//
// Runs of one setting share most of their training pairs, so that their spread understates how far another
// split would lie: corrected_resampled_t() widens the interval for it (Nadeau and Bengio 2003,
// doi 10.1023/A:1024068626366). Whether one way is better than another is asked over settings, one difference
// of means each: signed_rank() (Wilcoxon 1945, doi 10.2307/3001968) and the matched-pairs rank-biserial
// correlation (Kerby 2014, doi 10.2466/11.IT.3.1).
//
// Errors: InternalError for a value that is not finite or a share that is negative.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace mgrn::evaluate {

/// NaN without values.
double mean(std::span<const double> values);
/// Sample standard deviation (n - 1); NaN below two values.
double standard_deviation(std::span<const double> values);
/// Middle value, or the mean of the two middle ones; NaN without values.
double median(std::span<const double> values);

struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// 95 % interval of the mean of independent values, by Student's t. Nothing below two values.
std::optional<Interval> t_interval(std::span<const double> values);

/// Of repeated random splits: values are a score, or a difference of two scores on the same split.
struct ResampledT {
  double mean = 0.0;
  Interval interval;     ///< 95 %
  double p_value = 1.0;  ///< two-sided, against a mean of `null_mean`
};
/// `test_to_train`: items in the test set over items in the training set, 0.25 for splits of 4/5 to 1/5.
/// The variance of the mean is (1 / runs + test_to_train) s^2, with runs - 1 degrees of freedom. Nothing
/// below two values. Without any spread the interval is a point, and p is 0 or, at `null_mean` itself, 1.
std::optional<ResampledT> corrected_resampled_t(std::span<const double> values, double test_to_train,
                                                double null_mean = 0.0);

/// Paired differences, tested for lying to both sides of zero alike.
struct SignedRank {
  std::size_t pairs = 0;       ///< differences other than zero; zeros are left out, as Wilcoxon did
  std::size_t wins = 0;        ///< differences above zero
  std::size_t ties = 0;        ///< differences of exactly zero
  std::size_t losses = 0;      ///< differences below zero
  double rank_sum_plus = 0.0;  ///< of the differences above zero; equal sizes share their mean rank
  double rank_sum_minus = 0.0;
  double p_value = 1.0;  ///< two-sided; 1 without pairs
  bool exact = true;     ///< from the distribution over all signs, given the ranks; else the normal one
  /// (plus - minus) / (plus + minus): 1 when all differences are above zero, -1 when all are below. 0 without
  /// pairs.
  double rank_biserial = 0.0;
  double median_difference = 0.0;  ///< of all differences, zeros included; NaN without any
};
/// Exact to 50 pairs, beyond by the normal distribution with the correction for ties.
SignedRank signed_rank(std::span<const double> differences);

}  // namespace mgrn::evaluate
