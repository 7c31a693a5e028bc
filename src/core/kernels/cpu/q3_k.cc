// Q3_K: value = (d * (s - 32)) * (q - 4), q of 3 bits, s of 6 bits for each 16 columns, a float16 d for each
// 256. Packed unit of 16 rows: d[16] float16, 3 vectors of scales, then 8 blocks: 2 vectors of low pairs of
// bits, one of third bits.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/q3_k.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/codes-inl.h"
#include "core/kernels/cpu/float_matmul-inl.h"
#include "core/kernels/cpu/int8_matmul-inl.h"
#include "core/tensor/blocks.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct Q3_KWeights {
  static constexpr int kOffset = 4;
  static constexpr bool kSigned = false;
  static constexpr int kPieces = 4;
  static constexpr bool kSubScales = true;
  static constexpr Minimum kMinimum = Minimum::kNone;
  static constexpr int kStreamBytes = 220;

  const std::byte* unit = nullptr;
  const std::byte* block = nullptr;
  int index = 0;  // of the block in its unit
  HWY_INLINE void Seek(const std::byte* group, int64_t b) {
    index = static_cast<int>(b % 8);
    unit = group + b / 8 * 1760;
    block = unit + 224 + 192 * index;
  }
  HWY_INLINE const std::byte* Stream() const { return unit + 220 * index; }
  HWY_INLINE Ints Piece(int part, int j) const {
    return Or(TwoBitPiece<0>(block, part, j), BitPiece<2>(block + 128, part, j));
  }
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(unit + 2 * kLanes * part); }
  // Low four bits of both scales stand in a byte of the first two vectors, high two bits in a nibble of the
  // third.
  HWY_INLINE Ints SubPair(int part) const {
    const Ints low =
        ShiftRightBy(LoadInts(unit + 32 + 64 * (index / 4) + 4 * kLanes * part), 8 * (index % 4));
    const Ints high = ShiftRightBy(LoadInts(unit + 160 + 4 * kLanes * part), 4 * index);
    const Ints first = Or(And(low, Repeat32(15)), And(ShiftLeft<4>(high), Repeat32(0x30)));
    const Ints second =
        Or(And(ShiftLeft<12>(low), Repeat32(15 << 16)), And(ShiftLeft<18>(high), Repeat32(0x30 << 16)));
    return Sub16(Or(first, second), Repeat16(32));
  }
};
#else
struct Q3_KWeights;
#endif

void Q3_KInt8(const MatmulTask& task) { MultiplyInt8<Q3_KWeights>(task); }

void Q3_KFloat(const MatmulTask& task) { MultiplyBlocksFloat<Q3_KWeights>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q3_KInt8);
HWY_EXPORT(Q3_KFloat);

void Int8(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q3_KInt8)(task); }

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(Q3_KFloat)(task); }

// The low halves of 8 bytes, side by side.
uint32_t JoinNibbles(uint64_t bytes) {
  bytes &= 0x0F0F0F0F0F0F0F0Fu;
  bytes = (bytes | bytes >> 4) & 0x00FF00FF00FF00FFu;
  bytes = (bytes | bytes >> 8) & 0x0000FFFF0000FFFFu;
  return static_cast<uint32_t>(bytes | bytes >> 16);
}

// The file's scale of the 16 columns i has its low four bits in half i / 8 of byte i % 8 and its high two
// bits in pair i / 4 of byte 8 + i % 4: the 4 by 4 pairs are transposed.
void PackScales(const std::byte* file_scales, int row, std::byte* vectors) {
  const auto low = LoadAs<uint64_t>(file_scales);
  auto high = LoadAs<uint32_t>(file_scales + 8);
  high = ExchangeBitsWithin(high, 6, 0x00CC00CCu);
  high = ExchangeBitsWithin(high, 12, 0x0000F0F0u);
  const uint32_t scales[3] = {JoinNibbles(low), JoinNibbles(low >> 4), high};
  PlacePieces(reinterpret_cast<const std::byte*>(scales), 3, row, vectors);
}

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  std::memcpy(unit + 2 * row, file_block + offsetof(BlockQ3_K, scale), 2);
  PackScales(file_block + offsetof(BlockQ3_K, scales), row, unit + 32);
  for (int n = 0; n < 2; ++n) {
    PlaceTwoBitPlanes(file_block + offsetof(BlockQ3_K, quants) + 32 * n, row, unit + 224 + 768 * n, 192);
  }
  PlaceBitPlanes(file_block + offsetof(BlockQ3_K, high_bits), row, unit + 224 + 128, 192);
}

void Decode(const std::byte* unit, int block, int row, DecodedBlock& out) {
  const std::byte* codes = unit + 224 + 192 * block;
  out.scale = HalfAt(unit, row);
  for (int h = 0; h < 2; ++h) {
    const int i = 2 * block + h;
    const uint32_t low = LoadAs<uint32_t>(unit + 32 + 64 * (i / 8) + 4 * row) >> (i % 8 * 4) & 15;
    const uint32_t high = LoadAs<uint32_t>(unit + 160 + 4 * row) >> (i * 2) & 3;
    out.sub[h] = static_cast<int>(low | high << 4) - 32;
  }
  for (int i = 0; i < 32; ++i) out.code[i] = (TwoBitsAt(codes, row, i) | BitAt(codes + 128, row, i) << 2) - 4;
}

constexpr BlockFormat kFormat{DType::kQ3_K, 256,  1760, Minimum::kNone, PackBlocks<Pack, 110, 1760>,
                              Decode,       Int8, Float};

}  // namespace

const WeightFormat& Q3_KFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
