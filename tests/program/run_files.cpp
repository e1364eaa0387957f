// SPDX-License-Identifier: Apache-2.0
#include "program/run_files.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace mgrn::test {

namespace fs = std::filesystem;

std::string content(const fs::path& file) {
  std::ostringstream text;
  std::ifstream stream(file, std::ios::binary);
  EXPECT_TRUE(stream) << file;
  text << stream.rdbuf();
  return text.str();
}

std::map<std::string, std::string> files_of(const fs::path& run) {
  std::map<std::string, std::string> files;
  for (const char* name :
       {"config.ini", "split.csv", "model.safetensors", "predictions.csv", "result.json"}) {
    files[name] = content(run / name);
  }
  std::istringstream lines(content(run / "metrics.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    auto object = nlohmann::json::parse(line);
    object.erase("samples_per_s");
    files["metrics.jsonl"] += object.dump() + "\n";
  }
  return files;
}

void expect_equal_runs(const fs::path& a, const fs::path& b, const std::string& what) {
  const auto left = files_of(a), right = files_of(b);
  for (const auto& [name, bytes] : left) {
    EXPECT_TRUE(bytes == right.at(name)) << what << ": " << name << " differs";
  }
}

}  // namespace mgrn::test
