// Grids x' = s q, q from a fixed set of levels: search for s, and the codes. Compiled once a target.
#if defined(HONE_CORE_KERNELS_QUANTIZE_SYMMETRIC_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_QUANTIZE_SYMMETRIC_INL_H_
#undef HONE_CORE_KERNELS_QUANTIZE_SYMMETRIC_INL_H_
#else
#define HONE_CORE_KERNELS_QUANTIZE_SYMMETRIC_INL_H_
#endif

#include "core/kernels/quantize/block_lanes-inl.h"
#include "core/kernels/quantize/nonlinear_levels.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

// q in -kHalf .. kHalf - 1, stored as q + kHalf.
template <int kHalf>
struct IntegerLevels {
  static constexpr float kLowest = -kHalf;
  static constexpr float kHighest = kHalf - 1;
  static constexpr int kSteps = 8;        // grids that are tried on each side
  static constexpr float kStep = 0.125f;  // by which the extreme value moves, in levels
  static constexpr bool kTryOtherSign = kHalf <= 8;

  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Nearest(D d, V x, V inverse) {
    const V q = RoundFused(d, x, inverse, hn::Set(d, kRounder));
    return hn::Min(hn::Max(q, hn::Set(d, kLowest)), hn::Set(d, kHighest));
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE auto Code(D d, V q) {
    const hn::RebindToSigned<D> integers;
    return hn::ConvertTo(integers, hn::Add(q, hn::Set(d, static_cast<float>(kHalf))));
  }
};

// q in -127 .. 127, stored as it is.
struct ByteLevels {
  static constexpr float kLowest = -127;
  static constexpr float kHighest = 127;
  static constexpr int kSteps = 2;
  static constexpr float kStep = 0.125f;
  static constexpr bool kTryOtherSign = false;

  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Nearest(D d, V x, V inverse) {
    const V q = RoundFused(d, x, inverse, hn::Set(d, kRounder));
    return hn::Min(hn::Max(q, hn::Set(d, kLowest)), hn::Set(d, kHighest));
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE auto Code(D, V q) {
    const hn::RebindToSigned<D> integers;
    return hn::ConvertTo(integers, q);
  }
};

// The sixteen levels of IQ4_NL and IQ4_XS, stored by their index.
struct NonlinearLevels {
  static constexpr float kLowest = -127;
  static constexpr float kHighest = 113;
  static constexpr int kSteps = 7;
  static constexpr float kStep = 1.0f;
  static constexpr bool kTryOtherSign = true;

  // Levels are integers, so the nearest one to x is nearly always the one nearest to x rounded.
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE V Nearest(D d, V x, V inverse) {
    return hn::GatherIndex(d, kNearestNonlinear.level,
                           Slot(d, RoundFused(d, x, inverse, hn::Set(d, kRounder))));
  }
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE auto Code(D d, V q) {
    const hn::RebindToSigned<D> integers;
    return hn::GatherIndex(integers, kNearestNonlinear.index, Slot(d, q));
  }

 private:
  template <class D, class V = hn::Vec<D>>
  static HWY_INLINE auto Slot(D d, V rounded) {
    const hn::RebindToSigned<D> integers;
    const V held = hn::Min(hn::Max(rounded, hn::Set(d, -128.0f)), hn::Set(d, 127.0f));
    return hn::ConvertTo(integers, hn::Add(held, hn::Set(d, 128.0f)));
  }
};

// The value of largest magnitude in each lane, the first of equals, with its sign.
template <class Blocks, class D>
HWY_INLINE hn::Vec<D> Peak(D d, const Blocks& blocks, int lane) {
  auto peak = hn::Zero(d);
  auto magnitude = hn::Zero(d);
  for (int j = 0; j < Blocks::Values(); ++j) {
    const auto x = hn::Load(d, blocks.x + j * Blocks::Lanes() + lane);
    const auto larger = hn::Gt(hn::Abs(x), magnitude);
    peak = hn::IfThenElse(larger, x, peak);
    magnitude = hn::Max(hn::Abs(x), magnitude);
  }
  return peak;
}

// For two grids at once: sum w x q and sum w q q.
template <class Levels, class Blocks, class D, class V = hn::Vec<D>>
HWY_INLINE void SumProducts(D d, const Blocks& blocks, int lane, const V (&inverse)[2], V (&xq)[2],
                            V (&qq)[2]) {
  for (int k = 0; k < 2; ++k) xq[k] = qq[k] = hn::Zero(d);
  for (int j = 0; j < Blocks::Values(); ++j) {
    const V x = hn::Load(d, blocks.x + j * Blocks::Lanes() + lane);
    const V w = hn::Load(d, blocks.w + j * Blocks::Lanes() + lane);
    for (int k = 0; k < 2; ++k) {
      const V q = Levels::Nearest(d, x, inverse[k]);
      const V wq = hn::Mul(w, q);
      xq[k] = Fused(d, x, wq, xq[k]);
      qq[k] = Fused(d, q, wq, qq[k]);
    }
  }
}

// The scales of least error: for the codes of one grid the best scale is sum w x q / sum w q q, and it takes
// (sum w x q)^2 / sum w q q away from the error of all zeros.
template <class Levels, class Blocks>
HWY_INLINE void SearchScales(const Blocks& blocks, float* scales) {
  const typename Blocks::Tag d;
  using V = hn::Vec<decltype(d)>;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const V inverse_peak = Inverse(d, Peak(d, blocks, lane));
    V best_gain = hn::Zero(d);
    V best_scale = hn::Zero(d);
    const auto try_two = [&](float first, float second) HWY_ATTR {
      const V inverse[2] = {hn::Mul(inverse_peak, hn::Set(d, first)),
                            hn::Mul(inverse_peak, hn::Set(d, second))};
      V xq[2], qq[2];
      SumProducts<Levels>(d, blocks, lane, inverse, xq, qq);
      for (int k = 0; k < 2; ++k) {
        const V scale = DivideOrZero(d, xq[k], qq[k]);
        const V gain = hn::Mul(scale, xq[k]);
        const auto better = hn::Gt(gain, best_gain);
        best_gain = hn::IfThenElse(better, gain, best_gain);
        best_scale = hn::IfThenElse(better, scale, best_scale);
      }
    };
    for (int step = -Levels::kSteps; step <= Levels::kSteps; step += 2) {
      const float moved = static_cast<float>(step) * Levels::kStep;
      try_two(Levels::kLowest + moved, Levels::kLowest + moved + Levels::kStep);
      if (Levels::kTryOtherSign) try_two(Levels::kHighest + moved, Levels::kHighest + moved + Levels::kStep);
    }
    // Codes of the best scale, and their best scale again.
    const V again[2] = {Inverse(d, best_scale), hn::Zero(d)};
    V xq[2], qq[2];
    SumProducts<Levels>(d, blocks, lane, again, xq, qq);
    const V scale = DivideOrZero(d, xq[0], qq[0]);
    const auto better = hn::Gt(hn::Mul(scale, xq[0]), best_gain);
    hn::Store(hn::IfThenElse(better, scale, best_scale), d, scales + lane);
  }
}

// The scale that puts the value of largest magnitude on the lowest level or, where the levels reach as far on
// both sides, on one of the ends.
template <class Levels, class Blocks>
HWY_INLINE void PeakScales(const Blocks& blocks, float* scales) {
  const typename Blocks::Tag d;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const auto peak = Peak(d, blocks, lane);
    constexpr bool kBothSides = Levels::kLowest == -Levels::kHighest;
    hn::Store(hn::Div(kBothSides ? hn::Abs(peak) : peak,
                      hn::Set(d, kBothSides ? Levels::kHighest : Levels::kLowest)),
              d, scales + lane);
  }
}

// Codes for the scales as a reader sees them, and the weighted error of each lane.
template <class Levels, class Blocks>
HWY_INLINE void EncodeSymmetric(const Blocks& blocks, const float* scales, int32_t* codes, float* errors) {
  const typename Blocks::Tag d;
  const hn::RebindToSigned<decltype(d)> integers;
  for (int lane = 0; lane < Blocks::Lanes(); lane += Blocks::Step()) {
    const auto scale = hn::Load(d, scales + lane);
    const auto inverse = Inverse(d, scale);
    auto error = hn::Zero(d);
    for (int j = 0; j < Blocks::Values(); ++j) {
      const int at = j * Blocks::Lanes();
      const auto x = hn::Load(d, blocks.x + at + lane);
      const auto q = Levels::Nearest(d, x, inverse);
      hn::Store(Levels::Code(d, q), integers, codes + at + lane);
      const auto off = hn::Sub(x, hn::Mul(scale, q));
      error = Fused(d, hn::Mul(off, off), hn::Load(d, blocks.w + at + lane), error);
    }
    hn::Store(error, d, errors + lane);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
