// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/model/fixed_point.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "model/fixed_point_paths.hpp"
#include "multigrnformer/base/philox.hpp"

namespace mgrn::model {
namespace {

TEST(FixedPoint, FastAndScalarAdditionAgreeOnAMillionValues) {
  base::PhiloxStream random(1, 1);
  std::vector<float> values(1'000'003);
  for (float& value : values) {
    value = static_cast<float>(std::ldexp(random.normal(), static_cast<int>(random.below(38)) - 30));
  }
  values[11] = -0.0f;
  values[12] = std::numeric_limits<float>::denorm_min();
  std::vector<std::uint64_t> fast(values.size(), 5), scalar(values.size(), 5);
  for (const int scale : {40, 24}) {
    EXPECT_EQ(add_fixed_point(values, scale, fast), add_fixed_point_scalar(values, scale, scalar));
    EXPECT_EQ(fast, scalar);
  }
  // Against the definition, in another arithmetic.
  for (std::size_t i = 0; i < 1000; ++i) {
    std::vector<std::uint64_t> one{0};
    add_fixed_point(std::span(values).subspan(i, 1), 40, one);
    EXPECT_EQ(static_cast<std::int64_t>(one[0] - kFixedPointBias),
              std::llrintl(std::ldexp(static_cast<long double>(values[i]), 40)));
  }
}

TEST(FixedPoint, BackConversionIsRightForTheWholeRangeOfIntegers) {
  std::vector<std::uint64_t> integers{0,
                                      1,
                                      ~0ull,
                                      1ull << 63,
                                      (1ull << 63) - 1,
                                      1ull << 53,
                                      (1ull << 53) + 1,
                                      0x00000000ffffffffull,
                                      0xffffffff00000000ull,
                                      0x0000000100000000ull};
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t near : {0ull, 1ull, ~0ull}) {
      integers.push_back((1ull << bit) + near);
      integers.push_back(0 - (1ull << bit) + near);
    }
  }
  base::PhiloxStream random(2, 2);
  for (int i = 0; i < 1'000'000; ++i) {
    integers.push_back(random.next_u64() >> random.below(64));
    if (random.below(2) == 1) {
      integers.back() = 0 - integers.back();
    }
  }
  for (const double divisor : {1.0, 32.0, 100.0}) {
    for (const std::uint64_t additions : {0ull, 1ull, 8ull, 4096ull}) {
      std::vector<std::uint64_t> sum(integers);
      for (std::uint64_t& value : sum) {
        value += additions * kFixedPointBias;
      }
      std::vector<float> fast(sum.size()), scalar(sum.size());
      to_float(sum, additions, 40, divisor, fast);
      to_float_scalar(sum, additions, 40, divisor, scalar);
      ASSERT_EQ(fast, scalar);
      const double factor = std::ldexp(1.0, -40) / divisor;
      for (const ToFloatPath& path : to_float_paths()) {
        const std::uint64_t* const only = sum.data();
        path.convert({&only, 1}, 0, additions * kFixedPointBias, factor, fast);
        ASSERT_EQ(fast, scalar) << path.name;
      }
      for (std::size_t i = 0; i < integers.size(); ++i) {
        const auto whole = static_cast<std::int64_t>(integers[i]);
        ASSERT_EQ(scalar[i], static_cast<float>(static_cast<double>(whole) * factor)) << whole;
      }
    }
  }
}

TEST(FixedPoint, SeveralSumsAreConvertedAsTheirTotal) {
  base::PhiloxStream random(4, 4);
  std::vector<std::vector<std::uint64_t>> parts(4, std::vector<std::uint64_t>(1003));
  std::vector<std::uint64_t> total(1003);
  std::vector<const std::uint64_t*> sums;
  for (auto& part : parts) {
    for (std::size_t i = 0; i < part.size(); ++i) {
      part[i] = random.next_u64();  // wraps when added
      total[i] += part[i];
    }
    sums.push_back(part.data());
    std::vector<float> all(total.size());
    to_float_scalar(total, 7, 32, 3, all);
    for (const std::size_t first : {0u, 5u, 1000u}) {
      const std::vector<float> expected(all.begin() + static_cast<std::ptrdiff_t>(first), all.end());
      std::vector<float> found(expected.size());
      to_float(sums, first, 7, 32, 3, found);
      EXPECT_EQ(found, expected);
      for (const ToFloatPath& path : to_float_paths()) {
        path.convert(sums, first, 7 * kFixedPointBias, std::ldexp(1.0, -32) / 3, found);
        EXPECT_EQ(found, expected) << path.name;
      }
    }
  }
}

TEST(FixedPoint, LimitsAreThoseOfTheScales) {
  EXPECT_EQ(fixed_point_limit(40), 0x44800000u);  // 1024
  EXPECT_EQ(fixed_point_limit(32), std::bit_cast<std::uint32_t>(262144.0f));
  EXPECT_EQ(fixed_point_limit(24), std::bit_cast<std::uint32_t>(67108864.0f));
}

}  // namespace
}  // namespace mgrn::model
