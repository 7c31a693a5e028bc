// The exponential of the house: softmax, SiLU and GELU all use it. Compiled once a target.
#if defined(HONE_CORE_KERNELS_CPU_EXP_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_EXP_INL_H_
#undef HONE_CORE_KERNELS_CPU_EXP_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_EXP_INL_H_
#endif

#include <hwy/highway.h>

#include <limits>

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// exp(x) in each lane, relative error below 2e-7: exactly 1 at 0, 0 below -87 (so no result is denormal),
// infinity where float32 overflows, NaN for NaN.
//   exp(x) = 2^n exp(r),  n = round(x / ln 2),  r = x - n ln 2 in two parts (Cody and Waite),
//   exp(r) = 1 + r + r^2 P(r) with P the minimax polynomial on |r| <= ln(2) / 2 (relative error 3e-9).
template <class D, class V = hn::Vec<D>>
HWY_INLINE V Exp(D d, V x) {
  const hn::RebindToUnsigned<D> du;
  // Adding 1.5 * 2^23 rounds to an integer, which then lies in the low bits of the mantissa.
  const V round = hn::Set(d, 12582912.0f);
  const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), round);
  const V n = hn::Sub(shifted, round);
  // 355/512 times any |n| <= 128 is exact, with or without a fused multiply-add.
  V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::MulAdd(hn::Set(d, 0.00138143904f), r, hn::Set(d, 0.00836881716f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0416683964f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.166665196f));
  p = hn::MulAdd(p, r, hn::Set(d, 0.49999994f));
  const V y = hn::Add(hn::MulAdd(hn::Mul(r, r), p, r), hn::Set(d, 1.0f));
  // y is in (0.7, 1.42): adding n to its exponent multiplies by 2^n, for n = 128 too where the product is
  // finite.
  const V scaled = hn::BitCast(d, hn::Add(hn::BitCast(du, y), hn::ShiftLeft<23>(hn::BitCast(du, shifted))));
  V result = hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0f)), scaled);
  result = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.7228317f)),
                          hn::Set(d, std::numeric_limits<float>::infinity()), result);
  return hn::IfThenElse(hn::IsNaN(x), x, result);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
