// Q8_0: value = d * q, q a signed byte (-128 is legal), a float16 d for each 32 columns.
// Packed block of 16 rows: d[16] float16, then 8 vectors of bytes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q8_0.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q8_0Weights {
  // VNNI multiplies unsigned by signed bytes: there the code is q + 128.
  static constexpr int kOffset = kUnsignedCodes ? 128 : 0;
  static constexpr bool kSigned = !kUnsignedCodes;
  static constexpr int kPieces = 1;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 544;

  const std::byte* block = nullptr;
  HWY_INLINE void Seek(const std::byte* group, int64_t b) { block = group + b * 544; }
  HWY_INLINE const std::byte* Stream() const { return block; }
  HWY_INLINE Ints Piece(int part, int j) const {
    const Ints codes = LoadInts(block + 32 + 64 * j + 4 * kLanes * part);
    return kUnsignedCodes ? Xor(codes, Repeat8(128)) : codes;
  }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(block + 2 * kLanes * part); }
};
#else
struct Q8_0Weights;
#endif

void Q8_0Int8(const MatmulTask& task) { MultiplyInt8<Q8_0Weights>(task); }

void Q8_0Float(const MatmulTask& task) { MultiplyBlocksFloat<Q8_0Weights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q8_0Int8);
HWY_EXPORT(Q8_0Float);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q8_0Int8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q8_0Float)(task); }

// File: f16 d, 32 signed bytes.
void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block, 2);
  PlacePieces(file_block + 2, 8, row, unit + 32);
}

void Decode(const std::byte* unit, int /*block*/, int row, DecodedBlock& out) {
  out.scale = HalfAt(unit, row);
  for (int i = 0; i < 32; ++i) out.code[i] = static_cast<int8_t>(unit[32 + 64 * (i / 4) + 4 * row + i % 4]);
}

constexpr BlockFormat kFormat{DType::kQ8_0, 32,   544,  Minimum::kNone, PackBlocks<Pack, 34, 544>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q8_0Format() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
