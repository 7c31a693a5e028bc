// Codes of 256 values into super-blocks. Code j of sub-block b lies at codes[j * B + b], where B is the
// number of sub-blocks: 16 of 16 values, or 8 of 32.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/tensor/blocks.h"

namespace hone {

// The code of value i, of 16 sub-blocks.
inline int CodeOf16(const int32_t* codes, int i) { return codes[i % 16 * 16 + i / 16]; }

// The two bits of each code from `shift` on: a byte holds those of j, j + 32, j + 64 and j + 96 of its half.
inline void PackTwoBits(const int32_t* codes, int shift, uint8_t* quants) {
  for (int half = 0; half < 2; ++half) {
    for (int j = 0; j < 32; ++j) {
      int byte = 0;
      for (int k = 0; k < 4; ++k) byte |= (CodeOf16(codes, half * 128 + k * 32 + j) >> shift & 3) << 2 * k;
      quants[half * 32 + j] = static_cast<uint8_t>(byte);
    }
  }
}

// Four bits: a byte holds those of j and j + 32 of its 64 values.
inline void PackFourBits(const int32_t* codes, uint8_t* quants) {
  for (int pair = 0; pair < 4; ++pair) {
    for (int j = 0; j < 32; ++j) {
      const int32_t* code = codes + j * 8 + 2 * pair;
      quants[pair * 32 + j] = static_cast<uint8_t>((code[0] & 15) | (code[1] & 15) << 4);
    }
  }
}

inline void PackCodes(const int32_t* codes, BlockQ5_K& block) {
  PackFourBits(codes, block.quants);
  for (int j = 0; j < 32; ++j) {
    int bits = 0;
    for (int b = 0; b < 8; ++b) bits |= (codes[j * 8 + b] >> 4 & 1) << b;
    block.high_bits[j] = static_cast<uint8_t>(bits);
  }
}

inline void PackCodes(const int32_t* codes, BlockQ3_K& block) {
  PackTwoBits(codes, 0, block.quants);
  for (int j = 0; j < 32; ++j) {
    int bits = 0;
    for (int k = 0; k < 8; ++k) bits |= (CodeOf16(codes, k * 32 + j) >> 2 & 1) << k;
    block.high_bits[j] = static_cast<uint8_t>(bits);
  }
}

inline void PackCodes(const int32_t* codes, BlockQ6_K& block) {
  PackTwoBits(codes, 4, block.high_bits);
  for (int half = 0; half < 2; ++half) {
    for (int j = 0; j < 64; ++j) {
      const int low = CodeOf16(codes, half * 128 + j) & 15;
      const int high = CodeOf16(codes, half * 128 + 64 + j) & 15;
      block.quants[half * 64 + j] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

inline void PackCodes(const int32_t* codes, BlockIQ4_XS& block) {
  for (int b = 0; b < 8; ++b) {
    for (int j = 0; j < 16; ++j) {
      const int low = codes[j * 8 + b];
      const int high = codes[(j + 16) * 8 + b];
      block.quants[b * 16 + j] = static_cast<uint8_t>(low | high << 4);
    }
  }
}

// Q4_K's and Q5_K's eight scales and minima of 6 bits.
inline void PackScalesOfEight(const uint8_t* scales, const uint8_t* minima, uint8_t* packed) {
  for (int i = 0; i < 4; ++i) {
    packed[i] = static_cast<uint8_t>(scales[i] | scales[i + 4] >> 4 << 6);
    packed[i + 4] = static_cast<uint8_t>(minima[i] | minima[i + 4] >> 4 << 6);
    packed[i + 8] = static_cast<uint8_t>((scales[i + 4] & 15) | (minima[i + 4] & 15) << 4);
  }
}

inline void PackAffine(const int32_t* codes, const uint8_t* scales, const uint8_t* minima, uint16_t scale,
                       uint16_t minimum, BlockQ4_K& block) {
  block.scale = scale;
  block.minimum = minimum;
  PackScalesOfEight(scales, minima, block.scales);
  PackFourBits(codes, block.quants);
}

inline void PackAffine(const int32_t* codes, const uint8_t* scales, const uint8_t* minima, uint16_t scale,
                       uint16_t minimum, BlockQ5_K& block) {
  block.scale = scale;
  block.minimum = minimum;
  PackScalesOfEight(scales, minima, block.scales);
  PackCodes(codes, block);
}

inline void PackAffine(const int32_t* codes, const uint8_t* scales, const uint8_t* minima, uint16_t scale,
                       uint16_t minimum, BlockQ2_K& block) {
  block.scale = scale;
  block.minimum = minimum;
  for (int b = 0; b < 16; ++b) block.scales[b] = static_cast<uint8_t>(scales[b] | minima[b] << 4);
  PackTwoBits(codes, 0, block.quants);
}

inline void PackSymmetric(const int32_t* codes, const int8_t* scales, uint16_t scale, BlockQ3_K& block) {
  block.scale = scale;
  PackCodes(codes, block);
  std::memset(block.scales, 0, sizeof block.scales);
  for (int b = 0; b < 16; ++b) {  // six bits: four in the first eight bytes, two in the last four
    const int offset = scales[b] + 32;
    block.scales[b % 8] |= static_cast<uint8_t>((offset & 15) << b / 8 * 4);
    block.scales[8 + b % 4] |= static_cast<uint8_t>(offset >> 4 << b / 4 * 2);
  }
}

inline void PackSymmetric(const int32_t* codes, const int8_t* scales, uint16_t scale, BlockQ6_K& block) {
  block.scale = scale;
  std::memcpy(block.scales, scales, sizeof block.scales);
  PackCodes(codes, block);
}

inline void PackSymmetric(const int32_t* codes, const int8_t* scales, uint16_t scale, BlockIQ4_XS& block) {
  block.scale = scale;
  block.scales_high = 0;
  std::memset(block.scales_low, 0, sizeof block.scales_low);
  for (int b = 0; b < 8; ++b) {
    const int offset = scales[b] + 32;
    block.scales_low[b / 2] |= static_cast<uint8_t>((offset & 15) << b % 2 * 4);
    block.scales_high |= static_cast<uint16_t>(offset >> 4 << 2 * b);
  }
  PackCodes(codes, block);
}

}  // namespace hone
