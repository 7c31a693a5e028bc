// Q6_K: value = (d * s) * (q - 32), q of 6 bits, a signed byte s for each 16 columns, a float16 d for each
// 256. Packed unit of 16 rows: d[16] float16, then 8 blocks: s[16][2], 4 vectors of low nibbles, 2 vectors of
// high pairs of bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q6_k.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q6_KWeights {
  static constexpr int kOffset = 32;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 2;
  static constexpr bool kSubScales = true;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 420;

  const std::byte* unit = nullptr;
  const std::byte* block = nullptr;
  int index = 0;  // of the block in its unit
  HWY_INLINE void Seek(const std::byte* group, int64_t b) {
    index = static_cast<int>(b % 8);
    unit = group + b / 8 * 3360;
    block = unit + 32 + 416 * index;
  }
  HWY_INLINE const std::byte* Stream() const { return unit + 420 * index; }
  HWY_INLINE Ints Piece(int part, int j) const {
    return Or(NibblePiece(block + 32, part, j), TwoBitPiece<4>(block + 288, part, j));
  }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(unit + 2 * kLanes * part); }
  HWY_INLINE Ints SubPair(int part) const { return SignedBytesToWords(block + 2 * kLanes * part); }
};
#else
struct Q6_KWeights;
#endif

void Q6_KInt8(const MatmulTask& task) { MultiplyInt8<Q6_KWeights>(task); }

void Q6_KFloat(const MatmulTask& task) { MultiplyBlocksFloat<Q6_KWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q6_KInt8);
HWY_EXPORT(Q6_KFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q6_KInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q6_KFloat)(task); }

// Of each 128 columns, blocks 0 and 2 share 32 bytes of nibbles, so do 1 and 3, and all four share 32 bytes
// of pairs of bits.
void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block + offsetof(BlockQ6_K, scale), 2);
  for (int b = 0; b < 8; ++b) {
    std::memcpy(unit + 32 + 416 * b + 2 * row, file_block + offsetof(BlockQ6_K, scales) + 2 * b, 2);
  }
  for (int n = 0; n < 2; ++n) {
    const std::byte* quants = file_block + offsetof(BlockQ6_K, quants) + 64 * n;
    std::byte* blocks = unit + 32 + 4 * 416 * n;
    PlaceNibblePair(quants, row, blocks + 32, blocks + 2 * 416 + 32);
    PlaceNibblePair(quants + 32, row, blocks + 416 + 32, blocks + 3 * 416 + 32);
    PlaceTwoBitPlanes(file_block + offsetof(BlockQ6_K, high_bits) + 32 * n, row, blocks + 288, 416);
  }
}

void Decode(const std::byte* unit, int block, int row, DecodedBlock& out) {
  const std::byte* from = unit + 32 + 416 * block;
  out.scale = HalfAt(unit, row);
  for (int h = 0; h < 2; ++h) out.sub[h] = static_cast<int8_t>(from[2 * row + h]);
  for (int i = 0; i < 32; ++i) {
    out.code[i] = (NibbleAt(from + 32, row, i) | TwoBitsAt(from + 288, row, i) << 4) - 32;
  }
}

constexpr BlockFormat kFormat{DType::kQ6_K, 256,  3360, Minimum::kNone, PackBlocks<Pack, 210, 3360>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q6_KFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
