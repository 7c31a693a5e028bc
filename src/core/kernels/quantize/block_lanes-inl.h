// Blocks side by side: lane l of vector j is value j of block l, so that every block is searched by itself
// and nothing is ever summed across lanes. Compiled once a target; every target computes the same bits.
#if defined(HONE_CORE_KERNELS_QUANTIZE_BLOCK_LANES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_QUANTIZE_BLOCK_LANES_INL_H_
#undef HONE_CORE_KERNELS_QUANTIZE_BLOCK_LANES_INL_H_
#else
#define HONE_CORE_KERNELS_QUANTIZE_BLOCK_LANES_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>

#include "core/kernels/quantize/block_functions.h"
#include "core/tensor/half.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// x y + z, rounded once. Highway's scalar target rounds twice.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Fused(D d, V x, V y, V z) {
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, std::fma(hn::GetLane(x), hn::GetLane(y), hn::GetLane(z)));
#else
  (void)d;
  return hn::MulAdd(x, y, z);
#endif
}

// A float near 2^23 has no fraction: adding and taking away this number rounds |x| < 2^22 to the nearest
// integer, ties to even.
constexpr float kRounder = 12582912.0f;

// The nearest integer to x y + z, which lies within 2^22.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V RoundFused(D d, V x, V y, V z_and_rounder) {
  return hn::Sub(Fused(d, x, y, z_and_rounder), hn::Set(d, kRounder));
}

// 1 / x, or 0 where |x| is so small that the result would overflow.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Inverse(D d, V x) {
  const auto usable = hn::Gt(hn::Abs(x), hn::Set(d, 0x1p-120f));
  return hn::IfThenElseZero(usable, hn::Div(hn::Set(d, 1.0f), hn::IfThenElse(usable, x, hn::Set(d, 1.0f))));
}

// x / y, 0 where y is not above 0.
template <class D, class V = hn::Vec<D>>
HWY_INLINE V DivideOrZero(D d, V x, V y) {
  const auto usable = hn::Gt(y, hn::Zero(d));
  return hn::IfThenElseZero(usable, hn::Div(x, hn::IfThenElse(usable, y, hn::Set(d, 1.0f))));
}

// The value that a float16 of x has, magnitudes held at the largest one. Rare: once a block.
HWY_INLINE float AsHalf(float x) {
  constexpr float kLargest = 65504.0f;
  return F16ToF32(F32ToF16(x > kLargest ? kLargest : x < -kLargest ? -kLargest : x));
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE V AsHalves(D d, V x) {
  HWY_ALIGN float lanes[HWY_MAX_BYTES / sizeof(float)];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) lanes[i] = AsHalf(lanes[i]);
  return hn::Load(d, lanes);
}

// `kLanes` blocks of `kValues` values with the weights of their errors.
template <int kValues, int kLanes>
struct BlockLanes {
  HWY_ALIGN float x[kValues * kLanes];
  HWY_ALIGN float w[kValues * kLanes];

  using Tag = hn::CappedTag<float, kLanes>;
  static constexpr int Values() { return kValues; }
  static constexpr int Lanes() { return kLanes; }
  static int Step() { return static_cast<int>(hn::Lanes(Tag())); }  // blocks in one vector

  // Blocks from..: `used` of them are there, the rest is zero. `position` is that of the first in its row.
  void Load(const QuantizeTask& task, const float* from, int used, int64_t position) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* block = from + lane * kValues;
      for (int j = 0; j < kValues; ++j) x[j * kLanes + lane] = lane < used ? block[j] : 0.0f;
    }
    if (task.importance == nullptr) {
      for (float& weight : w) weight = 1.0f;
      return;
    }
    for (int lane = 0; lane < kLanes; ++lane) {
      const float* importance = task.importance + position;
      LoadWeights(importance, lane);
      position += kValues;
      if (position == task.columns) position = 0;
    }
  }

 private:
  void LoadWeights(const float* importance, int lane) {
    float sum = 0.0f;
    for (int j = 0; j < kValues; ++j) sum += importance[j];
    const float factor = sum > 0.0f ? 1.0f : 0.0f;
    const float instead = sum > 0.0f ? 0.0f : 1.0f;
    for (int j = 0; j < kValues; ++j) w[j * kLanes + lane] = importance[j] * factor + instead;
  }
};

// The sum over all lanes, always in the same order.
template <int kLanes>
HWY_INLINE float SumInOrder(const float (&lanes)[kLanes]) {
  float sum = 0.0f;
  for (const float lane : lanes) sum += lane;
  return sum;
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
