// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/cli/program.hpp"

int main(int argc, char** argv) {
  return mgrn::cli::run_program(argc, argv);
}
