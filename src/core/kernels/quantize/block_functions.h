// The quantizers of single types, which the table in quantize.cc lists.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/kernels/quantize/quantize.h"

namespace hone {

// Blocks in the order of their rows; `columns` tells where in a row a block lies, for its importance.
struct QuantizeTask {
  const float* x = nullptr;
  int64_t blocks = 0;
  int64_t columns = 0;
  const float* importance = nullptr;
  Rounding rounding = Rounding::kSearch;
  std::byte* out = nullptr;
};

using QuantizeFunction = void (*)(const QuantizeTask&);

void QuantizeQ4_0(const QuantizeTask& task);
void QuantizeQ4_1(const QuantizeTask& task);
void QuantizeQ5_0(const QuantizeTask& task);
void QuantizeQ5_1(const QuantizeTask& task);
void QuantizeQ8_0(const QuantizeTask& task);
void QuantizeIQ4_NL(const QuantizeTask& task);
void QuantizeQ2_K(const QuantizeTask& task);
void QuantizeQ3_K(const QuantizeTask& task);
void QuantizeQ4_K(const QuantizeTask& task);
void QuantizeQ5_K(const QuantizeTask& task);
void QuantizeQ6_K(const QuantizeTask& task);
void QuantizeIQ4_XS(const QuantizeTask& task);

// `count` values.
void WidenF16(const uint16_t* halves, int64_t count, float* out);
void WidenBF16(const uint16_t* halves, int64_t count, float* out);
void NarrowToF16(const float* x, int64_t count, uint16_t* out);

}  // namespace hone
