// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/baselines/trees/finished_targets.hpp"

#include <algorithm>
#include <sstream>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/digest.hpp"
#include "multigrnformer/base/json.hpp"
#include "multigrnformer/base/log.hpp"

namespace mgrn::baselines {
namespace {

namespace fs = std::filesystem;

std::string short_digest(std::string_view text) {
  return base::sha256(std::as_bytes(std::span(text))).substr(0, 16);
}

}  // namespace

FinishedTargets::FinishedTargets(const fs::path& folder, std::string_view key)
    : folder_(folder / short_digest(key)) {}

std::vector<FinishedTarget> FinishedTargets::read() const {
  std::vector<fs::path> files;
  std::error_code none;  // a folder that is not there holds nothing
  for (const auto& entry : fs::directory_iterator(folder_, none)) {
    if (entry.path().extension() == ".jsonl") {
      files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::map<std::string, FinishedTarget> found;
  for (const auto& file : files) {
    std::istringstream lines(base::read_file(file));
    std::vector<FinishedTarget> targets;
    try {
      for (std::string line; std::getline(lines, line);) {
        const auto json = base::Json::parse(line);
        FinishedTarget target{.target = json.at("target"), .trees = json.at("trees")};
        for (const auto& [regulator, importance] : json.at("importance").items()) {
          target.importance[regulator] = importance;
        }
        targets.push_back(std::move(target));
      }
    } catch (const base::Json::exception& error) {
      base::warn("finished targets in " + file.string() +
                 " are unreadable and are computed again: " + error.what());
      continue;
    }
    for (auto& target : targets) {
      found.emplace(target.target, target);
    }
  }
  std::vector<FinishedTarget> all;
  all.reserve(found.size());
  for (auto& [name, target] : found) {
    all.push_back(std::move(target));
  }
  return all;
}

void FinishedTargets::write(const std::vector<FinishedTarget>& targets) const {
  if (targets.empty()) {
    return;
  }
  std::string text;
  for (const auto& target : targets) {
    base::Json importance = base::Json::object();
    for (const auto& [regulator, value] : target.importance) {
      importance[regulator] = value;
    }
    text +=
        base::json_line({{"target", target.target}, {"trees", target.trees}, {"importance", importance}}) +
        "\n";
  }
  base::create_directories(folder_);
  base::write_file_atomically(folder_ / (short_digest(text) + ".jsonl"), text);
}

}  // namespace mgrn::baselines
