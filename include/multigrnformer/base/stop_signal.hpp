// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGUSR1 ask for an orderly stop: the handler only sets a flag, the training loop reads it
// between steps and agrees on it with the other ranks.
#pragma once

namespace mgrn::base {

/// Installs the handlers for SIGTERM, SIGINT and SIGUSR1. A second SIGINT ends the program at once.
void watch_stop_signals();
/// The signal that asked for a stop, 0 while there was none.
int stop_signal();
/// Asks for a stop as SIGUSR1 would. Thread-safe.
void request_stop();
/// Forgets a request (tests).
void clear_stop_signal();

}  // namespace mgrn::base
