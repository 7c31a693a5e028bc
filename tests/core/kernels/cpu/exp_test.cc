// The exponential of exp-inl.h, on every target.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "core/kernels/cpu/exp_test.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/highway.h>

#include "core/kernels/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

// `count` is a multiple of 64.
void ExpAll(const float* x, size_t count, float* y) {
  const hn::ScalableTag<float> d;
  for (size_t i = 0; i < count; i += hn::Lanes(d)) hn::StoreU(Exp(d, hn::LoadU(d, x + i)), d, y + i);
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

#include <gtest/gtest.h>

#include "core/kernels/cpu/each_target.h"

namespace hone {
namespace {

HWY_EXPORT(ExpAll);

std::vector<float> ExpOf(std::vector<float> x) {
  const size_t count = x.size();
  x.resize((count + 63) / 64 * 64);
  std::vector<float> y(x.size());
  HWY_DYNAMIC_DISPATCH(ExpAll)(x.data(), x.size(), y.data());
  y.resize(count);
  return y;
}

TEST(Exp, HasARelativeErrorBelowTwoTenMillionths) {
  std::vector<float> x;
  for (float v = -87.0f; v < 88.7228f; v += 1.37e-4f) x.push_back(v);
  for (float v = 1e-12f; v < 1.0f; v *= 1.01f) x.insert(x.end(), {v, -v});
  test::ForEachTarget([&](int64_t) {
    const std::vector<float> y = ExpOf(x);
    double largest = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double expected = std::exp(static_cast<double>(x[i]));
      largest = std::max(largest, std::abs(y[i] - expected) / expected);
    }
    EXPECT_LT(largest, 2e-7);
  });
}

TEST(Exp, IsExactWhereItMustBe) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  test::ForEachTarget([&](int64_t) {
    const std::vector<float> y = ExpOf({0.0f, -0.0f, -87.01f, -1e30f, -kInfinity, 88.73f, 1e30f, kInfinity});
    EXPECT_EQ(y, (std::vector<float>{1.0f, 1.0f, 0.0f, 0.0f, 0.0f, kInfinity, kInfinity, kInfinity}));
    // The largest argument whose exponential is finite.
    EXPECT_LT(ExpOf({88.7228317f})[0], kInfinity);
    EXPECT_GT(ExpOf({88.7228317f})[0], 3.402e38f);
    // A NaN stays one whatever its payload.
    for (const uint32_t bits : {0x7FC00000u, 0xFFFFFFFFu, 0x7FC00001u, 0x7F800155u}) {
      EXPECT_TRUE(std::isnan(ExpOf({std::bit_cast<float>(bits)})[0])) << bits;
    }
  });
}

}  // namespace
}  // namespace hone
#endif  // HWY_ONCE
