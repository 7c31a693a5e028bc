// One block or super-block of each quantized type.
#pragma once

#include "core/tensor/blocks.h"

namespace hone {

// 32 values
void DequantizeBlock(const BlockQ4_0& block, float* out);
void DequantizeBlock(const BlockQ4_1& block, float* out);
void DequantizeBlock(const BlockQ5_0& block, float* out);
void DequantizeBlock(const BlockQ5_1& block, float* out);
void DequantizeBlock(const BlockQ8_0& block, float* out);
void DequantizeBlock(const BlockIQ4_NL& block, float* out);

// 256 values
void DequantizeBlock(const BlockQ2_K& block, float* out);
void DequantizeBlock(const BlockQ3_K& block, float* out);
void DequantizeBlock(const BlockQ4_K& block, float* out);
void DequantizeBlock(const BlockQ5_K& block, float* out);
void DequantizeBlock(const BlockQ6_K& block, float* out);
void DequantizeBlock(const BlockIQ4_XS& block, float* out);

}  // namespace hone
