#include "core/kernels/cpu/attention_span.h"

#include <algorithm>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/attention_span.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/attention_tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone::attention {
namespace HWY_NAMESPACE {

using namespace hone::HWY_NAMESPACE;  // the tile's kernels, same target

// The pairs that look into one tile, in rising order.
struct ActivePairs {
  int count = 0;
  bool all_full = true;
  uint8_t pair[kMaxPairs];
  uint32_t visible[kMaxPairs];
};

void FindActivePairs(const SpanTask& task, int64_t tile, ActivePairs* active) {
  uint32_t visible[kMaxPairs];
  for (int row = 0; row < task.row_count; ++row) visible[row] = VisibleEntries(task.rows[row], tile);
  active->count = 0;
  active->all_full = true;
  for (int pair = 0; pair < task.pairs; ++pair) {
    const uint32_t bits = visible[task.row_of_pair[pair]];
    if (bits == 0) continue;
    if (bits != ~uint32_t{0}) active->all_full = false;
    active->visible[active->count] = bits;
    active->pair[active->count++] = static_cast<uint8_t>(pair);
  }
}

// One tile for kPairs of the active pairs, from `first` on.
template <int kPairs, class T>
void ComputePairs(const SpanTask& task, int64_t tile, const ActivePairs& active, int first, const T* keys,
                  const T* values, const std::byte* next, const States& states) {
  const float* queries[kPairs];
  float* numerators[kPairs];
  float rescale[kPairs];
  HWY_ALIGN float scores[kPairs * kTileEntries];
  for (int r = 0; r < kPairs; ++r) {
    const int pair = active.pair[first + r];
    queries[r] = task.queries[pair];
    numerators[r] = states.numerators[pair];
  }
  Scores<kPairs>(queries, keys, next, task.head_dim, scores);
  for (int r = 0; r < kPairs; ++r) {
    const int pair = active.pair[first + r];
    const float* bias = task.rows[task.row_of_pair[pair]].view->bias;
    if (bias != nullptr) bias += tile * kTileEntries;
    rescale[r] = SoftmaxTile(active.visible[first + r], bias, task.scale, scores + r * kTileEntries,
                             &states.max[pair], &states.denominator[pair]);
  }
  WeightedSum<kPairs>(scores, rescale, values,
                      next + sizeof(T) * static_cast<size_t>(kTileEntries * task.head_dim), task.head_dim,
                      numerators);
}

template <class T>
void ComputeSomePairs(int pairs, const SpanTask& task, int64_t tile, const ActivePairs& active, int first,
                      const T* keys, const T* values, const std::byte* next, const States& states) {
  switch (pairs) {
    case 1:
      return ComputePairs<1>(task, tile, active, first, keys, values, next, states);
    case 2:
      return ComputePairs<2>(task, tile, active, first, keys, values, next, states);
    case 3:
      return ComputePairs<3>(task, tile, active, first, keys, values, next, states);
    case 4:
      return ComputePairs<4>(task, tile, active, first, keys, values, next, states);
    case 5:
      return ComputePairs<5>(task, tile, active, first, keys, values, next, states);
    case 6:
      return ComputePairs<6>(task, tile, active, first, keys, values, next, states);
    default:
      break;
  }
  if constexpr (kKernelPairs == 8) {
    if (pairs == 7) return ComputePairs<7>(task, tile, active, first, keys, values, next, states);
    if (pairs == 8) return ComputePairs<8>(task, tile, active, first, keys, values, next, states);
  }
}

// A tile widened to float32.
struct WideTile {
  HWY_ALIGN float keys[kTileEntries * kMaxHeadDim];
  HWY_ALIGN float values[kTileEntries * kMaxHeadDim];
};

// Unseen entries may hold anything, and 0 * NaN is NaN: where some value of a partly visible tile is not
// finite, each pair gets its own copy in which the entries that it does not see are zero. The bits are those
// of the ordinary path.
template <class T>
void ComputeNonFiniteTile(const SpanTask& task, int64_t tile, const ActivePairs& active, const T* keys,
                          const T* values, const States& states) {
  WideTile wide;
  const int count = kTileEntries * task.head_dim;
  const auto* here = reinterpret_cast<const std::byte*>(keys);
  WidenTile(keys, here, count, wide.keys);
  for (int i = 0; i < active.count; ++i) {
    WidenTile(values, here, count, wide.values);
    for (int e = 0; e < kTileEntries; ++e) {
      if ((active.visible[i] >> e & 1) == 0)
        std::fill_n(wide.values + e * task.head_dim, task.head_dim, 0.0f);
    }
    ComputePairs<1>(task, tile, active, i, wide.keys, wide.values,
                    reinterpret_cast<const std::byte*>(wide.keys), states);
  }
}

template <class T>
void ComputeTilePairs(const SpanTask& task, int64_t tile, const ActivePairs& active, const T* keys,
                      const T* values, const std::byte* next, const States& states) {
  for (int first = 0; first < active.count;) {
    const int left = active.count - first;
    const int kernels = (left + kKernelPairs - 1) / kKernelPairs;
    const int pairs = (left + kernels - 1) / kernels;  // 7 pairs are 4 and 3, not 6 and 1
    ComputeSomePairs(pairs, task, tile, active, first, keys, values, next, states);
    first += pairs;
  }
}

template <class T>
void ComputeTile(const SpanTask& task, int64_t tile, const ActivePairs& active, const std::byte* next,
                 const States& states, WideTile* wide) {
  const int count = kTileEntries * task.head_dim;
  const T* keys = reinterpret_cast<const T*>(task.tiles[tile]);
  const T* values = keys + count;
  if (!active.all_full && !TileIsFinite(values, count)) {
    return ComputeNonFiniteTile(task, tile, active, keys, values, states);
  }
  if constexpr (sizeof(T) != sizeof(float)) {
    if (active.count > kKernelPairs) {
      WidenTile(keys, next, count, wide->keys);
      WidenTile(values, next + sizeof(T) * static_cast<size_t>(count), count, wide->values);
      const auto* here = reinterpret_cast<const std::byte*>(wide->keys);
      return ComputeTilePairs<float>(task, tile, active, wide->keys, wide->values, here, states);
    }
  }
  ComputeTilePairs<T>(task, tile, active, keys, values, next, states);
}

template <class T>
int64_t ComputeSpanOf(const SpanTask& task, const States& states) {
  WideTile wide;
  ActivePairs active;
  int64_t computed = 0;
  for (int64_t tile = task.first_tile; tile < task.end_tile; ++tile) {
    FindActivePairs(task, tile, &active);
    if (active.count == 0) continue;
    const std::byte* next = tile + 1 < task.end_tile ? task.tiles[tile + 1] : nullptr;
    if (next == nullptr) next = task.tiles[tile];
    ComputeTile<T>(task, tile, active, next, states, &wide);
    computed += active.count;
  }
  return computed;
}

int64_t ComputeSpan(const SpanTask& task, const States& states) {
  for (int pair = 0; pair < task.pairs; ++pair) {
    states.max[pair] = -std::numeric_limits<float>::infinity();
    states.denominator[pair] = 0.0f;
    std::memset(states.numerators[pair], 0, sizeof(float) * static_cast<size_t>(task.head_dim));
  }
  return task.format == TileFormat::kF32 ? ComputeSpanOf<float>(task, states)
                                         : ComputeSpanOf<uint16_t>(task, states);
}

void MergeStates(int pairs, int head_dim, const States& part, const States& total) {
  const hn::CappedTag<float, 8> d;
  for (int pair = 0; pair < pairs; ++pair) {
    if (part.denominator[pair] == 0.0f) continue;
    const float max = std::max(total.max[pair], part.max[pair]);
    const float old_factor = hn::GetLane(Exp(d, hn::Set(d, total.max[pair] - max)));
    const float new_factor = hn::GetLane(Exp(d, hn::Set(d, part.max[pair] - max)));
    total.denominator[pair] = total.denominator[pair] * old_factor + part.denominator[pair] * new_factor;
    total.max[pair] = max;
    const float* from = part.numerators[pair];
    float* to = total.numerators[pair];
    for (int i = 0; i < head_dim; i += static_cast<int>(hn::Lanes(d))) {
      const auto old_part = hn::Mul(hn::LoadU(d, to + i), hn::Set(d, old_factor));
      hn::StoreU(hn::MulAdd(hn::LoadU(d, from + i), hn::Set(d, new_factor), old_part), d, to + i);
    }
  }
}

void FinishStates(int pairs, int head_dim, const States& states) {
  const hn::CappedTag<float, 8> d;
  for (int pair = 0; pair < pairs; ++pair) {
    const float denominator = states.denominator[pair];
    const float factor = denominator == 0.0f ? 0.0f : 1.0f / denominator;
    float* x = states.numerators[pair];
    for (int i = 0; i < head_dim; i += static_cast<int>(hn::Lanes(d))) {
      hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, x + i);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone::attention
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone::attention {

HWY_EXPORT(ComputeSpan);
HWY_EXPORT(MergeStates);
HWY_EXPORT(FinishStates);

uint32_t VisibleEntries(RowCursor& cursor, int64_t tile) {
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

int64_t ComputeSpan(const SpanTask& task, const States& states) {
  return HWY_DYNAMIC_DISPATCH(ComputeSpan)(task, states);
}

void MergeStates(int pairs, int head_dim, const States& part, const States& total) {
  HWY_DYNAMIC_DISPATCH(MergeStates)(pairs, head_dim, part, total);
}

void FinishStates(int pairs, int head_dim, const States& states) {
  HWY_DYNAMIC_DISPATCH(FinishStates)(pairs, head_dim, states);
}

}  // namespace hone::attention
#endif  // HWY_ONCE
