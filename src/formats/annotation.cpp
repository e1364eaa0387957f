// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/annotation.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/symbol.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn::formats {
namespace {

std::int64_t position(std::string_view field, const char* name, const LineReader& reader) {
  std::int64_t value = 0;
  if (!parse_number(trim(field), value) || value < 0) {
    reader.fail(std::string(name) + " is not a position", "a whole number from 0", excerpt(field));
  }
  return value;
}

bool is_forward(std::string_view strand, const LineReader& reader) {
  if (strand != "+" && strand != "-") {
    reader.fail("strand is neither + nor -", "+ or -", excerpt(strand));
  }
  return strand == "+";
}

// The value of `name` in a GTF's last column (`gene_id "X"; level 2;`), empty when absent.
std::string_view gtf_attribute(std::string_view attributes, std::string_view name) {
  std::size_t at = 0;
  while (at < attributes.size()) {
    at = attributes.find_first_not_of(" \t;", at);
    if (at == std::string_view::npos) {
      break;
    }
    const std::size_t key_end = std::min(attributes.find_first_of(" \t;", at), attributes.size());
    const std::string_view key = attributes.substr(at, key_end - at);
    std::size_t value = attributes.find_first_not_of(" \t", key_end);
    std::size_t stop = attributes.size();
    if (value == std::string_view::npos) {
      break;
    }
    if (attributes[value] == '"') {
      ++value;
      stop = std::min(attributes.find('"', value), attributes.size());
      at = stop + 1;
    } else {
      stop = std::min(attributes.find(';', value), attributes.size());
      at = stop;
    }
    if (key == name) {
      return trim(attributes.substr(value, stop - value));
    }
  }
  return {};
}

bool exon_before(const Interval& a, const Interval& b) {
  return a.start != b.start ? a.start < b.start : a.end < b.end;
}

// Collects transcripts from GTF lines in any order.
class GtfBuilder {
 public:
  void add(std::span<const std::string_view> fields, const LineReader& reader) {
    const std::string_view kind = fields[2];
    if (kind != "transcript" && kind != "exon" && kind != "mRNA") {
      return;
    }
    const std::int64_t start = position(fields[3], "start", reader);
    const std::int64_t end = position(fields[4], "end", reader);
    if (start < 1 || end < start) {
      reader.fail("GTF interval is empty or reversed", "1 <= start <= end",
                  std::string(fields[3]) + " to " + std::string(fields[4]));
    }
    const bool forward = is_forward(fields[6], reader);
    const std::string_view id = gtf_attribute(fields[8], "transcript_id");
    const std::string_view gene = gtf_attribute(fields[8], "gene_id");
    std::string_view symbol = gtf_attribute(fields[8], "gene_name");
    symbol = symbol.empty() ? gene : symbol;
    if (id.empty() || symbol.empty()) {
      const bool gff3 = fields[8].find("ID=") != std::string_view::npos ||
                        fields[8].find("Parent=") != std::string_view::npos;
      reader.fail(gff3 ? "annotation is GFF3, not GTF" : "GTF line lacks transcript_id or gene_id",
                  "transcript_id \"...\"; gene_id \"...\"", std::string(fields[8].substr(0, 60)),
                  gff3 ? "convert it with gffread -T" : "give an Ensembl, GENCODE or UCSC GTF");
    }
    // The same id on two chromosomes (or strands) is two transcripts: RefSeq places some several times.
    key_.assign(id).append(1, '\t').append(fields[0]).append(1, fields[6][0]);
    std::vector<std::size_t>& same = places_[key_];
    const Interval interval{start - 1, end};
    if (kind != "exon") {
      // An exon line may have come first and opened the transcript that this line describes.
      if (!same.empty() && !described_[same.back()] && spans(interval, transcripts_[same.back()])) {
        describe(same.back(), interval, symbol);
        return;
      }
      same.push_back(open(fields[0], id, symbol, forward, interval));
      described_.back() = true;
      return;
    }
    // The latest transcript of that name that holds the exon, else the latest that overlaps it (some files
    // disagree by a base at the ends). One without a transcript line is as long as its exons.
    std::size_t overlapping = kNone;
    for (auto index = same.rbegin(); index != same.rend(); ++index) {
      Transcript& transcript = transcripts_[*index];
      if (!described_[*index]) {
        transcript.start = std::min(transcript.start, interval.start);
        transcript.end = std::max(transcript.end, interval.end);
        transcript.exons.push_back(interval);
        return;
      }
      if (interval.start >= transcript.start && interval.end <= transcript.end) {
        transcript.exons.push_back(interval);
        return;
      }
      if (overlapping == kNone && interval.start < transcript.end && interval.end > transcript.start) {
        overlapping = *index;
      }
    }
    if (overlapping != kNone) {
      transcripts_[overlapping].exons.push_back(interval);
      return;
    }
    same.push_back(open(fields[0], id, symbol, forward, interval));
    transcripts_.back().exons.push_back(interval);
  }

  std::vector<Transcript> finish() {
    for (Transcript& transcript : transcripts_) {
      std::sort(transcript.exons.begin(), transcript.exons.end(), exon_before);
    }
    return std::move(transcripts_);
  }

 private:
  static bool spans(const Interval& outer, const Transcript& inner) {
    return outer.start <= inner.start && inner.end <= outer.end;
  }
  void describe(std::size_t index, const Interval& interval, std::string_view symbol) {
    transcripts_[index].start = interval.start;
    transcripts_[index].end = interval.end;
    transcripts_[index].symbol = std::string(symbol);
    described_[index] = true;
  }
  std::size_t open(std::string_view chromosome, std::string_view id, std::string_view symbol, bool forward,
                   const Interval& interval) {
    Transcript transcript;
    transcript.symbol = std::string(symbol);
    transcript.id = std::string(id);
    transcript.chromosome = std::string(chromosome);
    transcript.forward = forward;
    transcript.start = interval.start;
    transcript.end = interval.end;
    transcripts_.push_back(std::move(transcript));
    described_.push_back(false);
    return transcripts_.size() - 1;
  }

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

  std::string key_;
  std::vector<Transcript> transcripts_;
  std::vector<bool> described_;  // has had a transcript line
  std::unordered_map<std::string, std::vector<std::size_t>> places_;
};

// Columns of a refGene table.
struct RefGeneColumns {
  std::size_t name = 1, chrom = 2, strand = 3, start = 4, end = 5, count = 8, exon_starts = 9, exon_ends = 10,
              symbol = 12;
  std::size_t width() const {
    return 1 + std::max({name, chrom, strand, start, end, count, exon_starts, exon_ends, symbol});
  }
};

RefGeneColumns named_columns(std::span<const std::string_view> header, const LineReader& reader) {
  const auto find = [&](const char* name) {
    for (std::size_t i = 0; i < header.size(); ++i) {
      std::string_view field = trim(header[i]);
      field.remove_prefix(field.starts_with('#') ? 1 : 0);
      if (base::symbol_key(field) == base::symbol_key(name)) {
        return i;
      }
    }
    reader.fail(std::string("refGene header lacks the column '") + name + "'", "UCSC's column names");
  };
  return {.name = find("name"),
          .chrom = find("chrom"),
          .strand = find("strand"),
          .start = find("txStart"),
          .end = find("txEnd"),
          .count = find("exonCount"),
          .exon_starts = find("exonStarts"),
          .exon_ends = find("exonEnds"),
          .symbol = find("name2")};
}

void read_list(std::string_view list, std::vector<std::int64_t>& values, const LineReader& reader) {
  values.clear();
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    values.push_back(position(list.substr(0, comma), "exon position", reader));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

Transcript refgene_transcript(std::span<const std::string_view> fields, const RefGeneColumns& columns,
                              const LineReader& reader, std::vector<std::int64_t>& starts,
                              std::vector<std::int64_t>& ends) {
  if (fields.size() < columns.width()) {
    reader.fail("refGene row has too few columns", std::to_string(columns.width()) + " or more",
                std::to_string(fields.size()));
  }
  Transcript transcript;
  transcript.id = std::string(fields[columns.name]);
  transcript.symbol = std::string(trim(fields[columns.symbol]));
  transcript.chromosome = std::string(fields[columns.chrom]);
  transcript.forward = is_forward(fields[columns.strand], reader);
  transcript.start = position(fields[columns.start], "txStart", reader);
  transcript.end = position(fields[columns.end], "txEnd", reader);
  if (transcript.end <= transcript.start) {
    reader.fail("transcript is empty or reversed", "txStart < txEnd",
                std::to_string(transcript.start) + " to " + std::to_string(transcript.end));
  }
  if (transcript.symbol.empty() || transcript.chromosome.empty()) {
    reader.fail("refGene row lacks a symbol or a chromosome");
  }
  read_list(trim(fields[columns.exon_starts]), starts, reader);
  read_list(trim(fields[columns.exon_ends]), ends, reader);
  const auto count = static_cast<std::uint64_t>(position(fields[columns.count], "exonCount", reader));
  if (starts.size() != count || ends.size() != count || count == 0) {
    reader.fail("lists of exons do not match exonCount", std::to_string(count) + " starts and ends",
                std::to_string(starts.size()) + " and " + std::to_string(ends.size()));
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    if (ends[i] <= starts[i] || starts[i] < transcript.start || ends[i] > transcript.end) {
      reader.fail("exon lies outside its transcript or is reversed", "txStart <= start < end <= txEnd",
                  std::to_string(starts[i]) + " to " + std::to_string(ends[i]));
    }
    transcript.exons.push_back({starts[i], ends[i]});
  }
  std::sort(transcript.exons.begin(), transcript.exons.end(), exon_before);
  return transcript;
}

bool is_number(std::string_view field) {
  std::int64_t value = 0;
  return parse_number(trim(field), value);
}

bool is_gtf(std::span<const std::string_view> fields) {
  return fields.size() == 9 && is_number(fields[3]) && is_number(fields[4]) &&
         (fields[6] == "+" || fields[6] == "-" || fields[6] == ".");
}

}  // namespace

std::vector<Transcript> read_annotation(const std::filesystem::path& file) {
  enum class Kind { unknown, gtf, refgene };
  Kind kind = Kind::unknown;
  LineReader reader(file);
  GtfBuilder gtf;
  RefGeneColumns columns;
  std::vector<Transcript> transcripts;
  std::vector<std::int64_t> starts;
  std::vector<std::int64_t> ends;
  // Quotes belong to GTF's attributes, so the lines are cut at tabs alone.
  std::vector<std::string_view> fields;
  std::string_view line;
  while (reader.next(line)) {
    const bool header = kind == Kind::unknown && line.find("exonStarts") != std::string_view::npos;
    if (trim(line).empty() || (line.front() == '#' && !header)) {
      continue;
    }
    fields.clear();
    for (std::size_t at = 0; at <= line.size();) {
      const std::size_t stop = std::min(line.find('\t', at), line.size());
      fields.push_back(line.substr(at, stop - at));
      at = stop + 1;
    }
    if (header) {
      kind = Kind::refgene;
      columns = named_columns(fields, reader);
      continue;
    }
    if (kind == Kind::unknown) {
      if (is_gtf(fields)) {
        kind = Kind::gtf;
      } else if (fields.size() >= 15 && is_number(fields[fields.size() >= 16 ? 4 : 3])) {
        kind = Kind::refgene;
        if (fields.size() == 15) {
          columns = {.name = 0,
                     .chrom = 1,
                     .strand = 2,
                     .start = 3,
                     .end = 4,
                     .count = 7,
                     .exon_starts = 8,
                     .exon_ends = 9,
                     .symbol = 11};
        }
      } else {
        reader.fail("annotation is neither GTF nor a refGene table",
                    "9 tab-separated columns (GTF) or 16 (refGene)",
                    std::to_string(fields.size()) + " columns: " + std::string(line.substr(0, 40)),
                    "give a GTF of Ensembl, GENCODE or UCSC, or UCSC's refGene.txt.gz");
      }
    }
    if (kind == Kind::gtf) {
      if (!is_gtf(fields)) {
        reader.fail("not a GTF line", "9 tab-separated columns",
                    std::to_string(fields.size()) + " columns: " + std::string(line.substr(0, 40)));
      }
      gtf.add(fields, reader);
    } else {
      transcripts.push_back(refgene_transcript(fields, columns, reader, starts, ends));
    }
  }
  if (kind == Kind::gtf) {
    transcripts = gtf.finish();
  }
  if (transcripts.empty()) {
    throw base::DataError({.what = "annotation holds no transcript",
                           .file = reader.file(),
                           .expected = "exon or transcript lines (GTF), or rows of a refGene table",
                           .got = std::to_string(reader.number()) + " lines without any",
                           .hint = "give a GTF of Ensembl, GENCODE or UCSC, or UCSC's refGene.txt.gz"});
  }
  return transcripts;
}

std::vector<GenomicInterval> read_bed(const std::filesystem::path& file) {
  LineReader reader(file);
  std::vector<GenomicInterval> intervals;
  std::string_view line;
  while (reader.next(line)) {
    const std::string_view content = trim(line);
    if (content.empty() || content.front() == '#' || content.starts_with("track ") || content == "track" ||
        content.starts_with("track\t") || content.starts_with("browser ") ||
        content.starts_with("browser\t")) {
      continue;
    }
    std::array<std::string_view, 3> fields;
    std::size_t count = 0;
    const char* separators = content.find('\t') != std::string_view::npos ? "\t" : " ";
    for (std::size_t at = 0; count < 3 && at < content.size();) {
      const std::size_t stop = std::min(content.find_first_of(separators, at), content.size());
      fields[count++] = content.substr(at, stop - at);
      at = std::min(content.find_first_not_of(separators, stop), content.size());
    }
    if (count < 3) {
      reader.fail("BED line has too few columns", "chromosome, start, end",
                  std::to_string(count) + ": " + std::string(content.substr(0, 40)));
    }
    GenomicInterval interval;
    interval.chromosome = std::string(fields[0]);
    interval.start = position(fields[1], "start", reader);
    interval.end = position(fields[2], "end", reader);
    if (interval.end < interval.start) {
      reader.fail("BED interval is reversed", "start <= end",
                  std::string(fields[1]) + " to " + std::string(fields[2]));
    }
    intervals.push_back(std::move(interval));
  }
  return intervals;
}

bool parse_interval(const std::string& name, GenomicInterval& interval) {
  const std::string_view text = trim(name);
  // From the right: digits, separator, digits, separator, and whatever is left is the chromosome.
  const std::size_t second = text.find_last_of("-_:");
  if (second == std::string_view::npos || second == 0) {
    return false;
  }
  const std::size_t first = text.find_last_of("-_:", second - 1);
  if (first == std::string_view::npos || first == 0 ||
      std::string_view("-_:").find(text[first - 1]) != std::string_view::npos) {
    return false;
  }
  const std::string_view start_text = text.substr(first + 1, second - first - 1);
  const std::string_view end_text = text.substr(second + 1);
  const auto digits = [](std::string_view part) {
    return !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
  };
  std::int64_t start = 0;
  std::int64_t end = 0;
  if (!digits(start_text) || !digits(end_text) || !parse_number(start_text, start) ||
      !parse_number(end_text, end) || end < start) {
    return false;
  }
  interval = {std::string(text.substr(0, first)), start, end};
  return true;
}

std::string chromosome_key(const std::string& chromosome) {
  std::string key = base::symbol_key(chromosome);
  if (key.starts_with("CHR") && key.size() > 3) {
    key.erase(0, 3);
  }
  return key == "MT" ? "M" : key;
}

}  // namespace mgrn::formats
