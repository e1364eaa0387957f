// SPDX-License-Identifier: Apache-2.0
// main() of tests that run under mpiexec. Every rank runs every test; rank 0 prints all, the others only
// what failed; a failure on any rank fails the whole.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "multigrnformer/comm/mpi_session.hpp"
#include "support/mpi_world.hpp"

namespace {

mgrn::comm::Communicator* the_world = nullptr;

// What ranks other than 0 print: failures, marked with the rank.
class FailurePrinter final : public testing::EmptyTestEventListener {
 public:
  explicit FailurePrinter(int rank) : rank_(rank) {}
  // GoogleTest holds its lock while it reports a result: asking it then which test runs would wait for ever.
  void OnTestStart(const testing::TestInfo& test) override {
    name_ = std::string(test.test_suite_name()) + "." + test.name();
  }
  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed()) {
      return;
    }
    std::cerr << "rank " << rank_ << ": " << name_ << ": "
              << (result.file_name() != nullptr ? result.file_name() : "") << ":" << result.line_number()
              << ": " << result.message() << std::endl;
  }

 private:
  int rank_;
  std::string name_;
};

}  // namespace

mgrn::comm::Communicator& mgrn::test::world() {
  return *the_world;
}

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  try {
    mgrn::comm::MpiSession session(mgrn::comm::MpiStart::always);
    return session.run([](mgrn::comm::Communicator& world) {
      the_world = &world;
      if (world.rank() != 0) {
        auto& listeners = testing::UnitTest::GetInstance()->listeners();
        delete listeners.Release(listeners.default_result_printer());
        listeners.Append(new FailurePrinter(world.rank()));
        // One report is enough, and ranks must not write into the same file.
        delete listeners.Release(listeners.default_xml_generator());
      }
      return RUN_ALL_TESTS() == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    });
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return EXIT_FAILURE;
  }
}
