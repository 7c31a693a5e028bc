// Codes of 32 values into blocks. Code j of a block lies at codes[j * stride].
#pragma once

#include <cstdint>
#include <cstring>

#include "core/tensor/blocks.h"

namespace hone {

inline void PackNibbles(const int32_t* codes, int stride, uint8_t* quants) {
  for (int j = 0; j < 16; ++j) {
    const int low = codes[j * stride] & 15;
    const int high = codes[(j + 16) * stride] & 15;
    quants[j] = static_cast<uint8_t>(low | high << 4);
  }
}

inline void PackFifthBits(const int32_t* codes, int stride, uint8_t* high_bits) {
  uint32_t bits = 0;
  for (int j = 0; j < 32; ++j) bits |= static_cast<uint32_t>(codes[j * stride] >> 4 & 1) << j;
  for (int i = 0; i < 4; ++i) high_bits[i] = static_cast<uint8_t>(bits >> 8 * i);
}

inline void PackNibbleBlock(const int32_t* codes, int stride, uint16_t scale, BlockQ4_0& block) {
  block.scale = scale;
  PackNibbles(codes, stride, block.quants);
}

inline void PackNonlinearBlock(const int32_t* codes, int stride, uint16_t scale, BlockIQ4_NL& block) {
  block.scale = scale;
  PackNibbles(codes, stride, block.quants);
}

inline void PackFiveBitBlock(const int32_t* codes, int stride, uint16_t scale, BlockQ5_0& block) {
  block.scale = scale;
  PackNibbles(codes, stride, block.quants);
  PackFifthBits(codes, stride, block.high_bits);
}

inline void PackByteBlock(const int32_t* codes, int stride, uint16_t scale, BlockQ8_0& block) {
  block.scale = scale;
  for (int j = 0; j < 32; ++j) block.quants[j] = static_cast<int8_t>(codes[j * stride]);
}

inline void PackAffineNibbleBlock(const int32_t* codes, int stride, uint16_t scale, uint16_t minimum,
                                  BlockQ4_1& block) {
  block.scale = scale;
  block.minimum = minimum;
  PackNibbles(codes, stride, block.quants);
}

inline void PackAffineFiveBitBlock(const int32_t* codes, int stride, uint16_t scale, uint16_t minimum,
                                   BlockQ5_1& block) {
  block.scale = scale;
  block.minimum = minimum;
  PackNibbles(codes, stride, block.quants);
  PackFifthBits(codes, stride, block.high_bits);
}

}  // namespace hone
