// SPDX-License-Identifier: Apache-2.0
#include "faults/faulty_run.hpp"

#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "program/run_files.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace mgrn::test {

std::vector<std::string> drill(const std::filesystem::path& out,
                               const std::map<std::string, std::string>& keys) {
  // Four micro-batches a step: uneven shares on three ranks.
  std::map<std::string, std::string> all = {
      {"--train.epochs", "3"}, {"--train.micro_batch", "8"}, {"--train.checkpoint_every", "1"}};
  const auto usual = small_case().training_keys(out);
  for (std::size_t i = 0; i + 1 < usual.size(); i += 2) {
    all.insert({usual[i], usual[i + 1]});
  }
  for (const auto& [key, value] : keys) {
    all[key] = value;
  }
  std::vector<std::string> arguments = {"train"};
  for (const auto& [key, value] : all) {
    arguments.push_back(key);
    if (!value.empty()) {  // else a flag
      arguments.push_back(value);
    }
  }
  return arguments;
}

ProgramResult run_faulty(const std::string& fault, const std::vector<std::string>& arguments, int ranks,
                         const std::string& settings) {
  std::string line = "MGRN_FAULT='" + fault + "' " + settings + " timeout -k 2 " +
                     std::to_string(static_cast<int>(time_limit(60))) + " " + mpiexec(ranks) + program_path();
  for (const auto& argument : arguments) {
    line += " '" + argument + "'";
  }
  return run_shell(line);
}

const std::filesystem::path& undisturbed_run() {
  static const TemporaryDirectory folder;
  static const std::filesystem::path run = [] {
    const ProgramResult result = run_program(drill(folder / "run"));
    if (result.code != 0) {
      throw std::runtime_error("the undisturbed run failed: " + result.errors);
    }
    const auto steps = nlohmann::json::parse(content(folder / "run" / "result.json")).at("steps");
    if (steps != kSteps) {
      throw std::runtime_error("the undisturbed run has " + steps.dump() + " steps");
    }
    return folder / "run";
  }();
  return run;
}

int times_in(const std::string& all, const std::string& text) {
  int count = 0;
  for (auto at = all.find(text); at != std::string::npos; at = all.find(text, at + 1)) {
    ++count;
  }
  return count;
}

std::string host() {
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace mgrn::test
