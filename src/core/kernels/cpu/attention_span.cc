#include "core/kernels/cpu/attention_span.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/kernels/cpu/tile_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/attention_span.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/softmax_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone::attention {
namespace HWY_NAMESPACE {

using namespace hone::HWY_NAMESPACE;  // the tile's kernels, same target

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The pairs that look into one tile, in rising order.
struct ActivePairs {
  int count = 0;
  uint8_t pair[kMaxPairs];
  uint32_t visible[kMaxPairs];
};

void FindActivePairs(const SpanTask& task, int64_t tile, ActivePairs* active) {
  uint32_t visible[kMaxPairs];
  for (int row = 0; row < task.row_count; ++row) visible[row] = VisibleEntries(task.rows[row], tile);
  active->count = 0;
  for (int pair = 0; pair < task.pairs; ++pair) {
    const uint32_t bits = visible[task.row_of_pair[pair]];
    if (bits == 0 || (task.skipped >> pair & 1) != 0) continue;
    active->visible[active->count] = bits;
    active->pair[active->count++] = static_cast<uint8_t>(pair);
  }
}

// A span under way: sums and extremes by lane, so that nothing is added across lanes before its end.
class SpanWalk {
 public:
  SpanWalk(const SpanTask& task, const AttentionStates& states, const Guards& guards)
      : task_(task), states_(states), guards_(guards), f32_(RowOf(TileFormat::kF32).kernels()) {
    const int lanes = task.pairs * kLanes;
    std::fill_n(sums_, lanes, 0.0f);
    if (!task.softmax.fixed) return;
    std::fill_n(largest_, lanes, -kInfinity);
    std::fill_n(smallest_, lanes, kInfinity);
  }

  int64_t Run() {
    int64_t computed = 0;
    for (int64_t tile = task_.first_tile; tile < task_.end_tile; ++tile) {
      FindActivePairs(task_, tile, &active_);
      if (active_.count == 0) continue;
      ComputeTile(tile);
      computed += active_.count;
    }
    ReduceLanes();
    return computed;
  }

 private:
  void ComputeTile(int64_t tile) {
    const auto at = static_cast<size_t>(tile);
    const std::byte* data = task_.kv.tiles[at];
    const TileFormat format = task_.kv.formats.empty() ? task_.kv.format : task_.kv.formats[at];
    const TileKernels& kernels = RowOf(format).kernels();
    const std::byte* next = tile + 1 < task_.end_tile ? task_.kv.tiles[at + 1] : nullptr;
    if (kernels.widen != nullptr && active_.count > kKernelPairs) {
      kernels.widen(data, next, task_.head_dim, wide_);
      return ComputeActive(f32_, tile, wide_, nullptr);
    }
    ComputeActive(kernels, tile, data, next);
  }

  void ComputeActive(const TileKernels& kernels, int64_t tile, const std::byte* data, const std::byte* next) {
    for (int first = 0; first < active_.count;) {
      const int left = active_.count - first;
      const int rounds = (left + kKernelPairs - 1) / kKernelPairs;
      const int pairs = (left + rounds - 1) / rounds;  // 7 pairs are 4 and 3, not 6 and 1
      ComputePairs(kernels, tile, data, first == 0 ? next : nullptr, first, pairs);
      first += pairs;
    }
  }

  void ComputePairs(const TileKernels& kernels, int64_t tile, const std::byte* data, const std::byte* next,
                    int first, int pairs) {
    const float* queries[kKernelPairs] = {};
    float* numerators[kKernelPairs];
    float rescale[kKernelPairs];
    for (int r = 0; r < pairs; ++r) {
      queries[r] = task_.queries[active_.pair[first + r]];
      numerators[r] = states_.numerators[active_.pair[first + r]];
    }
    kernels.scores(pairs, queries, data, next, task_.head_dim, scores_);
    for (int r = 0; r < pairs; ++r) rescale[r] = Weigh(tile, first + r, scores_ + r * kTileEntries);
    // Pairs that see the same entries, all those of a row at least, go through the values together.
    for (int r = 0; r < pairs;) {
      const uint32_t visible = active_.visible[first + r];
      int end = r + 1;
      while (end < pairs && active_.visible[first + end] == visible) ++end;
      kernels.weighted_sum(end - r, visible, scores_ + r * kTileEntries, rescale + r, data, next,
                           task_.head_dim, numerators + r);
      r = end;
    }
  }

  // Scores to weights, for the active pair `index`; returns its rescale.
  HWY_INLINE float Weigh(int64_t tile, int index, float* scores) {
    const int pair = active_.pair[index];
    const float* bias = task_.rows[task_.row_of_pair[pair]].view->bias;
    if (bias != nullptr) bias += tile * kTileEntries;
    hn::Vec<Lanes> s[kTileVectors];
    MaskedScores(active_.visible[index], bias, task_.scale, scores, s);
    float* sums = sums_ + pair * kLanes;
    if (!task_.softmax.fixed) return RunningTile(s, scores, &states_.max[pair], sums);
    FixedTile(s, task_.softmax.phi, scores, sums, largest_ + pair * kLanes,
              guards_.smallest == nullptr ? nullptr : smallest_ + pair * kLanes);
    return 1.0f;
  }

  void ReduceLanes() {
    const Lanes d;
    for (int pair = 0; pair < task_.pairs; ++pair) {
      const int at = pair * kLanes;
      states_.denominator[pair] = hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums_ + at)));
      if (!task_.softmax.fixed) continue;
      const float largest = hn::GetLane(hn::MaxOfLanes(d, hn::LoadU(d, largest_ + at)));
      guards_.largest[pair] = std::max(guards_.largest[pair], largest);
      if (guards_.smallest == nullptr) continue;
      const float smallest = hn::GetLane(hn::MinOfLanes(d, hn::LoadU(d, smallest_ + at)));
      guards_.smallest[pair] = std::min(guards_.smallest[pair], smallest);
    }
  }

  const SpanTask& task_;
  const AttentionStates& states_;
  const Guards& guards_;
  const TileKernels& f32_;
  ActivePairs active_;
  HWY_ALIGN float sums_[kMaxPairs * kLanes];
  HWY_ALIGN float largest_[kMaxPairs * kLanes];
  HWY_ALIGN float smallest_[kMaxPairs * kLanes];
  HWY_ALIGN float scores_[kKernelPairs * kTileEntries];
  HWY_ALIGN std::byte wide_[2 * kTileEntries * kMaxHeadDim * sizeof(float)];  // a tile of kF32
};

int64_t ComputeSpan(const SpanTask& task, const AttentionStates& states, const Guards& guards) {
  for (int pair = 0; pair < task.pairs; ++pair) {
    states.max[pair] = task.softmax.fixed ? task.softmax.phi : -kInfinity;
    std::memset(states.numerators[pair], 0, sizeof(float) * static_cast<size_t>(task.head_dim));
  }
  SpanWalk walk(task, states, guards);
  return walk.Run();
}

}  // namespace HWY_NAMESPACE
}  // namespace hone::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone::attention {

HWY_EXPORT(ComputeSpan);

int64_t ComputeSpan(const SpanTask& task, const AttentionStates& states, const Guards& guards) {
  return HWY_DYNAMIC_DISPATCH(ComputeSpan)(task, states, guards);
}

}  // namespace hone::attention
#endif  // HWY_ONCE
