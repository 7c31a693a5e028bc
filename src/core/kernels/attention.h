// Attention of a ragged batch over cached entries, one call a layer:
//   y_h = sum_e p_e v_e,  p = softmax(scale q_h . k_e + bias_e)  over the entries e that the row sees.
//
// Entries of one KV head lie in tiles (tile_format.h). The softmax keeps one state {max or fixed phi,
// denominator, numerator} (attention_state.h) for each run of kTilesPerSpan tiles, cut at fixed entries, and
// merges the states in rising order: the result does not depend on threads, chunks or batch. A tile that a
// row does not look into is not read for it; of one that it sees in part, only the values that it sees.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/base/compute_share.h"
#include "core/kernels/tile_format.h"
#include "core/tensor/view.h"

namespace hone {

inline constexpr int kTilesPerSpan = 16;

// The cached entries of one layer and KV head of one sequence. tiles[i] holds entries [32 i, 32 i + 32) or is
// null where no row may look (dropped by a window).
struct KvTiles {
  TileFormat format = TileFormat::kF16;
  std::span<const std::byte* const> tiles;
  std::span<const TileFormat>
      formats;  // [tiles] where tiles differ (a quantized body, an exact tail), else empty
};

// Entries [begin, end).
struct EntrySpan {
  int32_t begin = 0;
  int32_t end = 0;

  bool operator==(const EntrySpan&) const = default;
};

// What one query row sees of one KV head: sorted, disjoint, non-empty spans of entries. Every rule (causal,
// window, block causal, none, the bits of a draft tree, holes) and every selection (bands, blocks, single
// entries) is such a list. `bias`, where not null, is added to the score of each entry by entry number. A row
// that sees nothing gets zeros.
struct RowView {
  std::span<const EntrySpan> visible;
  const float* bias = nullptr;
};

// What is subtracted from the scores before the exponential. Running: the largest so far, sums rescaled when
// it grows. Fixed (FlashDecoding++, arXiv 2311.01282, section 3): `phi`, found by calibration; parts of a row
// then need nothing from each other. A row (of one query head) whose scores leave the range is computed again
// with the running maximum, and has the bits it would have had without phi; no other row notices. The relaxed
// guard fires where the row's largest x = score - phi has x >= above (overflow) or x <= below (all
// underflowed); the strict one, the paper's, where any visible score has.
struct SoftmaxScale {
  bool fixed = false;
  float phi = 0.0f;
  float below = -60.0f;
  float above = 68.0f;  // 80 - ln(entries): sums stay below exp(80)
  bool strict = false;
};

// The new rows of one sequence: rows [first_row, first_row + rows) of the query and output matrices.
struct AttentionItem {
  int64_t first_row = 0;
  int64_t rows = 0;
  std::span<const KvTiles> heads;  // [kv_heads]
  std::span<const RowView> views;  // [rows] when all KV heads see the same, else [rows, kv_heads]
};

struct AttentionShape {
  int heads = 0;  // query heads; a multiple of kv_heads
  int kv_heads = 0;
  int head_dim = 0;  // 32 to 256, a multiple of 8
  float scale = 1.0f;
  std::span<const SoftmaxScale> softmax;  // [kv_heads]; empty: all running
};

struct AttentionCounters {
  int64_t tiles_executed = 0;   // (query row, query head, tile) triples computed
  int64_t rows_checked = 0;     // (query row, query head) pairs that were computed with a fixed phi,
  int64_t rows_recomputed = 0;  // and those of them that were computed again

  void Add(const AttentionCounters& other) {
    tiles_executed += other.tiles_executed;
    rows_checked += other.rows_checked;
    rows_recomputed += other.rows_recomputed;
  }
};

// query, output: [rows of the batch, heads * head_dim]; both may have a stride. `scratch` holds at least
// AttentionScratchBytes. `counters` may be null.
int64_t AttentionScratchBytes(const AttentionShape& shape, std::span<const AttentionItem> items);
void Attention(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
               AttentionCounters* counters);

// The same, unfinished: numerators [rows, heads * head_dim], max and denominator [rows, heads], to be merged
// with states over other entries (MergeStates) and then finished.
void AttentionUnfinished(ComputeShare& share, const AttentionShape& shape,
                         std::span<const AttentionItem> items, MatrixView<const float> query,
                         MatrixView<float> numerator, MatrixView<float> max, MatrixView<float> denominator,
                         std::span<std::byte> scratch, AttentionCounters* counters);

}  // namespace hone
