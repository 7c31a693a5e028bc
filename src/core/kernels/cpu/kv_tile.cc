// Single entries in and out of a tile: keys with a stride of kTileEntries, values in a row.
#include <algorithm>
#include <cstring>

#include "core/kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/kv_tile.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

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

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(RoundRow);
HWY_EXPORT(WidenRow);

namespace {

constexpr int64_t kMaxHeadDim = 256;

template <class T>
void ScatterKey(const T* key, int64_t head_dim, int entry, T* keys) {
  for (int64_t i = 0; i < head_dim; ++i) keys[i * kTileEntries + entry] = key[i];
}

template <class T>
void GatherKey(const T* keys, int64_t head_dim, int entry, T* key) {
  for (int64_t i = 0; i < head_dim; ++i) key[i] = keys[i * kTileEntries + entry];
}

}  // namespace

void WriteEntry(TileFormat format, int64_t head_dim, int entry, const float* key, const float* value,
                std::byte* tile) {
  const int64_t value_offset = (kTileEntries + entry) * head_dim;
  if (format == TileFormat::kF32) {
    float* numbers = reinterpret_cast<float*>(tile);
    ScatterKey(key, head_dim, entry, numbers);
    std::copy_n(value, head_dim, numbers + value_offset);
    return;
  }
  uint16_t* numbers = reinterpret_cast<uint16_t*>(tile);
  uint16_t rounded[kMaxHeadDim];
  HWY_DYNAMIC_DISPATCH(RoundRow)(key, head_dim, rounded);
  ScatterKey(rounded, head_dim, entry, numbers);
  HWY_DYNAMIC_DISPATCH(RoundRow)(value, head_dim, numbers + value_offset);
}

void ReadEntry(TileFormat format, int64_t head_dim, int entry, const std::byte* tile, float* key,
               float* value) {
  const int64_t value_offset = (kTileEntries + entry) * head_dim;
  if (format == TileFormat::kF32) {
    const float* numbers = reinterpret_cast<const float*>(tile);
    GatherKey(numbers, head_dim, entry, key);
    std::copy_n(numbers + value_offset, head_dim, value);
    return;
  }
  const uint16_t* numbers = reinterpret_cast<const uint16_t*>(tile);
  uint16_t halves[kMaxHeadDim];
  GatherKey(numbers, head_dim, entry, halves);
  HWY_DYNAMIC_DISPATCH(WidenRow)(halves, head_dim, key);
  HWY_DYNAMIC_DISPATCH(WidenRow)(numbers + value_offset, head_dim, value);
}

}  // namespace hone
#endif  // HWY_ONCE
