// How the keys and values of kTileEntries cached entries of one KV head lie in memory: a tile format.
//
// A format is one file in core/kernels/cpu (tile_f16.cc is an example): its size, how entries are written and
// read, and the two inner kernels of attention over it, so that it is never widened beyond the tile at hand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/tensor/view.h"

namespace hone {

inline constexpr int kTileEntries = 32;

// Both store keys transposed, [head_dim][kTileEntries], then values, [kTileEntries][head_dim], so that
// neither the scores nor the weighted sum ever sums across lanes.
enum class TileFormat : uint8_t { kF32, kF16 };
inline constexpr int kTileFormats = 2;

std::string_view TileFormatName(TileFormat format);
// Bytes of one tile: keys, then values.
int64_t TileBytes(TileFormat format, int64_t head_dim);

// Writes one entry into its tile: `entry` in [0, 32); key and value are [head_dim] float32, rounded to
// nearest even for kF16.
void WriteEntry(TileFormat format, int64_t head_dim, int entry, const float* key, const float* value,
                std::byte* tile);
// Writes rows of keys and values, [rows, head_dim] each, as entries from `first_entry` on, all in one tile:
// the same bits as WriteEntry row by row.
void WriteEntries(TileFormat format, int first_entry, MatrixView<const float> keys,
                  MatrixView<const float> values, std::byte* tile);
void ReadEntry(TileFormat format, int64_t head_dim, int entry, const std::byte* tile, float* key,
               float* value);

}  // namespace hone
