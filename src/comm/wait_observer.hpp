// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mgrn::comm {

/// Is told by a backend that it waits for other ranks, again and again while it does.
class WaitObserver {
 public:
  WaitObserver() = default;
  WaitObserver(const WaitObserver&) = delete;
  WaitObserver& operator=(const WaitObserver&) = delete;
  virtual ~WaitObserver() = default;

  /// On the waiting thread. May end the process.
  virtual void waiting() = 0;
};

}  // namespace mgrn::comm
