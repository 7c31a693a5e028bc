// The types with super-blocks of 256 values: w = (d s) q, or w = (d s) q - (m t) where sub-blocks have
// minima; s and t are the small integers of the value's sub-block.
#include "core/kernels/reference/dequantize_block.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

// Two bits of value i: each byte holds the values j, j + 32, j + 64 and j + 96 of its half of the
// super-block.
int TwoBits(const uint8_t* quants, int i) {
  return (quants[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2)) & 3;
}

// Four bits of value i: each byte holds the values j and j + 32 of its 64 values.
int FourBits(const uint8_t* quants, int i) {
  return (quants[i / 64 * 32 + i % 32] >> (i % 64 / 32 * 4)) & 15;
}

// One bit of value i: byte j holds it for the values j, j + 32, ..., j + 224.
int OneBit(const uint8_t* bits, int i) { return (bits[i % 32] >> (i / 32)) & 1; }

// Q3_K's sixteen 6-bit scales: four low bits in the first eight bytes, two high bits in the last four.
int ScaleOfSixteen(const uint8_t* packed, int index) {
  const int low = (packed[index % 8] >> (index / 8 * 4)) & 15;
  const int high = (packed[8 + index % 4] >> (index / 4 * 2)) & 3;
  return (low | high << 4) - 32;
}

struct ScaleAndMinimum {
  int scale, minimum;
};

// Q4_K's and Q5_K's eight 6-bit scales and minima: the first four of each lie in the low six bits of bytes 0
// to 3 and 4 to 7; of the last four, the low halves lie in bytes 8 to 11 and the upper bits on top of the
// first eight bytes.
ScaleAndMinimum ScaleOfEight(const uint8_t* packed, int index) {
  if (index < 4) return {packed[index] & 63, packed[index + 4] & 63};
  const int low = packed[index + 4];
  return {(low & 15) | packed[index - 4] >> 6 << 4, low >> 4 | packed[index] >> 6 << 4};
}

}  // namespace

void DequantizeBlock(const BlockQ2_K& block, float* out) {
  const float scale = F16ToF32(block.scale);
  const float minimum = F16ToF32(block.minimum);
  for (int i = 0; i < 256; ++i) {
    const int packed = block.scales[i / 16];
    const float step = scale * static_cast<float>(packed & 15);
    const float offset = minimum * static_cast<float>(packed >> 4);
    out[i] = step * static_cast<float>(TwoBits(block.quants, i)) - offset;
  }
}

void DequantizeBlock(const BlockQ3_K& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 256; ++i) {
    const float step = scale * static_cast<float>(ScaleOfSixteen(block.scales, i / 16));
    const int quant = (TwoBits(block.quants, i) | OneBit(block.high_bits, i) << 2) - 4;
    out[i] = step * static_cast<float>(quant);
  }
}

void DequantizeBlock(const BlockQ4_K& block, float* out) {
  const float scale = F16ToF32(block.scale);
  const float minimum = F16ToF32(block.minimum);
  for (int i = 0; i < 256; ++i) {
    const ScaleAndMinimum small = ScaleOfEight(block.scales, i / 32);
    const float step = scale * static_cast<float>(small.scale);
    const float offset = minimum * static_cast<float>(small.minimum);
    out[i] = step * static_cast<float>(FourBits(block.quants, i)) - offset;
  }
}

void DequantizeBlock(const BlockQ5_K& block, float* out) {
  const float scale = F16ToF32(block.scale);
  const float minimum = F16ToF32(block.minimum);
  for (int i = 0; i < 256; ++i) {
    const ScaleAndMinimum small = ScaleOfEight(block.scales, i / 32);
    const float step = scale * static_cast<float>(small.scale);
    const float offset = minimum * static_cast<float>(small.minimum);
    const int quant = FourBits(block.quants, i) | OneBit(block.high_bits, i) << 4;
    out[i] = step * static_cast<float>(quant) - offset;
  }
}

void DequantizeBlock(const BlockQ6_K& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 256; ++i) {
    const float step = scale * static_cast<float>(block.scales[i / 16]);
    // Each byte of the low halves holds the values j and j + 64 of its 128 values.
    const int low = (block.quants[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4)) & 15;
    const int quant = (low | TwoBits(block.high_bits, i) << 4) - 32;
    out[i] = step * static_cast<float>(quant);
  }
}

void DequantizeBlock(const BlockIQ4_XS& block, float* out) {
  const float scale = F16ToF32(block.scale);
  for (int i = 0; i < 256; ++i) {
    const int sub_block = i / 32;
    const int low = (block.scales_low[sub_block / 2] >> (sub_block % 2 * 4)) & 15;
    const int high = (block.scales_high >> (sub_block * 2)) & 3;
    const float step = scale * static_cast<float>((low | high << 4) - 32);
    // Each byte holds the values j and j + 16 of its sub-block.
    const int index = (block.quants[sub_block * 16 + i % 16] >> (i % 32 / 16 * 4)) & 15;
    out[i] = step * static_cast<float>(kNonlinearLevels[index]);
  }
}

}  // namespace hone
