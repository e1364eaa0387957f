// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/predictions_file.hpp"

#include <cmath>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/table.hpp"

namespace mgrn::evaluate {
namespace {

[[noreturn]] void bad_field(const formats::Table& table, std::size_t row, const std::string& column,
                            const std::string& expected, const std::string& got) {
  throw base::DataError({.what = "illegal " + column + " in line " + std::to_string(table.line(row)),
                         .file = table.file(),
                         .expected = expected,
                         .got = "'" + got + "'",
                         .hint = "correct that line or make the file again"});
}

std::uint8_t label_of(const formats::Table& table, std::size_t row) {
  const std::string& text = table.column("label")[row];
  if (text != "0" && text != "1") {
    bad_field(table, row, "label", "0 or 1", text);
  }
  return text == "1" ? 1 : 0;
}

}  // namespace

void write_predictions(const std::filesystem::path& file, std::span<const ScoredPair> pairs) {
  formats::TableWriter table;
  table.add("tf").add("gene").add("label").add("score").end_row();
  for (const ScoredPair& pair : pairs) {
    if (!std::isfinite(pair.score)) {
      throw base::NumericError({.what = "score of pair " + pair.tf + " -> " + pair.gene + " is not finite",
                                .file = file.string(),
                                .expected = "a finite score",
                                .got = formats::number_text(pair.score),
                                .hint = "lower the learning rate and train again"});
    }
    table.add(pair.tf).add(pair.gene).add(static_cast<std::int64_t>(pair.label)).add(pair.score).end_row();
  }
  table.write(file);
}

std::vector<ScoredPair> read_predictions(const std::filesystem::path& file) {
  const formats::Table table = formats::Table::read(file);
  const auto& tfs = table.column("tf");
  const auto& genes = table.column("gene");
  const std::vector<double> scores = table.numbers("score");
  std::vector<ScoredPair> pairs(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    if (!std::isfinite(scores[row])) {
      bad_field(table, row, "score", "a finite number", table.column("score")[row]);
    }
    pairs[row] = {.tf = tfs[row],
                  .gene = genes[row],
                  .label = label_of(table, row),
                  .score = scores[row],
                  .has_cells = scores[row] != 0.0};
  }
  return pairs;
}

SplitPairs read_split_pairs(const std::filesystem::path& file) {
  const formats::Table table = formats::Table::read(file);
  const auto& tfs = table.column("tf");
  const auto& genes = table.column("gene");
  const auto& sets = table.column("set");
  SplitPairs split;
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::uint8_t label = label_of(table, row);
    if (sets[row] == "test") {
      split.test.push_back({.tf = tfs[row], .gene = genes[row], .label = label});
    } else if (sets[row] != "train" && sets[row] != "validation") {
      bad_field(table, row, "set", "train, validation or test", sets[row]);
    } else if (label == 1) {
      split.training_positives.push_back({tfs[row], genes[row]});
    }
  }
  if (split.test.empty()) {
    throw base::DataError({.what = "split has no test pairs",
                           .file = file.string(),
                           .expected = "rows whose set is 'test'",
                           .got = std::to_string(table.rows()) + " rows of other sets",
                           .hint = "give a split file with test pairs"});
  }
  return split;
}

}  // namespace mgrn::evaluate
