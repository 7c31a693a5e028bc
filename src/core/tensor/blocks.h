// How the quantized types lie in memory: one struct a type, as GGUF files store them. Scales are F16 bits. No
// member needs more than two bytes of alignment, and none of the structs is padded. Layouts:
// ggml/src/ggml-common.h of llama.cpp; the decoding is in core/kernels/reference.
#pragma once

#include <cstdint>

namespace hone {

// Blocks of 32. Where two values share a byte, value j lies in the low half of byte j, value j + 16 in the
// high half.
struct BlockQ4_0 {
  uint16_t scale;
  uint8_t quants[16];
};

struct BlockQ4_1 {
  uint16_t scale;
  uint16_t minimum;
  uint8_t quants[16];
};

struct BlockQ5_0 {
  uint16_t scale;
  uint8_t high_bits[4];  // little-endian: bit j is the fifth bit of value j
  uint8_t quants[16];
};

struct BlockQ5_1 {
  uint16_t scale;
  uint16_t minimum;
  uint8_t high_bits[4];
  uint8_t quants[16];
};

struct BlockQ8_0 {
  uint16_t scale;
  int8_t quants[32];
};

struct BlockIQ4_NL {
  uint16_t scale;
  uint8_t quants[16];  // indices into a table of 16 levels
};

// Super-blocks of 256, with scales of their 16 or 8 sub-blocks that are themselves quantized.
struct BlockQ2_K {
  uint8_t scales[16];  // of 16 values each: low half the scale, high half the minimum
  uint8_t quants[64];
  uint16_t scale;
  uint16_t minimum;
};

struct BlockQ3_K {
  uint8_t high_bits[32];
  uint8_t quants[64];
  uint8_t scales[12];  // sixteen of 6 bits
  uint16_t scale;
};

struct BlockQ4_K {
  uint16_t scale;
  uint16_t minimum;
  uint8_t scales[12];  // eight scales and eight minima of 6 bits
  uint8_t quants[128];
};

struct BlockQ5_K {
  uint16_t scale;
  uint16_t minimum;
  uint8_t scales[12];
  uint8_t high_bits[32];
  uint8_t quants[128];
};

struct BlockQ6_K {
  uint8_t quants[128];
  uint8_t high_bits[64];
  int8_t scales[16];
  uint16_t scale;
};

struct BlockIQ4_XS {
  uint16_t scale;
  uint16_t scales_high;   // two bits a sub-block of 32
  uint8_t scales_low[4];  // four bits a sub-block
  uint8_t quants[128];
};

static_assert(sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 && sizeof(BlockQ5_0) == 22);
static_assert(sizeof(BlockQ5_1) == 24 && sizeof(BlockQ8_0) == 34 && sizeof(BlockIQ4_NL) == 18);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144);
static_assert(sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

// The levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kNonlinearLevels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                                1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace hone
