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

// The pieces 4i .. 4i+3 of `word` (two of them) to the lanes of `row` in the vectors v and v + 1.
inline void PlaceTwoPieces(uint64_t word, int row, std::byte* vectors) {
  const uint32_t first = static_cast<uint32_t>(word), second = static_cast<uint32_t>(word >> 32);
  std::memcpy(vectors + 4 * row, &first, 4);
  std::memcpy(vectors + 64 + 4 * row, &second, 4);
}

// 32 bytes of a file whose low halves are the columns of one block and whose high halves those of another.
inline void PlaceNibblePair(const std::byte* bytes, int row, std::byte* low_block, std::byte* high_block) {
  constexpr uint64_t kLow = 0x0F0F0F0F0F0F0F0Fu;
  for (int i = 0; i < 2; ++i) {
    const auto front = LoadAs<uint64_t>(bytes + 8 * i), back = LoadAs<uint64_t>(bytes + 16 + 8 * i);
    PlaceTwoPieces((front & kLow) | (back & kLow) << 4, row, low_block + 128 * i);
    PlaceTwoPieces((front >> 4 & kLow) | (back & ~kLow), row, high_block + 128 * i);
  }
}

// Exchanges the bits `mask << shift` of a with the bits `mask` of b.
inline void ExchangeBits(uint32_t& a, uint32_t& b, int shift, uint32_t mask) {
  const uint32_t change = ((a >> shift) ^ b) & mask;
  b ^= change;
  a ^= change << shift;
}
// Exchanges the bits `mask << shift` of the word with its bits `mask`.
inline uint32_t ExchangeBitsWithin(uint32_t word, int shift, uint32_t mask) {
  const uint32_t change = ((word >> shift) ^ word) & mask;
  return word ^ change ^ change << shift;
}

// 32 bytes of a file whose pairs of bits 2r, 2r + 1 are the columns of block r, of four; the blocks' vectors
// are `stride` bytes apart. In each byte of a piece this transposes a 4 by 4 matrix of pairs.
inline void PlaceTwoBitPlanes(const std::byte* bytes, int row, std::byte* vectors, int64_t stride) {
  for (int u = 0; u < 2; ++u) {
    uint32_t words[4];
    std::memcpy(words, bytes + 16 * u, 16);
    ExchangeBits(words[0], words[1], 2, 0x33333333u);
    ExchangeBits(words[2], words[3], 2, 0x33333333u);
    ExchangeBits(words[0], words[2], 4, 0x0F0F0F0Fu);
    ExchangeBits(words[1], words[3], 4, 0x0F0F0F0Fu);
    for (int r = 0; r < 4; ++r) std::memcpy(vectors + r * stride + 64 * u + 4 * row, &words[r], 4);
  }
}

// 32 bytes of a file whose bits r are the columns of block r, of eight: an 8 by 8 matrix of bits in each byte
// of a piece.
inline void PlaceBitPlanes(const std::byte* bytes, int row, std::byte* vectors, int64_t stride) {
  uint32_t words[8];
  std::memcpy(words, bytes, 32);
  for (int i = 0; i < 8; i += 2) ExchangeBits(words[i], words[i + 1], 1, 0x55555555u);
  for (int i : {0, 1, 4, 5}) ExchangeBits(words[i], words[i + 2], 2, 0x33333333u);
  for (int i = 0; i < 4; ++i) ExchangeBits(words[i], words[i + 4], 4, 0x0F0F0F0Fu);
  for (int r = 0; r < 8; ++r) std::memcpy(vectors + r * stride + 4 * row, &words[r], 4);
}

// Bit i of `bits` belongs to column i: the number of a bit, in binary j2 j1 j0 k1 k0 (piece, byte), becomes
// k1 k0 j2 j1 j0.
inline void PlaceBits(uint32_t bits, int row, std::byte* vector) {
  bits = ExchangeBitsWithin(bits, 14, 0x0000CCCCu);
  bits = ExchangeBitsWithin(bits, 7, 0x00AA00AAu);
  bits = ExchangeBitsWithin(bits, 2, 0x0C0C0C0Cu);
  bits = ExchangeBitsWithin(bits, 1, 0x22222222u);
  std::memcpy(vector + 4 * row, &bits, 4);
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
