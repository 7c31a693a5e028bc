// F16: [column][16 rows] float16, multiplied with float activations in both numeric modes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/f16.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/float_format.h"
#include "core/kernels/cpu/float_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct F16Numbers {
  static constexpr int kBytes = 2;
  static HWY_INLINE Floats Load(const std::byte* at) { return HalvesToFloats(at); }
};
#else
struct F16Numbers;
#endif

void F16Float(const MatmulTask& task) { MultiplyNumbers<F16Numbers>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(F16Float);

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(F16Float)(task); }

float Value(const std::byte* at) { return F16ToF32(LoadAs<uint16_t>(at)); }

}  // namespace

const WeightFormat& F16Format() {
  static const PlainWeightFormat format({DType::kF16, 2, Value, Float});
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
