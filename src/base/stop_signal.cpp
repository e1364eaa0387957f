// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/base/stop_signal.hpp"

#include <atomic>
#include <csignal>
#include <initializer_list>

namespace mgrn::base {
namespace {

std::atomic<int> g_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may not wait for a lock");

void remember(int signal) {
  if (signal == SIGINT && g_signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  g_signal = signal;
}

}  // namespace

void watch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = remember;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // file and MPI calls go on; the loop looks at the flag
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) {
    sigaction(signal, &action, nullptr);
  }
}

int stop_signal() {
  return g_signal;
}

void request_stop() {
  g_signal = SIGUSR1;
}

void clear_stop_signal() {
  g_signal = 0;
}

}  // namespace mgrn::base
