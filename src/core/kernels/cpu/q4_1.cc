// Q4_1: value = d * q + m, q of 4 bits, float16 d and m for each 32 columns.
// Packed block of 16 rows: d[16], m[16] float16, then 4 vectors of nibbles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q4_1.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q4_1Weights {
  static constexpr int kOffset = 0;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 8;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kPerBlock;
  static constexpr int kStreamBytes = 320;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 320; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const { return NibblePiece(block + 64, part, j); }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
  HWY_INLINE Floats Min(int part) const { return HalvesToFloats(block + 32 + 2 * kLanes * part); }
};
#else
struct Q4_1Weights;
#endif

void Q4_1Int8(const MatmulTask& task) { MultiplyInt8<Q4_1Weights>(task); }

void Q4_1Float(const MatmulTask& task) { MultiplyBlocksFloat<Q4_1Weights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q4_1Int8);
HWY_EXPORT(Q4_1Float);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q4_1Int8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q4_1Float)(task); }

// File: f16 d, f16 m, 16 bytes whose low nibbles are columns 0 .. 15 and high nibbles 16 .. 31.
void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block, 2);
  std::memcpy(unit + 32 + 2 * row, file_block + 2, 2);
  PlacePieces(file_block + 4, 4, row, unit + 64);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  out.min = HalfAt(unit + 32, row);
  for (int i = 0; i < 32; ++i) out.code[i] = NibbleAt(unit + 64, row, i);
}

constexpr BlockFormat kFormat{DType::kQ4_1, 32,   320,  Minimum::kPerBlock, PackBlocks<Pack, 20, 320>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q4_1Format() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
