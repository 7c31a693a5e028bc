#include "core/kernels/cpu/float_format.h"

#include <cmath>
#include <vector>

#include "core/kernels/cpu/cpu_target.h"

namespace hone {
namespace {

// One cache line of a row after the other, so that each is read once even where the rows' lines collide.
template <class Number>
void PackNumbers(const std::byte* file_rows, int64_t rows, int64_t columns, std::byte* group) {
  constexpr int64_t kBytes = sizeof(Number), kLine = 64 / kBytes;
  const auto move = [](const std::byte* from, int64_t count, std::byte* to) {
    for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * kRowGroup * kBytes, from + i * kBytes, kBytes);
  };
  for (int64_t k = 0; k < columns; k += kLine) {
    for (int64_t row = 0; row < rows; ++row) {
      const std::byte* from = file_rows + (row * columns + k) * kBytes;
      std::byte* to = group + (k * kRowGroup + row) * kBytes;
      if (k + kLine <= columns) {
        move(from, kLine, to);
      } else {
        move(from, columns - k, to);
      }
    }
  }
}

}  // namespace

int64_t PlainWeightFormat::GroupBytes(int64_t columns) const {
  return (columns * kRowGroup * format_.bytes + 63) / 64 * 64;
}

void PlainWeightFormat::PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns,
                                  std::byte* group) const {
  const int64_t used = rows < kRowGroup ? 0 : columns * kRowGroup * format_.bytes;
  std::memset(group + used, 0, static_cast<size_t>(GroupBytes(columns) - used));
  if (format_.bytes == 2) {
    PackNumbers<uint16_t>(file_rows, rows, columns, group);
  } else {
    PackNumbers<uint32_t>(file_rows, rows, columns, group);
  }
}

void PlainWeightFormat::Multiply(const MatmulTask& task) const {
  EnsureCpuTarget();
  format_.multiply(task);
}

void PlainWeightFormat::ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const {
  const std::byte* group = w.data + row / kRowGroup * GroupBytes(w.columns);
  for (int64_t k = 0; k < w.columns; ++k) {
    values[static_cast<size_t>(k)] = format_.value(group + (k * kRowGroup + row % kRowGroup) * format_.bytes);
  }
}

void ScalarPlainMultiply(const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
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
