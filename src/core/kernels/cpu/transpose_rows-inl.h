// Squares of 8 rows by 8 numbers, transposed on their way into a tile's keys, so that every line of the tile
// is written once. Compiled once a target.
#if defined(HONE_CORE_KERNELS_CPU_TRANSPOSE_ROWS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_TRANSPOSE_ROWS_INL_H_
#undef HONE_CORE_KERNELS_CPU_TRANSPOSE_ROWS_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_TRANSPOSE_ROWS_INL_H_
#endif

#include <hwy/highway.h>

#include "core/kernels/cpu/half-inl.h"
#include "core/kernels/tile_format.h"

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

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
