// The two inner products of attention over one tile, and the softmax between them. Compiled once a target.
//
// A pair's arithmetic is one fixed sequence: scores sum over head_dim in rising order, the weighted sum over
// the entries 0 to 31; how many pairs a kernel holds in registers only decides how often a tile is loaded.
// Bound: fused multiply-adds, two loads of a tile's vectors for 12 (AVX2: 6 pairs x 2 vectors) or 16
// (AVX-512: 8 x 2) of them; with few pairs, the read bandwidth.
#if defined(HONE_CORE_KERNELS_CPU_ATTENTION_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_ATTENTION_TILE_INL_H_
#undef HONE_CORE_KERNELS_CPU_ATTENTION_TILE_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_ATTENTION_TILE_INL_H_
#endif

#include <hwy/cache_control.h>
#include <hwy/highway.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/kernels/attention.h"
#include "core/kernels/cpu/exp-inl.h"
#include "core/kernels/cpu/half-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using Lanes = hn::ScalableTag<float>;
inline constexpr int kLanes = HWY_LANES(float);
static_assert(kTileEntries % kLanes == 0);

// Pairs that one kernel holds, and the registers for their sums.
inline constexpr int kKernelPairs = kLanes >= 16 ? 8 : 6;
inline constexpr int kSumRegisters = kLanes >= 16 ? 16 : 12;

// Vectors of a tile's row that `pairs` pairs take at a time.
constexpr int VectorsAtATime(int pairs, int limit) {
  int vectors = 1;
  while (2 * vectors * pairs <= kSumRegisters && 2 * vectors <= limit) vectors *= 2;
  return vectors;
}

template <class D>
HWY_INLINE hn::Vec<D> LoadFloats(D d, const float* p) {
  return hn::LoadU(d, p);
}
template <class D>
HWY_INLINE hn::Vec<D> LoadFloats(D d, const uint16_t* p) {
  return LoadHalves(d, p);
}

// Asks for the part of the next tile that lies where `bytes` bytes at `offset` of this one do.
HWY_INLINE void PrefetchNext(const std::byte* next, size_t offset, int bytes) {
  for (int b = 0; b < bytes; b += 64) hwy::Prefetch(next + offset + static_cast<size_t>(b));
}

// sum[pair][v] += factor(pair) x(v). What is fewer, factors or vectors of x, stays in registers meanwhile.
template <int kPairs, int kVectors, class V, class Factor, class X>
HWY_INLINE void MultiplyAdd(Factor factor, X x, V (&sum)[kPairs][kVectors]) {
  if constexpr (kPairs < kVectors) {
    V factors[kPairs];
    HWY_UNROLL(8)
    for (int r = 0; r < kPairs; ++r) factors[r] = factor(r);
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      const V value = x(v);
      HWY_UNROLL(8)
      for (int r = 0; r < kPairs; ++r) sum[r][v] = hn::MulAdd(value, factors[r], sum[r][v]);
    }
  } else {
    V values[kVectors];
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) values[v] = x(v);
    HWY_UNROLL(8)
    for (int r = 0; r < kPairs; ++r) {
      const V value = factor(r);
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(values[v], value, sum[r][v]);
    }
  }
}

// scores[pair][e] = sum_d q[pair][d] keys[d][e]. `next` is where the next tile's keys lie.
template <int kPairs, class T>
HWY_NOINLINE void Scores(const float* const* queries, const T* keys, const std::byte* next, int head_dim,
                         float* scores) {
  constexpr int kVectors = VectorsAtATime(kPairs, kTileEntries / kLanes);
  const Lanes d;
  const float* q[kPairs];
  for (int r = 0; r < kPairs; ++r) q[r] = queries[r];
  for (int column = 0; column < kTileEntries; column += kVectors * kLanes) {
    hn::Vec<Lanes> sum[kPairs][kVectors];
    HWY_UNROLL(8)
    for (int r = 0; r < kPairs; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
    }
    for (int i = 0; i < head_dim; ++i) {
      const T* row = keys + i * kTileEntries + column;
      PrefetchNext(next, sizeof(T) * static_cast<size_t>(row - keys), sizeof(T) * kVectors * kLanes);
      MultiplyAdd<kPairs, kVectors>([&](int r) HWY_ATTR { return hn::Set(d, q[r][i]); },
                                    [&](int v) HWY_ATTR { return LoadFloats(d, row + v * kLanes); }, sum);
    }
    HWY_UNROLL(8)
    for (int r = 0; r < kPairs; ++r) {
      HWY_UNROLL(8)
      for (int v = 0; v < kVectors; ++v) {
        hn::StoreU(sum[r][v], d, scores + r * kTileEntries + column + v * kLanes);
      }
    }
  }
}

// One block of columns of WeightedSum, `kVectors` vectors of D wide.
template <int kPairs, int kVectors, class T, class D>
HWY_INLINE void WeightedColumns(D d, const float* weights, const float* rescale, const T* values,
                                const std::byte* next, int head_dim, int column, float* const* numerators) {
  constexpr int kWidth = static_cast<int>(hn::MaxLanes(D()));
  hn::Vec<D> sum[kPairs][kVectors];
  HWY_UNROLL(8)
  for (int r = 0; r < kPairs; ++r) {
    const auto factor = hn::Set(d, rescale[r]);
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) {
      sum[r][v] = hn::Mul(hn::LoadU(d, numerators[r] + column + v * kWidth), factor);
    }
  }
  for (int e = 0; e < kTileEntries; ++e) {
    const T* row = values + static_cast<int64_t>(e) * head_dim + column;
    PrefetchNext(next, sizeof(T) * static_cast<size_t>(row - values), sizeof(T) * kVectors * kWidth);
    MultiplyAdd<kPairs, kVectors>([&](int r) HWY_ATTR { return hn::Set(d, weights[r * kTileEntries + e]); },
                                  [&](int v) HWY_ATTR { return LoadFloats(d, row + v * kWidth); }, sum);
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kPairs; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, numerators[r] + column + v * kWidth);
  }
}

// numerator[pair] = rescale[pair] numerator[pair] + sum_e weights[pair][e] values[e]
template <int kPairs, class T>
HWY_NOINLINE void WeightedSum(const float* weights, const float* rescale, const T* values,
                              const std::byte* next, int head_dim, float* const* numerators) {
  constexpr int kVectors = VectorsAtATime(kPairs, 8);
  const Lanes d;
  const hn::CappedTag<float, 8> eight;
  constexpr int kEight = static_cast<int>(hn::MaxLanes(hn::CappedTag<float, 8>()));
  int column = 0;
  for (; column + kVectors * kLanes <= head_dim; column += kVectors * kLanes) {
    WeightedColumns<kPairs, kVectors>(d, weights, rescale, values, next, head_dim, column, numerators);
  }
  for (; column + kLanes <= head_dim; column += kLanes) {
    WeightedColumns<kPairs, 1>(d, weights, rescale, values, next, head_dim, column, numerators);
  }
  for (; column < head_dim; column += kEight) {
    WeightedColumns<kPairs, 1>(eight, weights, rescale, values, next, head_dim, column, numerators);
  }
}

// Turns the scores of one pair into weights exp(scale score + bias - max) in place and moves {max,
// denominator} on by one tile. Entries that are not visible get weight 0 whatever their score. Returns the
// factor by which the sums so far shrink.
HWY_INLINE float SoftmaxTile(uint32_t visible, const float* bias, float scale, float* scores, float* max,
                             float* denominator) {
  const Lanes d;
  constexpr int kVectors = kTileEntries / kLanes;
  const auto lowest = hn::Set(d, -std::numeric_limits<float>::infinity());
  // Reads no bias of an entry that the row does not see: there may be none.
  HWY_ALIGN float seen_bias[kTileEntries];
  if (bias != nullptr && visible != ~uint32_t{0}) {
    for (int e = 0; e < kTileEntries; ++e) seen_bias[e] = (visible >> e & 1) != 0 ? bias[e] : 0.0f;
    bias = seen_bias;
  }
  hn::Vec<Lanes> s[kVectors];
  auto largest = lowest;
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    s[v] = hn::Mul(hn::LoadU(d, scores + v * kLanes), hn::Set(d, scale));
    if (bias != nullptr) s[v] = hn::Add(s[v], hn::LoadU(d, bias + v * kLanes));
  }
  if (visible != ~uint32_t{0}) {
    for (int v = 0; v < kVectors; ++v) {
      const uint64_t bits = visible >> (v * kLanes);
      const auto mask = hn::LoadMaskBits(d, reinterpret_cast<const uint8_t*>(&bits));
      s[v] = hn::IfThenElse(mask, s[v], lowest);
    }
  }
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) largest = hn::Max(largest, s[v]);
  const float tile_max = hn::GetLane(hn::MaxOfLanes(d, largest));
  const float new_max = tile_max > *max ? tile_max : *max;
  // Where every score so far is -infinity (a bias may say so) all weights are 0; a NaN score still gives NaN.
  const float reference = new_max == -std::numeric_limits<float>::infinity() ? 0.0f : new_max;
  auto total = hn::Zero(d);
  HWY_UNROLL(4)
  for (int v = 0; v < kVectors; ++v) {
    const auto p = Exp(d, hn::Sub(s[v], hn::Set(d, reference)));
    total = hn::Add(total, p);
    hn::StoreU(p, d, scores + v * kLanes);
  }
  const float rescale = hn::GetLane(Exp(d, hn::Set(d, *max - reference)));
  *denominator = *denominator * rescale + hn::GetLane(hn::SumOfLanes(d, total));
  *max = new_max;
  return rescale;
}

// True if all `count` (a multiple of 8) values are finite.
template <class T>
HWY_INLINE bool TileIsFinite(const T* values, int count) {
  const hn::CappedTag<float, 8> d;
  auto poison = hn::Zero(d);
  // x * 0 is 0 for finite x and NaN otherwise.
  for (int i = 0; i < count; i += static_cast<int>(hn::Lanes(d))) {
    poison = hn::MulAdd(LoadFloats(d, values + i), hn::Zero(d), poison);
  }
  return hn::AllTrue(d, hn::Eq(poison, hn::Zero(d)));
}

// float32 copy of `count` (a multiple of 8) values.
template <class T>
HWY_INLINE void WidenTile(const T* values, const std::byte* next, int count, float* out) {
  const hn::CappedTag<float, 8> d;
  constexpr int kStep = static_cast<int>(hn::MaxLanes(hn::CappedTag<float, 8>()));
  for (int i = 0; i < count; i += 32) {
    PrefetchNext(next, sizeof(T) * static_cast<size_t>(i), sizeof(T) * 32);
    for (int j = i; j < i + 32; j += kStep) hn::StoreU(LoadFloats(d, values + j), d, out + j);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
