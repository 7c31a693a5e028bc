// How tiles of one head size lie in pages of a power of two of bytes.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "core/kernels/attention.h"
#include "language/kvcache/page_pool.h"

namespace hone {

struct PagePlan {
  int tiles = 1;  // in one page
  uint64_t tile_bytes = 0;
  uint64_t page_bytes = 0;

  double waste() const {
    return 1.0 - static_cast<double>(tiles * tile_bytes) / static_cast<double>(page_bytes);
  }
};

// The fewest tiles, at most 8, that fill a page up to an eighth; where none does, those that waste the least.
// Few, because a short sequence leaves the last page partly empty, and a fork that writes copies into a page
// of its own. Head sizes of a power of two waste nothing; 80 and 160: 3 tiles, 1/16; 96 and 192: 5 tiles,
// 1/16; 112 and 224: 1 tile, 1/8.
inline PagePlan PlanPages(TileFormat format, int64_t head_dim) {
  constexpr int kMostTiles = 8;
  constexpr double kWaste = 1.0 / 8.0;
  PagePlan best;
  for (int tiles = 1; tiles <= kMostTiles; ++tiles) {
    const auto tile_bytes = static_cast<uint64_t>(TileBytes(format, head_dim));
    const PagePlan plan{tiles, tile_bytes,
                        std::max(std::bit_ceil(tiles * tile_bytes), PagePool::kSmallestPage)};
    if (tiles == 1 || plan.waste() < best.waste()) best = plan;
    if (best.waste() <= kWaste) break;
  }
  return best;
}

}  // namespace hone
