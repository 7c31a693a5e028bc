// The inner part of attention, compiled once for every CPU target: the states of some (row, head) pairs of
// one KV head over one span of tiles.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernels/attention.h"
#include "core/kernels/attention_state.h"

namespace hone::attention {

// Pairs (row, head) of one KV head that are computed together. They share the loads of a tile and its
// conversion to float32; 48 is a multiple of the 6 (AVX2) and 8 (AVX-512) pairs that a kernel holds in
// registers.
inline constexpr int kMaxPairs = 48;
inline constexpr int kMaxHeadDim = 256;

// Where a row stands in its list of spans while tiles go by in rising order.
struct RowCursor {
  const RowView* view = nullptr;
  size_t span = 0;
};

// What the guard of a fixed phi watches: the extreme scores of a pair so far. `smallest` may be null: not
// watched.
struct Guards {
  float* largest = nullptr;   // [pairs]
  float* smallest = nullptr;  // [pairs]
};

struct SpanTask {
  int head_dim = 0;
  float scale = 1.0f;
  KvTiles kv;              // of the KV head
  int64_t first_tile = 0;  // [first_tile, end_tile): within one span
  int64_t end_tile = 0;
  int pairs = 0;                // at most kMaxPairs
  const float* const* queries;  // [pairs], each [head_dim]
  const uint8_t* row_of_pair;   // [pairs], rising: index into rows
  RowCursor* rows;              // cursors at or before first_tile
  int row_count = 0;
  SoftmaxScale softmax;
  uint64_t skipped = 0;  // pairs, by bit, that are left out: their states stay empty
};

// The bits of the entries of `tile` that the row sees, bit e for entry 32 * tile + e. Tiles are asked in
// rising order.
inline uint32_t VisibleEntries(RowCursor& cursor, int64_t tile) {
  const std::span<const EntrySpan> visible = cursor.view->visible;
  const int64_t begin = tile * kTileEntries;
  const int64_t end = begin + kTileEntries;
  while (cursor.span < visible.size() && visible[cursor.span].end <= begin) ++cursor.span;
  uint32_t bits = 0;
  for (size_t i = cursor.span; i < visible.size() && visible[i].begin < end; ++i) {
    const int64_t first = std::max<int64_t>(visible[i].begin - begin, 0);
    const int64_t last = std::min<int64_t>(visible[i].end - begin, kTileEntries);
    bits |= static_cast<uint32_t>(((uint64_t{1} << (last - first)) - 1) << first);
  }
  return bits;
}

// Fills `states` (numerators and all) for the span, and moves `guards` on where the softmax is fixed. Returns
// the number of (pair, tile) computed.
int64_t ComputeSpan(const SpanTask& task, const AttentionStates& states, const Guards& guards);

}  // namespace hone::attention
