// SPDX-License-Identifier: Apache-2.0
// Both ways from gradients to weights over MPI ranks, which share memory as processes do.
#include <gtest/gtest.h>

#include "support/mpi_world.hpp"
#include "update_parts.hpp"

namespace mgrn::train {
namespace {

TEST(UpdateOverMpi, GivesTheBitsOfOneSumAndOneStep) {
  for (const test::Variant& variant : {test::Variant{}, test::Variant{.clip = 0.25},
                                       test::Variant{.optimizer = OptimizerKind::sgd, .clip = 0.25}}) {
    const auto expected = test::expected_training(variant);
    for (const int threads : {1, 2}) {
      test::expect_same_training(expected, mgrn::test::world(), threads, variant, make_sliced_update);
      test::expect_same_training(expected, mgrn::test::world(), threads, variant, test::whole_and_exact);
    }
  }
}

}  // namespace
}  // namespace mgrn::train
