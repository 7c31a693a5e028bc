// The types with blocks of 32 values: w = d q, or w = d q + m where the block has a minimum.
#include "core/kernels/reference/dequantize_block.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

// Value i of a block whose bytes hold value j in their low half and value j + 16 in their high half.
int Nibble(const uint8_t* quants, int i) { return (quants[i % 16] >> (i / 16 * 4)) & 15; }

int HighBit(const uint8_t* high_bits, int i) { return (high_bits[i / 8] >> (i % 8)) & 1; }

}  // namespace

void DequantizeBlock(const BlockQ4_0& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(Nibble(block.quants, i) - 8);
}

void DequantizeBlock(const BlockQ4_1& block, float* out) {
  const float scale = F16ToF32(block.scale);
  const float minimum = F16ToF32(block.minimum);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(Nibble(block.quants, i)) + minimum;
}

void DequantizeBlock(const BlockQ5_0& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 32; ++i) {
    const int quant = Nibble(block.quants, i) | HighBit(block.high_bits, i) << 4;
    out[i] = scale * static_cast<float>(quant - 16);
  }
}

void DequantizeBlock(const BlockQ5_1& block, float* out) {
  const float scale = F16ToF32(block.scale);
  const float minimum = F16ToF32(block.minimum);
  for (int i = 0; i < 32; ++i) {
    const int quant = Nibble(block.quants, i) | HighBit(block.high_bits, i) << 4;
    out[i] = scale * static_cast<float>(quant) + minimum;
  }
}

void DequantizeBlock(const BlockQ8_0& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 32; ++i) out[i] = scale * static_cast<float>(block.quants[i]);
}

void DequantizeBlock(const BlockIQ4_NL& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 32; ++i) {
    out[i] = scale * static_cast<float>(kNonlinearLevels[Nibble(block.quants, i)]);
  }
}

}  // namespace hone
