#include "core/kernels/cpu/packed_format.h"

#include <algorithm>
#include <cmath>

#include "core/kernels/cpu/cpu_target.h"

namespace hone {
namespace {

constexpr int64_t kAlignment = 64;
// Columns that are packed row by row: their units stay in the first-level cache until all rows are there.
constexpr int64_t kPackColumns = 256;

int64_t RoundUp(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

const std::byte* UnitOf(const BlockFormat& format, const PackedMatrix& w, int64_t row, int64_t block) {
  const std::byte* group = w.data + row / kRowGroup * w.format->GroupBytes(w.columns);
  return group + block / (format.unit_columns / 32) * format.unit_bytes;
}

void Decode(const BlockFormat& format, const PackedMatrix& w, int64_t row, int64_t block, DecodedBlock& out) {
  format.decode(UnitOf(format, w, row, block), static_cast<int>(block % (format.unit_columns / 32)),
                static_cast<int>(row % kRowGroup), out);
}

float ValueOf(const BlockFormat& format, const DecodedBlock& block, int column) {
  const int half = column / 16;
  const float scaled =
      static_cast<float>(block.code[column]) * (block.scale * static_cast<float>(block.sub[half]));
  if (format.minimum == Minimum::kPerBlock) return scaled + block.min;
  if (format.minimum == Minimum::kPerHalf) {
    return scaled + block.min_scale * static_cast<float>(block.min_sub[half]);
  }
  return scaled;
}

float AddBlock(const BlockFormat& format, const DecodedBlock& w, const Int8Block& x, float sum) {
  int dot = 0;
  for (int half = 0; half < 2; ++half) {
    int part = 0;
    for (int i = 0; i < 16; ++i) part += w.code[16 * half + i] * x.Value(16 * half + i);
    dot += w.sub[half] * part;
  }
  sum = std::fma(static_cast<float>(dot), w.scale * x.scale(), sum);
  if (format.minimum == Minimum::kPerBlock) sum = std::fma(w.min, x.scaled_sum(), sum);
  if (format.minimum == Minimum::kPerHalf) {
    const int minima = w.min_sub[0] * x.sum(0) + w.min_sub[1] * x.sum(1);
    sum = std::fma(static_cast<float>(minima), w.min_scale * x.scale(), sum);
  }
  return sum;
}

}  // namespace

int64_t BlockWeightFormat::GroupBytes(int64_t columns) const {
  return RoundUp(columns / format_.unit_columns * format_.unit_bytes, kAlignment);
}

void BlockWeightFormat::PackGroup(const std::byte* file_rows, int64_t rows, int64_t columns,
                                  std::byte* group) const {
  const int64_t units = columns / format_.unit_columns;
  const int64_t row_bytes = RowBytes(format_.type, columns);
  const int block_bytes = Info(format_.type).bytes;
  const int64_t used = rows < kRowGroup ? 0 : units * format_.unit_bytes;
  std::memset(group + used, 0, static_cast<size_t>(GroupBytes(columns) - used));
  const int64_t step = kPackColumns / format_.unit_columns;
  for (int64_t unit = 0; unit < units; unit += step) {
    for (int64_t row = 0; row < rows; ++row) {
      format_.pack(file_rows + row * row_bytes + unit * block_bytes, std::min(step, units - unit),
                   static_cast<int>(row), group + unit * format_.unit_bytes);
    }
  }
}

void BlockWeightFormat::Multiply(const MatmulTask& task) const {
  EnsureCpuTarget();
  (task.x.form == ActivationForm::kInt8 ? format_.multiply_int8 : format_.multiply_float)(task);
}

void BlockWeightFormat::ReadRow(const PackedMatrix& w, int64_t row, std::span<float> values) const {
  DecodedBlock decoded;
  for (int64_t block = 0; block < w.columns / 32; ++block) {
    Decode(format_, w, row, block, decoded);
    for (int i = 0; i < 32; ++i) values[static_cast<size_t>(32 * block + i)] = ValueOf(format_, decoded, i);
  }
}

void ScalarInt8Multiply(const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const BlockFormat& format = static_cast<const BlockWeightFormat*>(w.format)->description();
  std::array<float, 64> sums;
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t first = 0; first < x.rows; first += 64) {
      const int64_t count = std::min<int64_t>(64, x.rows - first);
      sums.fill(0.0f);
      for (int64_t block = 0; block < w.columns / 32; ++block) {
        DecodedBlock decoded;
        Decode(format, w, row, block, decoded);
        for (int64_t m = 0; m < count; ++m) {
          Int8Block activation = FindInt8Block(x.data, x.rows, x.columns, first + m, block);
          sums[m] = AddBlock(format, decoded, activation, sums[m]);
          activation.at += ToSecondCodes(x.rows, x.columns);
          if (activation.scale() != 0.0f) sums[m] = AddBlock(format, decoded, activation, sums[m]);
        }
      }
      for (int64_t m = 0; m < count; ++m) y.row(first + m)[row] = sums[m];
    }
  }
}

void ScalarFloatMultiply(const MatmulTask& task) {
  const auto& [w, x, row_begin, row_end, y, kernel] = task;
  const BlockFormat& format = static_cast<const BlockWeightFormat*>(w.format)->description();
  const auto* activations = reinterpret_cast<const float*>(x.data);
  for (int64_t row = row_begin; row < row_end; ++row) {
    for (int64_t m = 0; m < x.rows; ++m) y.row(m)[row] = 0.0f;
    for (int64_t block = 0; block < w.columns / 32; ++block) {
      DecodedBlock decoded;
      Decode(format, w, row, block, decoded);
      std::array<float, 32> values;
      for (int i = 0; i < 32; ++i) values[i] = ValueOf(format, decoded, i);
      for (int64_t m = 0; m < x.rows; ++m) {
        float& sum = y.row(m)[row];
        for (int i = 0; i < 32; ++i)
          sum = std::fma(values[i], activations[m * x.columns + 32 * block + i], sum);
      }
    }
  }
}

}  // namespace hone
