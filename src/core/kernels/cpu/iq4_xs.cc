// IQ4_XS: value = (d * (s - 32)) * level[q], q of 4 bits, 16 uneven levels, s of 6 bits for each 32 columns,
// a float16 d for each 256. Packed unit of 16 rows: d[16] float16, high bits of s [16] of 16 bits, a vector
// of low nibbles of s, then 8 blocks of 4 vectors of nibbles.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/iq4_xs.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct IQ4_XSWeights {
  static constexpr int kOffset = kUnsignedCodes ? 128 : 0;
  static constexpr bool kSigned = !kUnsignedCodes;
  static constexpr int kPieces = 1;
  static constexpr bool kSubScales = false;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 272;

  const std::byte* unit = nullptr;
  const std::byte* block = nullptr;
  int index = 0;  // of the block in its unit
  HWY_INLINE void Seek(const std::byte* group, int64_t b) {
    index = static_cast<int>(b % 8);
    unit = group + b / 8 * 2176;
    block = unit + 128 + 256 * index;
  }
  HWY_INLINE const std::byte* Stream() const { return unit + 272 * index; }
  HWY_INLINE Ints Piece(int part, int j) const { return NonlinearPiece(block, part, j); }
  HWY_INLINE Floats Scale(int part) const {
    const Ints low = And(ShiftRightBy(LoadInts(unit + 64 + 4 * kLanes * part), 4 * index), Repeat32(15));
    const Ints high = And(ShiftRightBy(WordsToInts(unit + 32 + 2 * kLanes * part), 2 * index), Repeat32(3));
    const Ints scale = Sub32(Or(low, ShiftLeft<4>(high)), Repeat32(32));
    return Mul(HalvesToFloats(unit + 2 * kLanes * part), ToFloats(scale));
  }
};
#else
struct IQ4_XSWeights;
#endif

void IQ4_XSInt8(const MatmulTask& task) { MultiplyInt8<IQ4_XSWeights>(task); }

void IQ4_XSFloat(const MatmulTask& task) { MultiplyBlocksFloat<IQ4_XSWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(IQ4_XSInt8);
HWY_EXPORT(IQ4_XSFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_XSInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(IQ4_XSFloat)(task); }

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  const auto block = LoadAs<BlockIQ4_XS>(file_block);
  std::memcpy(unit + 2 * row, &block.scale, 2);
  std::memcpy(unit + 32 + 2 * row, &block.scales_high, 2);
  PlacePieces(file_block + offsetof(BlockIQ4_XS, scales_low), 1, row, unit + 64);
  for (int b = 0; b < 8; ++b) {
    PlacePieces(file_block + offsetof(BlockIQ4_XS, quants) + 16 * b, 4, row, unit + 128 + 256 * b);
  }
}

void Decode(const std::byte* unit, int block, int row, DecodedBlock& out) {
  const std::byte* codes = unit + 128 + 256 * block;
  const uint32_t low = LoadAs<uint32_t>(unit + 64 + 4 * row) >> (4 * block) & 15;
  const uint32_t high = LoadAs<uint16_t>(unit + 32 + 2 * row) >> (2 * block) & 3;
  out.scale = HalfAt(unit, row) * static_cast<float>(static_cast<int>(low | high << 4) - 32);
  for (int i = 0; i < 32; ++i) out.code[i] = kNonlinearLevels[NibbleAt(codes, row, i)];
}

constexpr BlockFormat kFormat{DType::kIQ4_XS, 256,  2176, Minimum::kNone, PackBlocks<Pack, 136, 2176>,
                              Decode,         Int8, Float};

}  // namespace

const WeightFormat& IQ4_XSFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
