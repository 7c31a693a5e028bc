// Q5_1: value = d * q + m, q of 5 bits, float16 d and m for each 32 columns.
// Packed block of 16 rows: d[16], m[16] float16, 4 vectors of nibbles, a vector of fifth bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q5_1.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q5_1Weights {
  static constexpr int kOffset = 0;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 4;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kPerBlock;
  static constexpr int kStreamBytes = 384;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 384; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const {
    return Or(NibblePiece(block + 64, part, j), BitPiece<4>(block + 320, part, j));
  }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
  HWY_INLINE Floats Min(int part) const { return HalvesToFloats(block + 32 + 2 * kLanes * part); }
};
#else
struct Q5_1Weights;
#endif

void Q5_1Int8(const MatmulTask& task) { MultiplyInt8<Q5_1Weights>(task); }

void Q5_1Float(const MatmulTask& task) { MultiplyBlocksFloat<Q5_1Weights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q5_1Int8);
HWY_EXPORT(Q5_1Float);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_1Int8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_1Float)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  const auto block = LoadAs<BlockQ5_1>(file_block);
  std::memcpy(unit + 2 * row, &block.scale, 2);
  std::memcpy(unit + 32 + 2 * row, &block.minimum, 2);
  PlacePieces(file_block + offsetof(BlockQ5_1, quants), 4, row, unit + 64);
  PlaceBits(LoadAs<uint32_t>(file_block + offsetof(BlockQ5_1, high_bits)), row, unit + 320);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  out.min = HalfAt(unit + 32, row);
  for (int i = 0; i < 32; ++i) out.code[i] = NibbleAt(unit + 64, row, i) | BitAt(unit + 320, row, i) << 4;
}

constexpr BlockFormat kFormat{DType::kQ5_1, 32,   384,  Minimum::kPerBlock, PackBlocks<Pack, 24, 384>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q5_1Format() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
