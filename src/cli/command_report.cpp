// SPDX-License-Identifier: Apache-2.0
// report: what a grid found, as tables, figures and one page.
#include "multigrnformer/experiments/report.hpp"

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/command.hpp"
#include "multigrnformer/cli/keys.hpp"
#include "multigrnformer/cli/output.hpp"
#include "multigrnformer/cli/perform.hpp"
#include "multigrnformer/comm/agree.hpp"
#include "multigrnformer/experiments/tables.hpp"

namespace mgrn::cli {

void add_report_keys(KeyTable& table, Config& config) {
  table
      .choice<std::string>("pdf", config.grid.pdf, {{"auto", "auto"}, {"yes", "yes"}, {"no", "no"}},
                           "report: figures as PDF, drawn by gnuplot; auto: where there is one")
      .result = false;
}

void perform_report(const Config& config, comm::Communicator& world) {
  std::string text;
  comm::agree(world, [&] {
    if (config.out.empty()) {
      throw base::UsageError({.what = "key out is missing",
                              .expected = "--out DIR",
                              .got = "nothing",
                              .hint = "give the folder of the grid"});
    }
    const auto out = std::filesystem::absolute(config.out).lexically_normal();
    const auto plan = experiments::read_plan(out);
    if (world.rank() == 0) {
      const auto pdf = config.grid.pdf == "yes"  ? experiments::Pdf::always
                       : config.grid.pdf == "no" ? experiments::Pdf::never
                                                 : experiments::Pdf::when_possible;
      experiments::write_tables(plan, out);
      const std::string written = experiments::write_report(plan, out, pdf);
      text = experiments::tables_summary(plan, out) + written;
    }
  });
  print_result(world, text);
}

Command report_command() {
  return {.name = "report",
          .summary = "what a grid found: tables, figures, one page to read",
          .usage = "--out DIR",
          .positional = "",
          .keys =
              [](KeyTable& table, Config& config) {
                table.file("out", config.out, "folder of the grid, finished or not").result = false;
                add_report_keys(table, config);
                add_common_keys(table, config);
              },
          .run = [](Config& config, comm::Communicator& world) { perform_report(config, world); }};
}

}  // namespace mgrn::cli
