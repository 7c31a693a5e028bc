// F32: [column][16 rows] float32, multiplied with float activations in both numeric modes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/f32.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/float_format.h"
#include "core/kernels/cpu/float_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct F32Numbers {
  static constexpr int kBytes = 4;
  static HWY_INLINE Floats Load(const std::byte* at) { return LoadFloats(at); }
};
#else
struct F32Numbers;
#endif

void F32Float(const MatmulTask& task) { MultiplyNumbers<F32Numbers>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(F32Float);

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(F32Float)(task); }

float Value(const std::byte* at) { return LoadAs<float>(at); }

}  // namespace

const WeightFormat& F32Format() {
  static const PlainWeightFormat format({DType::kF32, 4, Value, Float});
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
