// SPDX-License-Identifier: Apache-2.0
// Weights and moments of a rank in the memory of its device, and the steps that they take there.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/cuda/optimizer.hpp"
#include "model/cuda/step_api.hpp"

namespace mgrn::model::cuda {

struct Weights {
  virtual ~Weights() = default;
  virtual void put(const float* weights, const float* first, const float* second) = 0;
  virtual void fetch(float* weights, float* first, float* second) = 0;
  virtual void add(std::uint64_t* to, const std::uint64_t* from) = 0;
  virtual void take_gradient(const std::uint64_t* sum, std::uint64_t bias, double factor,
                             const UpdateGroup* groups, int group_count) = 0;
  virtual void squares(double* of_blocks) = 0;
  virtual void step(float clip_factor) = 0;

  const float* place = nullptr;  ///< where the weights lie
  std::uint64_t version = 0;     ///< another one after each change, never 0 once they are put
};

/// `Device` as in step.hpp. Every call has done its work when it returns, but for take_gradient, which step()
/// and squares() wait for.
template <typename Device>
class WeightsOf final : public Weights {
 public:
  WeightsOf(std::int64_t count, int moments, int device)
      : device_(device), count_(count), second_(moments > 1) {
    device_.select();
    weights_ = make<float>(count_);
    first_moment_ = make<float>(count_);
    second_moment_ = make<float>(second_ ? count_ : 0);
    gradient_ = make<float>(count_);
    squares_ = make<double>(blocks());
    groups_ = make<UpdateGroup>(kMostGroupsOfWeights);
    staged_squares_ = static_cast<double*>(device_.allocate_staging(blocks() * sizeof(double)));
    place = weights_;
  }

  void put(const float* weights, const float* first, const float* second) override {
    device_.select();
    device_.upload(weights_, weights, bytes());
    device_.upload(first_moment_, first, bytes());
    if (second_) device_.upload(second_moment_, second, bytes());
    device_.finish();
    ++version;
  }

  void fetch(float* weights, float* first, float* second) override {
    device_.select();
    device_.download(weights, weights_, bytes());
    device_.download(first, first_moment_, bytes());
    if (second_) device_.download(second, second_moment_, bytes());
    device_.finish();
  }

  void add(std::uint64_t* to, const std::uint64_t* from) override {
    device_.select();
    device_.launch(AddSums{{count_, from, to}}, grid(), kThreads, 0);
    device_.finish();
  }

  void take_gradient(const std::uint64_t* sum, std::uint64_t bias, double factor, const UpdateGroup* groups,
                     int group_count) override {
    if (group_count > kMostGroupsOfWeights) {
      throw std::runtime_error("more groups of weights than there is room for");
    }
    device_.select();
    // Kept until the copy is made, which the caller's need not be.
    held_groups_.assign(groups, groups + group_count);
    device_.upload(groups_, held_groups_.data(), held_groups_.size() * sizeof(UpdateGroup));
    device_.launch(TakeGradient{{count_, sum, bias, factor, groups_, group_count, gradient_, squares_}},
                   static_cast<int>(blocks()), kThreads, kSquareLanes * sizeof(double));
  }

  void squares(double* of_blocks) override {
    device_.select();
    device_.download(staged_squares_, squares_, blocks() * sizeof(double));
    device_.finish();
    std::copy_n(staged_squares_, blocks(), of_blocks);
  }

  void step(float clip_factor) override {
    device_.select();
    device_.launch(MoveWeights{{count_, groups_, static_cast<int>(held_groups_.size()), clip_factor,
                                gradient_, weights_, first_moment_, second_moment_}},
                   grid(), kThreads, 0);
    device_.finish();
    ++version;
  }

 private:
  static constexpr int kMostGroupsOfWeights = 64;

  template <typename Value>
  Value* make(std::size_t count) {
    return static_cast<Value*>(device_.allocate(count * sizeof(Value)));
  }
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * sizeof(float); }
  std::size_t blocks() const { return static_cast<std::size_t>((count_ + kSquareBlock - 1) / kSquareBlock); }
  int grid() const {
    return static_cast<int>(std::min<std::int64_t>(1024, (count_ + kThreads - 1) / kThreads));
  }

  Device device_;
  std::int64_t count_;
  bool second_;
  float *weights_{}, *first_moment_{}, *second_moment_{}, *gradient_{};
  double *squares_{}, *staged_squares_{};
  UpdateGroup* groups_{};
  std::vector<UpdateGroup> held_groups_;
};

}  // namespace mgrn::model::cuda
