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

#if HONE_X86_LANES
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
  HWY_INLINE Floats Scale(int part) const { return HalvesToFloats(unit + 16 * part); }
  // Low four bits of both scales stand in a byte of the first two vectors, high two bits in a nibble of the
  // third.
  HWY_INLINE Ints SubPair(int part) const {
    const Ints low = ShiftRightBy(LoadInts(unit + 32 + 64 * (index / 4) + 32 * part), 8 * (index % 4));
    const Ints high = ShiftRightBy(LoadInts(unit + 160 + 32 * part), 4 * index);
    const Ints first = Or(And(low, Repeat32(15)), And(ShiftLeft<4>(high), Repeat32(0x30)));
    const Ints second =
        Or(And(ShiftLeft<12>(low), Repeat32(15 << 16)), And(ShiftLeft<18>(high), Repeat32(0x30 << 16)));
    return Sub16(Or(first, second), Repeat16(32));
  }
};
#else
struct Q3_KWeights;
#endif

void Q3_KInt8(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  MultiplyInt8<Q3_KWeights>(w, x, begin, end, y);
}

void Q3_KFloat(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  MultiplyBlocksFloat<Q3_KWeights>(w, x, begin, end, y);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(Q3_KInt8);
HWY_EXPORT(Q3_KFloat);

void Int8(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  HWY_DYNAMIC_DISPATCH(Q3_KInt8)(w, x, begin, end, y);
}

void Float(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  HWY_DYNAMIC_DISPATCH(Q3_KFloat)(w, x, begin, end, y);
}

// The 6-bit scale of the 16 columns `index`.
int FileScale(const BlockQ3_K& block, int index) {
  const int low = block.scales[index % 8] >> (index / 8 * 4) & 15;
  return low | (block.scales[8 + index % 4] >> (index / 4 * 2) & 3) << 4;
}

void Pack(const std::byte* file_block, int row, std::byte* unit) {
  const auto block = LoadAs<BlockQ3_K>(file_block);
  std::memcpy(unit + 2 * row, &block.scale, 2);
  uint32_t scales[3] = {0, 0, 0};
  for (int i = 0; i < 16; ++i) {
    const uint32_t scale = static_cast<uint32_t>(FileScale(block, i));
    scales[i / 8] |= (scale & 15) << (i % 8 * 4);
    scales[2] |= (scale >> 4) << (i * 2);
  }
  PlacePieces(reinterpret_cast<const std::byte*>(scales), 3, row, unit + 32);
  for (int b = 0; b < 8; ++b) {
    std::byte* codes = unit + 224 + 192 * b;
    PlaceTwoBits([&](int i) { return block.quants[b / 4 * 32 + i] >> (b % 4 * 2) & 3; }, row, codes);
    uint32_t high = 0;
    for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>((block.high_bits[i] >> b) & 1) << i;
    PlaceBits(high, row, codes + 128);
  }
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

constexpr BlockFormat kFormat{DType::kQ3_K, 256, 1760, Minimum::kNone, Pack, Decode, Int8, Float};

}  // namespace

const WeightFormat& Q3_KFormat() {
  static const BlockWeightFormat format(kFormat);
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
