// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/pairs/sampler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <thread>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::pairs {
namespace {

constexpr std::uint32_t kCells = 1100;  // no multiple of a word or a block

float rna_value(std::uint32_t gene, std::uint32_t cell) {
  return static_cast<float>(gene * 10000 + cell) + 0.25f;
}
float rp_value(std::uint32_t gene, std::uint32_t cell) {
  return -rna_value(gene, cell);
}

/// Gene i is expressed in a share of the cells and has RP in another, by Philox.
SamplerGene make_gene(std::uint32_t index, const std::string& symbol, double expressed, double accessible,
                      std::uint32_t cells = kCells) {
  base::PhiloxStream random(index, 1234);
  SamplerGene gene;
  gene.index = index;
  gene.symbol = symbol;
  gene.rp_background = -0.5f;
  for (std::uint32_t cell = 0; cell < cells; ++cell) {
    if (random.uniform() < expressed) {
      gene.rna.cell.push_back(cell);
      gene.rna.value.push_back(rna_value(index, cell));
      gene.rna.count.push_back(1);
    }
    if (random.uniform() < accessible) {
      gene.rp.cell.push_back(cell);
      gene.rp.value.push_back(rp_value(index, cell));
    }
  }
  return gene;
}

const std::vector<SamplerGene>& genes() {
  static const std::vector<SamplerGene> made{
      make_gene(0, "TfDense", 0.9, 0.9), make_gene(1, "TfRare", 0.02, 0.05), make_gene(2, "GeneA", 0.5, 0.7),
      make_gene(3, "GeneB", 0.3, 0.01),  make_gene(7, "Silent", 0.0, 0.5),   make_gene(5, "GeneC", 1.0, 0.0)};
  return made;
}

std::set<std::uint32_t> expressed_in_both(std::uint32_t a, std::uint32_t b) {
  const auto cells_of = [](std::uint32_t index) {
    for (const SamplerGene& gene : genes()) {
      if (gene.index == index) {
        return std::set<std::uint32_t>(gene.rna.cell.begin(), gene.rna.cell.end());
      }
    }
    return std::set<std::uint32_t>();
  };
  std::set<std::uint32_t> both;
  const auto left = cells_of(a);
  const auto right = cells_of(b);
  std::set_intersection(left.begin(), left.end(), right.begin(), right.end(),
                        std::inserter(both, both.end()));
  return both;
}

SamplerOptions options_of(int cells, Resample resample = Resample::epoch, std::uint64_t seed = 1) {
  return {.cells = cells, .width = 4, .atac = true, .resample = resample, .seed = seed};
}

Sampler make_sampler(const SamplerOptions& options) {
  return {"0123456789abcdef", kCells, genes(), options};
}

std::vector<std::uint32_t> draw(const Sampler& sampler, const SampleName& name) {
  std::vector<std::uint32_t> cells(static_cast<std::size_t>(sampler.options().cells));
  EXPECT_TRUE(sampler.draw(name, cells));
  return cells;
}

SampleName name_of(std::uint32_t tf, std::uint32_t gene, std::uint32_t epoch = 0, std::uint32_t variant = 0,
                   Purpose purpose = Purpose::train) {
  return {.tf = tf, .gene = gene, .purpose = purpose, .epoch = epoch, .variant = variant};
}

std::vector<std::uint32_t> sorted(std::vector<std::uint32_t> cells) {
  std::sort(cells.begin(), cells.end());
  return cells;
}

TEST(Sampler, CountsTheCellsThatExpressBothGenes) {
  const auto sampler = make_sampler(options_of(10));
  for (const std::uint32_t a : {0u, 1u, 2u, 3u, 5u, 7u}) {
    for (const std::uint32_t b : {0u, 1u, 2u, 3u, 5u, 7u}) {
      EXPECT_EQ(sampler.pair_cells(a, b), expressed_in_both(a, b).size());
    }
  }
}

TEST(Sampler, EveryDrawnCellExpressesBothGenesAndNoneRepeatsWhereThereAreEnough) {
  for (const int wanted : {1, 17, 100, 300, 500}) {
    const auto sampler = make_sampler(options_of(wanted));
    for (const std::uint32_t a : {0u, 1u, 2u, 3u, 5u}) {
      for (const std::uint32_t b : {0u, 1u, 2u, 3u, 5u}) {
        const auto both = expressed_in_both(a, b);
        const auto cells = draw(sampler, name_of(a, b, 3, 1));
        for (const std::uint32_t cell : cells) {
          EXPECT_TRUE(both.contains(cell));
        }
        const std::set<std::uint32_t> distinct(cells.begin(), cells.end());
        if (both.size() >= cells.size()) {
          EXPECT_EQ(distinct.size(), cells.size());
        }
      }
    }
  }
}

std::set<std::uint32_t> expressed_in_either(std::uint32_t a, std::uint32_t b) {
  auto either = expressed_in_both(a, a);
  either.merge(expressed_in_both(b, b));
  return either;
}

TEST(Sampler, DrawsFromCellsThatExpressEitherGeneOrFromAllWhereAsked) {
  for (const PairCells rule : {PairCells::either, PairCells::all}) {
    // Listing and selecting; some pairs have fewer cells, which repeat.
    for (const int wanted : {1, 17, 300, 1000}) {
      auto options = options_of(wanted);
      options.pair_cells = rule;
      const auto sampler = make_sampler(options);
      for (const std::uint32_t a : {0u, 1u, 2u, 7u}) {
        for (const std::uint32_t b : {1u, 3u, 5u, 7u}) {
          std::set<std::uint32_t> allowed = expressed_in_either(a, b);
          if (rule == PairCells::all) {
            for (std::uint32_t cell = 0; cell < kCells; ++cell) {
              allowed.insert(cell);
            }
          }
          ASSERT_EQ(sampler.pair_cells(a, b), allowed.size());
          if (allowed.empty()) {
            std::vector<std::uint32_t> untouched(static_cast<std::size_t>(wanted));
            EXPECT_FALSE(sampler.draw(name_of(a, b), untouched));
            continue;
          }
          const auto cells = draw(sampler, name_of(a, b, 3, 1));
          const std::set<std::uint32_t> distinct(cells.begin(), cells.end());
          EXPECT_TRUE(std::includes(allowed.begin(), allowed.end(), distinct.begin(), distinct.end()));
          if (allowed.size() >= cells.size()) {
            EXPECT_EQ(distinct.size(), cells.size());
          }
        }
      }
    }
  }
}

TEST(Sampler, TakesEveryCellOfTheUnionOnceWhenThereAreExactlyAsManyAsWanted) {
  const auto either = expressed_in_either(1, 3);
  auto options = options_of(static_cast<int>(either.size()));
  options.pair_cells = PairCells::either;
  EXPECT_EQ(sorted(draw(make_sampler(options), name_of(1, 3))),
            std::vector<std::uint32_t>(either.begin(), either.end()));
}

TEST(Sampler, CellsThatDoNotExpressAGeneHaveItsBackgroundAndTheirOwnRp) {
  for (const PairCells rule : {PairCells::either, PairCells::all}) {
    for (const bool atac : {true, false}) {
      for (const Precision precision : {Precision::float32, Precision::int16}) {
        auto options = options_of(400);
        options.pair_cells = rule;
        options.atac = atac;
        options.precision = precision;
        // Small values, so that 16 bits hold them.
        std::vector<SamplerGene> given = genes();
        for (SamplerGene& gene : given) {
          gene.rna_background = -0.25f - static_cast<float>(gene.index);
          for (float& value : gene.rna.value) {
            value = value / 10000;
          }
          for (float& value : gene.rp.value) {
            value = value / 10000;
          }
        }
        const Sampler sampler("0123456789abcdef", kCells, given, options);
        const auto value = [](const store::GeneRow& row, std::uint32_t cell, float background) {
          const auto found = std::lower_bound(row.cell.begin(), row.cell.end(), cell);
          return found != row.cell.end() && *found == cell
                     ? row.value[static_cast<std::size_t>(found - row.cell.begin())]
                     : background;
        };
        for (const auto& [tf, gene] : {std::pair{0u, 1u}, {1u, 3u}, {3u, 4u}}) {  // places in the list
          const auto name = name_of(given[tf].index, given[gene].index, 2, 1);
          const auto cells = draw(sampler, name);
          std::vector<float> sample(1600, 99.0f);
          ASSERT_TRUE(sampler.gather(name, sample));
          std::vector<float> together(3200, 99.0f);
          const std::vector<SampleRequest> twice{{&sampler, name}, {&sampler, name}};
          ASSERT_EQ(gather_samples(twice, together), 2u);
          EXPECT_TRUE(std::equal(sample.begin(), sample.end(), together.begin() + 1600));
          for (std::size_t i = 0; i < cells.size(); ++i) {
            const float allowed = precision == Precision::int16 ? 0.001f : 0.0f;
            const std::array<const SamplerGene*, 2> pair{&given[tf], &given[gene]};
            for (std::size_t one = 0; one < 2; ++one) {
              ASSERT_NEAR(sample[4 * i + 2 * one], value(pair[one]->rna, cells[i], pair[one]->rna_background),
                          allowed);
              ASSERT_NEAR(sample[4 * i + 2 * one + 1],
                          atac ? value(pair[one]->rp, cells[i], pair[one]->rp_background) : 0.0f, allowed);
            }
          }
        }
      }
    }
  }
}

TEST(Sampler, TakesEveryCellOnceWhenThereAreExactlyAsManyAsWanted) {
  const auto both = expressed_in_both(0, 3);
  const auto sampler = make_sampler(options_of(static_cast<int>(both.size())));
  EXPECT_EQ(sorted(draw(sampler, name_of(0, 3))), std::vector<std::uint32_t>(both.begin(), both.end()));
}

TEST(Sampler, LeavesThePlaceUntouchedWhenNoCellIsShared) {
  const auto sampler = make_sampler(options_of(3));
  std::vector<std::uint32_t> cells{7, 8, 9};
  std::vector<float> sample(12, 4.0f);
  EXPECT_FALSE(sampler.draw(name_of(0, 7), cells));
  EXPECT_FALSE(sampler.gather(name_of(0, 7), sample));
  EXPECT_EQ(cells, (std::vector<std::uint32_t>{7, 8, 9}));
  EXPECT_EQ(sample, std::vector<float>(12, 4.0f));
}

TEST(Sampler, GathersRnaAndRpOfTfThenOfGeneForTheDrawnCells) {
  // So few that each cell is selected, that places are listed, and that all cells are ranked.
  for (const auto& [count, width] : {std::pair{5, 4}, {20, 4}, {200, 4}, {200, 6}}) {
    auto options = options_of(count);
    options.width = width;
    const auto sampler = make_sampler(options);
    // Dense and sparse RP, sparse and dense RNA.
    for (const auto& [tf, gene] : {std::pair{0u, 2u}, {2u, 3u}, {1u, 0u}, {5u, 3u}}) {
      const auto name = name_of(tf, gene, 2, 1);
      const auto cells = draw(sampler, name);
      std::vector<float> sample(cells.size() * static_cast<std::size_t>(width), 99.0f);
      ASSERT_TRUE(sampler.gather(name, sample));
      for (std::size_t i = 0; i < cells.size(); ++i) {
        const float* row = sample.data() + i * static_cast<std::size_t>(width);
        const auto rp = [&](std::uint32_t index) {
          for (const SamplerGene& one : genes()) {
            if (one.index == index) {
              return std::binary_search(one.rp.cell.begin(), one.rp.cell.end(), cells[i])
                         ? rp_value(index, cells[i])
                         : -0.5f;
            }
          }
          return 0.0f;
        };
        EXPECT_EQ(row[0], rna_value(tf, cells[i]));
        EXPECT_EQ(row[1], rp(tf));
        EXPECT_EQ(row[2], rna_value(gene, cells[i]));
        EXPECT_EQ(row[3], rp(gene));
        for (int column = 4; column < width; ++column) {
          EXPECT_EQ(row[column], 0.0f);
        }
      }
    }
  }
}

TEST(Sampler, LeavesRpAtZeroWithoutAtacAndDrawsTheSameCells) {
  auto options = options_of(50);
  options.atac = false;
  const auto rna_only = make_sampler(options);
  const auto both = make_sampler(options_of(50));
  EXPECT_EQ(draw(rna_only, name_of(0, 2)), draw(both, name_of(0, 2)));
  std::vector<float> sample(200, 9.0f);
  ASSERT_TRUE(rna_only.gather(name_of(0, 2), sample));
  for (std::size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(sample[4 * i + 1], 0.0f);
    EXPECT_EQ(sample[4 * i + 3], 0.0f);
    EXPECT_GT(sample[4 * i + 2], 0.0f);
  }
}

TEST(Sampler, EntriesWithoutACountAreNotExpressed) {
  SamplerGene tf = genes()[0];
  SamplerGene gene = genes()[5];
  std::fill(gene.rna.count.begin(), gene.rna.count.end(), 0.0f);
  gene.rna.count[10] = 2;
  const std::vector<SamplerGene> two{gene, gene.index == 5 ? tf : gene};
  const Sampler sampler("id", kCells, two, options_of(5));
  EXPECT_LE(sampler.pair_cells(0, 5), 1u);
  EXPECT_EQ(sampler.pair_cells(5, 5), 1u);
  EXPECT_EQ(draw(sampler, name_of(5, 5)), std::vector<std::uint32_t>(5, gene.rna.cell[10]));
}

TEST(Sampler, ASampleDependsOnItsNameAndOnNothingElse) {
  const auto all = make_sampler(options_of(40));
  // Another list of genes, in another order, under other indices, spelt in another case.
  SamplerGene tf = genes()[0];
  SamplerGene gene = genes()[2];
  tf.index = 900;
  tf.symbol = "TFDENSE";
  gene.index = 4;
  gene.symbol = "genea";
  const std::vector<SamplerGene> two{gene, tf};
  const Sampler few("0123456789abcdef", kCells, two, options_of(40));
  for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
    EXPECT_EQ(draw(all, name_of(0, 2, epoch)), draw(few, name_of(900, 4, epoch)));
    EXPECT_EQ(all.sample_name_hash(name_of(0, 2, epoch)), few.sample_name_hash(name_of(900, 4, epoch)));
  }
  // Other samples in between leave no trace.
  const auto before = draw(all, name_of(0, 2, 9));
  draw(all, name_of(5, 3));
  EXPECT_EQ(before, draw(all, name_of(0, 2, 9)));
  const Sampler other_dataset("other", kCells, two, options_of(40));
  EXPECT_NE(draw(other_dataset, name_of(900, 4)), draw(few, name_of(900, 4)));
  EXPECT_NE(draw(make_sampler(options_of(40, Resample::epoch, 2)), name_of(0, 2)), draw(all, name_of(0, 2)));
  EXPECT_NE(draw(all, name_of(0, 2)), draw(all, name_of(2, 0))) << "a pair has a direction";
}

TEST(Sampler, OnceKeepsTheCellsAndReordersThemPerCopyTheSameInEveryEpoch) {
  for (const auto& [tf, gene] : {std::pair{0u, 2u}, {1u, 3u}}) {  // without and with repeats
    const auto sampler = make_sampler(options_of(60, Resample::once));
    const auto first = draw(sampler, name_of(tf, gene, 0, 0));
    EXPECT_EQ(first, draw(sampler, name_of(tf, gene, 5, 0)));
    const auto copy = draw(sampler, name_of(tf, gene, 0, 1));
    EXPECT_NE(first, copy);
    EXPECT_EQ(sorted(first), sorted(copy)) << "the multiset of cells stays";
    EXPECT_EQ(copy, draw(sampler, name_of(tf, gene, 5, 1)));
  }
}

TEST(Sampler, CopiesDrawsAnewForEachCopyTheSameInEveryEpoch) {
  const auto sampler = make_sampler(options_of(60, Resample::copies));
  const auto first = draw(sampler, name_of(0, 2, 0, 0));
  EXPECT_EQ(first, draw(sampler, name_of(0, 2, 5, 0)));
  EXPECT_NE(sorted(first), sorted(draw(sampler, name_of(0, 2, 0, 1))));
}

TEST(Sampler, EpochDrawsAnewForEachCopyInEachEpoch) {
  const auto sampler = make_sampler(options_of(60, Resample::epoch));
  std::set<std::vector<std::uint32_t>> seen;
  for (std::uint32_t epoch = 0; epoch < 4; ++epoch) {
    for (std::uint32_t variant = 0; variant < 4; ++variant) {
      seen.insert(sorted(draw(sampler, name_of(0, 2, epoch, variant))));
    }
  }
  EXPECT_EQ(seen.size(), 16u);
}

TEST(Sampler, OtherPurposesDependOnTheVoteAloneWhateverTheResampling) {
  for (const Purpose purpose : {Purpose::validation, Purpose::test, Purpose::predict}) {
    std::set<std::vector<std::uint32_t>> of_vote0;
    for (const Resample resample : {Resample::once, Resample::copies, Resample::epoch}) {
      const auto sampler = make_sampler(options_of(60, resample));
      const auto vote0 = draw(sampler, name_of(0, 2, 0, 0, purpose));
      of_vote0.insert(vote0);
      EXPECT_EQ(vote0, draw(sampler, name_of(0, 2, 8, 0, purpose)));
      EXPECT_NE(sorted(vote0), sorted(draw(sampler, name_of(0, 2, 0, 1, purpose))));
      EXPECT_NE(vote0, draw(sampler, name_of(0, 2, 0, 0, Purpose::train)));
    }
    EXPECT_EQ(of_vote0.size(), 1u);
  }
}

TEST(Sampler, NamesHaveDifferentHashes) {
  const auto sampler = make_sampler(options_of(10, Resample::once));
  std::set<std::uint64_t> seen;
  int names = 0;
  for (const std::uint32_t tf : {0u, 1u, 2u}) {
    for (const std::uint32_t gene : {3u, 5u}) {
      for (const Purpose purpose : {Purpose::train, Purpose::validation, Purpose::test, Purpose::predict}) {
        for (std::uint32_t epoch = 0; epoch < 5; ++epoch) {
          for (std::uint32_t variant = 0; variant < 5; ++variant) {
            seen.insert(sampler.sample_name_hash(name_of(tf, gene, epoch, variant, purpose)));
            ++names;
          }
        }
      }
    }
  }
  EXPECT_EQ(seen.size(), static_cast<std::size_t>(names));
}

// Chi-square of cells in each position, and of all cells together, over many names.
void expect_uniform(std::uint32_t tf, std::uint32_t gene, int wanted, Resample resample) {
  const auto sampler = make_sampler(options_of(wanted, resample));
  const auto both = expressed_in_both(tf, gene);
  std::map<std::uint32_t, std::array<int, 3>> counts;  // first position, last position, anywhere
  for (const std::uint32_t cell : both) {
    counts[cell] = {};
  }
  const int draws = static_cast<int>(both.size()) * 30;
  for (int i = 0; i < draws; ++i) {
    const auto cells = draw(
        sampler, name_of(tf, gene, static_cast<std::uint32_t>(i / 4), static_cast<std::uint32_t>(i % 4)));
    ++counts[cells.front()][0];
    ++counts[cells.back()][1];
    for (const std::uint32_t cell : cells) {
      ++counts[cell][2];
    }
  }
  for (std::size_t kind = 0; kind < 3; ++kind) {
    const double expected = 30.0 * (kind == 2 ? wanted : 1);
    // Without replacement the counts of a draw's cells vary less than independent ones.
    const auto population = static_cast<double>(both.size());
    const double variance = kind == 2 && wanted <= static_cast<int>(both.size())
                                ? expected * (1 - wanted / population)
                                : expected;
    double chi_square = 0;
    for (const auto& [cell, count] : counts) {
      chi_square += (count[kind] - expected) * (count[kind] - expected) / std::max(variance, 1e-9);
    }
    const double freedom = population - 1;
    EXPECT_LT(chi_square, freedom + 4 * std::sqrt(2 * freedom)) << "kind " << kind;
    EXPECT_GT(chi_square, freedom - 4 * std::sqrt(2 * freedom)) << "kind " << kind;
  }
}

TEST(Sampler, DrawsCellsAndPositionsUniformlyWithoutReplacement) {
  expect_uniform(2, 3, 20, Resample::epoch);  // 1/8 and more: cells are listed
  expect_uniform(0, 2, 40, Resample::epoch);  // fewer: cells are selected
}

TEST(Sampler, DrawsCellsAndPositionsUniformlyWithReplacement) {
  expect_uniform(1, 2, 30, Resample::epoch);
}

TEST(Sampler, OrdersOfOneDrawAreUniform) {
  // All 24 orders of four cells, from the variants of one pair.
  SamplerGene gene = make_gene(0, "Four", 0, 0, 100);
  for (const std::uint32_t cell : {3u, 50u, 64u, 99u}) {
    gene.rna.cell.push_back(cell);
    gene.rna.value.push_back(1);
    gene.rna.count.push_back(1);
  }
  const Sampler sampler("id", 100, std::vector<SamplerGene>{gene}, options_of(4, Resample::once));
  std::map<std::vector<std::uint32_t>, int> seen;
  for (std::uint32_t variant = 0; variant < 2400; ++variant) {
    ++seen[draw(sampler, name_of(0, 0, 0, variant))];
  }
  ASSERT_EQ(seen.size(), 24u);
  double chi_square = 0;
  for (const auto& [order, count] : seen) {
    chi_square += (count - 100.0) * (count - 100.0) / 100.0;
  }
  EXPECT_LT(chi_square, 49.7) << "0.1 % of chi-square with 23 degrees of freedom";
}

TEST(Sampler, DrawsTheSameCellsForEver) {
  // Digests of drawn cells, written down from the first version of the sampler: results that people have
  // published must not change with an optimisation.
  struct Golden {
    std::uint32_t cells;
    Resample resample;
    int wanted;
    std::uint32_t tf;
    std::uint64_t digest;
  };
  const Golden golden[] = {
      {1100, Resample::once, 8, 0, 0x5d2c405ebfb6dc93ull},
      {1100, Resample::once, 8, 1, 0x86bb563c26906f88ull},
      {1100, Resample::once, 300, 0, 0xce6ff7f8e064bbcaull},
      {1100, Resample::once, 300, 1, 0xaa525e1809c1aff4ull},
      {1100, Resample::epoch, 8, 0, 0x97b46b4bb86710c6ull},
      {1100, Resample::epoch, 8, 1, 0xcd71fe3f7ab86b4aull},
      {1100, Resample::epoch, 300, 0, 0x39c28276af16ccf4ull},
      {1100, Resample::epoch, 300, 1, 0x5acd29f77d84145bull},
      {70000, Resample::once, 8, 0, 0xe64fab977f789186ull},
      {70000, Resample::once, 8, 1, 0x13a95c10173956d8ull},
      {70000, Resample::once, 300, 0, 0x41fb92726601d732ull},
      {70000, Resample::once, 300, 1, 0x8f1eaeacc6bd0826ull},
      {70000, Resample::epoch, 8, 0, 0xd4967210126db1e1ull},
      {70000, Resample::epoch, 8, 1, 0xa3e8f19ec5aec08dull},
      {70000, Resample::epoch, 300, 0, 0xd7d28b2a0a048b4dull},
      {70000, Resample::epoch, 300, 1, 0x658a9a9c8847e3e4ull},
  };
  for (const Golden& expected : golden) {
    const std::vector<SamplerGene> three{make_gene(0, "TfDense", 0.9, 0.5, expected.cells),
                                         make_gene(1, "TfRare", 0.02, 0.5, expected.cells),
                                         make_gene(2, "GeneA", 0.7, 0.5, expected.cells)};
    const Sampler sampler("0123456789abcdef", expected.cells, three,
                          options_of(expected.wanted, expected.resample));
    base::NameHash digest;
    for (const std::uint32_t cell : draw(sampler, name_of(expected.tf, 2, 3, 2))) {
      digest.add(cell);
    }
    EXPECT_EQ(digest.value(), expected.digest) << expected.cells << " " << expected.wanted;
  }
}

TEST(Sampler, GathersManySamplesAsOneByOne) {
  const auto sampler = make_sampler(options_of(60));
  const auto other = make_sampler(options_of(60, Resample::once, 9));
  std::vector<SampleRequest> requests;
  for (std::uint32_t i = 0; i < 9; ++i) {
    requests.push_back({.sampler = i % 3 == 0 ? &other : &sampler, .name = name_of(i % 2, 2 + i % 2, i)});
  }
  for (std::size_t count = 0; count <= requests.size(); ++count) {
    std::vector<float> together(count * 240, 5.0f), alone(count * 240);
    EXPECT_EQ(gather_samples(std::span(requests).first(count), together), count);
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_TRUE(requests[i].sampler->gather(requests[i].name, std::span(alone).subspan(i * 240, 240)));
    }
    EXPECT_EQ(together, alone);
  }
}

TEST(Sampler, SaysWhichOfManySamplesHasNoCells) {
  const auto sampler = make_sampler(options_of(60));
  for (std::size_t empty = 0; empty < 5; ++empty) {
    std::vector<SampleRequest> requests(5, {.sampler = &sampler, .name = name_of(0, 2)});
    requests[empty].name = name_of(0, 7);
    std::vector<float> samples(5 * 240), one(240);
    EXPECT_EQ(gather_samples(requests, samples), empty);
    ASSERT_TRUE(sampler.gather(name_of(0, 2), one));
    for (std::size_t i = 0; i < empty * 240; ++i) {
      ASSERT_EQ(samples[i], one[i % 240]) << "those before it are there";
    }
  }
  std::vector<float> short_room(239);
  const SampleRequest request{.sampler = &sampler, .name = name_of(0, 2)};
  EXPECT_THROW(gather_samples(std::span(&request, 1), short_room), base::InternalError);
}

TEST(Sampler, SixteenBitsChangeNoCellAndNoValueByAThousandth) {
  std::vector<SamplerGene> three{make_gene(0, "A", 0.6, 0.6), make_gene(1, "B", 0.5, 0.95),
                                 make_gene(2, "C", 0.7, 0.1)};
  base::PhiloxStream random(4, 4);
  for (SamplerGene& gene : three) {
    for (auto* values : {&gene.rna.value, &gene.rp.value}) {
      for (float& value : *values) {
        value = static_cast<float>(20 * random.uniform() - 10);
      }
    }
  }
  // This gene's RP cannot be held in 16 bits; where it is not expressed, nothing is held.
  const auto set_rp = [](SamplerGene& gene, bool expressed) {
    for (std::size_t i = 0; i < gene.rp.cell.size(); ++i) {
      const auto at = std::lower_bound(gene.rna.cell.begin(), gene.rna.cell.end(), gene.rp.cell[i]);
      const bool counted = at != gene.rna.cell.end() && *at == gene.rp.cell[i] &&
                           gene.rna.count[static_cast<std::size_t>(at - gene.rna.cell.begin())] > 0;
      if (counted == expressed) {
        gene.rp.value[i] = 500;
        return;
      }
    }
    FAIL() << "no such cell";
  };
  set_rp(three[2], true);
  set_rp(three[1], false);
  auto options = options_of(300);
  options.precision = Precision::float32;
  const Sampler exact("id", kCells, three, options);
  options.precision = Precision::int16;
  const Sampler compact("id", kCells, three, options);
  EXPECT_LT(compact.bytes(), exact.bytes());
  bool differs = false;
  for (const auto& [tf, gene] : {std::pair{0u, 1u}, {1u, 2u}, {2u, 0u}}) {
    EXPECT_EQ(draw(exact, name_of(tf, gene)), draw(compact, name_of(tf, gene)));
    std::vector<float> one(1200), other(1200);
    ASSERT_TRUE(exact.gather(name_of(tf, gene), one));
    ASSERT_TRUE(compact.gather(name_of(tf, gene), other));
    for (std::size_t i = 0; i < one.size(); ++i) {
      EXPECT_NEAR(one[i], other[i], 0.00025);  // half of 2^-11
      differs = differs || one[i] != other[i];
      if ((tf == 2 && i % 4 < 2) || (gene == 2 && i % 4 >= 2)) {
        EXPECT_EQ(one[i], other[i]);
      }
    }
  }
  EXPECT_TRUE(differs);
}

TEST(Sampler, AutomaticPrecisionDependsOnTheNumberOfCellsAlone) {
  for (const std::uint32_t cells : {kCompactFrom - 1, kCompactFrom}) {
    const std::vector<SamplerGene> one{make_gene(0, "A", 0.3, 0.6, cells)};
    auto options = options_of(5);
    const auto bytes = [&](Precision precision) {
      options.precision = precision;
      // Values so large that they stay floats would hide the difference.
      auto small = one;
      for (auto* values : {&small[0].rna.value, &small[0].rp.value}) {
        std::fill(values->begin(), values->end(), 0.5f);
      }
      return Sampler("id", cells, small, options).bytes();
    };
    EXPECT_LT(bytes(Precision::int16), bytes(Precision::float32));
    EXPECT_EQ(bytes(Precision::automatic),
              bytes(cells < kCompactFrom ? Precision::float32 : Precision::int16));
  }
}

TEST(Sampler, ThreadsDrawTheSameAsOneThread) {
  const auto sampler = make_sampler(options_of(100));
  std::vector<std::vector<std::uint32_t>> alone, together(64);
  for (std::uint32_t i = 0; i < 64; ++i) {
    alone.push_back(draw(sampler, name_of(i % 2 == 0 ? 0 : 5, 2 + i % 2, i)));
  }
  std::vector<std::thread> threads;
  for (std::uint32_t first = 0; first < 4; ++first) {
    threads.emplace_back([&, first] {
      for (std::uint32_t i = first; i < 64; i += 4) {
        together[i] = draw(sampler, name_of(i % 2 == 0 ? 0 : 5, 2 + i % 2, i));
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(alone, together);
}

TEST(Sampler, HoldsTheRegulatoryPotentialOfExpressedCellsAlone) {
  const auto bytes_of_rp = [](double expressed, double accessible) {
    const std::vector<SamplerGene> one{make_gene(0, "G", expressed, accessible, 51200)};
    auto options = options_of(5);
    const auto with = Sampler("id", 51200, one, options).bytes();
    options.atac = false;
    return with - Sampler("id", 51200, one, options).bytes();
  };
  EXPECT_EQ(bytes_of_rp(0.0, 1.0), 0u);
  EXPECT_EQ(bytes_of_rp(0.1, 0.01), bytes_of_rp(0.1, 1.0));
  EXPECT_NEAR(static_cast<double>(bytes_of_rp(0.1, 1.0)), 0.1 * 51200 * 4, 0.01 * 51200 * 4);
}

TEST(Sampler, RefusesIllegalOptionsUnknownGenesAndDisorderedRows) {
  EXPECT_THROW(make_sampler(options_of(0)), base::UsageError);
  auto narrow = options_of(5);
  narrow.width = 2;
  EXPECT_THROW(make_sampler(narrow), base::UsageError);
  const auto sampler = make_sampler(options_of(5));
  std::vector<std::uint32_t> cells(5);
  EXPECT_THROW(sampler.draw(name_of(0, 4), cells), base::InternalError);
  EXPECT_THROW(sampler.pair_cells(1000, 0), base::InternalError);
  EXPECT_THROW(sampler.draw(name_of(0, 2), std::span(cells).first(4)), base::InternalError);
  std::vector<float> sample(21);
  EXPECT_THROW(sampler.gather(name_of(0, 2), sample), base::InternalError);
  for (const int fault : {0, 1, 2}) {
    std::vector<SamplerGene> bad{genes()[2]};
    if (fault == 0) {
      std::swap(bad[0].rna.cell[0], bad[0].rna.cell[1]);
    } else if (fault == 1) {
      bad[0].rp.cell.back() = kCells;
    } else {
      bad[0].rna.count.pop_back();
    }
    EXPECT_THROW(Sampler("id", kCells, bad, options_of(5)), base::DataError);
  }
}

}  // namespace
}  // namespace mgrn::pairs
