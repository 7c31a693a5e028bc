// Q5_K: value = (d * s) * q - (dmin * m), q of 5 bits, s and m of 6 bits for each 32 columns, float16 d and
// dmin for each 256. Packed unit of 16 rows: d[16], dmin[16] float16, 3 vectors of the file's 12 bytes of
// scales, then 8 blocks of 4 vectors of nibbles and a vector of fifth bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q5_k.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q5_KWeights {
  static constexpr int kOffset = 0;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 4;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kPerBlock;
  static constexpr int kStreamBytes = 352;

  const std::byte* unit = nullptr;
  const std::byte* block = nullptr;
  int index = 0;  // of the block in its unit
  HWY_INLINE void Seek(const std::byte* group, int64_t b) {
    index = static_cast<int>(b % 8);
    unit = group + b / 8 * 2816;
    block = unit + 256 + 320 * index;
  }
  HWY_INLINE const std::byte* Stream() const { return unit + 352 * index; }
  HWY_INLINE Ints Piece(int part, int j) const {
    return Or(NibblePiece(block, part, j), BitPiece<4>(block + 256, part, j));
  }
  HWY_INLINE Floats Scale(int part) const {
    return Mul(HalvesToFloats(unit + 2 * kLanes * part), ToFloats(SixBitScale(unit + 64, part, index)));
  }
  HWY_INLINE Floats Min(int part) const {
    return Negate(
        Mul(HalvesToFloats(unit + 32 + 2 * kLanes * part), ToFloats(SixBitMinimum(unit + 64, part, index))));
  }
};
#else
struct Q5_KWeights;
#endif

void Q5_KInt8(const MatmulTask& task) { MultiplyInt8<Q5_KWeights>(task); }

void Q5_KFloat(const MatmulTask& task) { MultiplyBlocksFloat<Q5_KWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q5_KInt8);
HWY_EXPORT(Q5_KFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_KInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_KFloat)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block + offsetof(BlockQ5_K, scale), 2);
  std::memcpy(unit + 32 + 2 * row, file_block + offsetof(BlockQ5_K, minimum), 2);
  PlacePieces(file_block + offsetof(BlockQ5_K, scales), 3, row, unit + 64);
  for (int b = 0; b < 8; b += 2) {
    std::byte* codes = unit + 256 + 320 * b;
    PlaceNibblePair(file_block + offsetof(BlockQ5_K, quants) + 16 * b, row, codes, codes + 320);
  }
  PlaceBitPlanes(file_block + offsetof(BlockQ5_K, high_bits), row, unit + 256 + 256, 320);
}

void Decode(const std::byte* unit, int block, int row, DecodedBlock& out) {
  const std::byte* codes = unit + 256 + 320 * block;
  const SixBitPair pair = SixBitPairAt(unit + 64, row, block);
  out.scale = HalfAt(unit, row) * static_cast<float>(pair.scale);
  out.min = -(HalfAt(unit + 32, row) * static_cast<float>(pair.minimum));
  for (int i = 0; i < 32; ++i) out.code[i] = NibbleAt(codes, row, i) | BitAt(codes + 256, row, i) << 4;
}

constexpr BlockFormat kFormat{DType::kQ5_K, 256,  2816, Minimum::kPerBlock, PackBlocks<Pack, 176, 2816>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q5_KFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
