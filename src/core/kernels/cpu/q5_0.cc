// Q5_0: value = d * (q - 16), q of 5 bits, a float16 d for each 32 columns.
// Packed block of 16 rows: d[16] float16, 4 vectors of nibbles, a vector of fifth bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q5_0.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q5_0Weights {
  static constexpr int kOffset = 16;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 4;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 352;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 352; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const {
    return Or(NibblePiece(block + 32, part, j), BitPiece<4>(block + 288, part, j));
  }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
};
#else
struct Q5_0Weights;
#endif

void Q5_0Int8(const MatmulTask& task) { MultiplyInt8<Q5_0Weights>(task); }

void Q5_0Float(const MatmulTask& task) { MultiplyBlocksFloat<Q5_0Weights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q5_0Int8);
HWY_EXPORT(Q5_0Float);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_0Int8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q5_0Float)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  const auto block = LoadAs<BlockQ5_0>(file_block);
  std::memcpy(unit + 2 * row, &block.scale, 2);
  PlacePieces(file_block + offsetof(BlockQ5_0, quants), 4, row, unit + 32);
  PlaceBits(LoadAs<uint32_t>(file_block + offsetof(BlockQ5_0, high_bits)), row, unit + 288);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  for (int i = 0; i < 32; ++i) {
    out.code[i] = (NibbleAt(unit + 32, row, i) | BitAt(unit + 288, row, i) << 4) - 16;
  }
}

constexpr BlockFormat kFormat{DType::kQ5_0, 32,   352,  Minimum::kNone, PackBlocks<Pack, 22, 352>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q5_0Format() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
