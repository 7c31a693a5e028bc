// The softmax between the two inner products of attention: from the scores of one pair over one tile to
// weights, and the step of the pair's state. Compiled once a target.
#if defined(HONE_CORE_KERNELS_CPU_SOFTMAX_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_SOFTMAX_TILE_INL_H_
#undef HONE_CORE_KERNELS_CPU_SOFTMAX_TILE_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_SOFTMAX_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <limits>

#include "core/kernels/cpu/attention_tile-inl.h"
#include "core/kernels/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

inline constexpr int kTileVectors = kTileEntries / kLanes;

// s = scale score + bias, -infinity for entries that are not visible, whatever their score.
HWY_INLINE void MaskedScores(uint32_t visible, const float* bias, float scale, const float* scores,
                             hn::Vec<Lanes> (&s)[kTileVectors]) {
  const Lanes d;
  // Reads no bias of an entry that the row does not see: there may be none.
  HWY_ALIGN float seen_bias[kTileEntries];
  if (bias != nullptr && visible != ~uint32_t{0}) {
    for (int e = 0; e < kTileEntries; ++e) seen_bias[e] = (visible >> e & 1) != 0 ? bias[e] : 0.0f;
    bias = seen_bias;
  }
  HWY_UNROLL(4)
  for (int v = 0; v < kTileVectors; ++v) {
    s[v] = hn::Mul(hn::LoadU(d, scores + v * kLanes), hn::Set(d, scale));
    if (bias != nullptr) s[v] = hn::Add(s[v], hn::LoadU(d, bias + v * kLanes));
  }
  if (visible == ~uint32_t{0}) return;
  const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  for (int v = 0; v < kTileVectors; ++v) {
    const uint64_t bits = visible >> (v * kLanes);
    const auto mask = hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&bits));
    s[v] = hn::IfThenElse(mask, s[v], lowest);
  }
}

// weights = exp(s - reference); sums[lane] = sums[lane] * rescale + the lane's weights.
HWY_INLINE void ExpTile(const hn::Vec<Lanes> (&s)[kTileVectors], float reference, float rescale,
                        float* weights, float* sums) {
  const Lanes d;
  const auto subtracted = hn::Set(d, reference);
  auto total = hn::Mul(hn::LoadU(d, sums), hn::Set(d, rescale));
  HWY_UNROLL(4)
  for (int v = 0; v < kTileVectors; ++v) {
    const auto p = Exp(d, hn::Sub(s[v], subtracted));
    total = hn::Add(total, p);
    hn::StoreU(p, d, weights + v * kLanes);
  }
  hn::StoreU(total, d, sums);
}

// With the running maximum: turns `scores` into weights in place, moves {max, sums by lane} on by one tile
// and returns the factor by which the sums so far shrink.
HWY_INLINE float RunningTile(const hn::Vec<Lanes> (&s)[kTileVectors], float* scores, float* max,
                             float* sums) {
  const Lanes d;
  auto largest = s[0];
  HWY_UNROLL(4)
  for (int v = 1; v < kTileVectors; ++v) largest = hn::Max(largest, s[v]);
  const float tile_max = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float old_max = *max;
  float rescale = 1.0f;
  if (tile_max > old_max) {
    *max = tile_max;
    rescale = hn::GetLane(Exp(d, hn::Set(d, old_max - tile_max)));
  }
  // Where every score so far is -infinity (a bias may say so) all weights are 0; a NaN score still gives NaN.
  const float reference = *max == -std::numeric_limits<float>::infinity() ? 0.0f : *max;
  ExpTile(s, reference, rescale, scores, sums);
  return rescale;
}

// With a fixed phi: nothing shrinks; `largest` and, where not null, `smallest` keep by lane what the guard
// asks for. Entries without weight (not visible, or a bias of -infinity) do not count as small.
HWY_INLINE void FixedTile(const hn::Vec<Lanes> (&s)[kTileVectors], float phi, float* scores, float* sums,
                          float* largest, float* smallest) {
  const Lanes d;
  auto high = hn::LoadU(d, largest);
  HWY_UNROLL(4)
  for (int v = 0; v < kTileVectors; ++v) high = hn::Max(high, s[v]);
  hn::StoreU(high, d, largest);
  if (smallest != nullptr) {
    const auto none = hn::Set(d, std::numeric_limits<float>::infinity());
    auto low = hn::LoadU(d, smallest);
    for (int v = 0; v < kTileVectors; ++v) {
      low = hn::Min(low, hn::IfThenElse(hn::Eq(s[v], hn::Neg(none)), none, s[v]));
    }
    hn::StoreU(low, d, smallest);
  }
  ExpTile(s, phi, 1.0f, scores, sums);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
