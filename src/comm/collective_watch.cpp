// SPDX-License-Identifier: Apache-2.0
#include "collective_watch.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "multigrnformer/base/atomic_file.hpp"

namespace mgrn::comm {
namespace {

constexpr double kSecondsBetweenLooks = 0.05;
constexpr double kMostSecondsPassed = 1.0;  // longer: this process was stopped, and all others may have been
constexpr double kWarnAt = 0.25;            // of the limit
constexpr std::size_t kMostNamed = 8;       // in the message; collectives.txt names all

enum class Kind : std::uint32_t { question, answer };

struct LetterHead {
  Kind kind = Kind::question;
  std::int32_t ended = -1;  // the program's exit code, -1: it runs
  std::uint64_t token = 0;  // the asker's
  std::uint64_t inside = 0;
};

Bytes letter_of(const LetterHead& head, const std::vector<CollectiveRecord>& records) {
  const auto body = std::as_bytes(std::span(records));
  Bytes text(sizeof head + body.size());
  std::memcpy(text.data(), &head, sizeof head);
  std::copy(body.begin(), body.end(), text.begin() + sizeof head);
  return text;
}

std::string seconds_text(double seconds) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.6g s", seconds);
  return text.data();
}

std::string ranks_text(std::size_t ranks) {
  return std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks");
}

std::string list(const std::vector<std::string>& entries) {
  std::string text;
  for (std::size_t i = 0; i < std::min(entries.size(), kMostNamed); ++i) {
    text += (i == 0 ? "" : "; ") + entries[i];
  }
  return entries.size() > kMostNamed ? text + "; and " + std::to_string(entries.size() - kMostNamed) + " more"
                                     : text;
}

}  // namespace

CollectiveWatch::CollectiveWatch(int rank, const WatchSettings& settings)
    : rank_(rank), settings_(settings) {}

CollectiveWatch::CollectiveWatch(int rank, std::vector<std::string> hosts,
                                 std::unique_ptr<SideChannel> channel,
                                 std::function<void(base::ExitCode)> end_job)
    : rank_(rank), hosts_(std::move(hosts)), channel_(std::move(channel)), end_job_(std::move(end_job)) {
  configure({});
}

CollectiveWatch::~CollectiveWatch() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  if (stand_by_.joinable()) {
    stand_by_.join();
  }
}

void CollectiveWatch::configure(const WatchSettings& settings) {
  settings_ = settings;
  if (!watches()) {
    return;
  }
  {
    const std::lock_guard lock(mutex_);
    // Later than the waiting thread asks and concludes, also where another one was to speak and did not.
    outside_limit_s_ = settings.limit_s + 5 * grace_s();
  }
  if (!stand_by_.joinable() && std::isfinite(settings.limit_s)) {
    stand_by_ = std::thread([this] { watch_from_outside(); });
  }
  wake_.notify_all();
}

double CollectiveWatch::since_start(Clock::time_point time) const {
  return std::chrono::duration<double>(time - start_).count();
}

// Long enough for ranks that wait on an overloaded machine; short beside the limit.
double CollectiveWatch::grace_s() const {
  return std::clamp(settings_.limit_s / 2, 1.0, 10.0);
}

std::string CollectiveWatch::place(int rank) const {
  return "rank " + std::to_string(rank) + " on " + hosts_[static_cast<std::size_t>(rank)];
}

void CollectiveWatch::enter(CollectiveRecord record, const std::vector<int>& members) {
  entered_ = Clock::now();
  last_look_ = entered_;
  waited_s_ = 0;
  spoken_for_until_s_ = 0;
  warned_ = false;
  spoke_ = false;
  record.entered_s = static_cast<float>(since_start(entered_));
  current_ = record;
  members_ = &members;
  const std::lock_guard lock(mutex_);
  history_.begin(record);
  ++entries_;
}

void CollectiveWatch::leave() {
  const double took_s = std::chrono::duration<double>(Clock::now() - entered_).count();
  if (spoke_) {
    std::fprintf(stderr, "warning: rank %d: %s has ended after %s\n", rank_, describe(current_).c_str(),
                 seconds_text(took_s).c_str());
  }
  members_ = nullptr;
  inquiry_.reset();
  const std::lock_guard lock(mutex_);
  history_.end_newest(static_cast<float>(took_s));
  ++entries_;
}

void CollectiveWatch::program_ended(int code) {
  ended_ = code;
  last_look_ = Clock::now();
}

void CollectiveWatch::waiting() {
  if (!watches()) {
    return;
  }
  const auto now = Clock::now();
  const double passed = std::chrono::duration<double>(now - last_look_).count();
  if (passed < kSecondsBetweenLooks) {
    return;
  }
  last_look_ = now;
  waited_s_ += std::min(passed, kMostSecondsPassed);
  answer_letters();
  if (members_ == nullptr) {
    return;  // at the end of the program, where the session waits for as long as it takes
  }
  if (inquiry_) {
    if (waited_s_ >= inquiry_->conclude_at_s) {
      conclude();
    }
  } else if (waited_s_ < spoken_for_until_s_) {
    return;
  } else if (waited_s_ >= settings_.limit_s) {
    ask(true);
  } else if (!warned_ && waited_s_ >= kWarnAt * settings_.limit_s) {
    ask(false);
  }
}

// ---- where the others are ----------------------------------------------------------------------------

CollectiveWatch::Answer CollectiveWatch::own_answer() const {
  const std::lock_guard lock(mutex_);
  return {.inside = members_ != nullptr, .ended = ended_, .records = history_.records()};
}

void CollectiveWatch::ask(bool final) {
  inquiry_ =
      Inquiry{.token = ++tokens_, .conclude_at_s = waited_s_ + grace_s(), .final = final, .answers = {}};
  for (const int member : *members_) {
    if (member != rank_) {
      channel_->send(member, letter_of({.kind = Kind::question, .token = tokens_}, {current_}));
    }
  }
}

void CollectiveWatch::answer_letters() {
  while (const auto letter = channel_->receive()) {
    LetterHead head;
    if (letter->text.size() < sizeof head) {
      continue;
    }
    std::memcpy(&head, letter->text.data(), sizeof head);
    auto records = from_bytes<CollectiveRecord>(
        Bytes(letter->text.begin() + static_cast<std::ptrdiff_t>(sizeof head), letter->text.end()));
    if (head.kind == Kind::question) {
      answer(letter->from, head.token, records);
    } else if (inquiry_ && head.token == inquiry_->token) {
      Answer& answer = inquiry_->answers[letter->from];
      answer.inside = head.inside != 0;
      answer.ended = head.ended >= 0 ? std::optional(head.ended) : std::nullopt;
      answer.records = std::move(records);
    }
  }
}

void CollectiveWatch::answer(int asker, std::uint64_t token, const std::vector<CollectiveRecord>& about) {
  const Answer mine = own_answer();
  channel_->send(asker, letter_of({.kind = Kind::answer,
                                   .ended = mine.ended.value_or(-1),
                                   .token = token,
                                   .inside = mine.inside ? 1U : 0U},
                                  mine.records));
  // One voice is enough: the first that asks, the lowest rank of several that ask at once.
  const bool same = members_ != nullptr && !about.empty() && fit_together(about.front(), current_);
  if (same && (!inquiry_ || asker < rank_)) {
    inquiry_.reset();
    warned_ = true;
    spoken_for_until_s_ = waited_s_ + 3 * grace_s();
  }
}

std::vector<std::string> CollectiveWatch::missing() const {
  std::vector<std::string> missing;
  for (const int member : *members_) {
    if (member == rank_) {
      continue;
    }
    const auto found = inquiry_->answers.find(member);
    if (found == inquiry_->answers.end()) {
      missing.push_back(place(member) + " does not answer");
      continue;
    }
    const Answer& answer = found->second;
    if (answer.ended) {
      missing.push_back(place(member) + " has come to the end of its program with exit code " +
                        std::to_string(*answer.ended));
    } else if (!answer.records.empty() && !fit_together(answer.records.back(), current_)) {
      missing.push_back(place(member) + " is in " + describe(answer.records.back()));
    } else if (!answer.inside) {
      missing.push_back(place(member) + " has left it already");
    }
  }
  return missing;
}

void CollectiveWatch::conclude() {
  const auto missing_ranks = missing();
  if (!inquiry_->final) {
    warned_ = true;
    if (!missing_ranks.empty()) {
      spoke_ = true;
      std::fprintf(stderr, "warning: rank %d waits since %s in %s: %s (limit: %s)\n", rank_,
                   seconds_text(waited_s_).c_str(), describe(current_).c_str(), list(missing_ranks).c_str(),
                   seconds_text(settings_.limit_s).c_str());
    }
    inquiry_.reset();
    return;
  }
  base::CommunicationError error(
      {.what = describe(current_) + ", did not end within " + seconds_text(settings_.limit_s),
       .expected = ranks_text(members_->size()) + " in it",
       .got = missing_ranks.empty() ? "all of them in it and answering, but no end" : list(missing_ranks),
       .hint = "see whether these hosts are up and the processes run (stopped, swapping, waiting for a "
               "disk) and start again: a run goes on from its last checkpoint; where the work only takes "
               "long, raise collective-timeout"});
  end_job(error);
}

std::string CollectiveWatch::last_collectives() const {
  std::string text;
  const auto add = [&](int rank, const Answer& answer) {
    text += place(rank) +
            (answer.ended    ? ", at the end of its program"
             : answer.inside ? ", in the last of these"
                             : ", after the last of these") +
            " (begun since its start, taken, collective)\n" + table_of(answer.records) + "\n";
  };
  const bool asked = members_ != nullptr && inquiry_;
  const Answer mine = own_answer();
  if (!asked) {
    add(rank_, mine);
    return text;
  }
  for (const int member : *members_) {
    const auto found = inquiry_->answers.find(member);
    if (member == rank_) {
      add(rank_, mine);
    } else if (found == inquiry_->answers.end()) {
      text += place(member) + " does not answer\n\n";
    } else {
      add(member, found->second);
    }
  }
  return text;
}

void CollectiveWatch::end_job(const base::Error& error) {
  base::Error marked = error;
  marked.set_rank(rank_);
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", marked.what());
  const std::string text = last_collectives();
  std::error_code none;
  bool written = false;
  if (!settings_.folder.empty() && std::filesystem::is_directory(settings_.folder, none)) {
    const auto file = settings_.folder / "collectives.txt";
    try {
      base::write_file_atomically(file, text);
      std::fprintf(stderr, "the last collectives of each rank are in %s\n", file.c_str());
      written = true;
    } catch (const base::Error& second) {
      std::fprintf(stderr, "%s\n", second.what());
    }
  }
  if (!written) {
    std::fprintf(stderr, "the last collectives of each rank:\n%s", text.c_str());
  }
  std::fflush(nullptr);
  end_job_(base::ExitCode::communication);
  std::_Exit(static_cast<int>(base::ExitCode::communication));
}

// ---- the standing-by thread --------------------------------------------------------------------------

// A waiting thread that polls comes round by itself. One inside a call of MPI or NCCL that cannot be polled
// (making a communicator, ending the job over a network that is gone) may never: this thread then ends the
// process.
// It cannot call MPI, hence it names nobody.
void CollectiveWatch::watch_from_outside() {
  using Seconds = std::chrono::duration<double>;
  std::unique_lock lock(mutex_);
  std::uint64_t seen = 0;
  double inside_s = 0;  // in whole ticks, so that time in which this process was stopped does not count
  while (!closing_) {
    const double tick_s = std::clamp(outside_limit_s_ / 8, 0.1, 1.0);
    if (wake_.wait_for(lock, Seconds(tick_s)) != std::cv_status::timeout) {
      continue;
    }
    if (entries_ != seen || entries_ % 2 == 0) {
      seen = entries_;
      inside_s = 0;
      continue;
    }
    inside_s += tick_s;
    if (inside_s <= outside_limit_s_) {
      continue;
    }
    const auto records = history_.records();
    const base::CommunicationError error(
        {.what = describe(records.back()) + ", did not end, and the library that carries it does not return",
         .expected = "an end within " + seconds_text(outside_limit_s_),
         .hint = "see whether all nodes are up and reach each other, and start again: a run goes on from "
                 "its last checkpoint"});
    std::fprintf(stderr, "%s\nthe last collectives of rank %d:\n%s", error.what(), rank_,
                 table_of(records).c_str());
    std::fflush(stderr);
    std::_Exit(static_cast<int>(base::ExitCode::communication));
  }
}

}  // namespace mgrn::comm
