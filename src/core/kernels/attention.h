// Attention of a ragged batch over cached entries, one call a layer:
//   y_h = sum_e p_e v_e,  p = softmax(scale q_h . k_e + bias_e)  over the entries e that the row sees.
//
// Entries of one KV head lie in tiles of kTileEntries. A tile's keys are stored transposed, [head_dim][kTileEntries], its
// values [kTileEntries][head_dim], so that neither the scores nor the weighted sum ever sums across lanes.
// The online softmax keeps one state {max, denominator, numerator} for each run of kTilesPerSpan tiles, cut at fixed
// entries, and merges the states in rising order: the result does not depend on threads, chunks or batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/compute_share.h"
#include "core/tensor/view.h"

namespace hone {

inline constexpr int kTileEntries = 32;
inline constexpr int kTilesPerSpan = 16;

enum class TileFormat : uint8_t { kF32, kF16 };

// Bytes of one tile: keys, then values.
constexpr int64_t TileBytes(TileFormat format, int64_t head_dim) {
  return 2 * kTileEntries * head_dim * (format == TileFormat::kF32 ? 4 : 2);
}

// The cached entries of one layer and KV head of one sequence. tiles[i] holds entries [32 i, 32 i + 32) or is null where no
// row may look (dropped by a window).
struct KvTiles {
  TileFormat format = TileFormat::kF16;
  std::span<const std::byte* const> tiles;
};

// Entries [begin, end).
struct EntrySpan {
  int32_t begin = 0;
  int32_t end = 0;
};

// What one query row sees of one KV head: sorted, disjoint, non-empty spans of entries. Every rule (causal, window, block
// causal, none, the bits of a draft tree, holes) is such a list. `bias`, where not null, is added to the score of each
// entry by entry number. A row that sees nothing gets zeros.
struct RowView {
  std::span<const EntrySpan> visible;
  const float* bias = nullptr;
};

// The new rows of one sequence: rows [first_row, first_row + rows) of the query and output matrices.
struct AttentionItem {
  int64_t first_row = 0;
  int64_t rows = 0;
  std::span<const KvTiles> heads;   // [kv_heads]
  std::span<const RowView> views;   // [rows] when all KV heads see the same, else [rows, kv_heads]
};

struct AttentionShape {
  int heads = 0;     // query heads; a multiple of kv_heads
  int kv_heads = 0;
  int head_dim = 0;  // 32 to 256, a multiple of 8
  float scale = 1.0f;
};

struct AttentionCounters {
  int64_t tiles_executed = 0;  // (query row, query head, tile) triples computed
};

// query, output: [rows of the batch, heads * head_dim]; both may have a stride. `scratch` holds at least
// AttentionScratchBytes. `counters` may be null.
int64_t AttentionScratchBytes(const AttentionShape& shape, std::span<const AttentionItem> items);
void Attention(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
               AttentionCounters* counters);

// Writes one entry into its tile: `entry` in [0, 32); key and value are [head_dim] float32, rounded to nearest even for kF16.
void WriteEntry(TileFormat format, int64_t head_dim, int entry, const float* key, const float* value, std::byte* tile);
// Writes rows of keys and values, [rows, head_dim] each, as entries from `first_entry` on, all in one tile: the same bits as
// WriteEntry row by row.
void WriteEntries(TileFormat format, int first_entry, MatrixView<const float> keys, MatrixView<const float> values,
                  std::byte* tile);
void ReadEntry(TileFormat format, int64_t head_dim, int entry, const std::byte* tile, float* key, float* value);

}  // namespace hone
