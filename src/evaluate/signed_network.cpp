// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/evaluate/signed_network.hpp"

#include <algorithm>
#include <string>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::evaluate {
namespace {

/// The header's name of the column, as it is spelt; empty: there is none.
std::string type_column(const std::filesystem::path& file) {
  formats::LineReader reader(file);
  std::string_view line;
  if (reader.next(line)) {
    formats::FieldSplitter splitter(formats::detect_delimiter(line));
    for (const auto& field : splitter.split(line, reader)) {
      if (base::symbol_key(field) == "TYPE") {
        return std::string(field);
      }
    }
  }
  return {};
}

}  // namespace

SignedNetwork read_signed_network(const std::filesystem::path& file) {
  SignedNetwork network;
  const std::string column = type_column(file);
  if (column.empty()) {
    return network;
  }
  const formats::Table table = formats::Table::read(file);
  const auto& types = table.column(column);
  std::vector<const std::vector<std::string>*> ends;
  for (const auto& name : table.names()) {
    if (name != column && ends.size() < 2) {
      ends.push_back(&table.column(name));
    }
  }
  const auto is_sign = [](const std::string& type) { return type == "+" || type == "-"; };
  if (std::none_of(types.begin(), types.end(), is_sign)) {
    return network;  // the column means something else
  }
  for (std::size_t row = 0; ends.size() == 2 && row < table.rows(); ++row) {
    if (!is_sign(types[row])) {
      throw base::DataError({.what = "illegal type of an edge in line " + std::to_string(table.line(row)),
                             .file = file.string(),
                             .expected = "+ or -",
                             .got = "'" + types[row] + "'",
                             .hint = "correct that line: an edge activates (+) or represses (-)"});
    }
    (types[row] == "+" ? network.activating : network.repressing)
        .push_back({(*ends[0])[row], (*ends[1])[row]});
  }
  return network;
}

}  // namespace mgrn::evaluate
