// How the work of one attention call is cut into tasks. Results do not depend on the cut: a task computes
// whole states of whole spans, and the states of a pair are merged in rising order.
//
// Items with few rows (decode, draft trees) over several spans: one task a (KV head, span); the states go
// through scratch. All others: one task a (KV head, block of pairs), which walks the spans and merges as it
// goes, straight into the output. Long contexts are walked in waves of spans, so that a task stays well under
// half a millisecond.
#include "core/kernels/attention.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "core/kernels/cpu/attention_span.h"

namespace hone {
namespace {

using attention::kMaxHeadDim;
using attention::kMaxPairs;
using attention::RowCursor;
using attention::SpanTask;
using attention::States;

constexpr int64_t kSpanEntries = int64_t{kTileEntries} * kTilesPerSpan;
constexpr int64_t kSplitPairs = 32;          // at most so many pairs a KV head are split by spans
constexpr double kTaskOperations = 24e6;     // about 0.25 ms on one AVX2 core
constexpr double kInlineOperations = 0.4e6;  // below this a fork costs more than it saves

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
  float* states = nullptr;  // by_span: [kv_heads, spans, pairs, head_dim + 2], else [kv_heads, pairs, 2]
};

const RowView& ViewOf(const AttentionItem& item, int kv_heads, int64_t row, int64_t kv_head) {
  const bool shared = static_cast<int64_t>(item.views.size()) == item.rows;
  return item.views[static_cast<size_t>(shared ? row : row * kv_heads + kv_head)];
}

ItemPlan PlanItem(const AttentionShape& shape, const AttentionItem& item) {
  ItemPlan plan;
  plan.item = &item;
  plan.pairs = item.rows * (shape.heads / shape.kv_heads);
  for (const RowView& view : item.views) plan.spans.Add(view);
  plan.by_span = plan.pairs <= kSplitPairs && plan.spans.count() > 1;
  return plan;
}

int64_t StateFloats(const AttentionShape& shape, const ItemPlan& plan) {
  if (plan.by_span) return shape.kv_heads * plan.spans.count() * plan.pairs * (shape.head_dim + 2);
  return plan.spans.count() > 1 ? shape.kv_heads * plan.pairs * 2 : 0;
}

// One call, and what its tasks need to know.
class AttentionCall {
 public:
  AttentionCall(const AttentionShape& shape, std::span<const AttentionItem> items,
                MatrixView<const float> query, MatrixView<float> output, float* scratch, int threads)
      : shape_(shape), group_(shape.heads / shape.kv_heads), query_(query), output_(output) {
    int64_t pairs = 0;
    for (const AttentionItem& item : items) {
      ItemPlan& plan = plans_.emplace_back(PlanItem(shape, item));
      plan.states = scratch;
      scratch += StateFloats(shape, plan);
      pairs += plan.pairs * shape.kv_heads;
      operations_ += 4.0 * shape.head_dim * SeenEntries(item) * shape.heads;
    }
    block_pairs_ = kMaxPairs;
    while (block_pairs_ > kMaxPairs / 4 && pairs / block_pairs_ < 4 * threads) block_pairs_ /= 2;
    const double span_operations = 4.0 * shape.head_dim * kSpanEntries * static_cast<double>(block_pairs_);
    wave_spans_ = std::max<int64_t>(1, static_cast<int64_t>(kTaskOperations / span_operations));
    for (ItemPlan& plan : plans_) {
      plan.blocks = (plan.pairs + block_pairs_ - 1) / block_pairs_;
      plan.first_task = tasks_;
      plan.tasks = shape.kv_heads * (plan.by_span ? plan.spans.count() : plan.blocks);
      tasks_ += plan.tasks;
      waves_ = std::max(waves_, plan.by_span ? 1 : (plan.spans.count() + wave_spans_ - 1) / wave_spans_);
    }
  }

  void Run(ComputeShare& share) {
    const bool run_inline = operations_ < kInlineOperations;
    for (int64_t wave = 0; wave < waves_; ++wave) {
      auto body = [&](int64_t task) { RunTask(task, wave); };
      if (run_inline || tasks_ <= 1) {
        for (int64_t task = 0; task < tasks_; ++task) body(task);
      } else {
        share.ParallelFor(tasks_, body);
      }
    }
    MergeSplitItems(share);
  }

  int64_t tiles_executed() const { return tiles_executed_.load(std::memory_order_relaxed); }

 private:
  static double SeenEntries(const AttentionItem& item) {
    double entries = 0;
    for (const RowView& view : item.views) {
      if (!view.visible.empty()) entries += view.visible.back().end - view.visible.front().begin;
    }
    return entries * static_cast<double>(item.rows) /
           static_cast<double>(std::max<size_t>(item.views.size(), 1));
  }

  // Pairs [begin, end) of a KV head of an item, ready for ComputeSpan: pair = row * group + head in the
  // group.
  struct Block {
    SpanTask task;
    SpanRange spans;
    const float* queries[kMaxPairs];
    float* outputs[kMaxPairs];
    uint8_t row_of_pair[kMaxPairs];
    RowCursor rows[kMaxPairs];
  };

  void PrepareBlock(const ItemPlan& plan, int64_t kv_head, int64_t begin, int64_t end, Block* block) const {
    const AttentionItem& item = *plan.item;
    const KvTiles& kv = item.heads[static_cast<size_t>(kv_head)];
    const int64_t first_row = begin / group_;
    int row_count = 0;
    for (int64_t pair = begin; pair < end; ++pair) {
      const int64_t row = pair / group_;
      const int64_t column = (kv_head * group_ + pair % group_) * shape_.head_dim;
      if (row - first_row == row_count) {
        const RowView& view = ViewOf(item, shape_.kv_heads, row, kv_head);
        block->spans.Add(view);
        block->rows[row_count++].view = &view;
      }
      block->queries[pair - begin] = query_.row(item.first_row + row) + column;
      block->outputs[pair - begin] = output_.row(item.first_row + row) + column;
      block->row_of_pair[pair - begin] = static_cast<uint8_t>(row - first_row);
    }
    SpanTask& task = block->task;
    task.format = kv.format;
    task.head_dim = shape_.head_dim;
    task.scale = shape_.scale;
    task.tiles = kv.tiles;
    task.pairs = static_cast<int>(end - begin);
    task.queries = block->queries;
    task.row_of_pair = block->row_of_pair;
    task.rows = block->rows;
    task.row_count = row_count;
  }

  int64_t ComputeSpan(Block& block, int64_t span, const States& states) const {
    block.task.first_tile = span * kTilesPerSpan;
    block.task.end_tile = std::min<int64_t>(block.task.first_tile + kTilesPerSpan,
                                            static_cast<int64_t>(block.task.tiles.size()));
    return attention::ComputeSpan(block.task, states);
  }

  void RunTask(int64_t task, int64_t wave) {
    size_t i = 0;
    while (task >= plans_[i].first_task + plans_[i].tasks) ++i;
    const ItemPlan& plan = plans_[i];
    // Later rows see more under a causal rule, so they come first; KV heads lie side by side.
    const int64_t index = plan.first_task + plan.tasks - 1 - task;
    const int64_t kv_head = index % shape_.kv_heads;
    const int64_t part = index / shape_.kv_heads;
    const int64_t computed = plan.by_span ? (wave == 0 ? RunSpanTask(plan, kv_head, part) : 0)
                                          : RunBlockTask(plan, kv_head, part, wave);
    tiles_executed_.fetch_add(computed, std::memory_order_relaxed);
  }

  // The states of a split item's span: numerators [pairs, head_dim], then max [pairs], denominator [pairs].
  States SplitStates(const ItemPlan& plan, int64_t kv_head, int64_t span_index, float** numerators) const {
    const int64_t floats = plan.pairs * (shape_.head_dim + 2);
    float* base = plan.states + (kv_head * plan.spans.count() + span_index) * floats;
    for (int64_t pair = 0; pair < plan.pairs; ++pair) numerators[pair] = base + pair * shape_.head_dim;
    float* max = base + plan.pairs * shape_.head_dim;
    return {max, max + plan.pairs, numerators};
  }

  int64_t RunSpanTask(const ItemPlan& plan, int64_t kv_head, int64_t span_index) const {
    Block block;
    PrepareBlock(plan, kv_head, 0, plan.pairs, &block);
    float* numerators[kMaxPairs];
    const States states = SplitStates(plan, kv_head, span_index, numerators);
    return ComputeSpan(block, plan.spans.begin + span_index, states);
  }

  int64_t RunBlockTask(const ItemPlan& plan, int64_t kv_head, int64_t block_index, int64_t wave) const {
    Block block;
    const int64_t begin = block_index * block_pairs_;
    PrepareBlock(plan, kv_head, begin, std::min(begin + block_pairs_, plan.pairs), &block);
    if (block.spans.empty()) {
      for (int pair = 0; pair < block.task.pairs; ++pair)
        std::fill_n(block.outputs[pair], shape_.head_dim, 0.0f);
      return 0;
    }
    // Between waves the sums wait in the output, the rest in scratch.
    float local[2 * kMaxPairs];
    const bool one_span = plan.spans.count() <= 1;
    float* max = one_span ? local : plan.states + 2 * (kv_head * plan.pairs + begin);
    const States total{max, max + block.task.pairs, block.outputs};

    const int64_t first = std::max(plan.spans.begin + wave * wave_spans_, block.spans.begin);
    const int64_t last = std::min(plan.spans.begin + (wave + 1) * wave_spans_, block.spans.end);
    int64_t computed = 0;
    for (int64_t span = first; span < last; ++span) {
      computed += span == block.spans.begin ? ComputeSpan(block, span, total) : AddSpan(block, span, total);
      if (span + 1 == block.spans.end) attention::FinishStates(block.task.pairs, shape_.head_dim, total);
    }
    return computed;
  }

  int64_t AddSpan(Block& block, int64_t span, const States& total) const {
    alignas(64) float sums[kMaxPairs * kMaxHeadDim];
    float max[kMaxPairs];
    float denominator[kMaxPairs];
    float* numerators[kMaxPairs];
    for (int pair = 0; pair < block.task.pairs; ++pair) numerators[pair] = sums + pair * shape_.head_dim;
    const States part{max, denominator, numerators};
    const int64_t computed = ComputeSpan(block, span, part);
    attention::MergeStates(block.task.pairs, shape_.head_dim, part, total);
    return computed;
  }

  void MergeSplitItems(ComputeShare& share) {
    double operations = 0;
    for (const ItemPlan& plan : plans_)
      operations += 4.0 * static_cast<double>(plan.by_span ? StateFloats(shape_, plan) : 0);
    if (operations == 0) return;
    const int64_t tasks = static_cast<int64_t>(plans_.size()) * shape_.kv_heads;
    auto body = [&](int64_t task) {
      const ItemPlan& plan = plans_[static_cast<size_t>(task / shape_.kv_heads)];
      if (plan.by_span) MergeSplitItem(plan, task % shape_.kv_heads);
    };
    if (operations < kInlineOperations) {
      for (int64_t task = 0; task < tasks; ++task) body(task);
    } else {
      share.ParallelFor(tasks, body);
    }
  }

  void MergeSplitItem(const ItemPlan& plan, int64_t kv_head) const {
    float* total_numerators[kMaxPairs];
    float* part_numerators[kMaxPairs];
    const States total = SplitStates(plan, kv_head, 0, total_numerators);
    const int pairs = static_cast<int>(plan.pairs);
    for (int64_t span = 1; span < plan.spans.count(); ++span) {
      attention::MergeStates(pairs, shape_.head_dim, SplitStates(plan, kv_head, span, part_numerators),
                             total);
    }
    attention::FinishStates(pairs, shape_.head_dim, total);
    for (int64_t pair = 0; pair < plan.pairs; ++pair) {
      const int64_t column = (kv_head * group_ + pair % group_) * shape_.head_dim;
      float* out = output_.row(plan.item->first_row + pair / group_) + column;
      std::copy_n(total.numerators[pair], shape_.head_dim, out);
    }
  }

  AttentionShape shape_;
  int64_t group_ = 1;  // query heads of a KV head
  MatrixView<const float> query_;
  MatrixView<float> output_;
  std::vector<ItemPlan> plans_;
  int64_t block_pairs_ = kMaxPairs;
  int64_t wave_spans_ = 1;
  int64_t waves_ = 1;
  int64_t tasks_ = 0;
  double operations_ = 0;
  std::atomic<int64_t> tiles_executed_{0};
};

}  // namespace

int64_t AttentionScratchBytes(const AttentionShape& shape, std::span<const AttentionItem> items) {
  int64_t floats = 0;
  for (const AttentionItem& item : items) floats += StateFloats(shape, PlanItem(shape, item));
  return floats * static_cast<int64_t>(sizeof(float));
}

void Attention(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
               AttentionCounters* counters) {
  AttentionCall call(shape, items, query, output, reinterpret_cast<float*>(scratch.data()), share.threads());
  call.Run(share);
  if (counters != nullptr) counters->tiles_executed += call.tiles_executed();
}

}  // namespace hone
