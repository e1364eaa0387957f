// SPDX-License-Identifier: Apache-2.0
// Ground-truth networks and lists of transcription factors, as BEELINE and users write them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace mgrn::formats {

struct NamedEdge {
  std::string tf;
  std::string gene;
};

/// Edges in file order, without self-loops and without repeats (names compared ignoring case).
struct NetworkFile {
  std::vector<NamedEdge> edges;
  std::uint64_t lines = 0;       ///< edge lines read, header excluded
  std::uint64_t duplicates = 0;  ///< dropped
  std::uint64_t self_loops = 0;  ///< dropped
};

/// CSV or TSV, two or more columns (TF, gene, ...), header or not, BOM, CRLF, quotes, plain or gzip.
/// The first line is a header when it names both columns (Gene1/TF/regulator/source/from and
/// Gene2/target/gene/to: then they may stand anywhere), or when its third field is no number while the
/// second line's is. One such word alone is not enough: TF is also the symbol of transferrin.
/// Throws DataError: fewer than two columns, an empty name (with the line), no edge left.
NetworkFile read_network(const std::filesystem::path& file);
/// First column of a CSV/TSV with or without header (or the column named TF, gene or symbol), or one symbol
/// a line; # starts a comment line. Order kept, repeats (ignoring case) dropped. Throws DataError; an empty
/// list is one.
std::vector<std::string> read_tf_list(const std::filesystem::path& file);

}  // namespace mgrn::formats
