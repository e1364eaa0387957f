// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/stop_signal.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace {

TEST(StopSignal, IsRememberedAndDoesNotEndTheProgram) {
  using namespace mgrn::base;
  watch_stop_signals();
  clear_stop_signal();
  EXPECT_EQ(stop_signal(), 0);
  std::raise(SIGUSR1);
  EXPECT_EQ(stop_signal(), SIGUSR1);
  clear_stop_signal();
  std::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGTERM);
  clear_stop_signal();
}

}  // namespace
