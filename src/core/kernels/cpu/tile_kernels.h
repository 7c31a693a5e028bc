// What a tile format brings: one row of the table in tile_formats.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/kernels/tile_format.h"

namespace hone::attention {

// The inner kernels of one CPU target. `pairs` is at most what the target's float kernels hold in registers
// (attention_tile-inl.h); `next`, where not null, is the tile that will be read next: a kernel asks the
// memory for the part of it that lies where it reads now. A pair's arithmetic may not depend on how many
// pairs come with it.
struct TileKernels {
  // scores[pair][e] = sum_d queries[pair][d] key_e[d] for all e, whatever a row sees.
  void (*scores)(int pairs, const float* const* queries, const std::byte* tile, const std::byte* next,
                 int head_dim, float* scores);
  // numerators[pair] = rescale[pair] numerators[pair] + sum_e weights[pair][e] value_e, over the entries e
  // whose bit is set, rising; values of other entries are not read. weights: [pairs][kTileEntries].
  void (*weighted_sum)(int pairs, uint32_t entries, const float* weights, const float* rescale,
                       const std::byte* tile, const std::byte* next, int head_dim, float* const* numerators);
  // The tile as one of kF32, for many pairs at once; null where it is one.
  void (*widen)(const std::byte* tile, const std::byte* next, int head_dim, std::byte* out);
};

struct TileFormatRow {
  std::string_view name;
  int64_t (*bytes)(int64_t head_dim);
  // Writes `keys.rows` entries from `first_entry` on.
  void (*write)(int first_entry, MatrixView<const float> keys, MatrixView<const float> values,
                std::byte* tile);
  void (*read)(int64_t head_dim, int entry, const std::byte* tile, float* key, float* value);
  const TileKernels& (*kernels)();  // of the active CPU target
};

const TileFormatRow& RowOf(TileFormat format);

// Each in the file of its name, tile_NAME.cc.
extern const TileFormatRow kTileF32;
extern const TileFormatRow kTileF16;

}  // namespace hone::attention
