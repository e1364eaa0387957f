// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/experiments/statements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

namespace mgrn::experiments {
namespace {

constexpr double kChance = 0.5;
constexpr double kLevel = 0.05;
constexpr std::size_t kFewestSettings =
    6;  // all six on one side have p = 2 / 2^6, below the level; five have not

std::string runs_text(std::size_t runs) {
  return runs == 1 ? "one run" : fmt::format("mean of {} runs", runs);
}

/// An interval's verdict against a value: -1 below, 1 above, 0 holds it.
int side_of(const evaluate::Interval& interval, double value) {
  return interval.low > value ? 1 : interval.high < value ? -1 : 0;
}

std::string interval_text(const evaluate::Interval& interval) {
  return fmt::format("95 % interval {:.3f} to {:.3f}", interval.low, interval.high);
}

std::string signed_text(double value) {
  return fmt::format("{:+.3f}", value);
}

/// How the AUROC stands to the degree-only control, as the end of a sentence.
std::string against_degree(const RunGroup& group, double test_share) {
  std::vector<double> excess, scores, degrees;
  for (const auto& run : group.runs) {
    const auto score = run.metric("auroc");
    const auto degree = run.metric("degree_auroc");
    if (score && degree) {
      scores.push_back(*score);
      degrees.push_back(*degree);
      excess.push_back(*score - *degree);
    }
  }
  if (excess.empty()) {
    return "There is no degree-only control beside it.";
  }
  const double score = evaluate::mean(scores);
  const double degree = evaluate::mean(degrees);
  const std::string alone =
      fmt::format("Degree-only alone, which never sees expression, reaches {:.3f}", degree);
  if (evaluate::mean(excess) <= 0.0) {
    return alone + fmt::format(": the AUROC of {:.3f} lies {}.", score,
                               evaluate::mean(excess) == 0.0 ? "at it" : "below it");
  }
  std::string text = alone;
  if (degree <= kChance) {
    text += ": it explains nothing of this AUROC.";
  } else {
    text +=
        fmt::format(": {:.0f} % of what lies above chance.", 100.0 * (degree - kChance) / (score - kChance));
  }
  const auto beyond = evaluate::corrected_resampled_t(excess, test_share);
  if (!beyond) {
    return text + fmt::format(" The {:.3f} beyond it rests on one run.", evaluate::mean(excess));
  }
  return text + fmt::format(" The {:.3f} beyond it ({}) {}.", beyond->mean, interval_text(beyond->interval),
                            side_of(beyond->interval, 0.0) > 0 ? "is more than splits differ by"
                                                               : "is no more than splits differ by");
}

/// The same to a control of the grid's own, which is `described`.
std::string against_control(const RunGroup& group, const RunGroup* beside, const char* described) {
  const double score = group.mean("auroc");
  const double control = beside == nullptr ? std::nan("") : beside->mean("auroc");
  if (!std::isfinite(control)) {
    return {};
  }
  return fmt::format(" {} reach {:.3f}: the AUROC lies {:.3f} {}.", described, control,
                     std::fabs(score - control), score > control ? "above them" : "below them");
}

std::string against_chance(const std::vector<double>& values, double test_share) {
  const auto t = evaluate::corrected_resampled_t(values, test_share, kChance);
  if (!t) {
    return fmt::format("{:.3f} (one run)", evaluate::mean(values));
  }
  const int side = side_of(t->interval, kChance);
  return fmt::format("{:.3f} ({}): {}", t->mean, interval_text(t->interval),
                     side > 0   ? "better than chance"
                     : side < 0 ? "worse than chance"
                                : "no better than chance");
}

std::string level_text(const RunGroup& group) {
  return group.method + ", " + group.strategy + (group.omics == "rna" ? ", rna" : "");
}

void add_line(std::vector<Statements>& blocks, const std::string& heading, std::string line) {
  auto block = std::find_if(blocks.begin(), blocks.end(),
                            [&](const Statements& other) { return other.heading == heading; });
  if (block == blocks.end()) {
    block = blocks.insert(blocks.end(), {.heading = heading, .lines = {}});
  }
  block->lines.push_back(std::move(line));
}

/// The settings of one method, strategy and omics under one protocol.
struct Row {
  const RunGroup* example;
  std::vector<double> score, degree, within;  ///< means over runs, a value for each setting
  std::size_t above = 0;                      ///< settings whose score lies above degree-only
};

std::string row_sentence(const Row& row) {
  const std::size_t settings = row.score.size();
  std::string text =
      fmt::format("{}: AUROC {:.3f} {}", level_text(*row.example), evaluate::mean(row.score),
                  settings == 1 ? "in one setting" : fmt::format("over {} settings", settings));
  if (!row.degree.empty()) {
    const double degree = evaluate::mean(row.degree);
    if (row.degree.size() == 1) {
      text += fmt::format(", {} degree-only ({:.3f})", row.above == 1 ? "above" : "not above", degree);
    } else {
      text += fmt::format(", above degree-only ({:.3f} on average) in {} of them", degree,
                          row.above == row.degree.size() ? "all"
                          : row.above == 0               ? "none"
                                                         : std::to_string(row.above));
    }
  }
  if (!row.within.empty()) {
    text += fmt::format("; within TFs {:.3f}", evaluate::mean(row.within));
  }
  return text + ".";
}

/// How high degree-only gets under a protocol, and who gets higher.
std::string headline(const std::vector<const Row*>& rows) {
  const Row* best = rows.front();
  const Row* best_within = nullptr;
  std::vector<double> degrees;
  std::size_t above = 0, compared = 0;
  for (const Row* row : rows) {
    if (evaluate::mean(row->score) > evaluate::mean(best->score)) {
      best = row;
    }
    if (!row->within.empty() &&
        (best_within == nullptr || evaluate::mean(row->within) > evaluate::mean(best_within->within))) {
      best_within = row;
    }
    if (!row->degree.empty()) {
      degrees.insert(degrees.end(), row->degree.begin(), row->degree.end());
      ++compared;
      above += evaluate::mean(row->score) > evaluate::mean(row->degree) ? 1 : 0;
    }
  }
  std::string text = fmt::format("The highest mean AUROC is {:.3f} ({}).", evaluate::mean(best->score),
                                 level_text(*best->example));
  if (compared > 0) {
    text += fmt::format(" Degree-only alone, which never sees expression, reaches {:.3f}: {} on average.",
                        evaluate::mean(degrees),
                        above == 0 ? "no method or strategy lies above it"
                        : above == compared
                            ? "all methods and strategies lie above it"
                            : fmt::format("{} of {} methods and strategies lie above it", above, compared));
  }
  if (best_within != nullptr) {
    text += fmt::format(" Among the targets of one TF, where chance is 0.5, the highest mean is {:.3f} ({}).",
                        evaluate::mean(best_within->within), level_text(*best_within->example));
  }
  return text;
}

}  // namespace

std::string describe(const Protocol& protocol) {
  std::string text;
  if (!protocol.negatives.empty()) {
    text += protocol.negatives + " negatives";
  }
  if (!protocol.split.empty()) {
    text += (text.empty() ? "" : ", ") + protocol.split + " split";
  }
  if (!protocol.leak.empty() && protocol.leak != "none") {
    text += (text.empty() ? "" : ", ") + std::string("leak rule ") + protocol.leak;
  }
  return text;
}

ControlsBeside controls_beside(const RunGroup& group, const std::vector<RunGroup>& groups) {
  const auto beside = [&](const char* method) {
    const auto found = std::find_if(groups.begin(), groups.end(), [&](const RunGroup& other) {
      return other.method == method && other.setting == group.setting && other.protocol == group.protocol;
    });
    return found == groups.end() || group.method == method ? nullptr : &*found;
  };
  return {.marginals = beside("marginals"), .neighbours = beside("neighbours")};
}

std::string explain_score(const RunGroup& group, const ControlsBeside& controls, double test_share) {
  const auto scores = group.values("auroc");
  if (scores.empty()) {
    return "No AUROC: the test pairs are all of one label.";
  }
  std::string text =
      fmt::format("AUROC {:.3f} ({}), chance 0.5. ", evaluate::mean(scores), runs_text(scores.size()));
  text += against_degree(group, test_share);
  text +=
      against_control(group, controls.marginals,
                      "Boosted trees on how strongly, variably and often each gene is expressed by itself, "
                      "which see no cell with both,");
  text += against_control(group, controls.neighbours,
                          "Paths of three training edges, which see no expression at all,");
  if (const auto within = group.values("within_tf_auroc"); !within.empty()) {
    text += " Among the targets of one TF it is " + against_chance(within, test_share) + ".";
  }
  return text;
}

std::vector<Statements> explain_grid(const std::vector<RunGroup>& groups) {
  std::vector<Row> rows;
  for (const auto& group : groups) {
    const double score = group.mean("auroc");
    const double degree = group.mean("degree_auroc");
    const double within = group.mean("within_tf_auroc");
    if (!std::isfinite(score)) {
      continue;
    }
    auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& other) {
      return other.example->protocol == group.protocol && level_text(*other.example) == level_text(group);
    });
    if (row == rows.end()) {
      row = rows.insert(rows.end(), {.example = &group, .score = {}, .degree = {}, .within = {}});
    }
    row->score.push_back(score);
    if (std::isfinite(degree)) {
      row->degree.push_back(degree);
      row->above += score > degree ? 1 : 0;
    }
    if (std::isfinite(within)) {
      row->within.push_back(within);
    }
  }
  std::vector<std::string> protocols;
  for (const auto& row : rows) {
    if (const auto protocol = describe(row.example->protocol);
        std::find(protocols.begin(), protocols.end(), protocol) == protocols.end()) {
      protocols.push_back(protocol);
    }
  }
  std::vector<Statements> blocks;
  for (const auto& protocol : protocols) {
    std::vector<const Row*> members;
    for (const auto& row : rows) {
      if (describe(row.example->protocol) == protocol) {
        members.push_back(&row);
      }
    }
    if (members.size() > 1) {
      add_line(blocks, protocol, headline(members));
    }
    for (const Row* row : members) {
      add_line(blocks, protocol, row_sentence(*row));
    }
  }
  return blocks;
}

std::string explain_comparison(const Comparison& comparison) {
  const auto& rank = comparison.signed_rank;
  std::string text =
      fmt::format("{} against {}: {} ", comparison.second, comparison.first, comparison.metric->name);
  const std::size_t settings = comparison.settings.size();
  if (settings == 1) {
    const auto& only = comparison.settings.front();
    text += signed_text(only.difference) + " in " + only.setting;
    if (only.resampled) {
      text += fmt::format(" ({}), {} than splits differ by", interval_text(only.resampled->interval),
                          side_of(only.resampled->interval, 0.0) == 0 ? "no more" : "more");
    }
    return text + ".";
  }
  text += fmt::format("{} on average over {} settings ({} won, {} lost{})",
                      signed_text(comparison.mean_difference), settings, rank.wins, rank.losses,
                      rank.ties > 0 ? fmt::format(", {} equal", rank.ties) : "");
  if (settings < kFewestSettings) {
    return text + ".";
  }
  return text + fmt::format(". Wilcoxon p {:.3g}, after Holm {:.3g}: {} than chance would give.",
                            rank.p_value, comparison.adjusted_p,
                            comparison.adjusted_p <= kLevel ? "more" : "no more");
}

std::vector<Statements> explain_comparisons(const std::vector<Comparison>& comparisons) {
  std::vector<Statements> blocks;
  std::map<std::string, std::string> base;      // heading -> the level that stands first
  std::map<std::string, std::size_t> settings;  // heading -> the most settings of a comparison
  for (const auto& comparison : comparisons) {
    // Scores under another protocol answer another question: the tables have them, a sentence would mislead.
    if (comparison.metric != &compared_metrics().front() || comparison.axis == Axis::protocol) {
      continue;
    }
    const std::string protocol = describe(comparison.protocol);
    const std::string heading = std::string("By ") + axis_name(comparison.axis) + ": " + comparison.where +
                                (protocol.empty() ? "" : "; " + protocol);
    if (base.try_emplace(heading, comparison.first).first->second == comparison.first) {
      add_line(blocks, heading, explain_comparison(comparison));
      settings[heading] = std::max(settings[heading], comparison.settings.size());
    }
  }
  for (auto& block : blocks) {
    const std::size_t most = settings.at(block.heading);
    if (most > 1 && most < kFewestSettings) {
      // All on one side is the rarest that can happen.
      block.lines.push_back(fmt::format(
          "With {} no difference could be told from chance over settings: the least possible p is {:.3g}.",
          most == 1 ? "one setting" : fmt::format("{} settings", most),
          std::ldexp(2.0, -static_cast<int>(most))));
    }
  }
  return blocks;
}

}  // namespace mgrn::experiments
