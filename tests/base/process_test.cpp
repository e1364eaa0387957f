// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/process.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

namespace mgrn::base {
namespace {

/// A child that lives until it is killed, as another process knows it.
Process living_child() {
  int ends[2];
  EXPECT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const Process me = this_process();
    const bool told = ::write(ends[1], me.start.data(), me.start.size()) > 0;
    ::close(ends[1]);
    if (told) {
      ::pause();
    }
    ::_exit(1);
  }
  ::close(ends[1]);
  char start[64] = {};
  EXPECT_GT(::read(ends[0], start, sizeof start - 1), 0);
  ::close(ends[0]);
  return {.machine = this_process().machine, .number = child, .start = start};
}

TEST(Process, ThisOneIsKnownByMachineNumberAndStartAndHasNotEnded) {
  const Process me = this_process();
  EXPECT_FALSE(me.machine.empty());
  EXPECT_EQ(me.number, ::getpid());
  EXPECT_GT(std::stoll(me.start), 0);
  EXPECT_FALSE(has_ended(me));
}

TEST(Process, HasEndedOnceItIsKilledBeforeAndAfterItsParentCollectsIt) {
  const Process child = living_child();
  EXPECT_FALSE(has_ended(child));
  ASSERT_EQ(::kill(static_cast<pid_t>(child.number), SIGKILL), 0);
  siginfo_t ended{};
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(child.number), &ended, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(has_ended(child)) << "it waits to be collected";
  ASSERT_EQ(::waitpid(static_cast<pid_t>(child.number), nullptr, 0), child.number);
  EXPECT_TRUE(has_ended(child));
}

TEST(Process, HasEndedWhereItsNumberBelongsToAnotherByNow) {
  Process former = this_process();
  former.start = "1";
  EXPECT_TRUE(has_ended(former));
}

TEST(Process, OfUnknownStartHasEndedOnlyWhereNobodyHasItsNumber) {
  Process child = living_child();
  child.start.clear();
  EXPECT_FALSE(has_ended(child));
  ::kill(static_cast<pid_t>(child.number), SIGKILL);
  ::waitpid(static_cast<pid_t>(child.number), nullptr, 0);
  EXPECT_TRUE(has_ended(child));
}

TEST(Process, IsNeverJudgedFromAnotherMachineOrWithoutANumber) {
  Process child = living_child();
  ::kill(static_cast<pid_t>(child.number), SIGKILL);
  ::waitpid(static_cast<pid_t>(child.number), nullptr, 0);
  child.machine += "0";
  EXPECT_FALSE(has_ended(child));
  EXPECT_FALSE(has_ended({}));
  EXPECT_FALSE(has_ended({.machine = this_process().machine, .number = 0, .start = "1"}))
      << "kill(0) would be all of one's own group";
}

}  // namespace
}  // namespace mgrn::base
