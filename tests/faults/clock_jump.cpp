// SPDX-License-Identifier: Apache-2.0
// Preloaded into a program: the time of day jumps an hour back and two hours ahead, by turns, as it is asked
// for. The steady clock goes on.
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>

#include <atomic>

namespace {

time_t jump() {
  static std::atomic<int> asked{0};
  const int phase = asked++ / 7 % 3;
  return phase == 0 ? 0 : phase == 1 ? -3600 : 7200;
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* time) {
  static const auto real = reinterpret_cast<int (*)(clockid_t, timespec*)>(dlsym(RTLD_NEXT, "clock_gettime"));
  const int code = real(clock, time);
  if (code == 0 && clock == CLOCK_REALTIME) {
    time->tv_sec += jump();
  }
  return code;
}

int gettimeofday(timeval* time, void* zone) {
  static const auto real = reinterpret_cast<int (*)(timeval*, void*)>(dlsym(RTLD_NEXT, "gettimeofday"));
  const int code = real(time, zone);
  if (code == 0) {
    time->tv_sec += jump();
  }
  return code;
}

time_t time(time_t* result) {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (result != nullptr) {
    *result = now.tv_sec;
  }
  return now.tv_sec;
}

}  // extern "C"
