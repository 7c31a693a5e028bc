// The two inner products of attention over one tile of float32 or float16 numbers. Compiled once a target.
//
// A pair's arithmetic is one fixed sequence: scores sum over head_dim in rising order, the weighted sum over
// the entries in rising order; how many pairs a kernel holds in registers only decides how often a tile is
// loaded. Bound: fused multiply-adds, two loads of a tile's vectors for 12 (AVX2: 6 pairs x 2 vectors) or 16
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
#include <cstdint>

#include "core/kernels/cpu/half-inl.h"
#include "core/kernels/tile_format.h"

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

// scores[pair][e] = sum_d q[pair][d] keys[d][e].
template <int kPairs, bool kPrefetch, class T>
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
      if constexpr (kPrefetch) {
        PrefetchNext(next, sizeof(T) * static_cast<size_t>(row - keys), sizeof(T) * kVectors * kLanes);
      }
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

// How a weighted sum goes through a tile: all entries, asking for the next tile meanwhile or not, or those
// whose bit is set.
enum class Walk { kAll, kAllAndPrefetch, kSome };

// One block of columns of WeightedSum, `kVectors` vectors of D wide.
template <int kPairs, int kVectors, Walk kWalk, class T, class D>
HWY_INLINE void WeightedColumns(D d, uint32_t entries, const float* weights, const float* rescale,
                                const T* values, const std::byte* next, int head_dim, int column,
                                float* const* numerators) {
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
  const auto add = [&](int e) HWY_ATTR {
    const T* row = values + static_cast<int64_t>(e) * head_dim + column;
    if constexpr (kWalk == Walk::kAllAndPrefetch) {
      PrefetchNext(next, sizeof(T) * static_cast<size_t>(row - values), sizeof(T) * kVectors * kWidth);
    }
    MultiplyAdd<kPairs, kVectors>([&](int r) HWY_ATTR { return hn::Set(d, weights[r * kTileEntries + e]); },
                                  [&](int v) HWY_ATTR { return LoadFloats(d, row + v * kWidth); }, sum);
  };
  if constexpr (kWalk == Walk::kSome) {
    for (uint32_t left = entries; left != 0; left &= left - 1) add(std::countr_zero(left));
  } else {
    for (int e = 0; e < kTileEntries; ++e) add(e);
  }
  HWY_UNROLL(8)
  for (int r = 0; r < kPairs; ++r) {
    HWY_UNROLL(8)
    for (int v = 0; v < kVectors; ++v) hn::StoreU(sum[r][v], d, numerators[r] + column + v * kWidth);
  }
}

// numerator[pair] = rescale[pair] numerator[pair] + sum_e weights[pair][e] values[e]
template <int kPairs, Walk kWalk, class T>
HWY_NOINLINE void WeightedSum(uint32_t entries, const float* weights, const float* rescale, const T* values,
                              const std::byte* next, int head_dim, float* const* numerators) {
  constexpr int kVectors = VectorsAtATime(kPairs, 8);
  const Lanes d;
  const hn::CappedTag<float, 8> eight;
  constexpr int kEight = static_cast<int>(hn::MaxLanes(hn::CappedTag<float, 8>()));
  int column = 0;
  for (; column + kVectors * kLanes <= head_dim; column += kVectors * kLanes) {
    WeightedColumns<kPairs, kVectors, kWalk>(d, entries, weights, rescale, values, next, head_dim, column,
                                             numerators);
  }
  for (; column + kLanes <= head_dim; column += kLanes) {
    WeightedColumns<kPairs, 1, kWalk>(d, entries, weights, rescale, values, next, head_dim, column,
                                      numerators);
  }
  for (; column < head_dim; column += kEight) {
    WeightedColumns<kPairs, 1, kWalk>(eight, entries, weights, rescale, values, next, head_dim, column,
                                      numerators);
  }
}

// Calls `kernel` with the number of pairs, 1 to kKernelPairs, as a constant.
template <class Kernel>
HWY_INLINE void WithPairs(int pairs, Kernel kernel) {
  switch (pairs) {
    case 1:
      return kernel.template operator()<1>();
    case 2:
      return kernel.template operator()<2>();
    case 3:
      return kernel.template operator()<3>();
    case 4:
      return kernel.template operator()<4>();
    case 5:
      return kernel.template operator()<5>();
    case 6:
      return kernel.template operator()<6>();
    default:
      break;
  }
  if constexpr (kKernelPairs == 8) {
    if (pairs == 7) return kernel.template operator()<7>();
    if (pairs == 8) return kernel.template operator()<8>();
  }
}

// TileKernels::scores and weighted_sum of a tile of T, keys transposed, values in rows.
template <class T>
void TileScores(int pairs, const float* const* queries, const std::byte* tile, const std::byte* next,
                int head_dim, float* scores) {
  const T* keys = reinterpret_cast<const T*>(tile);
  if (next == nullptr) {
    WithPairs(pairs,
              [&]<int kPairs>() HWY_ATTR { Scores<kPairs, false>(queries, keys, next, head_dim, scores); });
  } else {
    WithPairs(pairs,
              [&]<int kPairs>() HWY_ATTR { Scores<kPairs, true>(queries, keys, next, head_dim, scores); });
  }
}

template <class T>
void TileWeightedSum(int pairs, uint32_t entries, const float* weights, const float* rescale,
                     const std::byte* tile, const std::byte* next, int head_dim, float* const* numerators) {
  const size_t value_bytes = sizeof(T) * static_cast<size_t>(kTileEntries * head_dim);
  const T* values = reinterpret_cast<const T*>(tile + value_bytes);
  if (entries != ~uint32_t{0}) {
    WithPairs(pairs, [&]<int kPairs>() HWY_ATTR {
      WeightedSum<kPairs, Walk::kSome>(entries, weights, rescale, values, next, head_dim, numerators);
    });
  } else if (next == nullptr) {
    WithPairs(pairs, [&]<int kPairs>() HWY_ATTR {
      WeightedSum<kPairs, Walk::kAll>(entries, weights, rescale, values, next, head_dim, numerators);
    });
  } else {
    WithPairs(pairs, [&]<int kPairs>() HWY_ATTR {
      WeightedSum<kPairs, Walk::kAllAndPrefetch>(entries, weights, rescale, values, next + value_bytes,
                                                 head_dim, numerators);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
