// Tiles of float16, rounded to nearest even: half the bytes of kF32, and what a cache holds in fast mode.
#include <algorithm>
#include <cstring>

#include "core/kernels/cpu/tile_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/tile_f16.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/attention_tile-inl.h"
#include "core/kernels/cpu/transpose_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone::attention {
namespace HWY_NAMESPACE {

using namespace hone::HWY_NAMESPACE;

void WidenF16(const std::byte* tile, const std::byte* next, int head_dim, std::byte* out) {
  const hn::CappedTag<float, 8> d;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(hn::CappedTag<float, 8>()));
  const auto* from = reinterpret_cast<const uint16_t*>(tile);
  auto* to = reinterpret_cast<float*>(out);
  const int count = 2 * kTileEntries * head_dim;
  for (int i = 0; i < count; i += 32) {
    if (next != nullptr) hwy::Prefetch(next + 2 * i);
    for (int j = i; j < i + 32; j += kStep) hn::StoreU(LoadHalves(d, from + j), d, to + j);
  }
}

// `count` is a multiple of 8.
void RoundRow(const float* from, int64_t count, uint16_t* to) {
  const hn::CappedTag<float, 8> d;
  for (int64_t i = 0; i < count; i += static_cast<int64_t>(hn::Lanes(d)))
    StoreHalves(hn::LoadU(d, from + i), d, to + i);
}

void WidenRow(const uint16_t* from, int64_t count, float* to) {
  const hn::CappedTag<float, 8> d;
  for (int64_t i = 0; i < count; i += static_cast<int64_t>(hn::Lanes(d)))
    hn::StoreU(LoadHalves(d, from + i), d, to + i);
}

// Eight rows of `head_dim`, a multiple of 8; to: the first of their entries in the tile's keys.
void WriteEightKeys(const float* keys, int64_t stride, int64_t head_dim, uint16_t* to) {
  for (int64_t d = 0; d < head_dim; d += kSide) TransposeHalves(keys + d, stride, to + d * kTileEntries);
}

const TileKernels* KernelsF16() {
  static constexpr TileKernels kKernels = {TileScores<uint16_t>, TileWeightedSum<uint16_t>, WidenF16};
  return &kKernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace hone::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone::attention {

HWY_EXPORT(RoundRow);
HWY_EXPORT(WidenRow);
HWY_EXPORT(WriteEightKeys);
HWY_EXPORT(KernelsF16);

namespace {

constexpr int64_t kMaxHeadDim = 256;
constexpr int kRows = 8;  // that are transposed together

int64_t Bytes(int64_t head_dim) { return 2 * kTileEntries * head_dim * 2; }

void Write(int first_entry, MatrixView<const float> keys, MatrixView<const float> values, std::byte* tile) {
  const int64_t head_dim = keys.columns;
  auto* numbers = reinterpret_cast<uint16_t*>(tile);
  for (int64_t row = 0; row < keys.rows; ++row) {
    HWY_DYNAMIC_DISPATCH(RoundRow)
    (values.row(row), head_dim, numbers + (kTileEntries + first_entry + row) * head_dim);
  }
  uint16_t rounded[kMaxHeadDim];
  for (int64_t row = 0; row < keys.rows;) {
    const int64_t entry = first_entry + row;
    if (entry % kRows == 0 && keys.rows - row >= kRows) {
      HWY_DYNAMIC_DISPATCH(WriteEightKeys)(keys.row(row), keys.stride, head_dim, numbers + entry);
      row += kRows;
    } else {
      HWY_DYNAMIC_DISPATCH(RoundRow)(keys.row(row), head_dim, rounded);
      for (int64_t i = 0; i < head_dim; ++i) numbers[i * kTileEntries + entry] = rounded[i];
      ++row;
    }
  }
}

void Read(int64_t head_dim, int entry, const std::byte* tile, float* key, float* value) {
  const auto* numbers = reinterpret_cast<const uint16_t*>(tile);
  uint16_t halves[kMaxHeadDim];
  for (int64_t i = 0; i < head_dim; ++i) halves[i] = numbers[i * kTileEntries + entry];
  HWY_DYNAMIC_DISPATCH(WidenRow)(halves, head_dim, key);
  HWY_DYNAMIC_DISPATCH(WidenRow)(numbers + (kTileEntries + entry) * head_dim, head_dim, value);
}

const TileKernels& Kernels() { return *HWY_DYNAMIC_DISPATCH(KernelsF16)(); }

}  // namespace

const TileFormatRow kTileF16 = {"f16", Bytes, Write, Read, Kernels};

}  // namespace hone::attention
#endif  // HWY_ONCE
