// SPDX-License-Identifier: Apache-2.0
// Writes adam.txt, the reference of adam_test, with LibTorch's own Adam and clip_grad_norm_:
//   T=$TORCH_ROOT/torch; g++ -std=c++20 -O1 -I$T/include -I$T/include/torch/csrc/api/include adam_golden.cpp
//       -L$T/lib -ltorch_cpu -lc10 -Wl,-rpath,$T/lib -o /tmp/adam_golden && /tmp/adam_golden > adam.txt
// Each line: case, step, norm before clipping, then the 244 encoder and 31 predictor weights after the step.
#include <torch/torch.h>

#include <cstdint>
#include <cstdio>
#include <vector>

namespace {

// Exact in float32, so that the test can make the same numbers.
float number(std::uint32_t index, std::uint32_t step) {
  std::uint32_t mixed = (index + 1) * 2654435761u ^ (step * 40503u + 7u) * 2246822519u;
  mixed ^= mixed >> 15;
  mixed *= 2246822519u;
  mixed ^= mixed >> 13;
  return static_cast<float>(mixed >> 8) * 0x1.0p-24f - 0.5f;
}

void fill(torch::Tensor tensor, std::uint32_t first, std::uint32_t step, bool gradient) {
  float* values = tensor.data_ptr<float>();
  for (std::int64_t i = 0; i < tensor.numel(); ++i) {
    const auto index = first + static_cast<std::uint32_t>(i);
    values[i] = number(index, step) / (gradient ? static_cast<float>(1u << (index % 13)) : 1.0f);
  }
}

void run(const char* name, double decay, double clip) {
  auto encoder = torch::zeros({244}, torch::requires_grad());
  auto predictor = torch::zeros({31}, torch::requires_grad());
  fill(encoder.data(), 0, 0, false);
  fill(predictor.data(), 244, 0, false);
  const auto options = [&](double rate) {
    auto group = std::make_unique<torch::optim::AdamOptions>(rate);
    group->weight_decay(decay);
    return group;
  };
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<torch::Tensor>{encoder}, options(3e-3));
  groups.emplace_back(std::vector<torch::Tensor>{predictor}, options(1e-4));
  torch::optim::Adam adam(groups, torch::optim::AdamOptions(3e-3).weight_decay(decay));
  for (std::uint32_t step = 1; step <= 6; ++step) {
    encoder.mutable_grad() = torch::zeros({244});
    predictor.mutable_grad() = torch::zeros({31});
    fill(encoder.grad(), 0, step, true);
    fill(predictor.grad(), 244, step, true);
    const std::vector<torch::Tensor> all{encoder, predictor};
    const double norm = torch::nn::utils::clip_grad_norm_(all, clip > 0 ? clip : 1e30);
    adam.step();
    if (step == 1 || step == 6) {
      std::printf("%s %u %.9g", name, step, norm);
      for (const auto& tensor : all) {
        for (std::int64_t i = 0; i < tensor.numel(); ++i) {
          std::printf(" %.9g", static_cast<double>(tensor.data_ptr<float>()[i]));
        }
      }
      std::printf("\n");
    }
  }
}

}  // namespace

int main() {
  run("plain", 0, 0);
  run("decay", 1e-2, 0);
  run("clip", 1e-2, 0.5);
}
