// SPDX-License-Identifier: Apache-2.0
// A figure of the report as data, and the two that draw it: our own SVG, which the page needs (it follows the
// reader's light or dark, speaks to screen readers and is the same bytes everywhere), and a gnuplot script,
// which draws the PDF for print and which an author can change. Pure functions.
#pragma once

#include <cstddef>
#include <limits>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace mgrn::experiments {

/// Mean over runs and their standard deviation, NaN with one run.
struct Estimate {
  double mean = 0.0;
  double deviation = std::numeric_limits<double>::quiet_NaN();
  std::size_t runs = 1;
};

/// Settings from top to bottom, a lane for each series in every one, controls as marks across the lanes.
struct IntervalChart {
  std::string title;
  std::vector<std::string> series;
  std::vector<std::size_t> colours;  ///< one for each series: the same name has the same in all figures
  struct Row {
    std::string label;
    std::optional<double> random;
    std::optional<double> degree;
    std::vector<std::optional<Estimate>> estimates;  ///< one for each series
  };
  std::vector<Row> rows;
};

struct CurveChart {
  std::string title;
  std::string x_label;
  std::string y_label;
  bool unit_square = false;  ///< both axes from 0 to 1
  enum class Role { series, faint, random, degree };
  struct Curve {
    std::string name;  ///< empty: not in the legend
    Role role = Role::series;
    std::size_t series = 0;  ///< colour and mark
    bool marks = false;      ///< measured points, with deviations; else a line
    std::vector<double> x;
    std::vector<Estimate> y;
  };
  std::vector<Curve> curves;
};

using Chart = std::variant<IntervalChart, CurveChart>;

struct Figure {
  std::string name;  ///< of its files, figures/NAME.svg
  std::string title;
  std::string caption;
  std::vector<Chart> charts;     ///< its panels
  bool one_per_setting = false;  ///< many panels: folded in the page
};

/// `text` for XML: &, <, > and quotes escaped.
std::string xml_text(const std::string& text);

/// Colours and type of all charts, for light and dark. The page carries it once, each file its own.
const std::string& chart_style();
/// An <svg> element for a page that carries chart_style().
std::string svg_chart(const Chart& chart);
/// A file of its own: all panels side by side.
std::string svg_figure(const Figure& figure);
/// A script with its data inside. `gnuplot FILE` draws NAME.pdf.
std::string gnuplot_script(const Figure& figure);

}  // namespace mgrn::experiments
