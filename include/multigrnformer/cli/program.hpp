// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mgrn::cli {

/// The whole program: parse, start communication, run the command, report errors. Returns the exit code.
int run_program(int argc, char** argv);

}  // namespace mgrn::cli
