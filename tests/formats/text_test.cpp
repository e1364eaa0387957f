// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "format_support.hpp"
#include "multigrnformer/formats/number_text.hpp"
#include "multigrnformer/formats/table.hpp"
#include "multigrnformer/formats/text_lines.hpp"

namespace mgrn {
namespace {

using formats::LineReader;
using test::expect_data_error;
using test::expect_error;
using test::write;

std::vector<std::string> lines_of(const std::filesystem::path& file) {
  LineReader reader(file);
  std::vector<std::string> lines;
  std::string_view line;
  while (reader.next(line)) {
    lines.emplace_back(line);
  }
  EXPECT_EQ(reader.number(), lines.size());
  return lines;
}

TEST(LineReader, ReadsPlainAndGzipAlikeWithMarkCrlfAndOpenLastLine) {
  const test::TemporaryDirectory folder;
  const std::string text =
      "\xef\xbb\xbf"
      "a,b\r\n\r\nlast";
  const std::vector<std::string> expected = {"a,b", "", "last"};
  EXPECT_EQ(lines_of(write(folder / "a.csv", text)), expected);
  EXPECT_EQ(lines_of(write(folder / "a.csv.gz", text)), expected);
  // The name does not matter, the content does.
  std::filesystem::copy_file(folder / "a.csv.gz", folder / "b.csv");
  EXPECT_EQ(lines_of(folder / "b.csv"), expected);
  EXPECT_TRUE(lines_of(write(folder / "empty.csv", "")).empty());
  EXPECT_EQ(lines_of(write(folder / "one.csv", "\n")), std::vector<std::string>{""});
}

TEST(LineReader, ReadsLinesLongerThanItsBufferAndGzipOfManyMembers) {
  const test::TemporaryDirectory folder;
  std::string long_line(3'000'000, 'x');
  long_line[1'234'567] = 'y';
  const std::string first = test::bytes_of(write(folder / "1.gz", long_line + "\nsecond"));
  const std::string second = test::bytes_of(write(folder / "2.gz", " half\nthird\n"));
  write(folder / "both", first + second + std::string(512, '\0'));
  const auto lines = lines_of(folder / "both");
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0], long_line);
  EXPECT_EQ(lines[1], "second half");
  EXPECT_EQ(lines[2], "third");
}

TEST(LineReader, TruncatedGzipIsAnErrorWithTheLineReached) {
  const test::TemporaryDirectory folder;
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text += std::to_string(i * 7919) + "\n";
  }
  write(folder / "a.csv.gz", text);
  const std::size_t size = std::filesystem::file_size(folder / "a.csv.gz");
  for (const std::size_t keep : {size - 1, size / 2, std::size_t{12}}) {
    test::truncate(folder / "a.csv.gz", keep);
    expect_data_error([&] { lines_of(folder / "a.csv.gz"); },
                      {"a.csv.gz", "ends inside its compressed data after line", "hint:"});
  }
}

TEST(LineReader, DamagedGzipBinaryContentFoldersAndMissingFilesAreErrors) {
  const test::TemporaryDirectory folder;
  std::string bytes = test::bytes_of(write(folder / "a.gz", std::string(5000, 'a') + "\nb\n"));
  bytes[bytes.size() - 6] = static_cast<char>(bytes[bytes.size() - 6] ^ 1);  // the checksum
  write(folder / "b", bytes);
  expect_data_error([&] { lines_of(folder / "b"); }, {"damaged compressed data"});
  expect_data_error([&] { lines_of(write(folder / "c", std::string("ab\0c\n", 5))); },
                    {"binary content", "line 1"});
  expect_data_error([&] { lines_of(folder.path()); }, {"a folder"});
  expect_data_error([&] { lines_of(folder / "none.csv"); }, {"none.csv", "does not exist"});
}

TEST(FieldSplitter, HandlesQuotesAndEmptyFields) {
  const test::TemporaryDirectory folder;
  LineReader reader(write(folder / "a.csv", "x"));
  std::string_view line;
  reader.next(line);
  formats::FieldSplitter comma(',');
  const auto split = [&](formats::FieldSplitter& splitter, std::string_view text) {
    const auto fields = splitter.split(text, reader);
    return std::vector<std::string>(fields.begin(), fields.end());
  };
  EXPECT_EQ(split(comma, "a,\"b,c\",,\"say \"\"hi\"\"\","),
            (std::vector<std::string>{"a", "b,c", "", "say \"hi\"", ""}));
  EXPECT_EQ(split(comma, ""), std::vector<std::string>{""});
  EXPECT_EQ(split(comma, "\"\""), std::vector<std::string>{""});
  EXPECT_EQ(split(comma, "5\" probe,b"), (std::vector<std::string>{"5\" probe", "b"}));
  formats::FieldSplitter blank(' ');
  EXPECT_EQ(split(blank, " 1  2 3 "), (std::vector<std::string>{"1", "2", "3"}));
  expect_data_error([&] { comma.split("a,\"b", reader); }, {"not closed", "line 1", "a.csv"});
  expect_data_error([&] { comma.split("\"a\"b,c", reader); }, {"after a quoted field"});
  EXPECT_EQ(formats::detect_delimiter("a\tb,c"), '\t');
  EXPECT_EQ(formats::detect_delimiter("\"a\tb\",c;d"), ',');
  EXPECT_EQ(formats::detect_delimiter("a;b c"), ';');
  EXPECT_EQ(formats::detect_delimiter("a b"), ' ');
}

TEST(NumberText, IsShortestAndReadsBackToTheSameBits) {
  EXPECT_EQ(formats::number_text(0.1F), "0.1");
  EXPECT_EQ(formats::number_text(0.1), "0.1");
  EXPECT_EQ(formats::number_text(1.0 / 3.0), "0.3333333333333333");
  EXPECT_EQ(formats::number_text(3.0), "3");
  EXPECT_EQ(formats::number_text(-std::nan("")), "nan");
  std::uint32_t bits = 12345;
  for (int i = 0; i < 100'000; ++i) {
    bits = bits * 1664525U + 1013904223U;
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (std::isfinite(value)) {
      float back = 0;
      ASSERT_TRUE(formats::parse_number(formats::number_text(value), back));
      ASSERT_EQ(std::memcmp(&value, &back, sizeof value), 0) << formats::number_text(value);
    }
  }
}

TEST(NumberText, ParsesStrictly) {
  float value = 0;
  EXPECT_TRUE(formats::parse_number("+1e2", value));
  EXPECT_EQ(value, 100.0F);
  EXPECT_TRUE(formats::parse_number("1e-60", value));
  EXPECT_EQ(value, 0.0F);
  EXPECT_TRUE(formats::parse_number("nan", value));
  for (const char* text : {"", "+", "1,5", "1.5x", " 1", "0x10", "1e60", "NA", "+-1", "--1"}) {
    EXPECT_FALSE(formats::parse_number(text, value)) << text;
  }
  std::int64_t whole = 0;
  EXPECT_TRUE(formats::parse_number("-9223372036854775808", whole));
  EXPECT_FALSE(formats::parse_number("9223372036854775808", whole));
  EXPECT_FALSE(formats::parse_number("1.0", whole));
  std::uint64_t natural = 0;
  EXPECT_FALSE(formats::parse_number("-1", natural));
}

TEST(Table, ReadsBackWhatItWrites) {
  const test::TemporaryDirectory folder;
  formats::TableWriter writer;
  writer.add("tf").add("a \"name\"").add("score").end_row();
  writer.add("Sox2, the").add(" x").add(0.1).end_row();
  writer.add("").add("line\"").add(std::uint64_t{7}).end_row();
  writer.write(folder / "t.csv");
  EXPECT_EQ(test::bytes_of(folder / "t.csv"),
            "tf,\"a \"\"name\"\"\",score\n\"Sox2, the\",\" x\",0.1\n,\"line\"\"\",7\n");
  const auto table = formats::Table::read(folder / "t.csv");
  EXPECT_EQ(table.rows(), 2U);
  EXPECT_EQ(table.column("tf"), (std::vector<std::string>{"Sox2, the", ""}));
  EXPECT_EQ(table.column("a \"name\"")[1], "line\"");
  EXPECT_EQ(table.numbers("score"), (std::vector<double>{0.1, 7}));
  expect_data_error([&] { table.column("gene"); }, {"t.csv", "'gene' is missing", "tf"});
  expect_data_error([&] { table.numbers("tf"); }, {"t.csv", "line 2", "'Sox2, the'"});
}

TEST(Table, RefusesRaggedRowsRepeatedColumnsAndEmptyFiles) {
  const test::TemporaryDirectory folder;
  expect_data_error([&] { formats::Table::read(write(folder / "a.csv", "x,y\n1,2\n1\n")); },
                    {"a.csv", "line 3", "2 fields", "got 1"});
  expect_data_error([&] { formats::Table::read(write(folder / "b.csv", "x,x\n")); }, {"'x' occurs twice"});
  expect_data_error([&] { formats::Table::read(write(folder / "c.csv", "")); }, {"c.csv", "no header"});
}

TEST(TextWriter, GzipIsByteStableAndNothingIsLeftWithoutFinish) {
  const test::TemporaryDirectory folder;
  const std::string text(300'000, 'q');
  write(folder / "a.txt.gz", text);
  write(folder / "b.txt.gz", text);
  const std::string bytes = test::bytes_of(folder / "a.txt.gz");
  EXPECT_EQ(bytes, test::bytes_of(folder / "b.txt.gz"));
  EXPECT_EQ(bytes.substr(3, 5), std::string(5, '\0'));  // no flags, no time
  EXPECT_LT(bytes.size(), 2000U);
  {
    formats::TextWriter writer(folder / "c.txt");
    writer.write("half");
  }
  EXPECT_FALSE(std::filesystem::exists(folder / "c.txt"));
  expect_error(base::ExitCode::output, [&] { formats::write_text(folder / "none/d.txt", "x"); },
               {"none/d.txt"});
}

}  // namespace
}  // namespace mgrn
