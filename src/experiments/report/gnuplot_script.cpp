// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "multigrnformer/experiments/chart.hpp"

namespace mgrn::experiments {
namespace {

constexpr std::size_t kColumns = 3;
constexpr double kPanelWidth = 8.5;  // cm, a journal's column
constexpr std::array<const char*, 8> kColours = {"#0072b2", "#c44e00", "#00805d", "#b0508a",
                                                 "#946800", "#2b87bf", "#6a4fc3", "#5c6670"};
constexpr std::array<int, 6> kPointTypes = {7, 5, 13, 9, 11, 2};
constexpr const char* kRandom = "dashtype 3 linecolor rgb '#5c6670' linewidth 1.5";
constexpr const char* kDegreeTick = "linecolor rgb 'black' linewidth 1.5";
constexpr const char* kDegree = "dashtype 2 linecolor rgb 'black' linewidth 1.5";

/// Between single quotes gnuplot takes all but a quote, which stands twice.
std::string quoted(const std::string& text) {
  std::string safe = "'";
  for (const char letter : text) {
    safe += letter == '\'' ? "''" : letter == '\n' ? " " : std::string(1, letter);
  }
  return safe + "'";
}

std::string series_style(std::size_t series) {
  return fmt::format("pointtype {} pointsize 0.5 linecolor rgb '{}' linewidth 1.5",
                     kPointTypes.at((series + series / kColours.size()) % kPointTypes.size()),
                     kColours.at(series % kColours.size()));
}

double deviation_or_zero(const Estimate& estimate) {
  return std::isfinite(estimate.deviation) ? estimate.deviation : 0.0;
}

/// Blocks of data by name, and the plot command that uses them.
class Script {
 public:
  explicit Script(std::size_t panel) : prefix_(fmt::format("$panel{}_", panel + 1)) {}

  /// A block of lines; returns its name. Empty blocks are an error to gnuplot: callers leave them out.
  std::string block(const std::string& lines) {
    std::string name = prefix_ + std::to_string(++blocks_);
    data_ += name + " << EOD\n" + lines + "EOD\n";
    return name;
  }
  void set(const std::string& line) { settings_ += line + "\n"; }
  void plot(const std::string& item) { items_ += (items_.empty() ? "plot " : ", \\\n     ") + item; }
  std::string data() const { return data_; }
  std::string commands() const { return settings_ + items_ + "\n"; }

 private:
  std::string prefix_;
  std::size_t blocks_ = 0;
  std::string data_, settings_, items_;
};

Script script_of(const IntervalChart& chart, std::size_t panel) {
  Script script(panel);
  const auto lanes = static_cast<double>(std::max<std::size_t>(1, chart.series.size()));
  std::string labels, random, degree;
  for (std::size_t row = 0; row < chart.rows.size(); ++row) {
    const auto& [label, random_value, degree_value, estimates] = chart.rows[row];
    labels += fmt::format("{}{} {}", row == 0 ? "" : ", ", quoted(label), row + 1);
    const double first = static_cast<double>(row) + 0.6;
    if (random_value) {
      random += fmt::format("{} {} 0 0.8\n", *random_value, first);
    }
    if (degree_value) {
      degree += fmt::format("{} {} 0 0.8\n", *degree_value, first);
    }
  }
  script.set("set title " + quoted(chart.title) + " noenhanced");
  script.set(
      "unset xlabel\nunset ylabel\nset xrange [*:*]\nset offsets graph 0.04, graph 0.04, 0, 0\nset key below "
      "height 1 noenhanced");
  script.set(fmt::format("set yrange [{}:0.4]", static_cast<double>(chart.rows.size()) + 0.6));
  script.set("set ytics (" + labels + ") noenhanced");
  for (std::size_t series = 0; series < chart.series.size(); ++series) {
    std::string lines;
    for (std::size_t row = 0; row < chart.rows.size(); ++row) {
      if (const auto& estimate = chart.rows[row].estimates[series]) {
        lines +=
            fmt::format("{} {} {}\n", estimate->mean,
                        static_cast<double>(row) + 0.65 + 0.7 * (static_cast<double>(series) + 0.5) / lanes,
                        deviation_or_zero(*estimate));
      }
    }
    if (!lines.empty()) {
      script.plot(script.block(lines) + " using 1:2:3 with xerrorbars " +
                  series_style(chart.colours[series]) + " title " + quoted(chart.series[series]));
    }
  }
  if (!degree.empty()) {
    script.plot(script.block(degree) + " using 1:2:3:4 with vectors nohead " + kDegreeTick +
                " title 'degree-only'");
  }
  if (!random.empty()) {
    script.plot(script.block(random) + " using 1:2:3:4 with vectors nohead " + kRandom + " title 'random'");
  }
  return script;
}

Script script_of(const CurveChart& chart, std::size_t panel) {
  Script script(panel);
  script.set("set title " + quoted(chart.title) + " noenhanced");
  script.set("set xlabel " + quoted(chart.x_label) + " noenhanced\nset ylabel " + quoted(chart.y_label) +
             " noenhanced\nset ytics auto\nunset offsets\nset key below height 1 noenhanced");
  script.set(chart.unit_square ? "set xrange [0:1]\nset yrange [0:1]" : "set xrange [*:*]\nset yrange [*:*]");
  for (const auto& curve : chart.curves) {
    std::string lines;
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      lines += fmt::format("{} {} {}\n", curve.x[i], curve.y[i].mean, deviation_or_zero(curve.y[i]));
    }
    if (lines.empty()) {
      continue;
    }
    std::string style;
    switch (curve.role) {
      case CurveChart::Role::random:
        style = std::string("with lines ") + kRandom;
        break;
      case CurveChart::Role::degree:
        style = std::string("with lines ") + kDegree;
        break;
      case CurveChart::Role::faint:
        style = fmt::format("with lines dashtype 2 linewidth 1 linecolor rgb '{}'",
                            kColours.at(curve.series % kColours.size()));
        break;
      case CurveChart::Role::series:
        style = curve.marks ? "with yerrorlines " + series_style(curve.series)
                            : fmt::format("with lines linewidth 1.5 linecolor rgb '{}'",
                                          kColours.at(curve.series % kColours.size()));
        break;
    }
    script.plot(script.block(lines) + (curve.marks ? " using 1:2:3 " : " using 1:2 ") + style +
                (curve.name.empty() ? " notitle" : " title " + quoted(curve.name)));
  }
  return script;
}

double height_of(const Chart& chart) {
  if (const auto* intervals = std::get_if<IntervalChart>(&chart)) {
    const double lanes = static_cast<double>(intervals->series.size());
    return 3.5 + static_cast<double>(intervals->rows.size()) * std::max(0.7, 0.28 * lanes + 0.2) +
           0.3 * lanes;
  }
  return 7.5 + 0.3 * static_cast<double>(std::get<CurveChart>(chart).curves.size()) / 2.0;
}

}  // namespace

std::string gnuplot_script(const Figure& figure) {
  const std::size_t columns = std::min(kColumns, std::max<std::size_t>(1, figure.charts.size()));
  const std::size_t rows = std::max<std::size_t>(1, (figure.charts.size() + columns - 1) / columns);
  double height = 0.0;
  for (const auto& chart : figure.charts) {
    height = std::max(height, height_of(chart));
  }
  std::string text = fmt::format(
      "# {}\n# Draws {}.pdf: gnuplot {}.gp\n"
      "if (!exists('output')) output = '{}.pdf'\n"
      "set terminal pdfcairo noenhanced size {:.1f}cm,{:.1f}cm font 'Sans,8'\n"
      "set output output\nset encoding utf8\nset border 3\nset tics nomirror out\nset grid xtics ytics "
      "linecolor rgb '#dfe3e8'\n",
      figure.title, figure.name, figure.name, figure.name, kPanelWidth * static_cast<double>(columns),
      height * static_cast<double>(rows));
  std::string commands;
  for (std::size_t panel = 0; panel < figure.charts.size(); ++panel) {
    const Script script =
        std::visit([&](const auto& chart) { return script_of(chart, panel); }, figure.charts[panel]);
    text += script.data();
    commands += script.commands();
  }
  return text + fmt::format("set multiplot layout {},{}\n", rows, columns) + commands +
         "unset multiplot\nset output\n";
}

}  // namespace mgrn::experiments
