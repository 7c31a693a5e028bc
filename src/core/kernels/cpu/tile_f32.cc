// Tiles of float32: exact, and what a cache holds in exact mode.
#include <algorithm>

#include "core/kernels/cpu/tile_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/tile_f32.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/attention_tile-inl.h"
#include "core/kernels/cpu/transpose_rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone::attention {
namespace HWY_NAMESPACE {

using namespace hone::HWY_NAMESPACE;

// Eight rows of `head_dim`, a multiple of 8; to: the first of their entries in the tile's keys.
void WriteEightKeys(const float* keys, int64_t stride, int64_t head_dim, float* to) {
  for (int64_t d = 0; d < head_dim; d += kSide) TransposeSingles(keys + d, stride, to + d * kTileEntries);
}

const TileKernels* KernelsF32() {
  static constexpr TileKernels kKernels = {TileScores<float>, TileWeightedSum<float>, nullptr};
  return &kKernels;
}

}  // namespace HWY_NAMESPACE
}  // namespace hone::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone::attention {

HWY_EXPORT(WriteEightKeys);
HWY_EXPORT(KernelsF32);

namespace {

constexpr int kRows = 8;  // that are transposed together

int64_t Bytes(int64_t head_dim) { return 2 * kTileEntries * head_dim * 4; }

void Write(int first_entry, MatrixView<const float> keys, MatrixView<const float> values, std::byte* tile) {
  const int64_t head_dim = keys.columns;
  auto* numbers = reinterpret_cast<float*>(tile);
  for (int64_t row = 0; row < keys.rows; ++row)
    std::copy_n(values.row(row), head_dim, numbers + (kTileEntries + first_entry + row) * head_dim);
  for (int64_t row = 0; row < keys.rows;) {
    const int64_t entry = first_entry + row;
    if (entry % kRows == 0 && keys.rows - row >= kRows) {
      HWY_DYNAMIC_DISPATCH(WriteEightKeys)(keys.row(row), keys.stride, head_dim, numbers + entry);
      row += kRows;
    } else {
      for (int64_t i = 0; i < head_dim; ++i) numbers[i * kTileEntries + entry] = keys.row(row)[i];
      ++row;
    }
  }
}

void Read(int64_t head_dim, int entry, const std::byte* tile, float* key, float* value) {
  const auto* numbers = reinterpret_cast<const float*>(tile);
  for (int64_t i = 0; i < head_dim; ++i) key[i] = numbers[i * kTileEntries + entry];
  std::copy_n(numbers + (kTileEntries + entry) * head_dim, head_dim, value);
}

const TileKernels& Kernels() { return *HWY_DYNAMIC_DISPATCH(KernelsF32)(); }

}  // namespace

const TileFormatRow kTileF32 = {"f32", Bytes, Write, Read, Kernels};

}  // namespace hone::attention
#endif  // HWY_ONCE
