// F16 and BF16 in vectors, either way.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/quantize/floats.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/half-inl.h"
#include "core/kernels/quantize/block_functions.h"
#include "core/tensor/half.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

void Widen(const uint16_t* halves, int64_t count, float* out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(LoadHalves(d, halves + i), d, out + i);
  for (; i < count; ++i) out[i] = F16ToF32(halves[i]);
}

void Narrow(const float* x, int64_t count, uint16_t* out) {
  const hn::ScalableTag<float> d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) StoreHalves(hn::LoadU(d, x + i), d, out + i);
  for (; i < count; ++i) out[i] = F32ToF16(x[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {

HWY_EXPORT(Widen);
HWY_EXPORT(Narrow);

void WidenF16(const uint16_t* halves, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(Widen)(halves, count, out);
}
void WidenBF16(const uint16_t* halves, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) out[i] = BF16ToF32(halves[i]);
}
void NarrowToF16(const float* x, int64_t count, uint16_t* out) {
  HWY_DYNAMIC_DISPATCH(Narrow)(x, count, out);
}

}  // namespace hone
#endif  // HWY_ONCE
