// SPDX-License-Identifier: Apache-2.0
// This rank's threads, each with an engine of its own. Not collective. One thread at a time may call run().
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "multigrnformer/model/engine.hpp"
#include "multigrnformer/train/held_sources.hpp"
#include "multigrnformer/train/settings.hpp"

namespace mgrn::train {

class ComputeTeam {
 public:
  /// settings.threads engines of the method (method_of), for train.device = cuda on GPU number `gpu`
  /// (choose_gpu). Throws UsageError for an engine, instruction set or device that this build or machine
  /// lacks.
  explicit ComputeTeam(const Settings& settings, int gpu = 0);
  ~ComputeTeam();
  ComputeTeam(const ComputeTeam&) = delete;
  ComputeTeam& operator=(const ComputeTeam&) = delete;

  int threads() const { return static_cast<int>(engines_.size()); }
  int micro_batch() const { return micro_batch_; }
  model::Engine& engine(int thread) { return *engines_[static_cast<std::size_t>(thread)]; }
  std::string engine_name() const { return engines_.front()->name(); }

  /// Lets the engines make samples of this source themselves where they can (HeldSources::hold). Before any
  /// run() that asks for them; the source must outlive those.
  void hold(const pairs::SampleSource& source) { held_.hold(source, *engines_.front()); }
  const HeldSources& held() const { return held_; }

  /// Runs `work(thread)` once on every thread, 0 being the caller, and returns when all are done. Rethrows
  /// the error of the lowest thread that threw. Threads that wait stay awake for about a millisecond, giving
  /// way to others: a step has several rounds, and a sleeping thread takes longer to wake than some of them
  /// last.
  void run(const std::function<void(int thread)>& work);

 private:
  void serve(int thread);
  void perform(int thread);
  void close();

  int micro_batch_;
  std::vector<std::unique_ptr<model::Engine>> engines_;
  HeldSources held_;  // goes before the engines
  std::vector<std::exception_ptr> errors_;
  const std::function<void(int)>* work_ = nullptr;
  std::atomic<std::uint32_t> round_ = 0;  // counts up; a helper works once for each
  std::atomic<std::uint32_t> busy_ = 0;   // helpers at work
  bool closing_ = false;
  std::vector<std::thread> helpers_;
};

}  // namespace mgrn::train
