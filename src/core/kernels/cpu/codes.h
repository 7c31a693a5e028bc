// How codes of 32 columns of one row lie in the 64-byte vectors of a packed block, in plain C++: piece j is
// the four columns 4j .. 4j+3, and lane `row` of a vector has 4 bytes of that row.
//   nibbles: vector v of 4, low halves are piece v, high halves piece v + 4;
//   pairs of bits: vector u of 2, bits 2f and 2f + 1 of its bytes are piece 4u + f;
//   single bits: one vector, bit j of its bytes is piece j.
#pragma once

#include "core/kernels/cpu/packed_format.h"

namespace hone {

inline int ByteAt(const std::byte* vectors, int row, int vector, int column) {
  return static_cast<int>(vectors[64 * vector + 4 * row + column % 4]);
}
inline int NibbleAt(const std::byte* vectors, int row, int i) {
  return ByteAt(vectors, row, i % 16 / 4, i) >> (i / 16 * 4) & 15;
}
inline int TwoBitsAt(const std::byte* vectors, int row, int i) {
  return ByteAt(vectors, row, i / 16, i) >> (i % 16 / 4 * 2) & 3;
}
inline int BitAt(const std::byte* vector, int row, int i) { return ByteAt(vector, row, 0, i) >> (i / 4) & 1; }

// code(i) gives the number of column i.
template <class Code>
void PlaceNibbles(const Code& code, int row, std::byte* vectors) {
  std::byte bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = static_cast<std::byte>(code(i) | code(i + 16) << 4);
  PlacePieces(bytes, 4, row, vectors);
}
template <class Code>
void PlaceTwoBits(const Code& code, int row, std::byte* vectors) {
  std::byte bytes[8];
  for (int i = 0; i < 8; ++i) {
    const int column = i / 4 * 16 + i % 4;
    bytes[i] = static_cast<std::byte>(code(column) | code(column + 4) << 2 | code(column + 8) << 4 |
                                      code(column + 12) << 6);
  }
  PlacePieces(bytes, 2, row, vectors);
}
// Bit i of `bits` belongs to column i.
inline void PlaceBits(uint32_t bits, int row, std::byte* vector) {
  uint32_t bytes = 0;
  for (int k = 0; k < 4; ++k) {
    uint32_t each = (bits >> k) & 0x11111111u;  // bits k, k + 4, ...: squeezed together
    each = (each | each >> 3) & 0x03030303u;
    each = (each | each >> 6) & 0x000F000Fu;
    each = (each | each >> 12) & 0xFFu;
    bytes |= each << (8 * k);
  }
  std::memcpy(vector + 4 * row, &bytes, 4);
}

// The 6-bit scale and minimum of block b among the 12 bytes of Q4_K and Q5_K (three vectors here).
struct SixBitPair {
  int scale;
  int minimum;
};
inline SixBitPair SixBitPairAt(const std::byte* vectors, int row, int b) {
  const int k = b % 4;
  const int first = ByteAt(vectors, row, 0, k), second = ByteAt(vectors, row, 1, k),
            third = ByteAt(vectors, row, 2, k);
  if (b < 4) return {first & 63, second & 63};
  return {(third & 15) | first >> 6 << 4, third >> 4 | second >> 6 << 4};
}

}  // namespace hone
