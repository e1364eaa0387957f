// SPDX-License-Identifier: Apache-2.0
#include "experiments/report/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/experiments/statements.hpp"
#include "multigrnformer/formats/number_text.hpp"

namespace mgrn::experiments {
namespace {

constexpr std::size_t kMostBlocks = 3;  // lists of differences before the rest is folded

/// A table's rows, cell by cell.
class HtmlTable {
 public:
  struct Column {
    const char* name;
    bool number = false;
    const char* title = "";
  };

  /// `filter` says what can be typed; empty: no filter.
  HtmlTable(const std::string& id, const std::string& caption, std::vector<Column> columns,
            const std::string& filter = "")
      : columns_(std::move(columns)) {
    if (!filter.empty()) {
      text_ += fmt::format(
          "<label class=\"filter\" hidden>Show rows with <input type=\"search\" data-table=\"table-{}\" "
          "placeholder=\"{}\"><output></output></label>\n",
          id, xml_text(filter));
    }
    text_ += fmt::format(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{1}\">\n"
        "<table class=\"sortable\" id=\"table-{0}\"><thead><tr>",
        id, xml_text(caption));
    for (const auto& column : columns_) {
      text_ += fmt::format("<th scope=\"col\"{}{}>{}</th>", column.number ? " class=\"n\"" : "",
                           *column.title == '\0' ? "" : fmt::format(" title=\"{}\"", xml_text(column.title)),
                           xml_text(column.name));
    }
    text_ += "</tr></thead><tbody>\n";
  }

  HtmlTable& words(const std::string& words, bool long_words = false) {
    begin();
    text_ += fmt::format("<td{}>{}</td>", long_words ? " class=\"w\"" : "", xml_text(words));
    return *this;
  }
  /// Shown as `shown`, sorted and kept by the exact value; empty where it is not finite.
  HtmlTable& number(double value, const std::string& shown) {
    begin();
    text_ += std::isfinite(value) ? fmt::format("<td class=\"n\" data-v=\"{}\">{}</td>",
                                                formats::number_text(value), xml_text(shown))
                                  : "<td class=\"n\" data-v=\"\"></td>";
    return *this;
  }
  HtmlTable& number(double value) { return number(value, fmt::format("{:.4f}", value)); }
  HtmlTable& number(std::optional<double> value) { return number(value.value_or(std::nan(""))); }
  HtmlTable& count(std::uint64_t value) { return number(static_cast<double>(value), std::to_string(value)); }
  void end_row() {
    text_ += "</tr>\n";
    begun_ = false;
  }
  std::string end() { return text_ + "</tbody></table></div>\n"; }

 private:
  void begin() {
    if (!begun_) {
      text_ += "<tr>";
      begun_ = true;
    }
  }
  std::vector<Column> columns_;
  std::string text_;
  bool begun_ = false;
};

std::string plural(std::size_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

std::string mean_and_deviation(double mean, double deviation) {
  return std::isfinite(deviation) ? fmt::format("{:.3f} ± {:.3f}", mean, deviation)
                                  : fmt::format("{:.3f}", mean);
}

std::string p_text(double p) {
  return p < 0.001 ? fmt::format("{:.1e}", p) : fmt::format("{:.3f}", p);
}

std::string interval_text(const std::optional<evaluate::Interval>& interval) {
  return interval ? fmt::format("{:+.3f} to {:+.3f}", interval->low, interval->high) : "";
}

std::string list_of(const std::vector<std::string>& lines) {
  std::string text = "<ul class=\"plain\">\n";
  for (const auto& line : lines) {
    text += "<li>" + xml_text(line) + "</li>\n";
  }
  return text + "</ul>\n";
}

std::string folded(const std::string& summary, const std::string& content) {
  return "<details><summary>" + xml_text(summary) + "</summary>\n" + content + "</details>\n";
}

/// Protocol by protocol: the first sentence, and the others on request.
std::string grid_words(const std::vector<Statements>& all) {
  std::string text;
  for (const auto& [heading, lines] : all) {
    text += (heading.empty() ? "" : "<h4>With " + xml_text(heading) + "</h4>\n") + "<p>" +
            xml_text(lines.front()) + "</p>\n";
    if (lines.size() > 1) {
      text += folded("One by one", list_of({lines.begin() + 1, lines.end()}));
    }
  }
  return text;
}

std::string differences_words(const std::vector<Statements>& all) {
  std::string shown, rest;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string block = "<h4>" + xml_text(all[i].heading) + "</h4>\n" + list_of(all[i].lines);
    (i < kMostBlocks ? shown : rest) += block;
  }
  return shown +
         (rest.empty() ? "" : folded(fmt::format("{} more such lists", all.size() - kMostBlocks), rest));
}

std::string count_line(const PageContent& content) {
  std::set<std::string> settings, methods, strategies;
  std::set<std::uint64_t> runs;
  std::size_t results = 0;
  for (const auto& group : content.groups) {
    settings.insert(group.setting);
    methods.insert(group.method);
    strategies.insert(group.strategy);
    for (const auto& run : group.runs) {
      runs.insert(run.labels.run);
      ++results;
    }
  }
  return fmt::format(
      "{} of {}: {}, {}, {}, {}.", results, plural(results + content.missing.size(), "result", "results"),
      plural(settings.size(), "setting", "settings"), plural(methods.size(), "method", "methods"),
      plural(strategies.size(), "strategy", "strategies"), plural(runs.size(), "run", "runs"));
}

std::string missing_part(const std::vector<MissingResult>& missing) {
  if (missing.empty()) {
    return {};
  }
  std::string text = fmt::format(
      "<aside role=\"note\"><p><strong>{} missing.</strong> All figures and tests below rest on what is "
      "there; start "
      "<code>multigrnformer grid run</code> again to finish the grid.</p>\n<details><summary>Which</summary>"
      "<ul class=\"plain\">\n",
      missing.size() == 1 ? "One result is" : std::to_string(missing.size()) + " results are");
  for (const auto& result : missing) {
    text += "<li><code>" + xml_text(result.task) + "</code>: " + xml_text(result.why) + "</li>\n";
  }
  return text + "</ul></details></aside>\n";
}

std::string words_part(const PageContent& content) {
  std::string text = "<h2 id=\"words\">In plain words</h2>\n" + grid_words(explain_grid(content.groups));
  if (const auto differences = explain_comparisons(content.comparisons); !differences.empty()) {
    text +=
        "<h3>Differences</h3>\n<p>Asked over settings, one difference of means each: runs of one setting "
        "share their "
        "training pairs and prove little by themselves. All pairs of strategies and methods stand under "
        "<a href=\"#comparisons\">Comparisons</a>.</p>\n" +
        differences_words(differences);
  }
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < content.groups.size(); ++i) {
    const RunGroup& group = content.groups[i];
    lines.push_back(group.setting + ", " + group.method + ", " + group.strategy +
                    (group.omics == "rna" ? ", rna" : "") + ": " + content.explanations[i]);
  }
  if (!lines.empty()) {
    text += "<h3>Setting by setting</h3>\n" +
            folded("How much of each score the controls explain", list_of(lines));
  }
  return text;
}

std::string figure_part(const Figure& figure) {
  std::string panels;
  for (const auto& chart : figure.charts) {
    panels += "<div>" + svg_chart(chart) + "</div>\n";
  }
  const std::string caption = xml_text(figure.caption);
  if (figure.one_per_setting && figure.charts.size() > 6) {
    return fmt::format(
        "<h3 id=\"{}\">{}</h3>\n<p class=\"caption\">{}</p>\n<details><summary>{}</summary>"
        "<div class=\"panels\">\n{}</div></details>\n",
        figure.name, xml_text(figure.title), caption, plural(figure.charts.size(), "panel", "panels"),
        panels);
  }
  return fmt::format("<h3 id=\"{}\">{}</h3>\n<p class=\"caption\">{}</p>\n<div class=\"panels\">\n{}</div>\n",
                     figure.name, xml_text(figure.title), caption, panels);
}

const Summary* summary_of(const PageContent& content, const RunGroup& group, const char* metric) {
  for (const auto& summary : content.summaries) {
    if (summary.group == &group && summary.metric->key == std::string_view(metric)) {
      return &summary;
    }
  }
  return nullptr;
}

std::string summary_part(const PageContent& content) {
  HtmlTable table(
      "summary", "Scores of each setting, method and strategy",
      {{"Setting"},
       {"Method"},
       {"Strategy"},
       {"AUROC", true, "mean ± standard deviation over runs"},
       {"95 % interval", true,
        "of the mean AUROC, corrected for shared training pairs; sorted by its low end"},
       {"Degree-only", true, "AUROC of the degree-only control; chance is 0.5"},
       {"Within TFs", true, "AUROC, targets of one TF ranked among themselves; chance is 0.5"},
       {"Within genes", true, "AUROC, regulators of one gene ranked among themselves; chance is 0.5"},
       {"AP", true, "average precision, mean ± standard deviation over runs"},
       {"Degree-only AP", true},
       {"Random AP", true, "share of positives"},
       {"Runs", true},
       {"Omics"},
       {"Protocol"}},
      "setting, method …");
  for (const auto& group : content.groups) {
    table.words(group.setting).words(group.method).words(group.strategy);
    const auto score = [&](const char* metric) {
      const Summary* summary = summary_of(content, group, metric);
      table.number(summary != nullptr ? summary->mean : std::nan(""),
                   summary != nullptr ? mean_and_deviation(summary->mean, summary->deviation) : "");
      return summary;
    };
    const auto control = [&](const Summary* summary, std::optional<double> Summary::*member) {
      const double value = summary != nullptr && summary->*member ? *(summary->*member) : std::nan("");
      table.number(value, fmt::format("{:.3f}", value));
    };
    const Summary* auroc = score("auroc");
    const bool has_interval = auroc != nullptr && auroc->resampled;
    table.number(has_interval ? auroc->resampled->interval.low : std::nan(""),
                 has_interval ? fmt::format("{:.3f} to {:.3f}", auroc->resampled->interval.low,
                                            auroc->resampled->interval.high)
                              : "");
    control(auroc, &Summary::degree);
    score("within_tf_auroc");
    score("within_gene_auroc");
    const Summary* precision = score("average_precision");
    control(precision, &Summary::degree);
    control(precision, &Summary::random);
    table.count(group.runs.size()).words(group.omics).words(describe(group.protocol));
    table.end_row();
  }
  return "<h2 id=\"scores\">Scores</h2>\n<p class=\"caption\">Mean ± standard deviation over runs. "
         "summary.csv has them in "
         "full.</p>\n" +
         table.end();
}

std::string comparisons_part(const PageContent& content) {
  if (content.comparisons.empty()) {
    return {};
  }
  HtmlTable table(
      "comparisons", "Comparisons over settings",
      {{"Second"},
       {"against first"},
       {"Metric"},
       {"Mean difference", true, "second minus first, over settings"},
       {"95 % interval", true, "of the mean difference, settings as independent; sorted by its low end"},
       {"Settings", true},
       {"Won", true},
       {"Equal", true},
       {"Lost", true},
       {"Wilcoxon p", true, "signed ranks, two-sided, exact to 50 settings"},
       {"after Holm", true, "p among the comparisons of the same kind, metric and protocol"},
       {"Rank-biserial r", true, "1: better in every setting; -1: worse in every setting"},
       {"Median difference", true},
       {"Of"},
       {"Kind"},
       {"Protocol"}},
      "strategy, AUROC …");
  HtmlTable settings("differences", "Differences in each setting",
                     {{"Second"},
                      {"against first"},
                      {"Of"},
                      {"Metric"},
                      {"Setting"},
                      {"Runs", true},
                      {"First", true},
                      {"Second's mean", true},
                      {"Difference", true},
                      {"95 % interval", true, "corrected resampled t; sorted by its low end"},
                      {"p", true, "of the corrected resampled t"}},
                     "setting, AUROC …");
  for (const auto& comparison : content.comparisons) {
    const bool in_full =
        comparison.metric == &compared_metrics().front() || comparison.metric == &compared_metrics()[1];
    const auto& rank = comparison.signed_rank;
    table.words(comparison.second).words(comparison.first).words(comparison.metric->name);
    table.number(comparison.mean_difference, fmt::format("{:+.4f}", comparison.mean_difference));
    table.number(comparison.interval ? comparison.interval->low : std::nan(""),
                 interval_text(comparison.interval));
    table.count(comparison.settings.size()).count(rank.wins).count(rank.ties).count(rank.losses);
    table.number(rank.p_value, p_text(rank.p_value))
        .number(comparison.adjusted_p, p_text(comparison.adjusted_p));
    table.number(rank.rank_biserial, fmt::format("{:+.2f}", rank.rank_biserial));
    table.number(rank.median_difference, fmt::format("{:+.4f}", rank.median_difference));
    table.words(comparison.where).words(axis_name(comparison.axis)).words(describe(comparison.protocol));
    table.end_row();
    for (const auto& setting : in_full ? comparison.settings : std::vector<PairedSetting>()) {
      settings.words(comparison.second).words(comparison.first).words(comparison.where);
      settings.words(comparison.metric->name).words(setting.setting).count(setting.runs);
      settings.number(setting.first).number(setting.second);
      settings.number(setting.difference, fmt::format("{:+.4f}", setting.difference));
      const auto& t = setting.resampled;
      settings.number(t ? t->interval.low : std::nan(""), t ? interval_text(t->interval) : "");
      settings.number(t ? t->p_value : std::nan(""), t ? p_text(t->p_value) : "");
      settings.end_row();
    }
  }
  return "<h2 id=\"comparisons\">Comparisons</h2>\n<p>Over settings: the Wilcoxon signed-rank test on one "
         "difference of means "
         "each, and the matched-pairs rank-biserial correlation as size of the effect. Five settings on one "
         "side give p = "
         "0.0625 at best: few settings cannot show much.</p>\n" +
         table.end() +
         "<details><summary>Each setting by itself</summary>\n<p>Differences of runs on the same split. The "
         "interval is "
         "that of the corrected resampled t test (Nadeau and Bengio 2003), which allows for training pairs "
         "that runs "
         "share. comparisons.csv has all metrics.</p>\n" +
         settings.end() + "</details>\n";
}

/// What the paper states, and where this grid answers.
struct StatedGain {
  const char* what;
  Axis axis;
  const char* first;
  const char* second;
  const char* strategy;  ///< that both sides share, for omics; else empty
  const char* dataset;   ///< part of a setting's name; empty: all settings
  const char* auroc;
  const char* precision;
};
constexpr StatedGain kStatedGains[] = {
    {"augmentation x5, human bone", Axis::strategy, "standard", "augment", "", "bone", "+5.6 %", "+2.2 %"},
    {"augmentation x5, human breast", Axis::strategy, "standard", "augment", "", "breast", "+3.7 %",
     "+2.0 %"},
    {"cross-dataset and x5 over standard (human +6.4 / +3.7, mouse +0.5 / +0.1)", Axis::strategy, "standard",
     "both", "", "", "+4.7 %", "+2.7 %"},
    {"RNA + ATAC over RNA, augmentation x5", Axis::omics, "rna", "rna+atac", "augment", "", "+1.4 %",
     "+1.1 %"},
    {"RNA + ATAC over RNA, cross-dataset", Axis::omics, "rna", "rna+atac", "cross", "", "+2.5 %", "+1.9 %"}};

/// Our differences for a stated gain and a metric: protocol by protocol, in points.
std::string our_gain(const PageContent& content, const StatedGain& gain, const Metric& metric) {
  std::string text;
  for (const auto& comparison : content.comparisons) {
    if (comparison.axis != gain.axis || comparison.metric != &metric || comparison.first != gain.first ||
        comparison.second != gain.second || !comparison.where.starts_with("multigrnformer") ||
        (*gain.strategy != '\0' && comparison.where != std::string("multigrnformer, ") + gain.strategy)) {
      continue;
    }
    std::vector<double> differences;
    for (const auto& setting : comparison.settings) {
      if (base::symbol_key(setting.setting).find(base::symbol_key(gain.dataset)) != std::string::npos) {
        differences.push_back(100.0 * setting.difference);
      }
    }
    if (differences.empty()) {
      continue;
    }
    text += text.empty() ? "" : "; ";
    text += fmt::format("{:+.1f}", evaluate::mean(differences));
    if (const auto interval = evaluate::t_interval(differences)) {
      text += fmt::format(" ({:+.1f} to {:+.1f})", interval->low, interval->high);
    }
    text += fmt::format(", {}", plural(differences.size(), "setting", "settings"));
    if (const std::string protocol = describe(comparison.protocol); !protocol.empty()) {
      text += ", " + protocol;
    }
  }
  return text.empty() ? "not in this grid" : text;
}

std::string paper_part(const PageContent& content) {
  HtmlTable table(
      "paper", "The paper's stated gains beside ours",
      {{"What"}, {"Paper, AUROC"}, {"Here, AUROC points"}, {"Paper, AUPRC"}, {"Here, AP points"}});
  for (const auto& gain : kStatedGains) {
    table.words(gain.what, true)
        .words(gain.auroc)
        .words(our_gain(content, gain, compared_metrics()[0]), true);
    table.words(gain.precision).words(our_gain(content, gain, compared_metrics()[1]), true).end_row();
  }
  std::vector<double> above;
  std::vector<double> precision_above;
  for (const auto& summary : content.summaries) {
    if (summary.group->strategy == "zero-shot" && summary.random) {
      if (summary.metric == &compared_metrics().front()) {
        above.push_back(100.0 * (summary.mean - *summary.random));
      } else if (summary.metric == &compared_metrics()[1]) {
        precision_above.push_back(100.0 * (summary.mean - *summary.random));
      }
    }
  }
  const auto above_text = [](const std::vector<double>& values) {
    return values.empty() ? std::string("not in this grid")
                          : fmt::format("{:+.1f} over random, {}", evaluate::mean(values),
                                        plural(values.size(), "setting", "settings"));
  };
  table.words("zero-shot, against random", true).words("barely above random").words(above_text(above), true);
  table.words("barely above random").words(above_text(precision_above), true).end_row();
  return "<h2 id=\"paper\">What the paper states, and what came out here</h2>\n<p>Chen et al. 2025, doi "
         "10.20944/preprints202509.0669.v1. The paper gives per cent without saying whether they are points; "
         "here they are "
         "points, 100 times the difference of means, with a 95 % interval over settings. The paper's rows "
         "for single "
         "datasets are answered by settings whose name holds the dataset's.</p>\n" +
         table.end();
}

std::string runs_part(const PageContent& content) {
  HtmlTable table("runs", "Every run",
                  {{"Setting"},
                   {"Method"},
                   {"Strategy"},
                   {"Omics"},
                   {"Run", true},
                   {"AUROC", true},
                   {"Degree-only AUROC", true},
                   {"AP", true},
                   {"Degree-only AP", true},
                   {"Random AP", true},
                   {"AUROC within TFs", true},
                   {"AUROC within genes", true},
                   {"Positives", true},
                   {"Negatives", true}},
                  "setting, method …");
  for (const auto& group : content.groups) {
    for (const auto& run : group.runs) {
      table.words(group.setting).words(group.method).words(group.strategy).words(group.omics);
      table.count(run.labels.run);
      for (const char* metric : {"auroc", "degree_auroc", "average_precision", "degree_average_precision",
                                 "random_auprc", "within_tf_auroc", "within_gene_auroc"}) {
        table.number(run.metric(metric));
      }
      for (const char* metric : {"n_positive", "n_negative"}) {
        const double value = run.metric(metric).value_or(std::nan(""));
        table.number(value, fmt::format("{:.0f}", value));
      }
      table.end_row();
    }
  }
  return "<h2 id=\"runs\">Every run</h2>\n<p class=\"caption\">results.csv has them with all "
         "metrics.</p>\n<details><summary>The "
         "table</summary>\n" +
         table.end() + "</details>\n";
}

constexpr const char* kReading = R"(<h2 id="reading">How to read this</h2>
<ul class="plain">
<li><strong>Random</strong> is what guessing reaches: AUROC 0.5, and for average precision the share of positives among the
test pairs.</li>
<li><strong>Degree-only</strong> never sees expression. It multiplies how many targets a TF has with how many regulators a gene
has, counted over training positives (each plus one). A score at or below it shows no more than that it knows the hubs.</li>
<li><strong>AUROC within TFs</strong> ranks the targets of one TF among themselves, averaged over TFs with both labels and
weighted by pairs; knowing which TFs are popular is worth nothing there. <strong>Within genes</strong> is its
counterpart.</li>
<li><strong>The leak rule</strong> is told where it is not the strict one, by which no test pair of the target enters pretraining,
whatever dataset it stands in.</li>
<li><strong>Degree-matched negatives</strong> have the degrees of the positives; degree-only then comes out near 0.5.
<strong>tf-heldout</strong> and <strong>gene-heldout</strong> splits test TFs or genes without a single training
pair.</li>
<li><strong>95 % intervals of one setting</strong> allow for the training pairs that its runs share (corrected resampled t, Nadeau and
Bengio 2003); <strong>intervals over settings</strong> take settings as independent, which settings on the same cells are not
quite.</li>
<li>Metrics are computed once over all test pairs of a run. Average precision is the step-wise sum; ties count as
ties.</li>
</ul>
)";

}  // namespace

std::string report_page(const PageContent& content) {
  std::string figures, links;
  for (const auto& figure : content.figures) {
    figures += figure_part(figure);
  }
  if (content.figures.empty()) {
    figures = "<p>No result yet.</p>\n";
  }
  const bool compared = !content.comparisons.empty();
  for (const auto& [anchor, name] :
       {std::pair("words", "In plain words"), std::pair("figures", "Figures"), std::pair("scores", "Scores"),
        std::pair("comparisons", "Comparisons"), std::pair("paper", "The paper's gains"),
        std::pair("runs", "Every run"), std::pair("reading", "How to read this")}) {
    if (compared || std::string_view(anchor) != "comparisons") {
      links += fmt::format("<li><a href=\"#{}\">{}</a></li>", anchor, name);
    }
  }
  return std::string(
             "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>Results of a grid — multigrnformer</title>\n<style>\n") +
         kPageStyle + chart_style() +
         "</style>\n</head>\n<body>\n<header>\n<h1>Gene regulatory networks: results of a grid</h1>\n" +
         "<p class=\"lead\">" + count_line(content) + "</p>\n<nav aria-label=\"Parts of this page\"><ul>" +
         links + "</ul></nav>\n</header>\n<main>\n" + missing_part(content.missing) + words_part(content) +
         "<h2 id=\"figures\">Figures</h2>\n<p class=\"caption\">The solid line across the lanes is "
         "degree-only, the dotted "
         "one random. Each figure is "
         "also a file: figures/NAME.svg, NAME.pdf, and NAME.gp to draw it anew with gnuplot.</p>\n" +
         figures + summary_part(content) + comparisons_part(content) + paper_part(content) +
         runs_part(content) + kReading +
         "</main>\n<footer>Written by multigrnformer. The page loads nothing; the same results give the same "
         "bytes.</footer>\n"
         "<script>\n" +
         kPageScript + "</script>\n</body>\n</html>\n";
}

}  // namespace mgrn::experiments
