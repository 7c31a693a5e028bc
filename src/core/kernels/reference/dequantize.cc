#include "core/kernels/reference/dequantize.h"

#include <cstring>

#include "core/kernels/reference/dequantize_block.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

template <class T, class Convert>
void ConvertEach(const std::byte* row, int64_t columns, float* out, Convert convert) {
  for (int64_t i = 0; i < columns; ++i) {
    T value;
    std::memcpy(&value, row + i * sizeof(T), sizeof(T));
    out[i] = convert(value);
  }
}

template <class T>
void CastEach(const std::byte* row, int64_t columns, float* out) {
  ConvertEach<T>(row, columns, out, [](T value) { return static_cast<float>(value); });
}

template <class Block>
void DequantizeBlocks(DType type, const std::byte* row, int64_t columns, float* out) {
  const int64_t elements = Info(type).elements;
  for (int64_t i = 0; i < columns / elements; ++i) {
    Block block;
    std::memcpy(&block, row + i * sizeof(Block), sizeof(Block));
    DequantizeBlock(block, out + i * elements);
  }
}

}  // namespace

void Dequantize(DType type, const std::byte* row, int64_t columns, float* out) {
  switch (type) {
    case DType::kF32:
      std::memcpy(out, row, columns * sizeof(float));
      return;
    case DType::kF16:
      return ConvertEach<uint16_t>(row, columns, out, F16ToF32);
    case DType::kBF16:
      return ConvertEach<uint16_t>(row, columns, out, BF16ToF32);
    case DType::kF64:
      return CastEach<double>(row, columns, out);
    case DType::kI8:
      return CastEach<int8_t>(row, columns, out);
    case DType::kI16:
      return CastEach<int16_t>(row, columns, out);
    case DType::kI32:
      return CastEach<int32_t>(row, columns, out);
    case DType::kI64:
      return CastEach<int64_t>(row, columns, out);
    case DType::kQ4_0:
      return DequantizeBlocks<BlockQ4_0>(type, row, columns, out);
    case DType::kQ4_1:
      return DequantizeBlocks<BlockQ4_1>(type, row, columns, out);
    case DType::kQ5_0:
      return DequantizeBlocks<BlockQ5_0>(type, row, columns, out);
    case DType::kQ5_1:
      return DequantizeBlocks<BlockQ5_1>(type, row, columns, out);
    case DType::kQ8_0:
      return DequantizeBlocks<BlockQ8_0>(type, row, columns, out);
    case DType::kQ2_K:
      return DequantizeBlocks<BlockQ2_K>(type, row, columns, out);
    case DType::kQ3_K:
      return DequantizeBlocks<BlockQ3_K>(type, row, columns, out);
    case DType::kQ4_K:
      return DequantizeBlocks<BlockQ4_K>(type, row, columns, out);
    case DType::kQ5_K:
      return DequantizeBlocks<BlockQ5_K>(type, row, columns, out);
    case DType::kQ6_K:
      return DequantizeBlocks<BlockQ6_K>(type, row, columns, out);
    case DType::kIQ4_NL:
      return DequantizeBlocks<BlockIQ4_NL>(type, row, columns, out);
    case DType::kIQ4_XS:
      return DequantizeBlocks<BlockIQ4_XS>(type, row, columns, out);
    case DType::kMixed2:
      return;  // no row stands alone, and no file has one
  }
}

}  // namespace hone
