// BF16: [column][16 rows] bfloat16, multiplied with float activations in both numeric modes.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/bf16.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <bit>

#include "core/kernels/cpu/float_format.h"
#include "core/kernels/cpu/float_matmul-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

#if HONE_LANES
struct BF16Numbers {
  static constexpr int kBytes = 2;
  static HWY_INLINE Floats Load(const std::byte* at) { return AsFloats(ShiftLeft<16>(WordsToInts(at))); }
};
#else
struct BF16Numbers;
#endif

void BF16Float(const MatmulTask& task) { MultiplyNumbers<BF16Numbers>(task); }

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(BF16Float);

void Float(const MatmulTask& task) { HWY_DYNAMIC_DISPATCH(BF16Float)(task); }

float Value(const std::byte* at) {
  return std::bit_cast<float>(static_cast<uint32_t>(LoadAs<uint16_t>(at)) << 16);
}

}  // namespace

const WeightFormat& BF16Format() {
  static const PlainWeightFormat format({DType::kBF16, 2, Value, Float});
  return format;
}

}  // namespace hone
#endif  // HWY_ONCE
