// Codes of the packed blocks (see codes.h), piece by piece in vectors.
#if defined(HONE_CORE_KERNELS_CPU_CODES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_CODES_INL_H_
#undef HONE_CORE_KERNELS_CPU_CODES_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_CODES_INL_H_
#endif

#include "core/kernels/cpu/codes.h"
#include "core/kernels/cpu/lanes-inl.h"
#include "core/tensor/blocks.h"

#if HONE_LANES
HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

HWY_INLINE Ints NibblePiece(const std::byte* vectors, int part, int j) {
  const Ints nibbles = LoadInts(vectors + 64 * (j % 4) + 4 * kLanes * part);
  return And(j < 4 ? nibbles : ShiftRight<4>(nibbles), Repeat8(15));
}

// The pair of bits of piece j at bits `to` and `to` + 1 of each byte.
template <int to>
HWY_INLINE Ints TwoBitPiece(const std::byte* vectors, int part, int j) {
  const Ints pairs = LoadInts(vectors + 64 * (j / 4) + 4 * kLanes * part);
  const int from = 2 * (j % 4);
  return And(from <= to ? ShiftLeftBy(pairs, to - from) : ShiftRightBy(pairs, from - to), Repeat8(3 << to));
}

// The bit of piece j at bit `to` of each byte.
template <int to>
HWY_INLINE Ints BitPiece(const std::byte* vector, int part, int j) {
  const Ints bits = LoadInts(vector + 4 * kLanes * part);
  return And(j <= to ? ShiftLeftBy(bits, to - j) : ShiftRightBy(bits, j - to), Repeat8(1 << to));
}

// The levels that nibbles stand for; plus 128 where bytes are multiplied as unsigned ones.
HWY_INLINE Ints NonlinearPiece(const std::byte* vectors, int part, int j) {
  const Ints levels = Repeat128(kNonlinearLevels);
  return Shuffle8(kUnsignedCodes ? Xor(levels, Repeat8(128)) : levels, NibblePiece(vectors, part, j));
}

HWY_INLINE Ints SixBitScale(const std::byte* vectors, int part, int b) {
  const Ints first = LoadInts(vectors + 4 * kLanes * part);
  if (b < 4) return And(ShiftRightBy(first, 8 * b), Repeat32(63));
  const Ints third = LoadInts(vectors + 128 + 4 * kLanes * part);
  return Or(And(ShiftRightBy(third, 8 * (b - 4)), Repeat32(15)),
            And(ShiftRightBy(first, 8 * (b - 4) + 2), Repeat32(48)));
}

HWY_INLINE Ints SixBitMinimum(const std::byte* vectors, int part, int b) {
  const Ints second = LoadInts(vectors + 64 + 4 * kLanes * part);
  if (b < 4) return And(ShiftRightBy(second, 8 * b), Repeat32(63));
  const Ints third = LoadInts(vectors + 128 + 4 * kLanes * part);
  return Or(And(ShiftRightBy(third, 8 * (b - 4) + 4), Repeat32(15)),
            And(ShiftRightBy(second, 8 * (b - 4) + 2), Repeat32(48)));
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();
#endif  // HONE_LANES
#endif
