// Grids x' = s q + m with q in 0 .. top: search for s and m, and the codes. Compiled once a target.
#if defined(HONE_CORE_KERNELS_QUANTIZE_AFFINE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_QUANTIZE_AFFINE_INL_H_
#undef HONE_CORE_KERNELS_QUANTIZE_AFFINE_INL_H_
#else
#define HONE_CORE_KERNELS_QUANTIZE_AFFINE_INL_H_
#endif

#include "core/kernels/quantize/block_lanes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

// What a search depends on: the highest code, and whether the minimum is stored as a number that is taken
// away, so that it is never above zero.
template <int kTopCode, bool kMinimumIsNegative, int kStepCount>
struct AffineGrid {
  static constexpr float kTop = kTopCode;
  static constexpr bool kNegative = kMinimumIsNegative;
  static constexpr int kSteps = kStepCount;  // grids that are tried on each side
};

template <class V>
struct Extremes {
  V low, high;
};

template <class Grid, class Blocks, class D>
HWY_INLINE Extremes<hn::Vec<D>> FindExtremes(D d, const Blocks& blocks, int lane) {
  auto low = hn::Load(d, blocks.x + lane);
  auto high = low;
  for (int j = 1; j < Blocks::Values(); ++j) {
    const auto x = hn::Load(d, blocks.x + j * Blocks::Lanes() + lane);
    low = hn::Min(low, x);
    high = hn::Max(high, x);
  }
  if (Grid::kNegative) low = hn::Min(low, hn::Zero(d));
  return {low, high};
}

// Sums over one block that do not depend on the codes.
template <class V>
struct FixedSums {
  V w, wx;
};

template <class Blocks, class D>
HWY_INLINE FixedSums<hn::Vec<D>> SumWeights(D d, const Blocks& blocks, int lane) {
  FixedSums<hn::Vec<D>> sums{hn::Zero(d), hn::Zero(d)};
  for (int j = 0; j < Blocks::Values(); ++j) {
    const auto w = hn::Load(d, blocks.w + j * Blocks::Lanes() + lane);
    sums.w = hn::Add(sums.w, w);
    sums.wx = Fused(d, w, hn::Load(d, blocks.x + j * Blocks::Lanes() + lane), sums.wx);
  }
  return sums;
}

// Sums over one block with the codes of a grid.
template <class V>
struct CodeSums {
  V q, qq, xq;
};

// For two grids at once, given by 1 / s and -m / s.
template <class Grid, class Blocks, class D, class V = hn::Vec<D>>
HWY_INLINE void SumCodes(D d, const Blocks& blocks, int lane, const V (&inverse)[2], const V (&offset)[2],
                         CodeSums<V> (&sums)[2]) {
  for (auto& sum : sums) sum = {hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (int j = 0; j < Blocks::Values(); ++j) {
    const V x = hn::Load(d, blocks.x + j * Blocks::Lanes() + lane);
    const V w = hn::Load(d, blocks.w + j * Blocks::Lanes() + lane);
    for (int k = 0; k < 2; ++k) {
      const V rounded = RoundFused(d, x, inverse[k], offset[k]);
      const V q = hn::Min(hn::Max(rounded, hn::Zero(d)), hn::Set(d, Grid::kTop));
      const V wq = hn::Mul(w, q);
      sums[k].q = hn::Add(sums[k].q, wq);
      sums[k].qq = Fused(d, q, wq, sums[k].qq);
      sums[k].xq = Fused(d, x, wq, sums[k].xq);
    }
  }
}

template <class V>
struct ScaleAndMinimum {
  V scale, minimum, error;  // the error without sum w x x, which all grids share
};

// The best scale and minimum for given codes: the normal equations of sum w (s q + m - x)^2.
template <class Grid, class D, class V = hn::Vec<D>>
HWY_INLINE ScaleAndMinimum<V> Fit(D d, const FixedSums<V>& fixed, const CodeSums<V>& codes) {
  const V determinant = hn::Sub(hn::Mul(fixed.w, codes.qq), hn::Mul(codes.q, codes.q));
  V scale = DivideOrZero(d, hn::Sub(hn::Mul(fixed.w, codes.xq), hn::Mul(fixed.wx, codes.q)), determinant);
  V minimum = DivideOrZero(d, hn::Sub(fixed.wx, hn::Mul(scale, codes.q)), fixed.w);
  if (Grid::kNegative) {
    const auto above = hn::Gt(minimum, hn::Zero(d));
    scale = hn::IfThenElse(above, DivideOrZero(d, codes.xq, codes.qq), scale);
    minimum = hn::IfThenElse(above, hn::Zero(d), minimum);
  }
  // s (s qq + 2 m q - 2 xq) + m (m w - 2 wx)
  const V two = hn::Set(d, 2.0f);
  const V first = Fused(d, scale, codes.qq, hn::Mul(two, hn::Sub(hn::Mul(minimum, codes.q), codes.xq)));
  const V second = hn::Sub(hn::Mul(minimum, fixed.w), hn::Mul(two, fixed.wx));
  return {scale, minimum, Fused(d, scale, first, hn::Mul(minimum, second))};
}

template <class D, class V = hn::Vec<D>>
HWY_INLINE void KeepBetter(D, const ScaleAndMinimum<V>& found, ScaleAndMinimum<V>& best) {
  const auto better = hn::And(hn::Lt(found.error, best.error), hn::Gt(found.scale, hn::Zero(D())));
  best.scale = hn::IfThenElse(better, found.scale, best.scale);
  best.minimum = hn::IfThenElse(better, found.minimum, best.minimum);
  best.error = hn::IfThenElse(better, found.error, best.error);
}

// The scales and minima of least error.
template <class Grid, class Blocks>
HWY_INLINE void SearchAffine(const Blocks& blocks, float* scales, float* minima) {
  const typename Blocks::Tag d;
  using V = hn::Vec<decltype(d)>;
  constexpr float kStep = 0.125f;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const Extremes<V> extremes = FindExtremes<Grid>(d, blocks, lane);
    const V inverse_range = Inverse(d, hn::Sub(extremes.high, extremes.low));
    const FixedSums<V> fixed = SumWeights(d, blocks, lane);
    ScaleAndMinimum<V> best{hn::Zero(d), extremes.low, hn::Set(d, 1e30f)};
    const auto try_two = [&](const V(&inverse)[2], V minimum) HWY_ATTR {
      V offset[2];
      for (int k = 0; k < 2; ++k) offset[k] = hn::Sub(hn::Set(d, kRounder), hn::Mul(minimum, inverse[k]));
      CodeSums<V> sums[2];
      SumCodes<Grid>(d, blocks, lane, inverse, offset, sums);
      for (const auto& sum : sums) KeepBetter(d, Fit<Grid>(d, fixed, sum), best);
    };
    for (int step = -Grid::kSteps; step <= Grid::kSteps; step += 2) {
      const float levels = Grid::kTop + static_cast<float>(step) * kStep;
      const V inverse[2] = {hn::Mul(inverse_range, hn::Set(d, levels)),
                            hn::Mul(inverse_range, hn::Set(d, levels + kStep))};
      try_two(inverse, extremes.low);
    }
    // Codes of the best grid, and their best grid again; and those of one slightly coarser.
    const V again = Inverse(d, best.scale);
    const V inverse[2] = {again, hn::Mul(again, hn::Set(d, 0.98f))};
    try_two(inverse, best.minimum);
    hn::Store(best.scale, d, scales + lane);
    hn::Store(best.minimum, d, minima + lane);
  }
}

// The grid that reaches from the lowest to the highest value.
template <class Grid, class Blocks>
HWY_INLINE void ExtremeScales(const Blocks& blocks, float* scales, float* minima) {
  const typename Blocks::Tag d;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const auto extremes = FindExtremes<Grid>(d, blocks, lane);
    hn::Store(hn::Div(hn::Sub(extremes.high, extremes.low), hn::Set(d, Grid::kTop)), d, scales + lane);
    hn::Store(extremes.low, d, minima + lane);
  }
}

// Codes for scales and minima as a reader sees them, and the weighted error of each lane.
template <class Grid, class Blocks>
HWY_INLINE void EncodeAffine(const Blocks& blocks, const float* scales, const float* minima, int32_t* codes,
                             float* errors) {
  const typename Blocks::Tag d;
  const hn::RebindToSigned<decltype(d)> integers;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const auto scale = hn::Load(d, scales + lane);
    const auto minimum = hn::Load(d, minima + lane);
    const auto inverse = Inverse(d, scale);
    const auto offset = hn::Mul(minimum, inverse);
    auto error = hn::Zero(d);
    for (int j = 0; j < Blocks::Values(); ++j) {
      const int at = j * Blocks::Lanes();
      const auto x = hn::Load(d, blocks.x + at + lane);
      const auto t = hn::Sub(hn::Mul(x, inverse), offset);
      const auto held = hn::Min(hn::Max(t, hn::Zero(d)), hn::Set(d, Grid::kTop));
      const auto q = hn::Sub(hn::Add(held, hn::Set(d, kRounder)), hn::Set(d, kRounder));
      hn::Store(hn::ConvertTo(integers, q), integers, codes + at + lane);
      const auto off = hn::Sub(x, hn::Add(hn::Mul(scale, q), minimum));
      error = Fused(d, hn::Mul(off, off), hn::Load(d, blocks.w + at + lane), error);
    }
    hn::Store(error, d, errors + lane);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
