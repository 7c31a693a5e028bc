// Q2_K: value = (d * s) * q - (dmin * m), q of 2 bits, s and m of 4 bits for each 16 columns, float16 d and
// dmin for each 256. Packed unit of 16 rows: d[16], dmin[16] float16, then 8 blocks: bytes (s | m <<
// 4)[16][2], 2 vectors of pairs of bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q2_k.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q2_KWeights {
  static constexpr int kOffset = 0;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 4;
  static constexpr bool kSubScales = true;
  static constexpr Minimum kMinimum = Minimum::kPerHalf;
  static constexpr int kStreamBytes = 168;

  const std::byte* unit = nullptr;
  const std::byte* block = nullptr;
  int index = 0;  // of the block in its unit
  HWY_INLINE void Seek(const std::byte* group, int64_t b) {
    index = static_cast<int>(b % 8);
    unit = group + b / 8 * 1344;
    block = unit + 64 + 160 * index;
  }
  HWY_INLINE const std::byte* Stream() const { return unit + 168 * index; }
  HWY_INLINE Ints Piece(int part, int j) const { return TwoBitPiece<0>(block + 32, part, j); }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(unit + 2 * kLanes * part); }
  HWY_INLINE Floats Min(int part) const { return Negate(HalvesToFloats(unit + 32 + 2 * kLanes * part)); }
  HWY_INLINE Ints SubPair(int part) const {
    return And(BytesToWords(block + 2 * kLanes * part), Repeat16(15));
  }
  HWY_INLINE Ints MinPair(int part) const {
    return And(ShiftRight<4>(BytesToWords(block + 2 * kLanes * part)), Repeat16(15));
  }
};
#else
struct Q2_KWeights;
#endif

void Q2_KInt8(const MatmulTask& task) { MultiplyInt8<Q2_KWeights>(task); }

void Q2_KFloat(const MatmulTask& task) { MultiplyBlocksFloat<Q2_KWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q2_KInt8);
HWY_EXPORT(Q2_KFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q2_KInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q2_KFloat)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block + offsetof(BlockQ2_K, scale), 2);
  std::memcpy(unit + 32 + 2 * row, file_block + offsetof(BlockQ2_K, minimum), 2);
  for (int b = 0; b < 8; ++b) {
    std::memcpy(unit + 64 + 160 * b + 2 * row, file_block + offsetof(BlockQ2_K, scales) + 2 * b, 2);
  }
  for (int n = 0; n < 2; ++n) {
    PlaceTwoBitPlanes(file_block + offsetof(BlockQ2_K, quants) + 32 * n, row, unit + 64 + 640 * n + 32, 160);
  }
}

void Decode(const std::byte* unit, int block, int row, DecodedBlock& out) {
  const std::byte* from = unit + 64 + 160 * block;
  out.scale = HalfAt(unit, row);
  out.min_scale = -HalfAt(unit + 32, row);
  for (int h = 0; h < 2; ++h) {
    out.sub[h] = static_cast<int>(from[2 * row + h] & std::byte{15});
    out.min_sub[h] = static_cast<int>(from[2 * row + h] >> 4);
  }
  for (int i = 0; i < 32; ++i) out.code[i] = TwoBitsAt(from + 32, row, i);
}

constexpr BlockFormat kFormat{DType::kQ2_K, 256,  1344, Minimum::kPerHalf, PackBlocks<Pack, 84, 1344>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q2_KFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
