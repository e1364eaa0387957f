// SPDX-License-Identifier: Apache-2.0
// Runs that are struck again and again, at any moment, by any signal, on any number of ranks: each one that
// comes to its end has the bytes of an undisturbed one, and nobody stays behind. What strikes is drawn from a
// seed, which is printed; when it strikes depends on the machine too, so that a seed repeats the kind of a
// failure and not always the failure itself.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "faults/faulty_run.hpp"
#include "program/background.hpp"
#include "program/run_files.hpp"
#include "support/temporary_directory.hpp"
#include "support/time_limit.hpp"

namespace {

namespace fs = std::filesystem;
using namespace mgrn::test;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr || *text == '\0' ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Least, median and largest.
std::string spread(std::vector<double> values) {
  if (values.empty()) {
    return "none";
  }
  std::sort(values.begin(), values.end());
  std::array<char, 96> text{};
  std::snprintf(text.data(), text.size(), "%.2f / %.2f / %.2f s of %zu", values.front(),
                values[values.size() / 2], values.back(), values.size());
  return text.data();
}

enum class Strike {
  kill_rank,
  kill_all_ranks,
  kill_launcher,
  stop_rank,
  usr1_launcher,
  usr1_rank,
  term_rank
};
constexpr std::array kStrikes = {
    // A kill is what happens most.
    Strike::kill_rank,      Strike::kill_rank,     Strike::kill_rank,
    Strike::kill_all_ranks, Strike::kill_launcher, Strike::usr1_launcher,
    Strike::usr1_rank,      Strike::term_rank,     Strike::stop_rank};

const char* name_of(Strike strike) {
  switch (strike) {
    case Strike::kill_rank:
      return "kill -9 of a rank";
    case Strike::kill_all_ranks:
      return "kill -9 of all ranks";
    case Strike::kill_launcher:
      return "kill -9 of the launcher";
    case Strike::stop_rank:
      return "SIGSTOP and SIGCONT of a rank";
    case Strike::usr1_launcher:
      return "SIGUSR1 to the launcher";
    case Strike::usr1_rank:
      return "SIGUSR1 to a rank";
    case Strike::term_rank:
      return "SIGTERM to a rank";
  }
  return "?";
}

class Chaos : public testing::Test {
 protected:
  Chaos()
      : seed_(number_in("MGRN_CHAOS_SEED", std::random_device{}())),
        seconds_(static_cast<double>(number_in("MGRN_CHAOS_SECONDS", 600))),
        random_(seed_) {}

  std::vector<std::string> arguments(const char* name) const {
    return drill(folder_ / name, {{"--train.epochs", "12"}, {"--collective-timeout", "20"}});
  }
  std::size_t below(std::size_t count) {
    return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
  }

  /// One start of the run, struck once at a random moment; true when it came to its end.
  bool start_and_strike() {
    const int ranks = 1 + static_cast<int>(below(4));
    const Strike strike = kStrikes[below(kStrikes.size())];
    const double moment = std::uniform_real_distribution<double>(0, 1.2)(random_) * usual_s_;
    std::string line = std::string("env MGRN_FAULT='") + kSlowly + "' " + mpiexec(ranks) + program_path();
    for (const auto& argument : arguments("run")) {
      line += " '" + argument + "'";
    }
    fs::remove(folder_ / "log");  // the last start's
    const auto begun = Clock::now();
    Background job(line, folder_ / "log");
    std::optional<double> restarted;
    const auto look = [&] {
      if (!restarted && begun_before_ && times_in(job.output(), "going on after step") > 0) {
        restarted = seconds_since(begun);
      }
      return job.ended();
    };
    wait_until([&] { return look() || seconds_since(begun) > moment; });
    std::vector<pid_t> struck;
    if (!job.ended()) {
      struck = ranks_below(job.pid());
      deal(strike, job.pid(), struck);
      ++strikes_[strike];
    } else {
      usual_s_ = seconds_since(begun);  // others may have left the machine, or come
    }
    const auto dealt = Clock::now();
    // Where others take the machine, what was not killed takes its time.
    EXPECT_TRUE(wait_until(look, 60 + 10 * usual_s_))
        << "after " << name_of(strike) << " on " << ranks << " ranks the job did not end:\n"
        << job.output();
    const int code = job.ended() ? job.wait() : -1;
    const bool killed =
        strike == Strike::kill_rank || strike == Strike::kill_all_ranks || strike == Strike::kill_launcher;
    // Without their launcher ranks find out by themselves.
    EXPECT_TRUE(wait_until(
        [&] {
          return std::none_of(struck.begin(), struck.end(), [](pid_t rank) { return ::kill(rank, 0) == 0; });
        },
        30))
        << "a rank stayed behind after " << name_of(strike) << "\n"
        << job.output();
    if (killed && !struck.empty() && code != 0) {
      until_gone_.push_back(seconds_since(dealt));
    }
    if (restarted) {
      until_restarted_.push_back(*restarted);
    }
    begun_before_ = true;
    // Usage, data, output and internal errors are not what a signal leads to.
    EXPECT_EQ(std::count(kWrong.begin(), kWrong.end(), code), 0)
        << "exit code " << code << " after " << name_of(strike) << " on " << ranks << " ranks\n"
        << job.output();
    return code == 0;
  }

  static void deal(Strike strike, pid_t launcher, const std::vector<pid_t>& ranks) {
    const auto to = [](pid_t process, int signal) { ::kill(process, signal); };
    if (strike == Strike::kill_launcher || strike == Strike::usr1_launcher) {
      to(launcher, strike == Strike::kill_launcher ? SIGKILL : SIGUSR1);
      return;
    }
    if (ranks.empty()) {
      return;
    }
    const pid_t rank = ranks[static_cast<std::size_t>(launcher) % ranks.size()];
    switch (strike) {
      case Strike::kill_all_ranks:
        for (const pid_t each : ranks) {
          to(each, SIGKILL);
        }
        break;
      case Strike::stop_rank:
        to(rank, SIGSTOP);
        wait_until([] { return false; }, 0.5);
        to(rank, SIGCONT);
        break;
      case Strike::usr1_rank:
        to(rank, SIGUSR1);
        break;
      case Strike::term_rank:
        to(rank, SIGTERM);
        break;
      default:
        to(rank, SIGKILL);
    }
  }

  void tell(int starts, int finished) const {
    std::printf("seed %llu: %d starts, %d runs finished\n", static_cast<unsigned long long>(seed_), starts,
                finished);
    for (const auto& [strike, count] : strikes_) {
      std::printf("%6d x %s\n", count, name_of(strike));
    }
    std::printf("from the kill until the last rank is gone: %s\n", spread(until_gone_).c_str());
    std::printf("from the start until a run goes on:        %s\n", spread(until_restarted_).c_str());
    std::printf("(times: least / median / largest)\n");
    std::fflush(stdout);
  }

  /// Steps take a hundredth of a second longer, so that most strikes meet a step.
  static constexpr const char* kSlowly = "*:*:compute:slow:10";
  static constexpr std::array kWrong = {64, 65, 70, 74, 77, -1};

  const std::uint64_t seed_;
  const double seconds_;
  std::mt19937_64 random_;
  TemporaryDirectory folder_;
  double usual_s_ = 0;  // of an undisturbed run
  bool begun_before_ = false;
  std::map<Strike, int> strikes_;
  std::vector<double> until_gone_, until_restarted_;
};

TEST_F(Chaos, WhateverStrikesARunItEndsWithTheSameBytes) {
  std::printf("seed %llu (MGRN_CHAOS_SEED repeats it), %.0f s (MGRN_CHAOS_SECONDS)\n",
              static_cast<unsigned long long>(seed_), seconds_);
  std::fflush(stdout);
  small_case();
  auto begun = Clock::now();
  const ProgramResult undisturbed = run_faulty(kSlowly, arguments("undisturbed"), 2);
  ASSERT_EQ(undisturbed.code, 0) << undisturbed.errors;
  usual_s_ = seconds_since(begun);
  begun = Clock::now();
  int starts = 0, finished = 0;
  // The last run is brought to its end, if need be without further strikes.
  while (seconds_since(begun) < seconds_ && !HasFailure()) {
    ++starts;
    if (!start_and_strike()) {
      continue;
    }
    expect_equal_runs(folder_ / "undisturbed", folder_ / "run", "run " + std::to_string(finished));
    ++finished;
    fs::remove_all(folder_ / "run");
    begun_before_ = false;
  }
  if (begun_before_ && !HasFailure()) {
    const ProgramResult last = run_faulty("", arguments("run"), 2);
    EXPECT_EQ(last.code, 0) << last.errors;
    expect_equal_runs(folder_ / "undisturbed", folder_ / "run", "the last run");
    ++finished;
  }
  tell(starts, finished);
  EXPECT_GT(starts, 0);
  EXPECT_GT(finished, 0);
}

}  // namespace
