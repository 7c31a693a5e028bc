// float32 and float16 in lanes. Highway 1.0.3's scalar conversions truncate and know no infinity or NaN, so
// the scalar target has its own; all targets round to nearest even and give the same bits. Compiled once a
// target.
#if defined(HONE_CORE_KERNELS_CPU_HALF_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HONE_CORE_KERNELS_CPU_HALF_INL_H_
#undef HONE_CORE_KERNELS_CPU_HALF_INL_H_
#else
#define HONE_CORE_KERNELS_CPU_HALF_INL_H_
#endif

#include <hwy/highway.h>

#include <bit>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Lanes(d) halves at p as float32.
template <class D>
HWY_INLINE hn::Vec<D> LoadHalves(D d, const uint16_t* p) {
#if HWY_TARGET == HWY_SCALAR
  const uint32_t sign = static_cast<uint32_t>(*p & 0x8000) << 16;
  const uint32_t exponent = *p >> 10 & 0x1F;
  const uint32_t mantissa = *p & 0x3FF;
  if (exponent == 0) {
    const float denormal = static_cast<float>(mantissa) * 0x1p-24f;
    return hn::Set(d, sign != 0 ? -denormal : denormal);
  }
  const uint32_t wide_exponent = exponent == 31 ? 255 : exponent + 127 - 15;
  return hn::Set(d, std::bit_cast<float>(sign | wide_exponent << 23 | mantissa << 13));
#else
  const hn::Rebind<hwy::float16_t, D> half;
  return hn::PromoteTo(d, hn::LoadU(half, reinterpret_cast<const hwy::float16_t*>(p)));
#endif
}

// Rounds Lanes(d) floats to halves at p.
template <class D, class V = hn::Vec<D>>
HWY_INLINE void StoreHalves(V x, D d, uint16_t* p) {
#if HWY_TARGET == HWY_SCALAR
  const uint32_t bits = std::bit_cast<uint32_t>(hn::GetLane(x));
  (void)d;
  const uint32_t magnitude = bits & 0x7FFFFFFF;
  uint32_t half = 0;
  if (magnitude > 0x7F800000) {
    half = 0x7E00 | (magnitude >> 13 & 0x1FF);  // a quiet NaN
  } else if (magnitude >= 0x47800000) {
    half = 0x7C00;  // 65536 and more
  } else if (magnitude < 0x38800000) {
    // Below 2^-14: adding 0.5 leaves the multiple of 2^-24, rounded, in the low bits.
    half = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f);
  } else {
    const uint32_t odd = magnitude >> 13 & 1;
    half = (magnitude - ((127 - 15) << 23) + 0xFFF + odd) >> 13;
  }
  *p = static_cast<uint16_t>(half | (bits >> 16 & 0x8000));
#else
  const hn::Rebind<hwy::float16_t, D> half;
  hn::StoreU(hn::DemoteTo(half, x), half, reinterpret_cast<hwy::float16_t*>(p));
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#endif
