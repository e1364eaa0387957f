// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/prepare/regulatory_potential.hpp"

namespace mgrn::prepare {
namespace {

using formats::GenomicInterval;
using formats::Interval;
using formats::Transcript;

Transcript transcript(const std::string& symbol, std::int64_t start, std::int64_t end, bool forward,
                      std::vector<Interval> exons, const std::string& chromosome = "chr1") {
  return {.symbol = symbol,
          .id = symbol,
          .chromosome = chromosome,
          .forward = forward,
          .start = start,
          .end = end,
          .exons = std::move(exons)};
}

// A peak with its middle there.
GenomicInterval at(double middle, const std::string& chromosome = "chr1") {
  const auto twice = static_cast<std::int64_t>(2 * middle);
  return {.chromosome = chromosome, .start = twice / 2 - 100, .end = twice - (twice / 2 - 100)};
}

// Every transcript as a gene of its own.
GeneWeights weigh_peaks(std::span<const Transcript> transcripts, std::span<const GenomicInterval> peaks,
                        const RpOptions& options, std::span<const std::uint8_t> keep = {}) {
  SymbolMatch match;
  for (std::uint32_t number = 0; number < transcripts.size(); ++number) {
    match.transcript.push_back(number);
    match.offsets.push_back(match.transcript.size());
  }
  const std::vector<std::int64_t> totals(peaks.size(), 1);
  return weigh_genes(GenomeIndex(transcripts, peaks, match, keep), totals, options);
}

std::map<std::uint32_t, double> row(const GeneWeights& model, std::uint64_t number) {
  std::map<std::uint32_t, double> weights;
  for (std::uint64_t i = model.genes.offsets[number]; i < model.genes.offsets[number + 1]; ++i) {
    weights[model.genes.peak[i]] = model.genes.weight[i];
  }
  return weights;
}

using Weights = std::map<std::uint32_t, double>;

TEST(PeakWeights, AnExonGivesOneOverItsKilobasesAndTheLengthIsTheSumOfAllExons) {
  const std::vector<Transcript> genes = {
      transcript("A", 100000, 110000, true, {{100000, 100500}, {108500, 110000}})};
  const std::vector<GenomicInterval> peaks = {at(109000)};
  EXPECT_EQ(row(weigh_peaks(genes, peaks, {}), 0), (Weights{{0, 0.5}}));  // 2 kb
}

TEST(PeakWeights, AShortExonWeighsMoreThanOneUnlessCapped) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{105000, 105080}})};
  const std::vector<GenomicInterval> peaks = {at(105040)};
  EXPECT_DOUBLE_EQ(row(weigh_peaks(genes, peaks, {}), 0).at(0), 12.5);
  EXPECT_DOUBLE_EQ(row(weigh_peaks(genes, peaks, {.exon_cap = 1.0}), 0).at(0), 1.0);
}

TEST(PeakWeights, ExonEndsAreInclusive) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 140000, true, {{120000, 121000}})};
  const std::vector<GenomicInterval> peaks = {at(119999.5), at(120000), at(121000), at(121000.5)};
  const Weights weights = row(weigh_peaks(genes, peaks, {}), 0);
  EXPECT_DOUBLE_EQ(weights.at(1), 1.0);
  EXPECT_DOUBLE_EQ(weights.at(2), 1.0);
  EXPECT_DOUBLE_EQ(weights.at(0), std::exp2(-1.99995));
  EXPECT_DOUBLE_EQ(weights.at(3), std::exp2(-2.10005));
}

TEST(PeakWeights, AnExonWinsOverThePromoterOfTheSameTranscript) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 120000, true, {{100000, 104000}})};
  const std::vector<GenomicInterval> peaks = {at(100500), at(99000)};
  const Weights weights = row(weigh_peaks(genes, peaks, {}), 0);
  EXPECT_DOUBLE_EQ(weights.at(0), 0.25);
  EXPECT_DOUBLE_EQ(weights.at(1), std::exp2(-0.1));
}

TEST(PeakWeights, ThePromoterFollowsTheStrand) {
  // Upstream of a reverse gene is behind its end.
  const std::vector<Transcript> genes = {transcript("F", 100000, 120000, true, {}),
                                         transcript("R", 300000, 320000, false, {})};
  const std::vector<GenomicInterval> peaks = {at(98000), at(97999), at(322000), at(322001), at(298500)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(model.claimed_peaks, 2u);  // 98,000 and 322,000: inclusive
  EXPECT_DOUBLE_EQ(row(model, 0).at(0), std::exp2(-0.2));
  EXPECT_DOUBLE_EQ(row(model, 1).at(2), std::exp2(-0.2));
  EXPECT_DOUBLE_EQ(row(model, 1).at(4), std::exp2(-2.15));  // 21.5 kb from the start, unclaimed
  EXPECT_FALSE(row(model, 1).contains(0));
}

TEST(PeakWeights, APromoterBeyondTheBodyOfAShortGeneClaimsNothing) {
  // tss + 2 kb reaches past the end of a 500 bp gene: the body does not hold the peak.
  const std::vector<Transcript> genes = {transcript("A", 100000, 100500, true, {{100000, 100500}})};
  const std::vector<GenomicInterval> peaks = {at(101000)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(model.claimed_peaks, 0u);
  EXPECT_DOUBLE_EQ(row(model, 0).at(0), std::exp2(-0.1));
}

TEST(PeakWeights, AnotherGenesExonOrPromoterTakesThePeak) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{100000, 101000}}),
                                         transcript("B", 120000, 130000, true, {{124000, 125000}})};
  const std::vector<GenomicInterval> peaks = {at(124500), at(119000)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_TRUE(row(model, 0).empty());
  EXPECT_EQ(row(model, 1), (Weights{{0, 1.0}, {1, std::exp2(-0.1)}}));
}

TEST(PeakWeights, AnotherGenesIntronDoesNot) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {}),
                                         transcript("B", 120000, 160000, true, {})};
  const std::vector<GenomicInterval> peaks = {at(140000)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(row(model, 0), (Weights{{0, std::exp2(-4.0)}}));
  EXPECT_EQ(row(model, 1), (Weights{{0, std::exp2(-2.0)}}));
}

TEST(PeakWeights, APeakInTwoGenesClaimsCountsForBoth) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{104000, 106000}}),
                                         transcript("B", 95000, 104500, false, {})};
  const std::vector<GenomicInterval> peaks = {at(105000)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(row(model, 0), (Weights{{0, 0.5}}));
  EXPECT_EQ(row(model, 1), (Weights{{0, std::exp2(-0.05)}}));
}

TEST(PeakWeights, IsoformsOfOneGeneCompeteForPeaks) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{104000, 105000}}),
                                         transcript("A", 90000, 110000, true, {{108000, 109000}})};
  const std::vector<GenomicInterval> peaks = {at(104500)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(row(model, 0), (Weights{{0, 1.0}}));
  EXPECT_TRUE(row(model, 1).empty());
}

TEST(PeakWeights, TheRangeIsFifteenDecaysInclusive) {
  const std::vector<Transcript> genes = {transcript("A", 500000, 510000, true, {})};
  const std::vector<GenomicInterval> peaks = {at(350000), at(349999.5), at(650000), at(650000.5)};
  const Weights weights = row(weigh_peaks(genes, peaks, {}), 0);
  EXPECT_EQ(weights, (Weights{{0, std::exp2(-15.0)}, {2, std::exp2(-15.0)}}));
  EXPECT_EQ(row(weigh_peaks(genes, peaks, {.decay = 20000.0}), 0).size(), 4u);
}

TEST(PeakWeights, AnExonBeyondTheRangeStillCounts) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 900000, true, {{899000, 900000}})};
  const std::vector<GenomicInterval> peaks = {at(899500), at(700000), at(110000)};
  EXPECT_EQ(row(weigh_peaks(genes, peaks, {}), 0), (Weights{{0, 1.0}, {2, 0.5}}));
}

TEST(PeakWeights, ChromosomesMeetWhateverTheirSpellingAndOnlyThen) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {}, "1")};
  const std::vector<GenomicInterval> peaks = {at(120000, "chr1"), at(120000, "chr2"), at(120000, "chrUn_x")};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(row(model, 0), (Weights{{0, 0.25}}));
  EXPECT_EQ(model.genes.peak.size(), 1u);
}

TEST(PeakWeights, TheOrderOfPeaksDoesNotMatter) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{104000, 105000}})};
  const std::vector<GenomicInterval> peaks = {at(130000), at(104500), at(90000)};
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  EXPECT_EQ(model.genes.peak, (std::vector<std::uint32_t>{2, 1, 0}));  // by position
}

TEST(UniqueTranscripts, OfOneSymbolAndBodyTheFirstStays) {
  const std::vector<Transcript> genes = {
      transcript("A", 100, 900, true, {{100, 900}}), transcript("A", 100, 900, true, {{100, 200}}),
      transcript("B", 100, 900, true, {}),           transcript("A", 100, 901, true, {}),
      transcript("A", 100, 900, false, {}),          transcript("A", 100, 900, true, {}, "chrX")};
  EXPECT_EQ(unique_transcripts(genes), (std::vector<std::uint32_t>{0, 2, 3, 4, 5}));
}

TEST(MatchSymbols, PrefersTheSpellingThenIgnoresCaseThenTriesIds) {
  const std::vector<Transcript> genes = {
      transcript("Gata1", 0, 1, true, {}), transcript("GATA1", 0, 1, true, {}),
      transcript("Sox2", 0, 1, true, {}), transcript("ENSG0001.3", 0, 1, true, {})};
  const std::vector<std::string> symbols = {"GATA1", "SOX2", "Unknown", "Other"};
  const std::vector<std::string> ids = {"", "", "ENSG0001.7", "ENSG0002"};
  const SymbolMatch match = match_symbols(genes, symbols, ids);
  const auto isoforms = [&match](std::uint64_t gene) {
    return std::vector<std::uint32_t>(match.isoforms(gene).begin(), match.isoforms(gene).end());
  };
  EXPECT_EQ(isoforms(0), (std::vector<std::uint32_t>{1}));
  EXPECT_EQ(isoforms(1), (std::vector<std::uint32_t>{2}));
  EXPECT_EQ(isoforms(2), (std::vector<std::uint32_t>{3}));
  EXPECT_TRUE(isoforms(3).empty());
  EXPECT_EQ(match.exact, 1u);
  EXPECT_EQ(match.ignoring_case, 1u);
  EXPECT_EQ(match.by_id, 1u);
  EXPECT_EQ(match.missing, 1u);
}

TEST(PeakWeights, APeakThatIsNotKeptClaimsNothingAndKeepsItsNumber) {
  const std::vector<Transcript> genes = {transcript("A", 100000, 110000, true, {{104000, 105000}})};
  const std::vector<GenomicInterval> peaks = {at(104400), at(104500), at(120000)};
  const std::vector<std::uint8_t> keep = {0, 1, 1};
  const GeneWeights model = weigh_peaks(genes, peaks, {}, keep);
  EXPECT_EQ(row(model, 0), (Weights{{1, 1.0}, {2, 0.25}}));
  EXPECT_EQ(model.claimed_peaks, 1u);
}

TEST(PeakWeights, OverlappingExonsCountTwiceInLengthButHoldABaseOnce) {
  const std::vector<Transcript> genes = {
      transcript("A", 100000, 110000, true, {{104000, 105000}, {104500, 105500}, {105200, 105400}})};
  const std::vector<GenomicInterval> peaks = {at(105450), at(105500.5)};
  const Weights weights = row(weigh_peaks(genes, peaks, {}), 0);
  EXPECT_DOUBLE_EQ(weights.at(0), 1.0 / 2.2);
  EXPECT_DOUBLE_EQ(weights.at(1), std::exp2(-0.55005));
}

TEST(PeakWeights, TheOrderOfTranscriptsDoesNotMatter) {
  // A long transcript before and around short ones, on both strands, so that the search goes on and back.
  std::vector<Transcript> genes = {transcript("L", 100000, 900000, false, {{100000, 101000}})};
  std::vector<GenomicInterval> peaks = {at(60000.0)};  // before the long one, within reach of the next
  for (std::int64_t start = 110000; start < 890000; start += 37000) {
    genes.push_back(transcript("S", start, start + 4000, start % 2000 == 0, {{start + 1000, start + 1500}}));
    peaks.push_back(at(static_cast<double>(start) + 1200.5));
    peaks.push_back(at(static_cast<double>(start) + 9000.0));
  }
  const GeneWeights model = weigh_peaks(genes, peaks, {});
  std::vector<Transcript> turned(genes.rbegin(), genes.rend());
  const GeneWeights other = weigh_peaks(turned, peaks, {});
  std::size_t entries = 0;
  for (std::size_t i = 0; i < genes.size(); ++i) {
    EXPECT_EQ(row(model, i), row(other, genes.size() - 1 - i)) << i;
    entries += row(model, i).size();
  }
  EXPECT_GT(entries, 100u);
  EXPECT_DOUBLE_EQ(row(model, 1).at(0), std::exp2(-5.0));
}

TEST(PeakWeights, ATranscriptLongerThanAnyChromosomeIsAnErrorThatNamesIt) {
  const std::vector<Transcript> genes = {transcript("Endless", 100000, 5'000'000'000, true, {})};
  const std::vector<GenomicInterval> peaks = {at(104400)};
  try {
    weigh_peaks(genes, peaks, {});
    FAIL() << "accepted";
  } catch (const base::DataError& error) {
    EXPECT_NE(std::string(error.what()).find("Endless"), std::string::npos) << error.what();
  }
}

TEST(ChooseIsoforms, TakesTheLargestTotalOverAllCellsAndTheFirstOfEquals) {
  // Exons of 1 kb far from each other: weights of 1, of the third 0.5.
  const std::vector<Transcript> genes = {
      transcript("A", 5'000'000, 5'001'000, true, {{5'000'000, 5'001'000}}),
      transcript("A", 1'000'000, 1'001'000, true, {{1'000'000, 1'001'000}}),
      transcript("B", 3'000'000, 3'002'000, true, {{3'000'000, 3'002'000}}),
      transcript("C", 8'000'000, 8'001'000, true, {{8'000'000, 8'001'000}})};
  const std::vector<GenomicInterval> peaks = {at(5'000'500), at(1'000'500), at(3'000'500), at(8'000'500)};
  SymbolMatch match;
  match.transcript = {0, 2, 0, 1, 3};
  match.offsets = {0, 2, 4, 4, 5};
  const std::vector<std::int64_t> totals = {10, 10, 21, 0};
  const GeneWeights model = weigh_genes(GenomeIndex(genes, peaks, match), totals, {});
  EXPECT_EQ(model.genes.offsets, (std::vector<std::uint64_t>{0, 1, 2, 2, 2}));
  EXPECT_EQ(model.genes.peak, (std::vector<std::uint32_t>{2, 0}));  // 10.5 beats 10; of 10 and 10 the first
}

}  // namespace
}  // namespace mgrn::prepare
