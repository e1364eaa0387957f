// SPDX-License-Identifier: Apache-2.0
// Uses an installed multigrnformer: one function whose value is known, and one that draws in every room below
// `train` when it is linked.
#include <multigrnformer/base/error.hpp>
#include <multigrnformer/comm/communicator.hpp>
#include <multigrnformer/evaluate/metrics.hpp>
#include <multigrnformer/train/run.hpp>

#include <cstdint>
#include <cstdio>
#include <vector>

int main() {
  const std::vector<double> scores{0.9, 0.8, 0.7, 0.1};
  const std::vector<std::uint8_t> labels{1, 0, 1, 0};
  const double area = mgrn::evaluate::auroc(scores, labels);
  std::printf("auroc %.2f\n", area);

  mgrn::train::Settings settings;
  settings.datasets = {"absent.h5"};
  settings.out = "absent_run";
  const auto alone = mgrn::comm::make_self_communicator();
  try {
    mgrn::train::run_training(settings, *alone);
  } catch (const mgrn::base::Error& error) {
    std::printf("refused as it should be: %s\n", error.what());
    return area == 0.75 ? 0 : 1;
  }
  std::puts("a run without data was not refused");
  return 1;
}
