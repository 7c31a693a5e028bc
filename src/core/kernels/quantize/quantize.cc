#include "core/kernels/quantize/quantize.h"

#include <cstring>

#include "core/kernels/quantize/block_functions.h"
#include "core/kernels/reference/dequantize.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

struct Quantizer {
  DType type;
  QuantizeFunction quantize;
};

constexpr Quantizer kQuantizers[] = {
    {DType::kQ4_0, QuantizeQ4_0}, {DType::kQ4_1, QuantizeQ4_1},     {DType::kQ5_0, QuantizeQ5_0},
    {DType::kQ5_1, QuantizeQ5_1}, {DType::kQ8_0, QuantizeQ8_0},     {DType::kIQ4_NL, QuantizeIQ4_NL},
    {DType::kQ2_K, QuantizeQ2_K}, {DType::kQ3_K, QuantizeQ3_K},     {DType::kQ4_K, QuantizeQ4_K},
    {DType::kQ5_K, QuantizeQ5_K}, {DType::kIQ4_XS, QuantizeIQ4_XS}, {DType::kQ6_K, QuantizeQ6_K},
};

QuantizeFunction Find(DType type) {
  for (const Quantizer& quantizer : kQuantizers) {
    if (quantizer.type == type) return quantizer.quantize;
  }
  return nullptr;
}

bool IsAligned(const void* address, size_t alignment) {
  return reinterpret_cast<uintptr_t>(address) % alignment == 0;
}

}  // namespace

void QuantizeRows(DType type, const float* x, int64_t rows, int64_t columns, const float* importance,
                  Rounding rounding, std::byte* out) {
  const int64_t count = rows * columns;
  if (type == DType::kF32) {
    std::memcpy(out, x, static_cast<size_t>(count) * sizeof(float));
  } else if (type == DType::kF16) {
    NarrowToF16(x, count, reinterpret_cast<uint16_t*>(out));
  } else if (type == DType::kBF16) {
    auto* to = reinterpret_cast<uint16_t*>(out);
    for (int64_t i = 0; i < count; ++i) to[i] = F32ToBF16(x[i]);
  } else {
    Find(type)({x, count / Info(type).elements, columns, importance, rounding, out});
  }
}

void WidenRows(DType type, const std::byte* rows, int64_t count, int64_t columns, float* out) {
  const bool halves = type == DType::kF16 || type == DType::kBF16;
  if (halves && IsAligned(rows, alignof(uint16_t))) {
    const auto* from = reinterpret_cast<const uint16_t*>(rows);
    (type == DType::kF16 ? WidenF16 : WidenBF16)(from, count * columns, out);
    return;
  }
  // Rows lie one after the other, and a block never crosses from one into the next.
  Dequantize(type, rows, count * columns, out);
}

}  // namespace hone
