// Formats without blocks: every number stands alone, [column][16 rows], any number of columns.
#pragma once

#include "core/kernels/cpu/packed_format.h"

namespace hone {

struct PlainFormat {
  DType type;
  int bytes;  // of a number
  float (*value)(const std::byte* at);
  MultiplyFunction multiply;
};

class PlainWeightFormat final : public WeightFormat {
 public:
  explicit PlainWeightFormat(const PlainFormat& format) : format_(format) {}
  DType source() const override { return format_.type; }
  ActivationForm form(NumericMode) const override { return ActivationForm::kFloat; }
  int64_t GroupBytes(int64_t columns) const override;
  void PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns, std::byte* group) const override;
  void Multiply(const MatmulTask& task) const override;
  void ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const override;

 private:
  PlainFormat format_;
};

// sum_k w[n, k] x[m, k] in rising k, one fused multiply-add each: the sums of the vector kernels.
void ScalarPlainMultiply(const MatmulTask& task);

}  // namespace hone
