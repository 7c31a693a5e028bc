#include "core/tensor/half.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <limits>

namespace hone {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// The definition: (-1)^sign (1 + fraction / 1024) 2^(exponent - 15), or fraction 2^-24 where the exponent is
// 0.
float Definition(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                          : exponent == 31
                              ? kInfinity
                              : std::ldexp(1.0f + static_cast<float>(fraction) / 1024, exponent - 15);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

bool IsNan(uint16_t half) { return (half & 0x7fff) > 0x7c00; }

TEST(Half, F16MeansWhatItsDefinitionSays) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float value = F16ToF32(half);
    if (IsNan(half)) {
      ASSERT_TRUE(std::isnan(value)) << bits;
      ASSERT_TRUE(IsNan(F32ToF16(value))) << bits;
      continue;
    }
    ASSERT_EQ(value, Definition(half)) << bits;
    ASSERT_EQ(std::signbit(value), (bits & 0x8000) != 0) << bits;
    ASSERT_EQ(F32ToF16(value), half) << bits;
  }
}

// Exhaustive over the borders between neighbours: just below the middle, the middle, just above it.
TEST(Half, F16RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const double low = F16ToF32(half);
    const double high = bits == 0x7bff ? 65536.0 : F16ToF32(static_cast<uint16_t>(bits + 1));
    const auto middle = static_cast<float>((low + high) / 2);
    ASSERT_EQ(F32ToF16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(F32ToF16(middle), bits + (bits & 1));
    ASSERT_EQ(F32ToF16(std::nextafter(middle, kInfinity)), bits + 1);
    ASSERT_EQ(F32ToF16(-std::nextafter(middle, 0.0f)), bits | 0x8000);
  }
  EXPECT_EQ(F32ToF16(65520.0f), 0x7c00);
  EXPECT_EQ(F32ToF16(-kInfinity), 0xfc00);
  EXPECT_EQ(F32ToF16(std::numeric_limits<float>::denorm_min()), 0);
}

RC_GTEST_PROP(Half, BF16RoundsToTheNearest, (uint32_t bits)) {
  const float value = std::bit_cast<float>(bits);
  if (std::isnan(value)) {
    RC_ASSERT(std::isnan(BF16ToF32(F32ToBF16(value))));
    return;
  }
  const uint16_t rounded = F32ToBF16(value);
  const uint32_t low = bits & 0xffff0000;
  const uint32_t tail = bits & 0xffff;
  const bool up = tail > 0x8000 || (tail == 0x8000 && ((bits >> 16) & 1) != 0);
  RC_ASSERT(rounded == static_cast<uint16_t>((low >> 16) + (up ? 1 : 0)));
}

TEST(Half, BF16IsTheUpperHalfOfAFloat) {
  EXPECT_EQ(BF16ToF32(0x3f80), 1.0f);
  EXPECT_EQ(F32ToBF16(1.00390625f), 0x3f80);  // a tie: 1 + 2^-8
  EXPECT_EQ(F32ToBF16(1.01171875f), 0x3f82);  // a tie: 1 + 3 * 2^-8
  EXPECT_EQ(F32ToBF16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(BF16ToF32(F32ToBF16(std::numeric_limits<float>::quiet_NaN()))));
}

}  // namespace
}  // namespace hone
