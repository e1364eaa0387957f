// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/search_figure.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "multigrnformer/evaluate/statistics.hpp"
#include "multigrnformer/experiments/comparison.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::experiments {
namespace {

constexpr std::size_t kFewestValues = 3;  // two points are no curve
constexpr std::size_t kMetricsShown = 2;  // AUROC and average precision

/// Keys of train among the columns: what the search varies.
std::vector<std::string> varied_keys(const formats::Table& table) {
  std::vector<std::string> keys;
  for (const auto& name : table.names()) {
    if (name.find('.') != std::string::npos) {
      keys.push_back(name);
    }
  }
  return keys;
}

double number_of(const formats::Table& table, const std::string& column, std::size_t row) {
  double value = 0.0;
  const bool there = table.has(column) && formats::parse_number(table.column(column)[row], value);
  return there ? value : std::nan("");
}

/// Rows by the value of `key`; where every combination was tried, many rows have the same.
std::map<double, std::vector<std::size_t>> rows_by_value(const formats::Table& table,
                                                         const std::vector<std::string>& keys,
                                                         const std::string& key,
                                                         const std::vector<std::size_t>& rows) {
  std::map<std::string, std::map<double, std::vector<std::size_t>>> by_others;
  for (const std::size_t row : rows) {
    const double value = number_of(table, key, row);
    if (!std::isfinite(value) || !std::isfinite(number_of(table, "auroc", row))) {
      continue;
    }
    std::string others;
    for (const auto& other : keys) {
      others += other == key ? "" : table.column(other)[row] + '\n';
    }
    by_others[others][value].push_back(row);
  }
  std::map<double, std::vector<std::size_t>> merged;
  for (const auto& [others, by_value] : by_others) {
    if (by_value.size() >= kFewestValues) {
      for (const auto& [value, its_rows] : by_value) {
        merged[value].insert(merged[value].end(), its_rows.begin(), its_rows.end());
      }
    }
  }
  return merged;
}

CurveChart panel(const formats::Table& table, const std::map<double, std::vector<std::size_t>>& by_value,
                 const std::string& title, const std::string& key, const Metric& metric) {
  CurveChart chart{.title = title + ": " + metric.name, .x_label = key, .y_label = metric.name, .curves = {}};
  CurveChart::Curve curve{.name = "mean over folds", .marks = true, .x = {}, .y = {}};
  CurveChart::Curve random{.name = "random", .role = CurveChart::Role::random, .x = {}, .y = {}};
  CurveChart::Curve degree{.name = "degree-only", .role = CurveChart::Role::degree, .x = {}, .y = {}};
  for (const auto& [value, its_rows] : by_value) {
    const auto& rows = its_rows;  // Clang before 16 lets no lambda capture the other
    const auto mean_of = [&](const std::string& column) {
      std::vector<double> values;
      for (const std::size_t row : rows) {
        if (const double one = number_of(table, column, row); std::isfinite(one)) {
          values.push_back(one);
        }
      }
      return std::pair(evaluate::mean(values), values.size() == 1
                                                   ? number_of(table, column + "_sd", rows.front())
                                                   : evaluate::standard_deviation(values));
    };
    const auto add = [&, x = value](CurveChart::Curve& one, double mean, double deviation, std::size_t runs) {
      if (std::isfinite(mean)) {
        one.x.push_back(x);
        one.y.push_back({.mean = mean, .deviation = deviation, .runs = runs});
      }
    };
    const auto folds = number_of(table, "folds", rows.front());
    const auto [mean, deviation] = mean_of(metric.key);
    add(curve, mean, deviation,
        rows.size() == 1 && folds > 0 ? static_cast<std::size_t>(folds) : rows.size());
    add(random, *metric.random == '\0' ? 0.5 : mean_of(metric.random).first, std::nan(""), 1);
    if (*metric.degree != '\0') {
      add(degree, mean_of(metric.degree).first, std::nan(""), 1);
    }
  }
  for (auto* one : {&degree, &random, &curve}) {
    if (!one->x.empty()) {
      chart.curves.push_back(std::move(*one));
    }
  }
  return chart;
}

}  // namespace

Figure search_figure(const std::filesystem::path& search_csv) {
  Figure figure{
      .name = "parameters",
      .title = "Parameter search",
      .caption =
          "Means over folds of the training pairs, bars one standard deviation over folds; where several "
          "points share a value, over those points. Test pairs are in no fold. In kind the paper's "
          "Figure 2.",
      .charts = {}};
  if (!std::filesystem::exists(search_csv)) {
    return figure;
  }
  const auto table = formats::Table::read(search_csv);
  const auto keys = varied_keys(table);
  std::vector<std::pair<std::string, std::vector<std::size_t>>> searches;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string name = table.column("setting")[row] +
                             (table.column("omics")[row] == "rna" ? ", rna" : "") +
                             (table.column("run")[row] == "1" ? "" : ", run " + table.column("run")[row]);
    auto place = std::find_if(searches.begin(), searches.end(),
                              [&](const auto& other) { return other.first == name; });
    if (place == searches.end()) {
      place = searches.insert(searches.end(), {name, {}});
    }
    place->second.push_back(row);
  }
  for (const auto& key : keys) {
    for (const auto& [name, rows] : searches) {
      const auto by_value = rows_by_value(table, keys, key, rows);
      for (std::size_t m = 0; m < kMetricsShown && by_value.size() >= kFewestValues; ++m) {
        figure.charts.emplace_back(panel(table, by_value, name, key, compared_metrics()[m]));
      }
    }
  }
  return figure;
}

}  // namespace mgrn::experiments
