#include "core/kernels/mixed_matrix.h"

#include <cstring>

#include "core/tensor/half.h"

namespace hone {
namespace {

uint16_t Half(const std::byte* at) {
  uint16_t value;
  std::memcpy(&value, at, 2);
  return value;
}
void PutHalf(uint16_t value, std::byte* at) { std::memcpy(at, &value, 2); }

int Byte(const std::byte* at) { return static_cast<int>(*at); }
void OrInto(int bits, std::byte* at) { *at |= static_cast<std::byte>(bits); }

}  // namespace

Result<MixedLayout> MixedLayout::Make(std::span<const uint8_t> four_bits, int64_t outliers) {
  MixedLayout layout;
  layout.columns = static_cast<int64_t>(four_bits.size()) * kBandColumns;
  for (size_t band = 0; band < four_bits.size(); ++band) {
    (four_bits[band] != 0 ? layout.four : layout.two).push_back(static_cast<uint16_t>(band));
  }
  if (four_bits.empty() || layout.columns % 32 != 0 || layout.columns > 65536) {
    return WrongUsage("mixed matrix: {} columns, expected a multiple of 32 up to 65536", layout.columns);
  }
  if (layout.two.size() % 3 != 0) {
    return WrongUsage("mixed matrix: {} bands of 2 bits, expected a multiple of three", layout.two.size());
  }
  if (outliers < 0 || outliers > layout.columns) {
    return WrongUsage("mixed matrix: {} outliers a row, expected 0 to {}", outliers, layout.columns);
  }
  layout.outliers = outliers;
  return layout;
}

void WriteTile(const MixedLayout& layout, int64_t i, const TwoBitTile& tile, std::byte* group) {
  const int at = static_cast<int>(i % 3);
  std::byte* unit = group + layout.units() + 8 * (i / 3);
  PutHalf(static_cast<uint16_t>(Half(unit) | tile.offset << (4 * at)), unit);
  PutHalf(F32ToF16(tile.unit), unit + 2 + 2 * at);
  for (int row = 0; row < kRowGroup; ++row) {
    for (int column = 0; column < kBandColumns; ++column) {
      OrInto(tile.code[row][column] << (column / 4 * 2), group + 64 * i + 4 * row + column % 4);
    }
    std::byte* word = group + layout.words() + 32 * (i / 3) + 2 * row;
    PutHalf(static_cast<uint16_t>(Half(word) | tile.zero[row] << (2 * at) | tile.scale[row] << (6 + 3 * at)),
            word);
  }
}

void ReadTile(const MixedLayout& layout, int64_t i, const std::byte* group, TwoBitTile& tile) {
  const int at = static_cast<int>(i % 3);
  const std::byte* unit = group + layout.units() + 8 * (i / 3);
  tile.offset = static_cast<uint8_t>(Half(unit) >> (4 * at) & 15);
  tile.unit = F16ToF32(Half(unit + 2 + 2 * at));
  for (int row = 0; row < kRowGroup; ++row) {
    for (int column = 0; column < kBandColumns; ++column) {
      tile.code[row][column] =
          static_cast<uint8_t>(Byte(group + 64 * i + 4 * row + column % 4) >> (column / 4 * 2) & 3);
    }
    const uint16_t word = Half(group + layout.words() + 32 * (i / 3) + 2 * row);
    tile.zero[row] = static_cast<uint8_t>(word >> (2 * at) & 3);
    tile.scale[row] = static_cast<uint8_t>(word >> (6 + 3 * at) & (ScaleCodes(i) - 1));
  }
}

void WriteTile(const MixedLayout& layout, int64_t i, const FourBitTile& tile, std::byte* group) {
  for (int row = 0; row < kRowGroup; ++row) {
    std::byte* lane = group + layout.fours() + 128 * i + 4 * row;
    for (int column = 0; column < kBandColumns; ++column) {
      OrInto(tile.code[row][column] << (column / 8 * 4), lane + 64 * (column / 4 % 2) + column % 4);
    }
    PutHalf(F32ToF16(tile.scale[row]), group + layout.scales() + 32 * i + 2 * row);
    OrInto(tile.zero[row] << (row % 2 * 4), group + layout.zeros() + 8 * i + row / 2);
  }
}

void ReadTile(const MixedLayout& layout, int64_t i, const std::byte* group, FourBitTile& tile) {
  for (int row = 0; row < kRowGroup; ++row) {
    const std::byte* lane = group + layout.fours() + 128 * i + 4 * row;
    for (int column = 0; column < kBandColumns; ++column) {
      tile.code[row][column] =
          static_cast<uint8_t>(Byte(lane + 64 * (column / 4 % 2) + column % 4) >> (column / 8 * 4) & 15);
    }
    tile.scale[row] = F16ToF32(Half(group + layout.scales() + 32 * i + 2 * row));
    tile.zero[row] =
        static_cast<uint8_t>(Byte(group + layout.zeros() + 8 * i + row / 2) >> (row % 2 * 4) & 15);
  }
}

void WriteOutlier(const MixedLayout& layout, int row, int64_t k, const MixedOutlier& outlier,
                  std::byte* group) {
  std::byte* at = group + layout.outlier_columns() + 64 * k + 2 * row;
  PutHalf(outlier.column, at);
  PutHalf(F32ToF16(outlier.value), at + 32);
}

MixedOutlier ReadOutlier(const MixedLayout& layout, int row, int64_t k, const std::byte* group) {
  const std::byte* at = group + layout.outlier_columns() + 64 * k + 2 * row;
  return {Half(at), F16ToF32(Half(at + 32))};
}

}  // namespace hone
