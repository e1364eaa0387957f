// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/formats/annotation.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <tuple>

#include "format_support.hpp"

namespace mgrn {
namespace {

using formats::GenomicInterval;
using formats::read_annotation;
using formats::read_bed;
using formats::Transcript;
using test::expect_data_error;
using test::write;

const std::string kEnsembl =
    "#!genome-build GRCm39\n"
    "1\tensembl\tgene\t11\t100\t.\t-\t.\tgene_id \"ENSMUSG1\"; gene_name \"Sox2; a\"; level 2;\n"
    "1\tensembl\ttranscript\t11\t100\t.\t-\t.\tgene_id \"ENSMUSG1\"; transcript_id \"T1\"; gene_name \"Sox2; "
    "a\";\n"
    "1\tensembl\texon\t81\t100\t.\t-\t.\tgene_id \"ENSMUSG1\"; transcript_id \"T1\"; exon_number 1; "
    "gene_name \"Sox2; a\";\n"
    "1\tensembl\texon\t11\t20\t.\t-\t.\tgene_id \"ENSMUSG1\"; transcript_id \"T1\"; exon_number 2; gene_name "
    "\"Sox2; a\";\n"
    "1\tensembl\tCDS\t12\t20\t.\t-\t0\tgene_id \"ENSMUSG1\"; transcript_id \"T1\";\n";

TEST(Annotation, ReadsEnsemblGtf) {
  const test::TemporaryDirectory folder;
  const auto transcripts = read_annotation(write(folder / "a.gtf.gz", kEnsembl));
  ASSERT_EQ(transcripts.size(), 1U);
  const Transcript& t = transcripts[0];
  EXPECT_EQ(t.symbol, "Sox2; a");
  EXPECT_EQ(t.id, "T1");
  EXPECT_EQ(t.chromosome, "1");
  EXPECT_FALSE(t.forward);
  EXPECT_EQ(t.start, 10);
  EXPECT_EQ(t.end, 100);
  EXPECT_EQ(t.transcription_start(), 100);
  ASSERT_EQ(t.exons.size(), 2U);
  EXPECT_EQ(t.exons[0].start, 10);
  EXPECT_EQ(t.exons[1].start, 80);
  EXPECT_EQ(t.exons[1].end, 100);
}

TEST(Annotation, BuildsTranscriptsFromExonsAloneAndFallsBackToGeneId) {
  const test::TemporaryDirectory folder;
  const auto transcripts =
      read_annotation(write(folder / "a.gtf",
                            "chr2\tx\texon\t50\t60\t.\t+\t.\tgene_id \"G\"; transcript_id \"T\"\n"
                            "chr2\tx\texon\t5\t9\t.\t+\t.\tgene_id \"G\"; transcript_id \"T\"\n"
                            "chr3\tx\texon\t5\t9\t.\t+\t.\tgene_id \"G\"; transcript_id \"T\"\n"));
  ASSERT_EQ(transcripts.size(), 2U);
  EXPECT_EQ(transcripts[0].symbol, "G");
  EXPECT_EQ(transcripts[0].start, 4);
  EXPECT_EQ(transcripts[0].end, 60);
  EXPECT_EQ(transcripts[0].exons[0].start, 4);
  EXPECT_EQ(transcripts[1].chromosome, "chr3");
}

TEST(Annotation, KeepsATranscriptThatOccursAtTwoPlacesApart) {
  const test::TemporaryDirectory folder;
  const std::string tail = "\t.\t+\t.\tgene_id \"G\"; transcript_id \"T\";\n";
  const auto transcripts = read_annotation(
      write(folder / "a.gtf", "chr2\tx\ttranscript\t1\t50" + tail + "chr2\tx\texon\t1\t10" + tail +
                                  "chr2\tx\ttranscript\t101\t150" + tail + "chr2\tx\texon\t101\t110" + tail +
                                  "chr2\tx\texon\t41\t51" + tail));
  ASSERT_EQ(transcripts.size(), 2U);
  EXPECT_EQ(transcripts[0].exons.size(), 2U);  // the one a base too long is still the first's
  EXPECT_EQ(transcripts[1].exons.size(), 1U);
}

const std::string kRefGene =
    "585\tNM_1\tchr1\t-\t10\t100\t12\t20\t2\t10,80,\t20,100,\t0\tSox2\tcmpl\tcmpl\t0,0,\n";

TEST(Annotation, ReadsRefGeneWithBinWithoutBinAndWithHeader) {
  const test::TemporaryDirectory folder;
  const std::string header =
      "#bin\tname\tchrom\tstrand\ttxStart\ttxEnd\tcdsStart\tcdsEnd\texonCount\texonStarts\texonEnds\tscore\tn"
      "ame2\tx\ty\tz\n";
  write(folder / "a.tsv", kRefGene);
  write(folder / "b.tsv.gz", header + kRefGene);
  write(folder / "c.tsv", kRefGene.substr(4));
  for (const char* name : {"a.tsv", "b.tsv.gz", "c.tsv"}) {
    const auto transcripts = read_annotation(folder / name);
    ASSERT_EQ(transcripts.size(), 1U) << name;
    EXPECT_EQ(transcripts[0].symbol, "Sox2");
    EXPECT_EQ(transcripts[0].id, "NM_1");
    EXPECT_EQ(transcripts[0].start, 10);
    ASSERT_EQ(transcripts[0].exons.size(), 2U);
    EXPECT_EQ(transcripts[0].exons[1].end, 100);
  }
}

TEST(Annotation, RealRefGeneTableAndItsGtfHoldTheSameTranscripts) {
  const auto table_file = test::real_data("annotation/mm10.refGene.tsv.gz");
  const auto gtf_file = test::real_data("annotation/mm10.refGene.gtf.gz");
  MGRN_REQUIRE_REAL_DATA(table_file);
  MGRN_REQUIRE_REAL_DATA(gtf_file);
  const auto table = read_annotation(table_file);
  const auto gtf = read_annotation(gtf_file);
  EXPECT_EQ(table.size(), 47'382U);
  const auto keys = [](const std::vector<Transcript>& transcripts) {
    std::vector<std::tuple<std::string, std::string, std::string, bool, std::int64_t, std::int64_t,
                           std::vector<std::pair<std::int64_t, std::int64_t>>>>
        all;
    for (const Transcript& t : transcripts) {
      std::vector<std::pair<std::int64_t, std::int64_t>> exons;
      for (const auto& exon : t.exons) {
        exons.emplace_back(exon.start, exon.end);
      }
      all.emplace_back(t.symbol, t.id, t.chromosome, t.forward, t.start, t.end, std::move(exons));
    }
    std::sort(all.begin(), all.end());
    return all;
  };
  EXPECT_TRUE(keys(table) == keys(gtf));
}

TEST(Annotation, RealHumanGtfHasItsTranscripts) {
  const auto file = test::real_data("annotation/hg38.approx.gtf.gz");
  MGRN_REQUIRE_REAL_DATA(file);
  EXPECT_EQ(read_annotation(file).size(), 35'676U);
}

TEST(Annotation, RefusesWhatIsNoAnnotationWithItsLine) {
  const test::TemporaryDirectory folder;
  const auto fails = [&](const std::string& text, std::initializer_list<std::string> parts) {
    expect_data_error([&] { read_annotation(write(folder / "a.gtf", text)); }, parts);
  };
  fails("garbage\n", {"a.gtf", "line 1", "neither GTF nor a refGene", "hint:"});
  fails("#only\n\n", {"a.gtf", "no transcript"});
  fails("", {"a.gtf", "no transcript"});
  fails(kEnsembl + "1\tensembl\texon\tx\t20\t.\t-\t.\tgene_id \"G\";\n", {"line 7", "not a GTF line"});
  fails("1\ta\texon\t30\t20\t.\t-\t.\tgene_id \"G\"; transcript_id \"T\";\n", {"line 1", "reversed"});
  fails("1\ta\texon\t0\t20\t.\t-\t.\tgene_id \"G\"; transcript_id \"T\";\n", {"line 1"});
  fails("1\ta\texon\t3\t20\t.\t.\t.\tgene_id \"G\"; transcript_id \"T\";\n", {"strand"});
  fails("1\ta\texon\t3\t20\t.\t+\t.\tgene_id \"G\";\n", {"line 1", "lacks transcript_id"});
  fails("1\ta\texon\t3\t20\t.\t+\t.\tID=exon1;Parent=T\n", {"GFF3", "hint: convert"});
  fails("585\tNM_1\tchr1\t-\t10\t100\t12\t20\t3\t10,80,\t20,100,\t0\tSox2\tc\tc\t0,0,\n",
        {"line 1", "exonCount"});
  fails("585\tNM_1\tchr1\t-\t10\t100\t12\t20\t2\t10,80,\t20,101,\t0\tSox2\tc\tc\t0,0,\n",
        {"outside its transcript"});
  fails("585\tNM_1\tchr1\t*\t10\t100\t12\t20\t2\t10,80,\t20,100,\t0\tSox2\tc\tc\t0,0,\n", {"strand"});
  fails(kRefGene + "585\tNM_1\tchr1\n", {"line 2", "too few columns"});
}

TEST(Bed, ReadsThreeAndMoreColumnsAndSkipsTrackLines) {
  const test::TemporaryDirectory folder;
  const auto intervals =
      read_bed(write(folder / "a.bed.gz",
                     "track name=\"x\"\nbrowser position chr1\n#c\nchr1\t0\t10\tHigh Signal Region\n\n"
                     "trackless 5 5\r\n"));
  ASSERT_EQ(intervals.size(), 2U);
  EXPECT_EQ(intervals[0].chromosome, "chr1");
  EXPECT_EQ(intervals[0].end, 10);
  EXPECT_EQ(intervals[1].chromosome, "trackless");
}

TEST(Bed, RefusesReversedAndGarbledLines) {
  const test::TemporaryDirectory folder;
  expect_data_error([&] { read_bed(write(folder / "a.bed", "chr1\t1\t2\nchr1\t10\t5\n")); },
                    {"a.bed", "line 2", "reversed", "10 to 5"});
  expect_data_error([&] { read_bed(write(folder / "a.bed", "chr1\t10\n")); }, {"line 1", "too few"});
  expect_data_error([&] { read_bed(write(folder / "a.bed", "chr1\t-1\t5\n")); }, {"line 1", "start", "'-1'"});
  expect_data_error([&] { read_bed(write(folder / "a.bed", "chr1\t1\t5e3\n")); }, {"line 1", "end", "'5e3'"});
}

TEST(Bed, RealBlacklistsHaveTheirLines) {
  const auto file = test::real_data("annotation/mm10-blacklist.v2.bed.gz");
  MGRN_REQUIRE_REAL_DATA(file);
  EXPECT_EQ(read_bed(file).size(), 3'435U);
}

TEST(Interval, IsSplitFromTheRight) {
  GenomicInterval interval;
  for (const char* name : {"chr1:100-200", "chr1_100_200", "chr1-100-200", "chr1:100_200"}) {
    ASSERT_TRUE(formats::parse_interval(name, interval)) << name;
    EXPECT_EQ(interval.chromosome, "chr1");
    EXPECT_EQ(interval.start, 100);
    EXPECT_EQ(interval.end, 200);
  }
  ASSERT_TRUE(formats::parse_interval("chr1_KI270706v1_random_5_9", interval));
  EXPECT_EQ(interval.chromosome, "chr1_KI270706v1_random");
  for (const char* name : {"Sox2", "chr1:200-100", "chr1:1e2-300", "HLA-DRB1", ":1-2", "1-2", "", "chr1:-5-7",
                           "chr1:1-99999999999999999999"}) {
    EXPECT_FALSE(formats::parse_interval(name, interval)) << name;
  }
}

TEST(Chromosome, SpellingsMeet) {
  EXPECT_EQ(formats::chromosome_key("chr1"), "1");
  EXPECT_EQ(formats::chromosome_key("Chr1"), "1");
  EXPECT_EQ(formats::chromosome_key("1"), "1");
  EXPECT_EQ(formats::chromosome_key("chrM"), "M");
  EXPECT_EQ(formats::chromosome_key("MT"), "M");
  EXPECT_EQ(formats::chromosome_key("chrX"), formats::chromosome_key("x"));
  EXPECT_EQ(formats::chromosome_key("chr"), "CHR");
}

}  // namespace
}  // namespace mgrn
