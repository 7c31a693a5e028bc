// How the work of one attention call is cut: by item into blocks of pairs that walk the spans in order, or,
// for the few rows of a decode step, into one task a (KV head, span). Results do not depend on the cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/kernels/attention.h"

namespace hone::attention {

inline constexpr int64_t kSpanEntries = int64_t{kTileEntries} * kTilesPerSpan;
inline constexpr int64_t kSplitPairs = 32;  // at most so many pairs a KV head are split by spans

// Spans [begin, end) that some row looks into.
struct SpanRange {
  int64_t begin = std::numeric_limits<int64_t>::max();
  int64_t end = 0;

  bool empty() const { return begin >= end; }
  int64_t count() const { return empty() ? 0 : end - begin; }
  void Add(const RowView& view) {
    if (view.visible.empty()) return;
    begin = std::min<int64_t>(begin, view.visible.front().begin / kSpanEntries);
    end = std::max<int64_t>(end, (view.visible.back().end + kSpanEntries - 1) / kSpanEntries);
  }
};

struct ItemPlan {
  const AttentionItem* item = nullptr;
  int64_t pairs = 0;  // a KV head
  SpanRange spans;
  bool by_span = false;
  int64_t blocks = 0;      // of pairs, where not by_span
  int64_t first_task = 0;  // in the first wave
  int64_t tasks = 0;
  int64_t first_pair = 0;   // of the call
  float* states = nullptr;  // by_span: [kv_heads, spans] states of all pairs, else [kv_heads, 4, pairs]
};

inline ItemPlan PlanItem(const AttentionShape& shape, const AttentionItem& item) {
  ItemPlan plan;
  plan.item = &item;
  plan.pairs = item.rows * (shape.heads / shape.kv_heads);
  for (const RowView& view : item.views) plan.spans.Add(view);
  plan.by_span = plan.pairs <= kSplitPairs && plan.spans.count() > 1;
  return plan;
}

// Of one state beside its numerator: max, denominator, and what the guard of a fixed phi watches.
inline constexpr int64_t kStateNumbers = 4;

inline int64_t StateFloats(const AttentionShape& shape, const ItemPlan& plan) {
  if (plan.by_span) {
    return shape.kv_heads * plan.spans.count() * plan.pairs * (shape.head_dim + kStateNumbers);
  }
  return plan.spans.count() > 1 ? shape.kv_heads * plan.pairs * kStateNumbers : 0;
}

inline const RowView& ViewOf(const AttentionItem& item, int kv_heads, int64_t row, int64_t kv_head) {
  const bool shared = static_cast<int64_t>(item.views.size()) == item.rows;
  return item.views[static_cast<size_t>(shared ? row : row * kv_heads + kv_head)];
}

}  // namespace hone::attention
