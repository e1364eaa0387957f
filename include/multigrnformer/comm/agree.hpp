// SPDX-License-Identifier: Apache-2.0
// Errors do not cross ranks by themselves: a rank that throws between two collectives leaves the others
// waiting for ever. Work that may fail on some ranks only is wrapped in `agree`.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "multigrnformer/comm/communicator.hpp"

namespace mgrn::comm {

/// Collective. Tells all ranks whether `mine` (null: no error) is set anywhere, and if so throws, on every
/// rank, the error of the lowest rank that has one, marked with that rank.
void throw_agreed(Communicator& communicator, const std::exception_ptr& mine);

/// Collective. Runs `work` on this rank, then throws on every rank if it threw on any. `work` must not
/// itself enter a collective.
template <typename Work>
void agree(Communicator& communicator, Work&& work) {
  std::exception_ptr mine;
  try {
    std::forward<Work>(work)();
  } catch (...) {
    mine = std::current_exception();
  }
  throw_agreed(communicator, mine);
}

/// Collective. Throws UsageError on every rank unless `text` (a resolved config, a version) is the same on
/// all; names the first line that differs and the rank.
void require_same(Communicator& communicator, const std::string& name, const std::string& text);

}  // namespace mgrn::comm
