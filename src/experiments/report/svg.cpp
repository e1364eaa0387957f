// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "experiments/report/axis_ticks.hpp"
#include "multigrnformer/experiments/chart.hpp"

namespace mgrn::experiments {
namespace {

// In user units; a panel fills a phone's width at about its own size.
constexpr double kWidth = 360.0;
constexpr double kTitleHeight = 26.0;
constexpr double kFontSize = 11.5;
constexpr double kLegendLine = 17.0;
constexpr std::size_t kColours = 8;
constexpr std::size_t kColumns = 3;
constexpr double kGap = 18.0;

std::string number(double value) {
  std::string text = fmt::format("{:.1f}", value);
  if (text == "-0.0") {
    text = "0.0";
  }
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

std::string estimate_text(const Estimate& estimate) {
  return std::isfinite(estimate.deviation)
             ? fmt::format("{:.3f} ± {:.3f} SD, {} runs", estimate.mean, estimate.deviation, estimate.runs)
             : fmt::format("{:.3f}, {}", estimate.mean,
                           estimate.runs == 1 ? "one run" : fmt::format("{} runs", estimate.runs));
}

/// Width on the page, near enough to break lines.
double width_of(const std::string& text) {
  std::size_t letters = 0;
  for (const char byte : text) {
    letters += (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U ? 1 : 0;
  }
  return 0.56 * kFontSize * static_cast<double>(letters);
}

/// `text` cut to `width`, with an ellipsis.
std::string fitted(const std::string& text, double width) {
  if (width_of(text) <= width) {
    return text;
  }
  std::string cut = text;
  while (!cut.empty() && width_of(cut + "…") > width) {
    do {
      const bool inside = (static_cast<unsigned char>(cut.back()) & 0xC0U) == 0x80U;
      cut.pop_back();
      if (!inside) {
        break;
      }
    } while (!cut.empty());
  }
  return cut + "…";
}

class Canvas {
 public:
  void line(const std::string& style, double x1, double y1, double x2, double y2) {
    text_ += fmt::format("<path class=\"{}\" d=\"M{} {}L{} {}\"/>", style, number(x1), number(y1), number(x2),
                         number(y2));
  }
  void path(const std::string& style, const std::vector<std::pair<double, double>>& points) {
    std::string way;
    for (const auto& [x, y] : points) {
      way += fmt::format("{}{} {}", way.empty() ? "M" : "L", number(x), number(y));
    }
    text_ += fmt::format("<path class=\"{}\" d=\"{}\"/>", style, way);
  }
  void words(const std::string& style, const char* anchor, double x, double y, const std::string& words) {
    text_ += fmt::format("<text class=\"{}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>", style,
                         number(x), number(y), anchor, xml_text(words));
  }
  void upright(double x, double y, const std::string& words) {
    text_ += fmt::format(
        "<text class=\"t\" transform=\"translate({} {})rotate(-90)\" text-anchor=\"middle\">{}</text>",
        number(x), number(y), xml_text(words));
  }
  /// Colour and shape differ together: nobody needs to tell colours apart.
  void mark(std::size_t series, double x, double y) {
    static constexpr std::array<const char*, 6> kShapes = {
        "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z",     // disc
        "m-3.5-3.5h7v7h-7z",                      // square
        "m0-5l5 5l-5 5l-5-5z",                    // diamond
        "m0-4.6l4.6 8h-9.2z",                     // triangle
        "m0 4.6l4.6-8h-9.2z",                     // triangle, point down
        "m-4.5-1.5h3v-3h3v3h3v3h-3v3h-3v-3h-3z",  // cross
    };
    text_ += fmt::format("<path class=\"m s{}\" d=\"M{} {}{}\"/>", series % kColours, number(x), number(y),
                         kShapes.at((series + series / kColours) % kShapes.size()));
  }
  void open(const std::string& title) { text_ += "<g><title>" + xml_text(title) + "</title>"; }
  void close() { text_ += "</g>"; }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

struct Panel {
  std::string body;
  std::string description;
  double height = 0.0;
};

struct LegendEntry {
  std::string name;
  CurveChart::Role role = CurveChart::Role::series;
  std::size_t series = 0;
  bool marks = true;
  bool tick = false;  ///< a short line across lanes, which is not dashed
};

const char* line_style(CurveChart::Role role) {
  switch (role) {
    case CurveChart::Role::random:
      return "random";
    case CurveChart::Role::degree:
      return "degree";
    case CurveChart::Role::faint:
      return "faint";
    case CurveChart::Role::series:
      break;
  }
  return "curve";
}

/// From `y` down; returns where it ends.
double draw_legend(Canvas& canvas, const std::vector<LegendEntry>& entries, double y) {
  constexpr double kMark = 20.0;
  double x = 10.0;
  y += 6.0;
  for (const auto& entry : entries) {
    const std::string name = fitted(entry.name, kWidth - kMark - 24.0);
    const double width = kMark + width_of(name) + 11.0;
    if (x > 10.0 && x + width > kWidth) {
      x = 10.0;
      y += kLegendLine;
    }
    if (entry.role == CurveChart::Role::series) {
      if (!entry.marks) {
        canvas.line(fmt::format("curve s{}", entry.series % kColours), x, y + 4, x + 16, y + 4);
      } else {
        canvas.mark(entry.series, x + 8, y + 4);
      }
    } else {
      canvas.line(std::string(line_style(entry.role)) + (entry.tick ? " tick" : ""), x, y + 4, x + 16, y + 4);
    }
    canvas.words("t", "start", x + kMark, y + 8, name);
    x += width;
  }
  return entries.empty() ? y : y + kLegendLine;
}

Panel draw(const IntervalChart& chart) {
  constexpr double kLabel = 16.0, kBetween = 9.0, kLeft = 12.0, kRight = kWidth - 16.0;
  const double lane = chart.series.size() > 4 ? 11.0 : 13.0;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  bool has_random = false, has_degree = false;
  const auto take = [&](double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  };
  for (const auto& row : chart.rows) {
    if (row.random) {
      take(*row.random);
      has_random = true;
    }
    if (row.degree) {
      take(*row.degree);
      has_degree = true;
    }
    for (const auto& estimate : row.estimates) {
      if (estimate) {
        const double spread = std::isfinite(estimate->deviation) ? estimate->deviation : 0.0;
        take(estimate->mean - spread);
        take(estimate->mean + spread);
      }
    }
  }
  const AxisTicks ticks = axis_ticks(low, high, 5);
  const auto place = [&](double value) {
    return kLeft + (value - ticks.low) / (ticks.high - ticks.low) * (kRight - kLeft);
  };
  // A row has lanes for what it has: settings need not know the same methods.
  const auto lanes_of = [](const IntervalChart::Row& row) {
    const auto count = std::count_if(row.estimates.begin(), row.estimates.end(),
                                     [](const auto& estimate) { return estimate.has_value(); });
    return static_cast<double>(std::max<std::ptrdiff_t>(1, count));
  };
  double rows_height = 0.0;
  for (const auto& row : chart.rows) {
    rows_height += kLabel + lane * lanes_of(row) + kBetween;
  }
  const double top = kTitleHeight;
  const double bottom = top + rows_height;
  Canvas canvas;
  canvas.words("h", "start", kLeft - 2, 15, fitted(chart.title, kWidth - 12));
  for (const double tick : ticks.values) {
    canvas.line("grid", place(tick), top, place(tick), bottom);
    canvas.words("t", "middle", place(tick), bottom + 15, ticks.text(tick));
  }
  double y = top;
  for (const auto& row : chart.rows) {
    canvas.words("t label", "start", kLeft - 2, y + 12, fitted(row.label, kWidth - 12));
    const double first = y + kLabel;
    const double last = first + lane * lanes_of(row);
    if (row.random) {
      canvas.open(fmt::format("{}: random {:.3f}", row.label, *row.random));
      canvas.line("random", place(*row.random), first - 1, place(*row.random), last + 1);
      canvas.close();
    }
    if (row.degree) {
      canvas.open(fmt::format("{}: degree-only {:.3f}", row.label, *row.degree));
      canvas.line("degree tick", place(*row.degree), first - 1, place(*row.degree), last + 1);
      canvas.close();
    }
    double middle = first + 0.5 * lane;
    for (std::size_t series = 0; series < row.estimates.size(); ++series) {
      const auto& estimate = row.estimates[series];
      if (estimate) {
        canvas.open(row.label + ", " + chart.series[series] + ": " + estimate_text(*estimate));
        if (std::isfinite(estimate->deviation)) {
          canvas.line(fmt::format("bar s{}", chart.colours[series] % kColours),
                      place(estimate->mean - estimate->deviation), middle,
                      place(estimate->mean + estimate->deviation), middle);
        }
        canvas.mark(chart.colours[series], place(estimate->mean), middle);
        canvas.close();
        middle += lane;
      }
    }
    y = last + kBetween;
  }
  canvas.line("axis", kLeft, bottom, kRight, bottom);
  std::vector<LegendEntry> legend;
  for (std::size_t series = 0; series < chart.series.size(); ++series) {
    legend.push_back({.name = chart.series[series], .series = chart.colours[series]});
  }
  if (has_degree) {
    legend.push_back({.name = "degree-only", .role = CurveChart::Role::degree, .tick = true});
  }
  if (has_random) {
    legend.push_back({.name = "random", .role = CurveChart::Role::random});
  }
  const double end = draw_legend(canvas, legend, bottom + 22);
  return {.body = canvas.text(),
          .description = fmt::format("{}: {} settings, {} series; the tables of this report hold the numbers",
                                     chart.title, chart.rows.size(), chart.series.size()),
          .height = end + 4};
}

Panel draw(const CurveChart& chart) {
  constexpr double kLeft = 50.0, kRight = kWidth - 20.0, kPlotHeight = 230.0;
  double x_low = std::numeric_limits<double>::infinity(), x_high = -x_low, y_low = x_low, y_high = -x_low;
  if (chart.unit_square) {
    x_low = y_low = 0.0;
    x_high = y_high = 1.0;
  }
  for (const auto& curve : chart.curves) {
    for (std::size_t i = 0; i < curve.x.size() && !chart.unit_square; ++i) {
      const double spread = curve.marks && std::isfinite(curve.y[i].deviation) ? curve.y[i].deviation : 0.0;
      x_low = std::min(x_low, curve.x[i]);
      x_high = std::max(x_high, curve.x[i]);
      y_low = std::min(y_low, curve.y[i].mean - spread);
      y_high = std::max(y_high, curve.y[i].mean + spread);
    }
  }
  const AxisTicks x_ticks = axis_ticks(x_low, x_high, 6);
  const AxisTicks y_ticks = axis_ticks(y_low, y_high, 6);
  const double top = kTitleHeight + 2, bottom = top + kPlotHeight;
  const auto at_x = [&](double value) {
    return kLeft + (value - x_ticks.low) / (x_ticks.high - x_ticks.low) * (kRight - kLeft);
  };
  const auto at_y = [&](double value) {
    return bottom - (value - y_ticks.low) / (y_ticks.high - y_ticks.low) * kPlotHeight;
  };
  Canvas canvas;
  canvas.words("h", "start", 10, 15, fitted(chart.title, kWidth - 12));
  for (const double tick : x_ticks.values) {
    canvas.line("grid", at_x(tick), top, at_x(tick), bottom);
    canvas.words("t", "middle", at_x(tick), bottom + 15, x_ticks.text(tick));
  }
  for (const double tick : y_ticks.values) {
    canvas.line("grid", kLeft, at_y(tick), kRight, at_y(tick));
    canvas.words("t", "end", kLeft - 6, at_y(tick) + 4, y_ticks.text(tick));
  }
  canvas.line("axis", kLeft, bottom, kRight, bottom);
  canvas.words("t", "middle", 0.5 * (kLeft + kRight), bottom + 31, chart.x_label);
  canvas.upright(13, 0.5 * (top + bottom), chart.y_label);
  std::vector<LegendEntry> legend;
  for (const auto& curve : chart.curves) {
    std::vector<std::pair<double, double>> points;
    for (std::size_t i = 0; i < curve.x.size(); ++i) {
      points.emplace_back(at_x(curve.x[i]), at_y(curve.y[i].mean));
    }
    const bool coloured = curve.role == CurveChart::Role::series || curve.role == CurveChart::Role::faint;
    const std::string colour = coloured ? fmt::format(" s{}", curve.series % kColours) : "";
    canvas.open(curve.name.empty() ? chart.y_label : curve.name);
    canvas.path(line_style(curve.role) + colour, points);
    canvas.close();
    for (std::size_t i = 0; curve.marks && i < curve.x.size(); ++i) {
      canvas.open(fmt::format("{}, {} {}: {}", curve.name, chart.x_label, x_ticks.text(curve.x[i]),
                              estimate_text(curve.y[i])));
      if (std::isfinite(curve.y[i].deviation)) {
        canvas.line("bar" + colour, points[i].first, at_y(curve.y[i].mean - curve.y[i].deviation),
                    points[i].first, at_y(curve.y[i].mean + curve.y[i].deviation));
      }
      canvas.mark(curve.series, points[i].first, points[i].second);
      canvas.close();
    }
    if (!curve.name.empty()) {
      legend.push_back(
          {.name = curve.name, .role = curve.role, .series = curve.series, .marks = curve.marks});
    }
  }
  const double end = draw_legend(canvas, legend, bottom + 38);
  return {.body = canvas.text(),
          .description = fmt::format("{}: {} against {}", chart.title, chart.y_label, chart.x_label),
          .height = end + 4};
}

Panel draw_chart(const Chart& chart) {
  return std::visit([](const auto& one) { return draw(one); }, chart);
}

}  // namespace

std::string xml_text(const std::string& text) {
  std::string safe;
  for (const char letter : text) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

const std::string& chart_style() {
  // Okabe and Ito's colours, darkened or lightened until each stands out from its background by 3 to 1.
  static const std::string style = R"(.chart{--ink:#1b1f24;--soft:#4d5661;--grid:#dfe3e8;--back:#fff;
--s0:#0072b2;--s1:#c44e00;--s2:#00805d;--s3:#b0508a;--s4:#946800;--s5:#2b87bf;--s6:#6a4fc3;--s7:#5c6670}
@media (prefers-color-scheme:dark){.chart{--ink:#e8ebef;--soft:#aab4bf;--grid:#30363d;--back:#15191e;
--s0:#4ba3e3;--s1:#f58a42;--s2:#2fbf95;--s3:#e08fc0;--s4:#e6b23c;--s5:#7cc7f2;--s6:#a996f0;--s7:#a3adb8}}
.chart text{font:11.5px system-ui,-apple-system,"Segoe UI","DejaVu Sans",sans-serif;fill:var(--soft)}
.chart .h{font-weight:600;font-size:13px;fill:var(--ink)}.chart .label{fill:var(--ink);paint-order:stroke;stroke:var(--back);stroke-width:3px}
.chart path{fill:none}.chart .grid{stroke:var(--grid)}.chart .axis{stroke:var(--soft)}
.chart .curve{stroke-width:1.8;stroke-linejoin:round}.chart .faint{stroke-width:1.4;stroke-dasharray:5 3}
.chart .bar{stroke-width:1.8}
.chart .random{stroke:var(--soft);stroke-width:1.6;stroke-dasharray:2 3}
.chart .degree{stroke:var(--ink);stroke-width:1.8;stroke-dasharray:7 3}
.chart .tick{stroke-dasharray:none}
.chart .m{stroke:var(--back);stroke-width:.8}
)" + [] {
    std::string colours;
    for (std::size_t i = 0; i < kColours; ++i) {
      colours += fmt::format(
          ".chart .s{0}{{stroke:var(--s{0})}}.chart .m.s{0}{{fill:var(--s{0});stroke:var(--back)}}\n", i);
    }
    return colours;
  }();
  return style;
}

std::string svg_chart(const Chart& chart) {
  const Panel panel = draw_chart(chart);
  return fmt::format("<svg class=\"chart\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">{}</svg>",
                     number(kWidth), number(std::ceil(panel.height)), xml_text(panel.description),
                     panel.body);
}

std::string svg_figure(const Figure& figure) {
  std::string body;
  double y = 8.0, width = 0.0;
  for (std::size_t first = 0; first < figure.charts.size(); first += kColumns) {
    double height = 0.0, x = 8.0;
    for (std::size_t i = first; i < std::min(first + kColumns, figure.charts.size()); ++i) {
      const Panel panel = draw_chart(figure.charts[i]);
      body += fmt::format("<g transform=\"translate({} {})\">{}</g>\n", number(x), number(y), panel.body);
      height = std::max(height, panel.height);
      x += kWidth + kGap;
    }
    width = std::max(width, x - kGap + 8.0);
    y += height + kGap;
  }
  y = std::ceil(y - kGap + 8.0);
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"chart\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" role=\"img\" aria-label=\"{2}\">\n<title>{2}</title>\n<style>{3}</style>\n"
      "<rect width=\"100%\" height=\"100%\" style=\"fill:var(--back)\"/>\n{4}</svg>\n",
      number(width), number(y), xml_text(figure.title), chart_style(), body);
}

}  // namespace mgrn::experiments
