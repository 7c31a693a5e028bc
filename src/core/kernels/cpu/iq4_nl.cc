// IQ4_NL: value = d * level[q], q of 4 bits, 16 uneven levels, a float16 d for each 32 columns.
// Packed block of 16 rows: d[16] float16, then 4 vectors of nibbles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/iq4_nl.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct IQ4_NLWeights {
  static constexpr int kOffset = kUnsignedCodes ? 128 : 0;
  static constexpr bool kSigned = !kUnsignedCodes;
  static constexpr int kPieces = 1;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 288;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 288; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const { return NonlinearPiece(block + 32, part, j); }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
};
#else
struct IQ4_NLWeights;
#endif

void IQ4_NLInt8(const MatmulTask& task) { MultiplyInt8<IQ4_NLWeights>(task); }

void IQ4_NLFloat(const MatmulTask& task) { MultiplyBlocksFloat<IQ4_NLWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(IQ4_NLInt8);
HWY_EXPORT(IQ4_NLFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_NLInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_NLFloat)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block, 2);
  PlacePieces(file_block + 2, 4, row, unit + 32);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  for (int i = 0; i < 32; ++i) out.code[i] = kNonlinearLevels[NibbleAt(unit + 32, row, i)];
}

constexpr BlockFormat kFormat{DType::kIQ4_NL, 32,   288,  Minimum::kNone, PackBlocks<Pack, 18, 288>,
                              Decode,         Int8, Float};

}  // namespace

const WeightFormat& IQ4_NLFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
