// SPDX-License-Identifier: Apache-2.0
// The CUDA kernels on a real GPU against the CPU engine. Skips, with the reason, where the build has no
// kernels or the machine no GPU; cuda_kernels_test.cpp runs the same bodies on the processor.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "model/cpu/fused_engine.hpp"
#include "model/cuda/cuda_engine.hpp"
#include "model/samples.hpp"
#include "multigrnformer/base/error.hpp"
#include "support/paths.hpp"

namespace mgrn::model {
namespace {

using test::make_parameters;
using test::make_samples;
using test::Samples;

const std::string kModule = mgrn::test::binary_path("libmultigrnformer_cuda.so");

class CudaDevice : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kModule)) GTEST_SKIP() << "this build has no CUDA kernels";
    api_ = &cuda::open_module(kModule);
    cuda::Message message{};
    if (api_->device_count(&message) < 1) GTEST_SKIP() << "no GPU: " << message.text;
  }
  std::unique_ptr<Engine> engine(const Shape& shape, int samples, double dropout) const {
    return cuda::make_cuda_engine(shape, samples, {.dropout = dropout}, *api_);
  }
  const cuda::Api* api_ = nullptr;
};

TEST_F(CudaDevice, MatchesTheCpuEngineInEveryTensor) {
  for (const Shape& shape :
       {Shape{.cells = 100, .layers = 1}, Shape{.cells = 331, .layers = 3}, Shape{.cells = 500},
        Shape{.cells = 100, .width = 6, .heads = 6}, Shape{.cells = 101, .width = 8, .heads = 8}}) {
    for (const double dropout : {0.0, 0.2}) {
      for (const double sharpness : {1.0, 3.5}) {
        const Samples samples = make_samples(shape, 16, 31);
        const Parameters parameters = make_parameters(shape, 31, sharpness);
        std::vector<float> expected(parameters.values().size()), got(expected.size());
        const StepStatistics want = cpu::make_fused_engine(shape, 16, {.dropout = dropout})
                                        ->gradient(parameters, samples.batch(), expected);
        const auto gpu = engine(shape, 16, dropout);
        // The third call replays a recorded graph.
        for (int call = 0; call < 3; ++call) {
          const StepStatistics have = gpu->gradient(parameters, samples.batch(), got);
          EXPECT_NEAR(have.loss, want.loss, 2e-5 * sharpness);
        }
        for (const ParameterView& view : parameters.views()) {
          double difference = 0, norm = 1e-12;
          for (std::size_t i = view.offset; i < view.offset + view.size; ++i) {
            difference += std::pow(static_cast<double>(got[i]) - static_cast<double>(expected[i]), 2);
            norm += std::pow(static_cast<double>(expected[i]), 2);
          }
          EXPECT_LE(std::sqrt(difference), 2e-5 * sharpness * std::sqrt(norm) + 1e-7) << view.name;
        }
      }
    }
  }
}

TEST_F(CudaDevice, HasTheSameBitsFromAnyCall) {
  const Shape shape{.cells = 500};
  const Samples samples = make_samples(shape, 16, 5);
  const Parameters parameters = make_parameters(shape, 5);
  const auto first_engine = engine(shape, 16, 0), second_engine = engine(shape, 16, 0);
  std::vector<float> first(parameters.values().size()), again(first.size());
  first_engine->gradient(parameters, samples.batch(), first);
  for (int call = 0; call < 5; ++call) {
    second_engine->gradient(parameters, samples.batch(), again);
    ASSERT_EQ(std::memcmp(first.data(), again.data(), first.size() * sizeof(float)), 0);
  }
}

TEST_F(CudaDevice, SumsOnTheDeviceWithTheBitsOfTheHost) {
  const Shape shape{.cells = 500};
  const Parameters parameters = make_parameters(shape, 5);
  const auto on_device = engine(shape, 16, 0), apart = engine(shape, 16, 0);
  std::vector<std::uint64_t> got(parameters.values().size()), expected(got.size());
  FixedPointSum device{.values = got, .scale = 40, .largest = {}};
  FixedPointSum host{.values = expected, .scale = 40, .largest = {}};
  // From the third call on the step is a recorded graph.
  for (const std::uint64_t seed : {3, 4, 5, 6}) {
    const Samples samples = make_samples(shape, 16, seed);
    EXPECT_EQ(on_device->accumulate(parameters, samples.batch(), device).loss,
              apart->Engine::accumulate(parameters, samples.batch(), host).loss);
  }
  EXPECT_EQ(on_device->device_sum(device).size(), got.size());
  on_device->finish(device);
  EXPECT_EQ(device.largest, host.largest);
  EXPECT_TRUE(got == expected);
}

TEST_F(CudaDevice, PredictsAsTheCpuEngine) {
  const Shape shape{.cells = 500};
  const Samples samples = make_samples(shape, 21, 3);
  const Parameters parameters = make_parameters(shape, 3);
  std::vector<float> got(21), expected(21);
  engine(shape, 16, 0)->predict(parameters, 21, samples.inputs, got);
  cpu::make_fused_engine(shape, 16, {})->predict(parameters, 21, samples.inputs, expected);
  EXPECT_LE(test::relative_error(got, expected), 2e-6);
}

TEST(CudaModule, LoadsWithoutAGpuAndSaysWhatIsMissing) {
  if (!std::filesystem::exists(kModule)) GTEST_SKIP() << "this build has no CUDA kernels";
  const cuda::Api& api = cuda::open_module(kModule);
  cuda::Message message{};
  if (api.device_count(&message) > 0) GTEST_SKIP() << "there is a GPU";
  EXPECT_STRNE(message.text, "");
  try {
    cuda::make_cuda_engine(Shape{.cells = 10, .hidden = 4}, 2, {}, api);
    FAIL() << "an engine without a GPU";
  } catch (const base::UsageError& error) {
    EXPECT_EQ(error.text().file, "train.device");
    EXPECT_EQ(error.text().got, message.text);
  }
}

}  // namespace
}  // namespace mgrn::model
