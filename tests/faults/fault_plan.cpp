// SPDX-License-Identifier: Apache-2.0
#include "faults/fault_plan.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <csignal>
#include <new>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "multigrnformer/base/error.hpp"

namespace mgrn::test {
namespace {

const std::vector<std::string> kTrainingSites = {"step", "compute", "reduce", "validate",
                                                 "save", "saved",   "test"};
const std::vector<std::string> kAnywhere = {"kill", "stop",  "term",      "usr1",
                                            "int",  "throw", "bad_alloc", "slow"};

bool contains(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

[[noreturn]] void refuse(const std::string& fault) {
  throw base::UsageError({.what = "MGRN_FAULT names no fault",
                          .expected = "RANK:STEP:SITE:WHAT[:NUMBER]",
                          .got = "\"" + fault + "\"",
                          .hint = "see tests/faults/fault_plan.hpp"});
}

std::int64_t number_in(const std::string& text, const std::string& fault) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    refuse(fault);
  }
  return value;
}

Fault parse_one(const std::string& text) {
  std::vector<std::string> fields;
  std::istringstream stream(text);
  for (std::string field; std::getline(stream, field, ':');) {
    fields.push_back(field);
  }
  if (fields.size() < 4 || fields.size() > 5) {
    refuse(text);
  }
  Fault fault{.rank = std::nullopt, .step = std::nullopt, .site = fields[2], .what = fields[3]};
  if (fields[0] != "*") {
    fault.rank = static_cast<int>(number_in(fields[0], text));
  }
  if (fields[1] != "*") {
    fault.step = number_in(fields[1], text);
  }
  if (fields.size() == 5) {
    fault.number = number_in(fields[4], text);
  }
  const bool known = contains(kTrainingSites, fault.site) ? contains(kAnywhere, fault.what)
                     : fault.site == "gradient"           ? fault.what == "nan" || fault.what == "inf"
                     : fault.site == "collective"
                         ? contains(kAnywhere, fault.what) || fault.what == "skip" || fault.what == "fail"
                         : false;
  if (!known) {
    refuse(text);
  }
  return fault;
}

}  // namespace

std::vector<Fault> parse_faults(const std::string& text) {
  std::vector<Fault> plan;
  std::istringstream stream(text);
  for (std::string fault; std::getline(stream, fault, ',');) {
    plan.push_back(parse_one(fault));
  }
  return plan;
}

std::vector<Fault> faults_at(const std::vector<Fault>& plan, int rank, std::int64_t step,
                             const std::string& site) {
  std::vector<Fault> found;
  for (const auto& fault : plan) {
    if (fault.site == site && fault.rank.value_or(rank) == rank && fault.step.value_or(step) == step) {
      found.push_back(fault);
    }
  }
  return found;
}

void strike(const Fault& fault) {
  if (fault.what == "kill") {
    std::raise(SIGKILL);
  } else if (fault.what == "stop") {
    std::raise(SIGSTOP);
  } else if (fault.what == "term") {
    std::raise(SIGTERM);
  } else if (fault.what == "usr1") {
    std::raise(SIGUSR1);
  } else if (fault.what == "int") {
    std::raise(SIGINT);
  } else if (fault.what == "throw") {
    throw std::runtime_error("a fault at site " + fault.site);
  } else if (fault.what == "bad_alloc") {
    throw std::bad_alloc();
  } else if (fault.what == "slow") {
    std::this_thread::sleep_for(std::chrono::milliseconds(fault.number));
  }
}

}  // namespace mgrn::test
