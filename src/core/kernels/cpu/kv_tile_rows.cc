// Many entries into a tile at once: keys are transposed in squares of lanes, so that every line of the tile
// is written once. Limit: the bytes of the tile. The bits are those of WriteEntry.
#include <algorithm>
#include <cstring>

#include "core/kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/kv_tile_rows.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

constexpr int kSide = 8;  // rows and columns of a square

#if HWY_TARGET != HWY_SCALAR

// Squares of 8 by 8 halves: three rounds of interleaving the first half of the rows with the second.
HWY_INLINE void TransposeHalves(const float* from, int64_t stride, uint16_t* to) {
  const hn::CappedTag<float, kSide> single;
  const hn::FixedTag<uint16_t, kSide> half;
  alignas(16) uint16_t rounded[kSide * kSide];
  for (int row = 0; row < kSide; ++row) {
    for (int i = 0; i < kSide; i += static_cast<int>(hn::Lanes(single))) {
      StoreHalves(hn::LoadU(single, from + row * stride + i), single, rounded + row * kSide + i);
    }
  }
  hn::Vec<decltype(half)> rows[kSide];
  for (int row = 0; row < kSide; ++row) rows[row] = hn::Load(half, rounded + row * kSide);
  for (int round = 0; round < 3; ++round) {
    hn::Vec<decltype(half)> mixed[kSide];
    for (int i = 0; i < kSide / 2; ++i) {
      mixed[2 * i] = hn::InterleaveLower(half, rows[i], rows[i + kSide / 2]);
      mixed[2 * i + 1] = hn::InterleaveUpper(half, rows[i], rows[i + kSide / 2]);
    }
    for (int i = 0; i < kSide; ++i) rows[i] = mixed[i];
  }
  for (int row = 0; row < kSide; ++row) hn::StoreU(rows[row], half, to + row * kTileEntries);
}

// A square of 4 by 4 floats.
HWY_INLINE void TransposeFour(const float* from, int64_t stride, float* to) {
  const hn::FixedTag<float, 4> d;
  const auto a = hn::LoadU(d, from);
  const auto b = hn::LoadU(d, from + stride);
  const auto c = hn::LoadU(d, from + 2 * stride);
  const auto e = hn::LoadU(d, from + 3 * stride);
  const auto ac_low = hn::InterleaveLower(d, a, c);
  const auto ac_high = hn::InterleaveUpper(d, a, c);
  const auto be_low = hn::InterleaveLower(d, b, e);
  const auto be_high = hn::InterleaveUpper(d, b, e);
  hn::StoreU(hn::InterleaveLower(d, ac_low, be_low), d, to);
  hn::StoreU(hn::InterleaveUpper(d, ac_low, be_low), d, to + kTileEntries);
  hn::StoreU(hn::InterleaveLower(d, ac_high, be_high), d, to + 2 * kTileEntries);
  hn::StoreU(hn::InterleaveUpper(d, ac_high, be_high), d, to + 3 * kTileEntries);
}

HWY_INLINE void TransposeSingles(const float* from, int64_t stride, float* to) {
  for (int row = 0; row < kSide; row += 4) {
    for (int column = 0; column < kSide; column += 4) {
      TransposeFour(from + row * stride + column, stride, to + column * kTileEntries + row);
    }
  }
}

#else

HWY_INLINE void TransposeHalves(const float* from, int64_t stride, uint16_t* to) {
  const hn::CappedTag<float, 1> d;
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column) {
      StoreHalves(hn::LoadU(d, from + row * stride + column), d, to + column * kTileEntries + row);
    }
  }
}

HWY_INLINE void TransposeSingles(const float* from, int64_t stride, float* to) {
  for (int row = 0; row < kSide; ++row) {
    for (int column = 0; column < kSide; ++column)
      to[column * kTileEntries + row] = from[row * stride + column];
  }
}

#endif

// keys: kSide rows of `head_dim`, a multiple of kSide; to: the first of their entries in the tile's keys.
void WriteKeysF16(const float* keys, int64_t stride, int64_t head_dim, uint16_t* to) {
  for (int64_t d = 0; d < head_dim; d += kSide) TransposeHalves(keys + d, stride, to + d * kTileEntries);
}

void WriteKeysF32(const float* keys, int64_t stride, int64_t head_dim, float* to) {
  for (int64_t d = 0; d < head_dim; d += kSide) TransposeSingles(keys + d, stride, to + d * kTileEntries);
}

void WriteValuesF16(const float* values, int64_t stride, int64_t head_dim, uint16_t* to) {
  const hn::CappedTag<float, 8> d;
  for (int row = 0; row < kSide; ++row) {
    for (int64_t i = 0; i < head_dim; i += static_cast<int64_t>(hn::Lanes(d))) {
      StoreHalves(hn::LoadU(d, values + row * stride + i), d, to + row * head_dim + i);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(WriteKeysF16);
HWY_EXPORT(WriteKeysF32);
HWY_EXPORT(WriteValuesF16);

namespace {

constexpr int kRows = 8;  // that are transposed together

void WriteEight(TileFormat format, int entry, MatrixView<const float> keys, MatrixView<const float> values,
                std::byte* tile) {
  const int64_t head_dim = keys.columns;
  const int64_t value_at = (kTileEntries + entry) * head_dim;
  if (format == TileFormat::kF16) {
    auto* numbers = reinterpret_cast<uint16_t*>(tile);
    HWY_DYNAMIC_DISPATCH(WriteKeysF16)(keys.data, keys.stride, head_dim, numbers + entry);
    HWY_DYNAMIC_DISPATCH(WriteValuesF16)(values.data, values.stride, head_dim, numbers + value_at);
    return;
  }
  auto* numbers = reinterpret_cast<float*>(tile);
  HWY_DYNAMIC_DISPATCH(WriteKeysF32)(keys.data, keys.stride, head_dim, numbers + entry);
  for (int row = 0; row < kRows; ++row)
    std::copy_n(values.row(row), head_dim, numbers + value_at + row * head_dim);
}

}  // namespace

void WriteEntries(TileFormat format, int first_entry, MatrixView<const float> keys,
                  MatrixView<const float> values, std::byte* tile) {
  for (int64_t row = 0; row < keys.rows;) {
    const int entry = first_entry + static_cast<int>(row);
    if (entry % kRows == 0 && keys.rows - row >= kRows) {
      WriteEight(format, entry, keys.slice_rows(row, kRows), values.slice_rows(row, kRows), tile);
      row += kRows;
    } else {
      WriteEntry(format, keys.columns, entry, keys.row(row), values.row(row), tile);
      ++row;
    }
  }
}

}  // namespace hone
#endif  // HWY_ONCE
