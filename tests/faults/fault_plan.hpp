// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a fault drill: $MGRN_FAULT, faults RANK:STEP:SITE:WHAT[:NUMBER] between commas.
//
//   RANK  a rank, or * for every rank
//   STEP  a step from 0, or * for every step; at the site `collective` the number of a collective of the
//         world, from 1, counted since the command began
//   SITE  step, compute, reduce, validate, save, saved, test (train/hooks.hpp), gradient, collective
//   WHAT  kill, stop                    SIGKILL, SIGSTOP to this process
//         term, usr1, int               the signals that ask for an orderly stop
//         throw, bad_alloc              a std::runtime_error, std::bad_alloc
//         slow                          a pause of NUMBER milliseconds
//         nan, inf                      at `gradient`: the gradient's first value
//         skip, fail                    at `collective`: not entered (or the next one without a result of
//                                       its own size); a CommunicationError
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mgrn::test {

struct Fault {
  std::optional<int> rank;           // none: every one
  std::optional<std::int64_t> step;  // none: every one
  std::string site;
  std::string what;
  std::int64_t number = 0;
};

/// Throws UsageError for a text that says something else than above.
std::vector<Fault> parse_faults(const std::string& text);

/// The faults that happen at a place.
std::vector<Fault> faults_at(const std::vector<Fault>& plan, int rank, std::int64_t step,
                             const std::string& site);

/// Does to this process what any site can do to it.
void strike(const Fault& fault);

}  // namespace mgrn::test
