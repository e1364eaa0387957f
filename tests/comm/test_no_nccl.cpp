// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "multigrnformer/base/error.hpp"
#include "multigrnformer/comm/nccl.hpp"

namespace mgrn::comm {
namespace {

void expect_refusal(const std::function<void()>& work) {
  try {
    work();
    FAIL() << "it cannot have worked";
  } catch (const base::UsageError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("several ranks cannot compute on GPUs with this build (file train.device)"),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("got built without NCCL (no nccl.h was found)"), std::string::npos) << message;
    EXPECT_NE(message.find("\nhint: install NCCL's headers"), std::string::npos) << message;
  }
}

TEST(NoNccl, SaysWhatIsMissingAndHowToGetIt) {
  const auto self = make_self_communicator();
  expect_refusal([&] { make_nccl_communicator(*self, {}); });
  expect_refusal([] { visible_gpus(); });
  EXPECT_EQ(describe_nccl(), "built without NCCL (no nccl.h was found): ranks on GPUs need it");
}

}  // namespace
}  // namespace mgrn::comm
