// Q4_0: value = d * (q - 8), q of 4 bits, a float16 d for each 32 columns.
// Packed block of 16 rows: d[16] float16, then 4 vectors of nibbles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q4_0.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q4_0Weights {
  static constexpr int kOffset = 8;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 8;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 288;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 288; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const { return NibblePiece(block + 32, part, j); }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
};
#else
struct Q4_0Weights;
#endif

void Q4_0Int8(const MatmulTask& task) { MultiplyInt8<Q4_0Weights>(task); }

void Q4_0Float(const MatmulTask& task) { MultiplyBlocksFloat<Q4_0Weights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q4_0Int8);
HWY_EXPORT(Q4_0Float);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q4_0Int8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q4_0Float)(task); }

// File: f16 d, 16 bytes whose low nibbles are columns 0 .. 15 and high nibbles 16 .. 31.
void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block, 2);
  PlacePieces(file_block + 2, 4, row, unit + 32);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  for (int i = 0; i < 32; ++i) out.code[i] = NibbleAt(unit + 32, row, i) - 8;
}

constexpr BlockFormat kFormat{DType::kQ4_0, 32,   288,  Minimum::kNone, PackBlocks<Pack, 18, 288>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q4_0Format() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
