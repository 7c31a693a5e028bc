#include "core/kernels/cpu/float_format.h"

#include <cmath>
#include <vector>

#include "core/kernels/cpu/cpu_target.h"

namespace hone {

int64_t PlainWeightFormat::GroupBytes(int64_t columns) const {
  return (columns * kRowGroup * format_.bytes + 63) / 64 * 64;
}

void PlainWeightFormat::PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns,
                                  std::byte* group) const {
  const size_t bytes = static_cast<size_t>(format_.bytes);
  std::memset(group, 0, static_cast<size_t>(GroupBytes(columns)));
  for (int64_t k = 0; k < columns; ++k) {
    for (int64_t row = 0; row < rows; ++row) {
      std::memcpy(group + (k * kRowGroup + row) * format_.bytes,
                  file_rows + (row * columns + k) * format_.bytes, bytes);
    }
  }
}

void PlainWeightFormat::Multiply(const PackedMatrix& w, const Activations& x, int64_t row_begin,
                                 int64_t row_end, MatrixView<float> y) const {
  EnsureCpuTarget();
  format_.multiply(w, x, row_begin, row_end, y);
}

void PlainWeightFormat::ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const {
  const std::byte* group = w.data + row / kRowGroup * GroupBytes(w.columns);
  for (int64_t k = 0; k < w.columns; ++k) {
    values[static_cast<size_t>(k)] = format_.value(group + (k * kRowGroup + row % kRowGroup) * format_.bytes);
  }
}

void ScalarPlainMultiply(const PackedMatrix& w, const Activations& x, int64_t row_begin, int64_t row_end,
                         MatrixView<float> y) {
  const auto* activations = reinterpret_cast<const float*>(x.data);
  std::vector<float> values(static_cast<size_t>(w.columns));
  for (int64_t row = row_begin; row < row_end; ++row) {
    w.format->ReadRow(w, row, values);
    for (int64_t m = 0; m < x.rows; ++m) {
      float sum = 0.0f;
      for (int64_t k = 0; k < w.columns; ++k)
        sum = std::fma(values[static_cast<size_t>(k)], activations[m * x.columns + k], sum);
      y.row(m)[row] = sum;
    }
  }
}

}  // namespace hone
