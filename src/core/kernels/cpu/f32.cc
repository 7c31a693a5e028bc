// F32: [column][16 rows] float32, multiplied with float activations in both numeric modes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/f32.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/float_format.h"
#include "core/kernels/cpu/float_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

void F32Float(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
#if HONE_X86_LANES
  MultiplyFloat(w, x, begin, end, y,
                [](const std::byte* group, int64_t first, int64_t /*columns*/, float*)
                    HWY_ATTR { return reinterpret_cast<const float*>(group) + first * kRowGroup; });
#else
  ScalarPlainMultiply(w, x, begin, end, y);
#endif
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(F32Float);

void Float(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  HWY_DYNAMIC_DISPATCH(F32Float)(w, x, begin, end, y);
}

float Value(const std::byte* at) { return LoadAs<float>(at); }

}  // namespace

const WeightFormat& F32Format() {
  static const PlainWeightFormat format({DType::kF32, 4, Value, Float});
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
