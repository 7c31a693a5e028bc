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

#if HONE_X86_LANES
HWY_INLINE const float* ExpandBF16(const std::byte* group, int64_t first, int64_t columns, float* scratch) {
  const std::byte* from = group + first * 2 * kRowGroup;
  for (int64_t i = 0; i < columns * kRowGroup; i += kLanes) {
    if (i % 32 == 0) PrefetchAhead<64>(from + 2 * i);
    StoreFloats(scratch + i, AsFloats(ShiftLeft<16>(WordsToInts(from + 2 * i))));
  }
  return scratch;
}
#endif

void BF16Float(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
#if HONE_X86_LANES
  MultiplyFloat(w, x, begin, end, y,
                [](const std::byte* group, int64_t first, int64_t columns, float* scratch)
                    HWY_ATTR { return ExpandBF16(group, first, columns, scratch); });
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

HWY_EXPORT(BF16Float);

void Float(const PackedMatrix& w, const Activations& x, int64_t begin, int64_t end, MatrixView<float> y) {
  HWY_DYNAMIC_DISPATCH(BF16Float)(w, x, begin, end, y);
}

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
