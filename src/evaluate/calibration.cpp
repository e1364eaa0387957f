// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/calibration.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"

namespace mgrn::evaluate {
namespace {

void require_pairs(std::size_t scores, std::size_t labels) {
  if (scores != labels) {
    throw base::InternalError({.what = "scores and labels of a calibration differ in number",
                               .expected = std::to_string(labels),
                               .got = std::to_string(scores),
                               .hint = "report this as a defect"});
  }
}

// A mean of float32 probabilities can be exactly 0 or 1.
double log_odds(double score) {
  constexpr double kLeast = 1e-12;
  const double p = std::clamp(score, kLeast, 1 - kLeast);
  return std::log(p) - std::log1p(-p);
}

double logistic(double logit) {
  return logit >= 0 ? 1 / (1 + std::exp(-logit)) : std::exp(logit) / (1 + std::exp(logit));
}

struct Line {
  double slope = 0;
  double offset = 0;
};

double loss_of(const Line& line, std::span<const double> x, std::span<const double> targets) {
  double loss = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double logit = line.slope * x[i] + line.offset;
    loss += std::max(logit, 0.0) - logit * targets[i] + std::log1p(std::exp(-std::fabs(logit)));
  }
  return loss;
}

// Newton's method with halved steps on a convex function of two numbers (Lin, Lin and Weng 2007,
// doi 10.1007/s10994-007-5018-6). Smoothed targets keep the minimum finite where scores separate the labels.
Line fit_line(std::span<const double> x, std::span<const double> targets, double prior) {
  constexpr int kMostSteps = 200;
  constexpr double kRidge = 1e-12;
  Line line{.slope = 0, .offset = std::log(prior) - std::log1p(-prior)};
  double loss = loss_of(line, x, targets);
  for (int step = 0; step < kMostSteps; ++step) {
    double g_slope = 0, g_offset = 0, h_ss = kRidge, h_so = 0, h_oo = kRidge;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double p = logistic(line.slope * x[i] + line.offset);
      const double residual = p - targets[i];
      const double weight = p * (1 - p);
      g_slope += residual * x[i];
      g_offset += residual;
      h_ss += weight * x[i] * x[i];
      h_so += weight * x[i];
      h_oo += weight;
    }
    const double determinant = h_ss * h_oo - h_so * h_so;
    const Line move{.slope = -(h_oo * g_slope - h_so * g_offset) / determinant,
                    .offset = -(h_ss * g_offset - h_so * g_slope) / determinant};
    const double descent = g_slope * move.slope + g_offset * move.offset;
    double length = 1;
    Line next = line;
    double next_loss = loss;
    for (; length > 1e-10; length /= 2) {
      next = {.slope = line.slope + length * move.slope, .offset = line.offset + length * move.offset};
      next_loss = loss_of(next, x, targets);
      if (next_loss <= loss + 1e-4 * length * descent) {
        break;
      }
    }
    if (!(next_loss < loss)) {
      break;
    }
    line = next;
    loss = next_loss;
  }
  return line;
}

struct Steps {
  std::vector<double> knots;
  std::vector<double> values;
};

// Pool-adjacent-violators on distinct scores, each with its mean label; of a pool its first and last score
// remain, between which the function is constant.
Steps fit_steps(std::span<const double> scores, std::span<const std::uint8_t> labels) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] < scores[b]; });
  struct Pool {
    double first, last;
    double positives, pairs;
    double mean() const { return positives / pairs; }
  };
  std::vector<Pool> pools;
  for (const std::size_t i : order) {
    if (!pools.empty() && pools.back().last == scores[i]) {
      pools.back().positives += labels[i];
      pools.back().pairs += 1;
    } else {
      pools.push_back({scores[i], scores[i], static_cast<double>(labels[i]), 1});
    }
  }
  std::vector<Pool> merged;
  for (const Pool& pool : pools) {
    merged.push_back(pool);
    while (merged.size() > 1 && merged[merged.size() - 2].mean() >= merged.back().mean()) {
      const Pool last = merged.back();
      merged.pop_back();
      merged.back().last = last.last;
      merged.back().positives += last.positives;
      merged.back().pairs += last.pairs;
    }
  }
  Steps steps;
  for (const Pool& pool : merged) {
    steps.knots.push_back(pool.first);
    steps.values.push_back(pool.mean());
    if (pool.last != pool.first) {
      steps.knots.push_back(pool.last);
      steps.values.push_back(pool.mean());
    }
  }
  return steps;
}

base::Json measures(std::span<const double> probabilities, std::span<const std::uint8_t> labels) {
  return {{"brier", brier_score(probabilities, labels)},
          {"expected_calibration_error", expected_calibration_error(probabilities, labels)}};
}

}  // namespace

Calibration Calibration::fit(CalibrationMethod method, std::span<const double> scores,
                             std::span<const std::uint8_t> labels) {
  require_pairs(scores.size(), labels.size());
  Calibration found;
  found.method_ = method;
  for (const std::uint8_t label : labels) {
    ++(label != 0 ? found.positives_ : found.negatives_);
  }
  if (method == CalibrationMethod::none) {
    return found;
  }
  if (std::min(found.positives_, found.negatives_) < kLeastCalibrationPairs) {
    throw base::DataError(
        {.what = "too few validation pairs to calibrate scores",
         .expected = "at least " + std::to_string(kLeastCalibrationPairs) + " of each label",
         .got = std::to_string(found.positives_) + " positive, " + std::to_string(found.negatives_) +
                " negative",
         .hint = "train with a larger train.validation, or set predict.calibration = none"});
  }
  const auto positives = static_cast<double>(found.positives_);
  const auto negatives = static_cast<double>(found.negatives_);
  found.prior_ = positives / (positives + negatives);
  if (method == CalibrationMethod::isotonic) {
    Steps steps = fit_steps(scores, labels);
    found.knots_ = std::move(steps.knots);
    found.steps_ = std::move(steps.values);
    return found;
  }
  std::vector<double> x;
  std::vector<double> targets;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    x.push_back(log_odds(scores[i]));
    targets.push_back(labels[i] != 0 ? (positives + 1) / (positives + 2) : 1 / (negatives + 2));
  }
  const Line line = fit_line(x, targets, found.prior_);
  found.slope_ = line.slope;
  found.offset_ = line.offset;
  if (line.slope < 0) {
    found.slope_ = 0;
    found.offset_ = std::log(positives / negatives);
  }
  return found;
}

double Calibration::probability(double score) const {
  switch (method_) {
    case CalibrationMethod::none:
      return score;
    case CalibrationMethod::platt:
      return logistic(slope_ * log_odds(score) + offset_);
    case CalibrationMethod::isotonic:
      break;
  }
  const auto above = std::upper_bound(knots_.begin(), knots_.end(), score);
  if (above == knots_.begin()) {
    return steps_.front();
  }
  if (above == knots_.end()) {
    return steps_.back();
  }
  const auto right = static_cast<std::size_t>(above - knots_.begin());
  const double share = (score - knots_[right - 1]) / (knots_[right] - knots_[right - 1]);
  return steps_[right - 1] + share * (steps_[right] - steps_[right - 1]);
}

double Calibration::probability(double score, double prior) const {
  const double p = probability(score);
  if (method_ == CalibrationMethod::none) {
    return p;
  }
  const double edge = p * (prior / prior_);
  const double none = (1 - p) * ((1 - prior) / (1 - prior_));
  return edge / (edge + none);
}

base::Json Calibration::to_json() const {
  base::Json json = {{"method", name_of(method_)}, {"positives", positives_}, {"negatives", negatives_}};
  if (method_ == CalibrationMethod::platt) {
    json["slope"] = slope_;
    json["offset"] = offset_;
  } else if (method_ == CalibrationMethod::isotonic) {
    json["scores"] = knots_;
    json["probabilities"] = steps_;
  }
  return json;
}

std::string name_of(CalibrationMethod method) {
  switch (method) {
    case CalibrationMethod::none:
      return "none";
    case CalibrationMethod::platt:
      return "platt";
    case CalibrationMethod::isotonic:
      return "isotonic";
  }
  return "none";
}

double brier_score(std::span<const double> probabilities, std::span<const std::uint8_t> labels) {
  require_pairs(probabilities.size(), labels.size());
  double sum = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double difference = probabilities[i] - static_cast<double>(labels[i]);
    sum += difference * difference;
  }
  return sum / static_cast<double>(labels.size());
}

double expected_calibration_error(std::span<const double> probabilities,
                                  std::span<const std::uint8_t> labels) {
  require_pairs(probabilities.size(), labels.size());
  std::array<double, kCalibrationBins> excess{};  // of positives over the sum of probabilities
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double place = std::clamp(probabilities[i], 0.0, 1.0) * static_cast<double>(kCalibrationBins);
    excess[std::min(static_cast<std::size_t>(place), kCalibrationBins - 1)] +=
        static_cast<double>(labels[i]) - probabilities[i];
  }
  double sum = 0;
  for (const double bin : excess) {
    sum += std::fabs(bin);
  }
  return sum / static_cast<double>(labels.size());
}

base::Json calibration_report(const Calibration& calibration, std::span<const double> scores,
                              std::span<const std::uint8_t> labels) {
  require_pairs(scores.size(), labels.size());
  double positives = 0;
  for (const std::uint8_t label : labels) {
    positives += label;
  }
  base::Json json = {{"pairs", labels.size()}};
  if (labels.empty()) {
    return json;
  }
  const double prior = positives / static_cast<double>(labels.size());
  json["prior"] = prior;
  json["raw"] = measures(scores, labels);
  json["prior_alone"] = measures(std::vector<double>(labels.size(), prior), labels);
  if (calibration.method() == CalibrationMethod::none) {
    return json;
  }
  std::vector<double> balanced;
  std::vector<double> shifted;
  for (const double score : scores) {
    balanced.push_back(calibration.probability(score));
    shifted.push_back(calibration.probability(score, prior));
  }
  json["calibrated"] = measures(balanced, labels);
  json["calibrated_for_prior"] = measures(shifted, labels);
  return json;
}

}  // namespace mgrn::evaluate
