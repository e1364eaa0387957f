# SPDX-License-Identifier: Apache-2.0
# What tests run with under the sanitizers of MGRN_SANITIZE: their options, added to MGRN_TEST_ENVIRONMENT, and
# MGRN_TEST_TIMEOUT_FACTOR. Findings in our code are mended; the files in cmake/sanitizers name only what other
# people's libraries do.
set(MGRN_TEST_TIMEOUT_FACTOR 1)
set(mgrn_suppressions "${PROJECT_SOURCE_DIR}/cmake/sanitizers")
if("address" IN_LIST MGRN_SANITIZE OR "undefined" IN_LIST MGRN_SANITIZE)
  set(MGRN_TEST_TIMEOUT_FACTOR 5)
  # Without intercept_tls_get_addr=0 the leak checker guesses where glibc has put the variables of a thread, and
  # dies of a wrong guess (GCC 12, glibc 2.36, a world of one rank that MPI has started alone).
  list(APPEND MGRN_TEST_ENVIRONMENT
    "ASAN_OPTIONS=strict_string_checks=1:detect_stack_use_after_return=1:intercept_tls_get_addr=0"
    "LSAN_OPTIONS=suppressions=${mgrn_suppressions}/leak.supp:print_suppressions=0"
    "UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1")
elseif("thread" IN_LIST MGRN_SANITIZE)
  set(MGRN_TEST_TIMEOUT_FACTOR 15)
  list(APPEND MGRN_TEST_ENVIRONMENT
    "TSAN_OPTIONS=suppressions=${mgrn_suppressions}/thread.supp:print_suppressions=0:halt_on_error=1:second_deadlock_stack=1")
endif()
list(APPEND MGRN_TEST_ENVIRONMENT "MGRN_TEST_TIMEOUT_FACTOR=${MGRN_TEST_TIMEOUT_FACTOR}")
