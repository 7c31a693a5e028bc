// Each loop keeps 12 independent sums in registers, which the compiler may neither merge nor spill.
#include "core/kernels/peak.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/peak.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include "core/kernels/cpu/lanes-inl.h"

HONE_BEFORE_KERNELS();
namespace hone {
namespace HWY_NAMESPACE {

constexpr int kSums = 12;
constexpr int64_t kSteps = 24'000;

#if HONE_LANES

// Volatile, for equal sums would be merged into one.
template <class Vector>
HWY_INLINE void Hold(Vector& v) {
#if HWY_TARGET == HWY_AVX3
  asm volatile("" : "+v"(v));
#elif HWY_TARGET == HWY_AVX2
  asm volatile("" : "+x"(v));
#else
  asm volatile("" : "+w"(v));
#endif
}

int64_t FmaLoop() {
  Floats sums[kSums];
  Floats a = Repeat(1.0f), b = Repeat(0.0f);
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sums[i] = Repeat(0.0f);
  for (int64_t step = 0; step < kSteps; ++step) {
    Hold(a);
    Hold(b);
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = MulAdd(a, b, sums[i]);
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) Hold(sums[i]);
  }
  return kSteps * kSums * kLanes * 2;
}

int64_t ByteDotLoop() {
  Ints sums[kSums];
  Ints a = Repeat8(1), b = Repeat8(1);
#pragma GCC unroll 12
  for (int i = 0; i < kSums; ++i) sums[i] = Repeat32(0);
  for (int64_t step = 0; step < kSteps; ++step) {
    Hold(a);
    Hold(b);
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) {
#if HONE_BYTE_DOT
      sums[i] = ByteDot(sums[i], a, b);
#else
      Hold(a);  // else one product would serve all sums
      Ints product = MulPairs8(a, b);
      Hold(product);
      sums[i] = Add16(sums[i], product);
#endif
    }
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) Hold(sums[i]);
  }
  return kSteps * kSums * kLanes * 4 * 2;
}

#else

template <class Number>
int64_t ScalarLoop() {
  volatile Number a = 1;
  Number sums[kSums] = {};
  for (int64_t step = 0; step < kSteps; ++step) {
    const Number factor = a;
    for (Number& sum : sums) sum = sum + factor * factor;
  }
  for (Number sum : sums) a = sum;
  return kSteps * kSums * 2;
}

int64_t FmaLoop() { return ScalarLoop<float>(); }
int64_t ByteDotLoop() { return ScalarLoop<int>(); }

#endif

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "core/kernels/cpu/cpu_target.h"

namespace hone {

HWY_EXPORT(FmaLoop);
HWY_EXPORT(ByteDotLoop);

int64_t RunPeakLoop(PeakLoop loop) {
  EnsureCpuTarget();
  return loop == PeakLoop::kFma ? HWY_DYNAMIC_DISPATCH(FmaLoop)() : HWY_DYNAMIC_DISPATCH(ByteDotLoop)();
}

}  // namespace hone
#endif  // HWY_ONCE
