// SPDX-License-Identifier: Apache-2.0
// Two ranks on two hosts whose network is cut in the middle of a step: healed in time, the run goes on as if
// nothing had been; cut for good, both leave by themselves, and a restart ends with the same bytes.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "faults/faulty_run.hpp"
#include "program/run_files.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace {

namespace fs = std::filesystem;
using namespace mgrn::test;

std::string hosts() {
  return "'" + source_path("tests/faults/virtual_hosts.sh") + "'";
}

void write_script(const fs::path& file, const std::string& text) {
  std::ofstream(file) << "#!/bin/bash\n" << text;
  fs::permissions(file, fs::perms::owner_all);
}

class CutNetwork : public testing::Test {
 protected:
  void SetUp() override {
    if (times_in(MGRN_MPI_IMPLEMENTATION, "Open MPI") == 0) {
      GTEST_SKIP()
          << "virtual hosts are given to Open MPI's launcher, not to that of " MGRN_MPI_IMPLEMENTATION;
    }
    const ProgramResult tried = run_shell(hosts() + " 2 true");
    if (tried.code == 77) {
      GTEST_SKIP() << tried.output;
    }
    ASSERT_EQ(tried.code, 0) << tried.errors;
    write_script(folder_ / "agent", "exec " + hosts() + " agent \"$@\"\n");
    // Each rank's own exit code, whatever the launcher makes of it.
    write_script(folder_ / "rank", "\"$@\"\ncode=$?\necho $code >'" + (folder_ / "code").string() +
                                       "-'$OMPI_COMM_WORLD_RANK\nexit $code\n");
  }

  /// A run of two ranks, the second of which is held in step 5 for three seconds; `then` are bash lines that
  /// come as soon as it is. What they print is the result's output.
  ProgramResult disturbed_run(const std::string& limit_s, const std::string& then) const {
    std::string train = program_path();
    for (const auto& argument : drill(run(), {{"--collective-timeout", limit_s}})) {
      train += " '" + argument + "'";
    }
    std::ostringstream text;
    text << "export MGRN_FAULT=1:5:compute:slow:3000\n"
         << "hosts=" << hosts() << "\n"
         << "$hosts on node1 timeout -k 2 " << static_cast<int>(time_limit(90)) << " '" << MGRN_MPIEXEC
         << "' --mca plm rsh --mca plm_rsh_agent '" << (folder_ / "agent").string()
         << "' --mca oob_tcp_if_include 10.77.0.0/24 --mca btl self,tcp "
            "--mca btl_tcp_if_include 10.77.0.0/24 -host node1:1,node2:1 -x MGRN_FAULT '"
         << (folder_ / "rank").string() << "' " << train << " >'" << (folder_ / "stdout").string()
         << "' &\njob=$!\n"
         << "for i in $(seq 1200); do [[ ! -d '" << (run() / "checkpoints" / "step-000000005").string()
         << "' ]] || break; sleep 0.05; done\n"
         << "again() { MGRN_FAULT= $hosts on node1 " << train << " >'" << (folder_ / "stdout").string()
         << "'; }\n"
         << "ranks() { cat /proc/[0-9]*/comm 2>/dev/null | grep -c multigrnformer; }\n"
         << then;
    write_script(folder_ / "disturbed", text.str());
    return run_shell(hosts() + " 2 '" + (folder_ / "disturbed").string() + "'");
  }

  fs::path run() const { return folder_ / "run"; }
  std::string code_of(int rank) const { return content(folder_ / ("code-" + std::to_string(rank))); }

 private:
  TemporaryDirectory folder_;
};

TEST_F(CutNetwork, HealedWithinTheLimitChangesNothing) {
  const ProgramResult result =
      disturbed_run("20",
                    "echo $(ranks) ranks\n$hosts cut node2\nsleep 2\n$hosts heal node2\n"
                    "wait $job; echo code $?\n");
  EXPECT_EQ(result.output, "2 ranks\ncode 0\n") << result.errors;
  expect_equal_runs(undisturbed_run(), run(), "cut and healed");
}

// The launcher cannot reach its daemon on the other host and waits until TCP gives up; the ranks do not wait
// for it. What is left of the machine goes on alone.
TEST_F(CutNetwork, ForGoodIsLeftByBothRanksWithinTheLimitAndNoneStaysBehind) {
  const ProgramResult result =
      disturbed_run("3",
                    "echo $(ranks) ranks\n$hosts cut node2\nSECONDS=0\n"
                    "for i in $(seq 300); do (($(ranks))) || break; sleep 0.1; done\n"
                    "echo the last rank left after $SECONDS s >&2; echo $(ranks) ranks\n"
                    "wait $job; echo code $?\nagain; echo again $?\n");
  EXPECT_EQ(result.output, "2 ranks\n0 ranks\ncode 76\nagain 0\n") << result.errors;
  EXPECT_EQ(code_of(0), "76\n");
  EXPECT_EQ(code_of(1), "76\n");
  EXPECT_EQ(times_in(result.errors, "got rank 1 on node2 does not answer\nhint: "), 1) << result.errors;
  EXPECT_EQ(times_in(result.errors, "going on after step 5\n"), 1) << result.errors;
  expect_equal_runs(undisturbed_run(), run(), "cut for good");
}

}  // namespace
