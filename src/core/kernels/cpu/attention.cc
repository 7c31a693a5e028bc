// One attention call: tasks compute whole states of whole spans, and the states of a pair are merged in
// rising order, whatever the cut (attention_plan.h). Long contexts are walked in waves of spans, so that a
// task stays well under half a millisecond. Pairs whose scores left the range of a fixed phi are computed
// again at the end, by themselves, with the running maximum.
#include "core/kernels/attention.h"

#include <atomic>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/kernels/cpu/attention_plan.h"
#include "core/kernels/cpu/attention_span.h"
#include "core/kernels/elementwise.h"

namespace hone {
namespace {

using attention::Guards;
using attention::ItemPlan;
using attention::kMaxHeadDim;
using attention::kMaxPairs;
using attention::kSpanEntries;
using attention::kStateNumbers;
using attention::RowCursor;
using attention::SpanRange;
using attention::SpanTask;

constexpr double kTaskOperations = 24e6;     // about 0.25 ms on one AVX2 core
constexpr double kInlineOperations = 0.4e6;  // below this a fork costs more than it saves
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Where the result goes: finished rows, or numerators beside max and denominator.
struct Destination {
  MatrixView<float> output;
  MatrixView<float> max;  // no data: finished
  MatrixView<float> denominator;

  bool unfinished() const { return max.data != nullptr; }
};

// Some pairs of one KV head of one item: pair = row * group + head in the group.
struct Block {
  SpanTask task;
  SpanRange spans;
  int64_t kv_head = 0;
  const ItemPlan* plan = nullptr;
  int32_t pair[kMaxPairs];
  const float* queries[kMaxPairs];
  float* outputs[kMaxPairs];
  uint8_t row_of_pair[kMaxPairs];
  RowCursor rows[kMaxPairs];
};

class AttentionCall {
 public:
  AttentionCall(const AttentionShape& shape, std::span<const AttentionItem> items,
                MatrixView<const float> query, const Destination& to, float* scratch, int threads)
      : shape_(shape), group_(shape.heads / shape.kv_heads), query_(query), to_(to) {
    int64_t pairs = 0;
    plans_.reserve(items.size());
    for (const AttentionItem& item : items) {
      ItemPlan& plan = plans_.emplace_back(attention::PlanItem(shape, item));
      plan.states = scratch;
      plan.first_pair = pairs;
      scratch += attention::StateFloats(shape, plan);
      pairs += plan.pairs * shape.kv_heads;
      operations_ += 4.0 * shape.head_dim * SeenEntries(item) * shape.heads;
    }
    if (!shape.softmax.empty()) fired_.assign(static_cast<size_t>(pairs), 0);
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
      RunTasks(share, run_inline, tasks_, [&](int64_t task) { RunTask(task, wave); });
    }
    MergeSplitItems(share);
    if (!fired_.empty()) RecomputeFired(share);
  }

  AttentionCounters counters() const {
    return {tiles_executed_.load(std::memory_order_relaxed), rows_checked_.load(std::memory_order_relaxed),
            rows_recomputed_};
  }

 private:
  template <class Body>
  static void RunTasks(ComputeShare& share, bool run_inline, int64_t tasks, Body body) {
    if (run_inline || tasks <= 1) {
      for (int64_t task = 0; task < tasks; ++task) body(task);
    } else {
      share.ParallelFor(tasks, body);
    }
  }

  static double SeenEntries(const AttentionItem& item) {
    double entries = 0;
    for (const RowView& view : item.views) {
      if (!view.visible.empty()) entries += view.visible.back().end - view.visible.front().begin;
    }
    return entries * static_cast<double>(item.rows) /
           static_cast<double>(std::max<size_t>(item.views.size(), 1));
  }

  SoftmaxScale ScaleOf(int64_t kv_head) const {
    return shape_.softmax.empty() ? SoftmaxScale{} : shape_.softmax[static_cast<size_t>(kv_head)];
  }

  // Makes `block` ready for the pairs that it lists.
  void PrepareBlock(const ItemPlan& plan, int64_t kv_head, int pairs, const SoftmaxScale& softmax,
                    Block* block) const {
    const AttentionItem& item = *plan.item;
    block->plan = &plan;
    block->kv_head = kv_head;
    int row_count = 0;
    int64_t last_row = -1;
    for (int i = 0; i < pairs; ++i) {
      const int64_t row = block->pair[i] / group_;
      const int64_t column = Head(kv_head, block->pair[i]) * shape_.head_dim;
      if (row != last_row) {
        const RowView& view = attention::ViewOf(item, shape_.kv_heads, row, kv_head);
        block->spans.Add(view);
        block->rows[row_count++].view = &view;
        last_row = row;
      }
      block->queries[i] = query_.row(item.first_row + row) + column;
      block->outputs[i] = to_.output.row(item.first_row + row) + column;
      block->row_of_pair[i] = static_cast<uint8_t>(row_count - 1);
    }
    SpanTask& task = block->task;
    task.head_dim = shape_.head_dim;
    task.scale = shape_.scale;
    task.kv = item.heads[static_cast<size_t>(kv_head)];
    task.pairs = pairs;
    task.queries = block->queries;
    task.row_of_pair = block->row_of_pair;
    task.rows = block->rows;
    task.row_count = row_count;
    task.softmax = softmax;
  }

  void PrepareRange(const ItemPlan& plan, int64_t kv_head, int64_t begin, int64_t end, Block* block) const {
    std::iota(block->pair, block->pair + (end - begin), static_cast<int32_t>(begin));
    PrepareBlock(plan, kv_head, static_cast<int>(end - begin), ScaleOf(kv_head), block);
  }

  int64_t Head(int64_t kv_head, int64_t pair) const { return kv_head * group_ + pair % group_; }

  static int64_t ComputeSpan(Block& block, int64_t span, const AttentionStates& states,
                             const Guards& guards) {
    block.task.first_tile = span * kTilesPerSpan;
    block.task.end_tile = std::min<int64_t>(block.task.first_tile + kTilesPerSpan,
                                            static_cast<int64_t>(block.task.kv.tiles.size()));
    return attention::ComputeSpan(block.task, states, guards);
  }

  void RunTask(int64_t task, int64_t wave) {
    size_t i = 0;
    while (task >= plans_[i].first_task + plans_[i].tasks) ++i;
    const ItemPlan& plan = plans_[i];
    // Later rows see more under a causal rule, so they come first; KV heads lie side by side.
    const int64_t index = plan.first_task + plan.tasks - 1 - task;
    const int64_t kv_head = index % shape_.kv_heads;
    const int64_t part = index / shape_.kv_heads;
    if (plan.by_span) {
      if (wave == 0) RunSpanTask(plan, kv_head, part);
    } else {
      RunBlockTask(plan, kv_head, part, wave);
    }
  }

  // What the guards of `pairs` pairs watch, at `at`, as if nothing had been seen.
  Guards GuardsAt(float* at, int64_t pairs, const SoftmaxScale& softmax, bool clear) const {
    const Guards guards{at, softmax.strict ? at + pairs : nullptr};
    if (clear && softmax.fixed) {
      std::fill_n(at, pairs, -kInfinity);
      std::fill_n(at + pairs, pairs, kInfinity);
    }
    return guards;
  }

  // The states of a split item's span: numerators [pairs, head_dim], then max, denominator and guards.
  AttentionStates SplitStates(const ItemPlan& plan, int64_t kv_head, int64_t span_index,
                              float** numerators) const {
    const int64_t floats = plan.pairs * (shape_.head_dim + kStateNumbers);
    float* base = plan.states + (kv_head * plan.spans.count() + span_index) * floats;
    for (int64_t pair = 0; pair < plan.pairs; ++pair) numerators[pair] = base + pair * shape_.head_dim;
    float* max = base + plan.pairs * shape_.head_dim;
    return {static_cast<int>(plan.pairs), shape_.head_dim, max, max + plan.pairs, numerators};
  }

  void RunSpanTask(const ItemPlan& plan, int64_t kv_head, int64_t span_index) {
    Block block;
    PrepareRange(plan, kv_head, 0, plan.pairs, &block);
    float* numerators[kMaxPairs];
    const AttentionStates states = SplitStates(plan, kv_head, span_index, numerators);
    const Guards guards =
        GuardsAt(states.denominator + plan.pairs, plan.pairs, block.task.softmax, /*clear=*/true);
    CountTiles(ComputeSpan(block, plan.spans.begin + span_index, states, guards));
  }

  void RunBlockTask(const ItemPlan& plan, int64_t kv_head, int64_t block_index, int64_t wave) {
    Block block;
    const int64_t begin = block_index * block_pairs_;
    PrepareRange(plan, kv_head, begin, std::min(begin + block_pairs_, plan.pairs), &block);
    const int64_t pairs = block.task.pairs;
    if (block.spans.empty()) {
      if (wave == 0) WriteNothing(block);
      return;
    }
    // Between waves the sums wait in the output, the rest in scratch.
    float local[kStateNumbers * kMaxPairs];
    const bool one_span = plan.spans.count() <= 1;
    float* max = one_span ? local : plan.states + kStateNumbers * (kv_head * plan.pairs + begin);
    const AttentionStates total{block.task.pairs, shape_.head_dim, max, max + pairs, block.outputs};

    const int64_t first = std::max(plan.spans.begin + wave * wave_spans_, block.spans.begin);
    const int64_t last = std::min(plan.spans.begin + (wave + 1) * wave_spans_, block.spans.end);
    const Guards guards =
        GuardsAt(max + 2 * pairs, pairs, block.task.softmax, /*clear=*/first == block.spans.begin);
    WalkSpans(block, first, last, total, guards);
    if (first < last && last == block.spans.end) Deliver(block, total, guards);
  }

  void WalkSpans(Block& block, int64_t first, int64_t last, const AttentionStates& total,
                 const Guards& guards) {
    int64_t computed = 0;
    for (int64_t span = first; span < last; ++span) {
      if (block.task.softmax.fixed) SkipFired(block, guards);
      if (span == block.spans.begin) {
        computed += ComputeSpan(block, span, total, guards);
      } else {
        computed += AddSpan(block, span, total, guards);
      }
    }
    CountTiles(computed);
  }

  int64_t AddSpan(Block& block, int64_t span, const AttentionStates& total, const Guards& guards) const {
    alignas(64) float sums[kMaxPairs * kMaxHeadDim];
    float max[kMaxPairs];
    float denominator[kMaxPairs];
    float* numerators[kMaxPairs];
    for (int pair = 0; pair < block.task.pairs; ++pair) numerators[pair] = sums + pair * shape_.head_dim;
    const AttentionStates part{block.task.pairs, shape_.head_dim, max, denominator, numerators};
    const int64_t computed = ComputeSpan(block, span, part, guards);
    MergeStates(part, total);
    return computed;
  }

  // A pair that has overflowed will be computed again: its later spans are not.
  static void SkipFired(Block& block, const Guards& guards) {
    const SoftmaxScale& softmax = block.task.softmax;
    for (int i = 0; i < block.task.pairs; ++i) {
      if (guards.largest[i] - softmax.phi >= softmax.above) block.task.skipped |= uint64_t{1} << i;
    }
  }

  void CountTiles(int64_t tiles) { tiles_executed_.fetch_add(tiles, std::memory_order_relaxed); }

  uint8_t& FiredFlag(const Block& block, int i) {
    const ItemPlan& plan = *block.plan;
    return fired_[static_cast<size_t>(plan.first_pair + block.kv_head * plan.pairs + block.pair[i])];
  }

  // Whether a pair's scores left the range of its fixed phi, or its sums left float32.
  bool Fired(const SoftmaxScale& softmax, const AttentionStates& states, const Guards& guards, int i) const {
    const float largest = guards.largest[i] - softmax.phi;
    if (!(largest < softmax.above) || !(largest > softmax.below)) return true;
    if (softmax.strict && !(guards.smallest[i] - softmax.phi > softmax.below)) return true;
    return !std::isfinite(states.denominator[i]) ||
           !AllFinite({states.numerators[i], static_cast<size_t>(shape_.head_dim)});
  }

  // The complete states of a block's pairs: finishes them in place or hands out max and denominator, and
  // marks those that must be computed again.
  void Deliver(const Block& block, const AttentionStates& states, const Guards& guards) {
    const SoftmaxScale& softmax = block.task.softmax;
    if (softmax.fixed) {
      int64_t checked = 0;
      for (int i = 0; i < states.pairs; ++i) {
        if (guards.largest[i] == -kInfinity && std::isfinite(states.denominator[i])) continue;  // saw nothing
        ++checked;
        if (Fired(softmax, states, guards, i)) FiredFlag(block, i) = 1;
      }
      rows_checked_.fetch_add(checked, std::memory_order_relaxed);
    }
    if (!to_.unfinished()) return FinishStates(states);
    for (int i = 0; i < states.pairs; ++i) WriteState(block, i, states.max[i], states.denominator[i]);
  }

  void WriteState(const Block& block, int i, float max, float denominator) const {
    const int64_t row = block.plan->item->first_row + block.pair[i] / group_;
    const int64_t head = Head(block.kv_head, block.pair[i]);
    to_.max.row(row)[head] = max;
    to_.denominator.row(row)[head] = denominator;
  }

  void WriteNothing(const Block& block) const {
    for (int i = 0; i < block.task.pairs; ++i) {
      std::fill_n(block.outputs[i], shape_.head_dim, 0.0f);
      if (to_.unfinished()) WriteState(block, i, -kInfinity, 0.0f);
    }
  }

  void MergeSplitItems(ComputeShare& share) {
    double operations = 0;
    for (const ItemPlan& plan : plans_)
      operations += 4.0 * static_cast<double>(plan.by_span ? attention::StateFloats(shape_, plan) : 0);
    if (operations == 0) return;
    const int64_t tasks = static_cast<int64_t>(plans_.size()) * shape_.kv_heads;
    RunTasks(share, operations < kInlineOperations, tasks, [&](int64_t task) {
      const ItemPlan& plan = plans_[static_cast<size_t>(task / shape_.kv_heads)];
      if (plan.by_span) MergeSplitItem(plan, task % shape_.kv_heads);
    });
  }

  void MergeSplitItem(const ItemPlan& plan, int64_t kv_head) {
    Block block;
    PrepareRange(plan, kv_head, 0, plan.pairs, &block);
    float* total_numerators[kMaxPairs];
    float* part_numerators[kMaxPairs];
    const AttentionStates total = SplitStates(plan, kv_head, 0, total_numerators);
    const SoftmaxScale& softmax = block.task.softmax;
    const Guards guards = GuardsAt(total.denominator + plan.pairs, plan.pairs, softmax, false);
    for (int64_t span = 1; span < plan.spans.count(); ++span) {
      const AttentionStates part = SplitStates(plan, kv_head, span, part_numerators);
      MergeStates(part, total);
      if (!softmax.fixed) continue;
      const float* extremes = part.denominator + plan.pairs;
      for (int64_t i = 0; i < plan.pairs; ++i) {
        guards.largest[i] = std::max(guards.largest[i], extremes[i]);
        if (softmax.strict) guards.smallest[i] = std::min(guards.smallest[i], extremes[plan.pairs + i]);
      }
    }
    Deliver(block, total, guards);
    for (int64_t i = 0; i < plan.pairs; ++i)
      std::copy_n(total.numerators[i], shape_.head_dim, block.outputs[i]);
  }

  // The pairs that left the range of their phi, with the running maximum.
  void RecomputeFired(ComputeShare& share) {
    struct Again {
      const ItemPlan* plan;
      int64_t kv_head;
      std::vector<int32_t> pairs;
    };
    std::vector<Again> blocks;
    for (const ItemPlan& plan : plans_) {
      for (int64_t kv_head = 0; kv_head < shape_.kv_heads; ++kv_head) {
        const uint8_t* flags = fired_.data() + plan.first_pair + kv_head * plan.pairs;
        bool open = false;
        for (int64_t pair = 0; pair < plan.pairs; ++pair) {
          if (flags[pair] == 0) continue;
          if (!open || static_cast<int64_t>(blocks.back().pairs.size()) == block_pairs_)
            blocks.push_back({&plan, kv_head, {}});
          open = true;
          blocks.back().pairs.push_back(static_cast<int32_t>(pair));
          ++rows_recomputed_;
        }
      }
    }
    RunTasks(share, false, static_cast<int64_t>(blocks.size()), [&](int64_t task) {
      const Again& again = blocks[static_cast<size_t>(task)];
      RecomputeBlock(*again.plan, again.kv_head, again.pairs);
    });
  }

  void RecomputeBlock(const ItemPlan& plan, int64_t kv_head, std::span<const int32_t> pairs) {
    Block block;
    std::copy(pairs.begin(), pairs.end(), block.pair);
    PrepareBlock(plan, kv_head, static_cast<int>(pairs.size()), SoftmaxScale{}, &block);
    float max[kMaxPairs];
    float denominator[kMaxPairs];
    const AttentionStates total{block.task.pairs, shape_.head_dim, max, denominator, block.outputs};
    WalkSpans(block, block.spans.begin, block.spans.end, total, {});
    Deliver(block, total, {});
  }

  AttentionShape shape_;
  int64_t group_ = 1;  // query heads of a KV head
  MatrixView<const float> query_;
  Destination to_;
  std::vector<ItemPlan> plans_;
  std::vector<uint8_t> fired_;  // by item, KV head and pair; empty where no softmax is fixed
  int64_t block_pairs_ = kMaxPairs;
  int64_t wave_spans_ = 1;
  int64_t waves_ = 1;
  int64_t tasks_ = 0;
  double operations_ = 0;
  std::atomic<int64_t> tiles_executed_{0};
  std::atomic<int64_t> rows_checked_{0};
  int64_t rows_recomputed_ = 0;
};

void RunCall(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
             MatrixView<const float> query, const Destination& to, std::span<std::byte> scratch,
             AttentionCounters* counters) {
  AttentionCall call(shape, items, query, to, reinterpret_cast<float*>(scratch.data()), share.threads());
  call.Run(share);
  if (counters != nullptr) counters->Add(call.counters());
}

}  // namespace

int64_t AttentionScratchBytes(const AttentionShape& shape, std::span<const AttentionItem> items) {
  int64_t floats = 0;
  for (const AttentionItem& item : items)
    floats += attention::StateFloats(shape, attention::PlanItem(shape, item));
  return floats * static_cast<int64_t>(sizeof(float));
}

void Attention(ComputeShare& share, const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<float> output, std::span<std::byte> scratch,
               AttentionCounters* counters) {
  RunCall(share, shape, items, query, {output}, scratch, counters);
}

void AttentionUnfinished(ComputeShare& share, const AttentionShape& shape,
                         std::span<const AttentionItem> items, MatrixView<const float> query,
                         MatrixView<float> numerator, MatrixView<float> max, MatrixView<float> denominator,
                         std::span<std::byte> scratch, AttentionCounters* counters) {
  RunCall(share, shape, items, query, {numerator, max, denominator}, scratch, counters);
}

}  // namespace hone
