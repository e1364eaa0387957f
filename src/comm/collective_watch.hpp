// SPDX-License-Identifier: Apache-2.0
// One per rank and session: knows which collective the rank is in and for how long, asks the others when it
// takes too long, and ends the job when it must. multigrnformer/comm/watchdog.hpp says what users see of it.
//
// Time that passes while this process is stopped does not count: between two looks at the clock at most a
// second does. All calls come from the rank's one communicating thread; a thread of its own steps in only
// where that thread is caught inside MPI, in a call that cannot be polled.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "collective_record.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/watchdog.hpp"
#include "side_channel.hpp"
#include "wait_observer.hpp"

namespace mgrn::comm {

class CollectiveWatch final : public WaitObserver {
 public:
  using Clock = std::chrono::steady_clock;

  /// A watch that only keeps records: no limit, nobody to ask.
  CollectiveWatch(int rank, const WatchSettings& settings);
  /// `hosts`: of every rank of the session. `end_job` does not return.
  CollectiveWatch(int rank, std::vector<std::string> hosts, std::unique_ptr<SideChannel> channel,
                  std::function<void(base::ExitCode)> end_job);
  CollectiveWatch(const CollectiveWatch&) = delete;
  CollectiveWatch& operator=(const CollectiveWatch&) = delete;
  ~CollectiveWatch() override;

  void configure(const WatchSettings& settings);
  bool compares() const { return settings_.compare; }

  /// `members`: the session's ranks that must come; stays valid until leave().
  void enter(CollectiveRecord record, const std::vector<int>& members);
  void leave();
  void waiting() override;

  /// The rank's program has come to its end; others that ask are told.
  void program_ended(int code);
  /// Once nobody will ask any more.
  void close_channel() { channel_.reset(); }

  int rank() const { return rank_; }

 private:
  struct Answer {
    bool inside = false;
    std::optional<int> ended;
    std::vector<CollectiveRecord> records;  // oldest first; the newest is where the rank is or was last
  };
  struct Inquiry {
    std::uint64_t token = 0;
    double conclude_at_s = 0;  // of waited_s_
    bool final = false;
    std::map<int, Answer> answers;
  };

  bool watches() const { return channel_ != nullptr; }
  double since_start(Clock::time_point time) const;
  double grace_s() const;
  Answer own_answer() const;
  std::string place(int rank) const;

  void ask(bool final);
  void answer_letters();
  void answer(int asker, std::uint64_t token, const std::vector<CollectiveRecord>& about);
  void conclude();
  std::vector<std::string> missing() const;
  std::string last_collectives() const;
  [[noreturn]] void end_job(const base::Error& error);

  void watch_from_outside();

  const int rank_;
  const std::vector<std::string> hosts_;
  std::unique_ptr<SideChannel> channel_;
  const std::function<void(base::ExitCode)> end_job_;
  const Clock::time_point start_ = Clock::now();
  WatchSettings settings_;

  CollectiveRecord current_;
  const std::vector<int>* members_ = nullptr;  // null: not in a collective
  Clock::time_point entered_;
  Clock::time_point last_look_;
  double waited_s_ = 0;  // in the current collective
  // Until then another rank, which asked first, speaks for all that wait in this collective.
  double spoken_for_until_s_ = 0;
  bool warned_ = false;
  bool spoke_ = false;  // this rank has said who is missing
  std::optional<int> ended_;
  std::uint64_t tokens_ = 0;
  std::optional<Inquiry> inquiry_;

  // What the standing-by thread reads too.
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  CollectiveHistory history_;
  std::uint64_t entries_ = 0;  // collectives entered and left: odd while inside
  double outside_limit_s_ = 0;
  bool closing_ = false;
  std::thread stand_by_;
};

}  // namespace mgrn::comm
