// Random matrices in every file format, with scales of sensible size, and what is needed to multiply them.
#pragma once

#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/kernels/matmul.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {

// Byte offsets of the float16 numbers in a file block.
inline std::vector<int> HalfOffsets(DType type) {
  switch (type) {
    case DType::kQ4_0:
    case DType::kQ5_0:
    case DType::kQ8_0:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
      return {0};
    case DType::kQ4_1:
    case DType::kQ5_1:
    case DType::kQ4_K:
    case DType::kQ5_K:
      return {0, 2};
    case DType::kQ2_K:
      return {80, 82};
    case DType::kQ3_K:
      return {108};
    case DType::kQ6_K:
      return {208};
    default:
      return {};
  }
}

struct FileMatrix {
  DType type;
  int64_t rows;
  int64_t columns;
  std::vector<std::byte> bytes;
  std::vector<float> values;  // [rows, columns], by the reference dequantizer

  const std::byte* row(int64_t i) const { return bytes.data() + i * RowBytes(type, columns); }
  void Dequantize() {
    values.resize(static_cast<size_t>(rows * columns));
    for (int64_t i = 0; i < rows; ++i) hone::Dequantize(type, row(i), columns, values.data() + i * columns);
  }
};

inline FileMatrix RandomMatrix(DType type, int64_t rows, int64_t columns, uint32_t seed) {
  FileMatrix matrix{type, rows, columns, {}, {}};
  matrix.bytes.resize(static_cast<size_t>(rows * RowBytes(type, columns)));
  std::mt19937 random(seed);
  const DTypeInfo& info = Info(type);
  const size_t numbers = matrix.bytes.size() / static_cast<size_t>(info.bytes);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < numbers; ++i) {
    std::byte* block = matrix.bytes.data() + i * static_cast<size_t>(info.bytes);
    if (type == DType::kF32 || type == DType::kBF16) {
      const float value = normal(random);
      std::memcpy(block, reinterpret_cast<const char*>(&value) + 4 - info.bytes,
                  static_cast<size_t>(info.bytes));
      continue;
    }
    for (int b = 0; b < info.bytes; ++b) block[b] = static_cast<std::byte>(random());
    std::vector<int> halves = HalfOffsets(type);
    if (type == DType::kF16) halves = {0};
    for (int at : halves) {  // sign, exponent 2^-8 .. 2^-5, fraction
      const uint16_t half = static_cast<uint16_t>((random() & 0x83FFu) | ((7 + random() % 4) << 10));
      std::memcpy(block + at, &half, 2);
    }
  }
  matrix.Dequantize();
  return matrix;
}

struct Packed {
  std::vector<std::byte> bytes;
  PackedMatrix matrix;
};

inline Packed Pack(const FileMatrix& file) {
  const WeightFormat& format = *FindWeightFormat(file.type);
  const int64_t groups = (file.rows + kRowGroup - 1) / kRowGroup;
  Packed packed;
  packed.bytes.resize(static_cast<size_t>(groups * format.GroupBytes(file.columns)));
  for (int64_t g = 0; g < groups; ++g) {
    format.PackGroup(file.row(g * kRowGroup), std::min(kRowGroup, file.rows - g * kRowGroup), file.columns,
                     packed.bytes.data() + g * format.GroupBytes(file.columns));
  }
  packed.matrix = {&format, file.rows, file.columns, packed.bytes.data()};
  return packed;
}

inline std::vector<float> RandomActivations(int64_t rows, int64_t columns, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(rows * columns));
  for (float& value : x) value = normal(random);
  for (size_t i = 5; i < x.size(); i += 131) x[i] *= 25.0f;  // outliers
  return x;
}

// y [M, N] of x [M, K] in one call.
inline std::vector<float> MultiplyAll(const PackedMatrix& w, ActivationForm form, const std::vector<float>& x,
                                      int64_t m, MatmulKernel kernel = MatmulKernel::kPanels) {
  std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(form, m, w.columns)));
  Prepare(form, MatrixView<const float>(x.data(), m, w.columns), 0, m, data.data());
  std::vector<float> y(static_cast<size_t>(m * w.rows), -1.0f);
  w.format->Multiply({w, {form, m, w.columns, data.data()}, 0, w.rows, {y.data(), m, w.rows}, kernel});
  return y;
}

// x as 8-bit activations stand for it.
// Values rounded to 8 bits by block of 32; `rest` is what that leaves out.
inline std::vector<float> Rounded(const std::vector<float>& x, std::vector<float>* rest = nullptr) {
  std::vector<float> out(x.size());
  if (rest != nullptr) rest->resize(x.size());
  for (size_t k = 0; k < x.size(); k += 32) {
    float largest = 0;
    for (size_t i = k; i < k + 32; ++i) largest = std::max(largest, std::fabs(x[i]));
    const float scale = largest / 127.0f, inverse = largest == 0.0f ? 0.0f : 127.0f / largest;
    for (size_t i = k; i < k + 32; ++i) {
      const float code = std::nearbyint(x[i] * inverse);
      out[i] = code * scale;
      if (rest != nullptr) (*rest)[i] = std::fma(-scale, code, x[i]);
    }
  }
  return out;
}

// What products of ActivationForm::kInt8 see of rows of x, the second codes of blocks with outliers included.
inline std::vector<float> QuantizedActivations(const std::vector<float>& x, int64_t columns) {
  std::vector<float> rest;
  std::vector<float> out = Rounded(x, &rest);
  const std::vector<float> second = Rounded(rest);
  for (size_t row = 0; row < x.size(); row += static_cast<size_t>(columns)) {
    std::vector<float> largest;
    for (size_t k = row; k < row + static_cast<size_t>(columns); k += 32) {
      largest.push_back(0);
      for (size_t i = k; i < k + 32; ++i) largest.back() = std::max(largest.back(), std::fabs(x[i]));
    }
    std::vector<float> sorted = largest;
    std::sort(sorted.begin(), sorted.end());
    const float level = kOutlierLevel * sorted[sorted.size() / 2];
    for (size_t b = 0; b < largest.size(); ++b) {
      for (size_t i = row + 32 * b; largest[b] > level && i < row + 32 * b + 32; ++i) out[i] += second[i];
    }
  }
  return out;
}

}  // namespace hone
