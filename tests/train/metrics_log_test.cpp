// SPDX-License-Identifier: Apache-2.0
#include "multigrnformer/train/metrics_log.hpp"

#include <gtest/gtest.h>

#include "multigrnformer/base/atomic_file.hpp"
#include "multigrnformer/base/json.hpp"
#include "support/temporary_directory.hpp"

namespace mgrn::train {
namespace {

TEST(MetricsLog, LinesAfterTheCheckpointAndATornLastLineGo) {
  const mgrn::test::TemporaryDirectory folder;
  const auto file = folder / "metrics.jsonl";
  base::write_file_atomically(file, "{\"step\":10}\n{\"step\":20}\n{\"step\":30}\n{\"step\":4");
  MetricsLog log(file, 20, 2);
  EXPECT_EQ(base::read_file(file), "{\"step\":10}\n{\"step\":20}\n");
  log.append({{"step", 30}, {"loss", 0.5}});
  EXPECT_EQ(base::read_file(file), "{\"step\":10}\n{\"step\":20}\n{\"loss\":0.5,\"step\":30}\n");
}

TEST(MetricsLog, ARunFromStepZeroStartsAnew) {
  const mgrn::test::TemporaryDirectory folder;
  base::write_file_atomically(folder / "m", "{\"step\":10}\n");
  const MetricsLog log(folder / "m", 0, 0);
  EXPECT_EQ(base::read_file(folder / "m"), "");
}

}  // namespace
}  // namespace mgrn::train
