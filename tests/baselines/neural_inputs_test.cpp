// SPDX-License-Identifier: Apache-2.0
// Images and windows against numpy (golden/make_neural_golden.py).
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/baselines/dropout_masks.hpp"
#include "multigrnformer/baselines/expression_windows.hpp"
#include "multigrnformer/baselines/nepdf_images.hpp"
#include "support/paths.hpp"

namespace mgrn::baselines {
namespace {

using Genes = std::vector<std::vector<double>>;

base::Json golden(const std::string& name) {
  return base::read_json(mgrn::test::source_path("tests/baselines/golden/" + name));
}

std::vector<std::uint32_t> numbers_of(const Genes& genes) {
  std::vector<std::uint32_t> numbers;
  for (std::uint32_t gene = 0; gene < genes.size(); ++gene) {
    numbers.push_back(gene);
  }
  return numbers;
}

NepdfImages::Read reader(const Genes& genes) {
  return [&genes](std::uint32_t gene, std::span<double> values) {
    std::copy(genes[gene].begin(), genes[gene].end(), values.begin());
  };
}

NepdfImages images_of(const Genes& genes, ImageScale scale) {
  const auto self = comm::make_self_communicator();
  return {static_cast<std::uint32_t>(genes[0].size()), numbers_of(genes), reader(genes), scale, *self};
}

TEST(NepdfImages, AreThoseOfNumpysHistogram) {
  const base::Json stored = golden("nepdf.json");
  Genes genes;
  std::map<std::string, std::uint32_t> number;
  for (const auto& [name, values] : stored.at("genes").items()) {
    number[name] = static_cast<std::uint32_t>(genes.size());
    genes.push_back(values.get<std::vector<double>>());
  }
  for (const auto& expected : stored.at("cases")) {
    const bool log = expected.at("scale") == "log";
    const NepdfImages images = images_of(genes, log ? ImageScale::log : ImageScale::counts);
    std::vector<float> wanted(1024, 0.0f);
    const auto pixels = expected.at("pixels").get<std::vector<std::size_t>>();
    const auto values = expected.at("values").get<std::vector<float>>();
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      wanted[pixels[i]] = values[i];
    }
    std::vector<float> image(images.sample_size());
    ASSERT_TRUE(images.gather({.tf = number[expected.at("tf")], .gene = number[expected.at("gene")]}, image));
    for (std::size_t pixel = 0; pixel < image.size(); ++pixel) {
      EXPECT_FLOAT_EQ(image[pixel], wanted[pixel])
          << expected.at("tf") << " " << expected.at("gene") << " pixel " << pixel;
    }
  }
}

TEST(NepdfImages, AllCellsInOneBinGiveOneAndAnEmptyBinGivesZero) {
  const Genes genes = {std::vector<double>(40, 3.0), std::vector<double>(40, 0.0)};
  const NepdfImages images = images_of(genes, ImageScale::log);
  std::vector<float> image(images.sample_size());
  ASSERT_TRUE(images.gather({.tf = 0, .gene = 1}, image));
  EXPECT_NEAR(image[16 * 32 + 16], 1.0000109, 1e-6);  // the middle of both ranges
  EXPECT_EQ(std::count(image.begin(), image.end(), 0.0f), 1023);
}

TEST(NepdfImages, TransposeWithTheirGenesAndDoNotDependOnTheNamesOtherParts) {
  Genes genes = {{}, {}};
  for (int cell = 0; cell < 100; ++cell) {
    genes[0].push_back(cell % 3);
    genes[1].push_back(cell % 7 * 2);
  }
  const NepdfImages images = images_of(genes, ImageScale::log);
  std::vector<float> image(1024), other(1024), again(1024);
  images.gather({.tf = 0, .gene = 1}, image);
  images.gather({.tf = 1, .gene = 0}, other);
  images.gather({.tf = 0, .gene = 1, .purpose = pairs::Purpose::test, .epoch = 7, .variant = 3}, again);
  EXPECT_EQ(image, again);
  for (std::size_t row = 0; row < 32; ++row) {
    for (std::size_t column = 0; column < 32; ++column) {
      EXPECT_EQ(image[row * 32 + column], other[column * 32 + row]);
    }
  }
}

TEST(NepdfImages, KnowWhichPairsHaveACellThatExpressesBoth) {
  const Genes genes = {{0, 1, 0, 2}, {1, 0, 0, 3}, {1, 0, 1, 0}};
  const NepdfImages images = images_of(genes, ImageScale::log);
  EXPECT_TRUE(images.shares_cells(0, 1));
  EXPECT_FALSE(images.shares_cells(0, 2));
  EXPECT_TRUE(images.has_sample(0, 2));
  EXPECT_FALSE(images.has_sample(0, 3));
  std::vector<float> image(1024);
  EXPECT_THROW(images.gather({.tf = 0, .gene = 3}, image), base::InternalError);
}

TEST(ExpressionWindows, AreThoseOfNumpy) {
  const base::Json stored = golden("windows.json");
  const Genes genes = {stored.at("tf").get<std::vector<double>>(),
                       stored.at("gene").get<std::vector<double>>()};
  const auto expected = stored.at("sample").get<std::vector<float>>();
  const auto self = comm::make_self_communicator();
  const ExpressionWindows windows(static_cast<std::uint32_t>(genes[0].size()), {1, 0, 1}, reader(genes),
                                  stored.at("window").get<int>(), *self);
  EXPECT_EQ(windows.windows(), 4u);
  ASSERT_EQ(windows.sample_size(), expected.size());
  std::vector<float> sample(windows.sample_size());
  ASSERT_TRUE(windows.gather({.tf = 0, .gene = 1}, sample));
  for (std::size_t i = 0; i < sample.size(); ++i) {
    EXPECT_FLOAT_EQ(sample[i], expected[i]) << i;
  }
}

TEST(ExpressionWindows, ADatasetShorterThanAWindowIsADataError) {
  EXPECT_NO_THROW(require_window(100, 100, "D.h5"));
  try {
    require_window(57, 100, "D.h5");
    FAIL() << "no error";
  } catch (const base::DataError& error) {
    EXPECT_EQ(error.text().file, "D.h5");
    EXPECT_EQ(error.text().got, "57");
    EXPECT_NE(error.text().expected.find("100"), std::string::npos);
    EXPECT_NE(error.text().hint.find("baseline.window"), std::string::npos);
  }
}

TEST(DropoutMask, DropsItsShareByNameAndPlaceAlone) {
  std::vector<float> mask(20'000), again(mask.size()), other(mask.size());
  dropout_mask(7, 1, 0.25, mask);
  dropout_mask(7, 1, 0.25, again);
  EXPECT_EQ(mask, again);
  dropout_mask(8, 1, 0.25, other);
  EXPECT_NE(mask, other);
  dropout_mask(7, 2, 0.25, other);
  EXPECT_NE(mask, other);
  const auto dropped = static_cast<double>(std::count(mask.begin(), mask.end(), 0.0f));
  EXPECT_NEAR(dropped / 20'000, 0.25, 0.012);  // four standard deviations
  EXPECT_EQ(std::count(mask.begin(), mask.end(), 4.0f / 3.0f), 20'000 - static_cast<int>(dropped));
  // A shorter mask is the beginning of a longer one.
  std::vector<float> part(301);
  dropout_mask(7, 1, 0.25, part);
  EXPECT_TRUE(std::equal(part.begin(), part.end(), mask.begin()));
}

}  // namespace
}  // namespace mgrn::baselines
