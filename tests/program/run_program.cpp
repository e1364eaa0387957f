// SPDX-License-Identifier: Apache-2.0
#include "program/run_program.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/temporary_directory.hpp"

namespace mgrn::test {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "'";
  for (const char letter : text) {
    out += letter == '\'' ? std::string("'\\''") : std::string(1, letter);
  }
  return out + "'";
}

std::string slurp(const std::filesystem::path& file) {
  std::ostringstream content;
  content << std::ifstream(file, std::ios::binary).rdbuf();
  return content.str();
}

}  // namespace

std::string program_path() {
  return quoted(MGRN_PROGRAM);
}

std::string mpiexec(int ranks) {
  return std::string(MGRN_MPIEXEC) + " " + MGRN_MPIEXEC_FLAGS + " " + std::to_string(ranks) + " ";
}

ProgramResult run_shell(const std::string& command) {
  const TemporaryDirectory folder;
  const std::string line = "( " + command + " ) > " + quoted((folder / "out").string()) + " 2> " +
                           quoted((folder / "err").string()) + " < /dev/null";
  const int status = std::system(line.c_str());
  ProgramResult result;
  result.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  result.output = slurp(folder / "out");
  result.errors = slurp(folder / "err");
  return result;
}

ProgramResult run_program(const std::vector<std::string>& arguments, int ranks,
                          const std::filesystem::path& working_directory) {
  std::string line;
  if (!working_directory.empty()) {
    line = "cd " + quoted(working_directory.string()) + " && ";
  }
  if (ranks > 0) {
    line += mpiexec(ranks);
  }
  line += program_path();
  for (const auto& argument : arguments) {
    line += " " + quoted(argument);
  }
  return run_shell(line);
}

std::vector<std::string> SmallCase::training_keys(const std::filesystem::path& out) const {
  return {"--data.dataset", dataset.string(),
          "--data.network", network.string(),
          "--data.tfs",     tfs.string(),
          "--model.cells",  "24",
          "--model.hidden", "16",
          "--train.epochs", "2",
          "--train.batch",  "32",
          "--out",          out.string()};
}

const SmallCase& small_case() {
  static const TemporaryDirectory folder;
  static const SmallCase made = [] {
    SmallCase small;
    small.folder = folder.path();
    const auto check = [](const ProgramResult& result) {
      if (result.code != 0) {
        throw std::runtime_error("the base case cannot be made: " + result.errors);
      }
    };
    check(run_program({"simulate", "--out", (folder / "raw").string(), "--cells", "300", "--genes", "120",
                       "--tfs", "15", "--peaks", "600", "--seed", "5"}));
    small.raw = folder / "raw" / "multiome.h5";
    small.annotation = folder / "raw" / "annotation.gtf.gz";
    small.network = folder / "raw" / "network.csv";
    small.tfs = folder / "raw" / "tfs.csv";
    small.dataset = folder / "small.h5";
    check(run_program({"prepare", "--rna", small.raw.string(), "--annotation", small.annotation.string(),
                       "--out", small.dataset.string()}));
    return small;
  }();
  return made;
}

}  // namespace mgrn::test
