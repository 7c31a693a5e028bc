// Stands in for the attention kernels' WriteEntry and ReadEntry where those are not linked: weak, so that
// they win.
#include <bit>
#include <cstring>

#include "core/kernels/attention.h"

namespace hone {
namespace {

uint16_t Half(float value) {
  const _Float16 half = static_cast<_Float16>(value);
  return std::bit_cast<uint16_t>(half);
}

float Single(uint16_t half) { return static_cast<float>(std::bit_cast<_Float16>(half)); }

}  // namespace

[[gnu::weak]] void WriteEntry(TileFormat format, int64_t head_dim, int entry, const float* key,
                              const float* value, std::byte* tile) {
  for (int64_t d = 0; d < head_dim; ++d) {
    const int64_t key_at = d * kTileEntries + entry;
    const int64_t value_at = kTileEntries * head_dim + entry * head_dim + d;
    if (format == TileFormat::kF32) {
      std::memcpy(tile + key_at * 4, key + d, 4);
      std::memcpy(tile + value_at * 4, value + d, 4);
    } else {
      reinterpret_cast<uint16_t*>(tile)[key_at] = Half(key[d]);
      reinterpret_cast<uint16_t*>(tile)[value_at] = Half(value[d]);
    }
  }
}

[[gnu::weak]] void ReadEntry(TileFormat format, int64_t head_dim, int entry, const std::byte* tile,
                             float* key, float* value) {
  for (int64_t d = 0; d < head_dim; ++d) {
    const int64_t key_at = d * kTileEntries + entry;
    const int64_t value_at = kTileEntries * head_dim + entry * head_dim + d;
    if (format == TileFormat::kF32) {
      std::memcpy(key + d, tile + key_at * 4, 4);
      std::memcpy(value + d, tile + value_at * 4, 4);
    } else {
      key[d] = Single(reinterpret_cast<const uint16_t*>(tile)[key_at]);
      value[d] = Single(reinterpret_cast<const uint16_t*>(tile)[value_at]);
    }
  }
}

}  // namespace hone
