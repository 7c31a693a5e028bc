#include "core/kernels/quantize/block_grid.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/kernels/quantize/nonlinear_levels.h"
#include "core/kernels/quantize/pack_256.h"
#include "core/kernels/quantize/pack_32.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

int CodeCount(DType type) {
  switch (type) {
    case DType::kQ2_K:
      return 4;
    case DType::kQ3_K:
      return 8;
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K:
      return 32;
    case DType::kQ6_K:
      return 64;
    case DType::kQ8_0:
      return 255;  // -127 .. 127
    default:
      return 16;
  }
}

template <class Block, class Write>
void Replace(std::byte* at, Write write) {
  Block block;
  std::memcpy(&block, at, sizeof block);
  write(block);
  std::memcpy(at, &block, sizeof block);
}

// In the order of pack_256.h: code j of sub-block b at j * sub_blocks + b.
void SideBySide(std::span<const uint8_t> codes, int sub_blocks, int32_t* out) {
  const int values = 256 / sub_blocks;
  for (int i = 0; i < 256; ++i) out[i % values * sub_blocks + i / values] = codes[static_cast<size_t>(i)];
}

}  // namespace

void WriteCodes(DType type, std::span<const uint8_t> codes, std::byte* block) {
  int32_t c[256];
  if (Info(type).elements == 32) {
    std::copy(codes.begin(), codes.begin() + 32, c);
  } else {
    SideBySide(codes, type == DType::kQ2_K || type == DType::kQ3_K || type == DType::kQ6_K ? 16 : 8, c);
  }
  switch (type) {
    case DType::kQ4_0:
      return Replace<BlockQ4_0>(block, [&](BlockQ4_0& b) { PackNibbles(c, 1, b.quants); });
    case DType::kQ4_1:
      return Replace<BlockQ4_1>(block, [&](BlockQ4_1& b) { PackNibbles(c, 1, b.quants); });
    case DType::kIQ4_NL:
      return Replace<BlockIQ4_NL>(block, [&](BlockIQ4_NL& b) { PackNibbles(c, 1, b.quants); });
    case DType::kQ5_0:
      return Replace<BlockQ5_0>(block, [&](BlockQ5_0& b) { PackFiveBitBlock(c, 1, b.scale, b); });
    case DType::kQ5_1:
      return Replace<BlockQ5_1>(block,
                                [&](BlockQ5_1& b) { PackAffineFiveBitBlock(c, 1, b.scale, b.minimum, b); });
    case DType::kQ8_0:
      for (int i = 0; i < 32; ++i) c[i] -= 127;
      return Replace<BlockQ8_0>(block, [&](BlockQ8_0& b) { PackByteBlock(c, 1, b.scale, b); });
    case DType::kQ2_K:
      return Replace<BlockQ2_K>(block, [&](BlockQ2_K& b) { PackTwoBits(c, 0, b.quants); });
    case DType::kQ3_K:
      return Replace<BlockQ3_K>(block, [&](BlockQ3_K& b) { PackCodes(c, b); });
    case DType::kQ4_K:
      return Replace<BlockQ4_K>(block, [&](BlockQ4_K& b) { PackFourBits(c, b.quants); });
    case DType::kQ5_K:
      return Replace<BlockQ5_K>(block, [&](BlockQ5_K& b) { PackCodes(c, b); });
    case DType::kQ6_K:
      return Replace<BlockQ6_K>(block, [&](BlockQ6_K& b) { PackCodes(c, b); });
    case DType::kIQ4_XS:
      return Replace<BlockIQ4_XS>(block, [&](BlockIQ4_XS& b) { PackCodes(c, b); });
    default:
      return;
  }
}

void ReadGrid(DType type, const std::byte* block, BlockGrid& grid) {
  constexpr int kLargestBlock = 210;
  const DTypeInfo& info = Info(type);
  grid.codes = CodeCount(type);
  grid.nonlinear = type == DType::kIQ4_NL || type == DType::kIQ4_XS;
  std::byte copy[kLargestBlock];
  std::memcpy(copy, block, static_cast<size_t>(info.bytes));
  uint8_t codes[256] = {};
  float low[256], high[256];
  // The ends of the grid: what lies between is linear in the level.
  WriteCodes(type, codes, copy);
  Dequantize(type, copy, info.elements, low);
  std::fill(std::begin(codes), std::end(codes), static_cast<uint8_t>(grid.codes - 1));
  WriteCodes(type, codes, copy);
  Dequantize(type, copy, info.elements, high);
  const float lowest = grid.nonlinear ? static_cast<float>(kNonlinearLevels[0]) : 0.0f;
  const float span = grid.nonlinear ? static_cast<float>(kNonlinearLevels[15] - kNonlinearLevels[0])
                                    : static_cast<float>(grid.codes - 1);
  for (int i = 0; i < info.elements; ++i) {
    grid.step[i] = (high[i] - low[i]) / span;
    grid.base[i] = low[i] - grid.step[i] * lowest;
  }
}

BlockGrid::Choice BlockGrid::Nearest(int i, float x) const {
  const float scale = step[i];
  if (scale == 0.0f) return {static_cast<uint8_t>(nonlinear ? 8 : 0), base[i]};
  const float level = (x - base[i]) / scale;
  if (nonlinear) {
    const int slot = static_cast<int>(std::nearbyint(std::clamp(level, -128.0f, 127.0f))) + 128;
    return {static_cast<uint8_t>(kNearestNonlinear.index[slot]),
            base[i] + scale * kNearestNonlinear.level[slot]};
  }
  const float code = std::nearbyint(std::clamp(level, 0.0f, static_cast<float>(codes - 1)));
  return {static_cast<uint8_t>(code), base[i] + scale * code};
}

}  // namespace hone
