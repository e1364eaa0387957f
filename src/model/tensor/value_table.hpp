// SPDX-License-Identifier: Apache-2.0
// A dataset's values as dense tensors on any device of LibTorch's, and samples taken from them by cell.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>

#include <cstdint>
#include <span>

#include "multigrnformer/model/held_samples.hpp"

namespace mgrn::model::tensor {

/// [genes, cells, 2]: RNA and RP, decoded. Where values are those of expressed cells only, others are zero:
/// no sample asks for them.
class ValueTable final : public HeldColumns {
 public:
  /// Throws c10::Error where the device's memory is short.
  ValueTable(const ColumnTable& table, at::Device device);
  const at::Tensor& values() const { return values_; }

 private:
  at::Tensor values_;
};

/// [rows, cells, width] of samples whose columns are ValueTables and that bring their cells; rows behind
/// them, and columns behind RNA and RP of both genes, are zero.
at::Tensor take_samples(std::span<const HeldSample> samples, std::int64_t rows, std::int64_t cells,
                        std::int64_t width, at::Device device);

}  // namespace mgrn::model::tensor
