// SPDX-License-Identifier: Apache-2.0
// The program as it is, with faults on order: $MGRN_FAULT (fault_plan.hpp). Built for tests and never
// installed; the program itself does not know the variable.
#include <cstdio>
#include <cstdlib>
#include <limits>

#include "faults/fault_plan.hpp"
#include "faults/faulty_communicator.hpp"
#include "multigrnformer/base/error.hpp"
#include "multigrnformer/cli/program.hpp"

namespace {

using mgrn::test::Fault;
using mgrn::train::Site;

const char* name_of(Site site) {
  switch (site) {
    case Site::step:
      return "step";
    case Site::compute:
      return "compute";
    case Site::reduce:
      return "reduce";
    case Site::validate:
      return "validate";
    case Site::save:
      return "save";
    case Site::saved:
      return "saved";
    case Site::test:
      return "test";
  }
  return "?";
}

bool has_site(const std::vector<Fault>& plan, const std::string& site) {
  for (const auto& fault : plan) {
    if (fault.site == site) {
      return true;
    }
  }
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  mgrn::cli::Drill drill;
  drill.begin = [](mgrn::comm::Communicator& world,
                   mgrn::train::Hooks& hooks) -> std::unique_ptr<mgrn::comm::Communicator> {
    const char* text = std::getenv("MGRN_FAULT");
    const auto plan = mgrn::test::parse_faults(text != nullptr ? text : "");
    const int rank = world.rank();
    hooks.at = [plan, rank](Site site, std::int64_t step) {
      for (const auto& fault : faults_at(plan, rank, step, name_of(site))) {
        strike(fault);
      }
    };
    if (has_site(plan, "gradient")) {
      hooks.tamper = [plan, rank](std::int64_t step, std::int64_t, std::span<float> gradient) {
        for (const auto& fault : faults_at(plan, rank, step, "gradient")) {
          gradient[0] = fault.what == "nan" ? std::numeric_limits<float>::quiet_NaN()
                                            : std::numeric_limits<float>::infinity();
        }
      };
    }
    if (!has_site(plan, "collective")) {
      return nullptr;
    }
    return std::make_unique<mgrn::test::FaultyCommunicator>(world, plan);
  };
  return mgrn::cli::run_program(argc, argv, drill);
}
