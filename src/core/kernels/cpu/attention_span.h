// The inner part of attention, compiled once for every CPU target: the online-softmax state of some (row,
// head) pairs of one KV head over one span of tiles, and the merge of such states.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/kernels/attention.h"

namespace hone::attention {

// Pairs (row, head) of one KV head that are computed together. They share the loads of a tile and its
// conversion to float32; 48 is a multiple of the 6 (AVX2) and 8 (AVX-512) pairs that a kernel holds in
// registers.
inline constexpr int kMaxPairs = 48;
inline constexpr int kMaxHeadDim = 256;

// The state of a pair after some entries E: max = max score, denominator = sum exp(score - max),
// numerator[head_dim] = sum exp(score - max) v. A pair that saw nothing has denominator 0, max -infinity.
struct States {
  float* max = nullptr;                // [pairs]
  float* denominator = nullptr;        // [pairs]
  float* const* numerators = nullptr;  // [pairs], each [head_dim]
};

// Where a row stands in its list of spans while tiles go by in rising order.
struct RowCursor {
  const RowView* view = nullptr;
  size_t span = 0;
};

struct SpanTask {
  TileFormat format = TileFormat::kF32;
  int head_dim = 0;
  float scale = 1.0f;
  std::span<const std::byte* const> tiles;  // all tiles of the KV head
  int64_t first_tile = 0;                   // [first_tile, end_tile): within one span
  int64_t end_tile = 0;
  int pairs = 0;                // at most kMaxPairs
  const float* const* queries;  // [pairs], each [head_dim]
  const uint8_t* row_of_pair;   // [pairs], rising: index into rows
  RowCursor* rows;              // cursors at or before first_tile
  int row_count = 0;
};

// The bits of the entries of `tile` that the row sees, bit e for entry 32 * tile + e. Tiles are asked in
// rising order.
uint32_t VisibleEntries(RowCursor& cursor, int64_t tile);

// Fills `states` (numerators and all) for the span. Returns the number of (pair, tile) computed.
int64_t ComputeSpan(const SpanTask& task, const States& states);

// total = total merged with part, for each pair; both may be empty.
void MergeStates(int pairs, int head_dim, const States& part, const States& total);
// numerator /= denominator, in place; zeros for a pair that saw nothing.
void FinishStates(int pairs, int head_dim, const States& states);

}  // namespace hone::attention
