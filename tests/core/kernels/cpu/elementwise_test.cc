#include "core/kernels/elementwise.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "core/kernels/cpu/each_target.h"
#include "core/kernels/reference/elementwise_reference.h"

namespace hone {
namespace {

using test::ForEachTarget;

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

std::vector<float> RandomNumbers(size_t count, float deviation, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<float> normal(0.0f, deviation);
  std::vector<float> numbers(count);
  for (float& x : numbers) x = normal(random);
  return numbers;
}

RC_GTEST_PROP(RmsNorm, AgreesWithFloat64AtAnyLength, ()) {
  const auto count = *rc::gen::inRange<size_t>(1, 1500);
  const float deviation = *rc::gen::element(1e-3f, 1.0f, 3e4f);  // Gemma 3's residual passes 65504
  const auto x = RandomNumbers(count, deviation, count);
  const auto w = RandomNumbers(*rc::gen::arbitrary<bool>() ? count : 0, 1.0f, count + 1);
  const std::vector<double> expected = reference::RmsNorm(x, w, 1e-6f);
  ForEachTarget([&](int64_t) {
    std::vector<float> y(count);
    RmsNorm(x, w, 1e-6f, y);
    for (size_t i = 0; i < count; ++i)
      RC_ASSERT(std::abs(y[i] - expected[i]) <= 2e-6 * std::abs(expected[i]));
    std::vector<float> in_place = x;
    RmsNorm(in_place, w, 1e-6f, in_place);
    RC_ASSERT(std::memcmp(in_place.data(), y.data(), count * sizeof(float)) == 0);
  });
}

RC_GTEST_PROP(Rope, RotatesThePairsOfEitherKindAndLeavesTheRest, ()) {
  const auto pairs = *rc::gen::inRange<size_t>(1, 130);
  const size_t size = 2 * pairs + *rc::gen::inRange<size_t>(0, 40);
  const auto angles = RandomNumbers(pairs, 3.0f, pairs);
  std::vector<float> cos;
  std::vector<float> sin;
  for (const float angle : angles) {
    cos.push_back(std::cos(angle));
    sin.push_back(std::sin(angle));
  }
  const auto x = RandomNumbers(size, 1.0f, size);
  for (const RopePairs kind : {RopePairs::kHalves, RopePairs::kNeighbours}) {
    const std::vector<double> expected = reference::Rope(kind, cos, sin, x);
    ForEachTarget([&](int64_t) {
      std::vector<float> y = x;
      Rope(kind, cos, sin, y);
      for (size_t i = 0; i < size; ++i) RC_ASSERT(std::abs(y[i] - expected[i]) < 1e-6);
      RC_ASSERT(
          std::memcmp(&y[2 * pairs - 1] + 1, &x[2 * pairs - 1] + 1, (size - 2 * pairs) * sizeof(float)) == 0);
    });
  }
}

TEST(Activations, AgreeWithFloat64OverTheWholeRange) {
  std::vector<float> gate;
  for (float x = -100.0f; x < 100.0f; x += 0.03f) gate.push_back(x);
  for (float x = 1e-30f; x < 1.0f; x *= 7.0f) gate.insert(gate.end(), {x, -x});
  gate.insert(gate.end(), {0.0f, 1e6f, -1e6f, 1e20f, -1e20f});
  const std::vector<float> up = RandomNumbers(gate.size(), 1.0f, 5);
  ForEachTarget([&](int64_t) {
    std::vector<float> silu(gate.size());
    std::vector<float> gelu(gate.size());
    SiluTimes(gate, up, silu);
    GeluTimes(gate, up, gelu);
    for (size_t i = 0; i < gate.size(); ++i) {
      const double x = gate[i];
      const double expected_silu = reference::Silu(x) * up[i];
      const double expected_gelu = reference::Gelu(x) * up[i];
      // exp(-x) inherits the rounding of its argument: |x| / 2^24 of a relative error, and 1e-37 near the
      // underflow.
      const double relative = 4e-7 + 2e-7 * std::min(std::abs(x), 90.0);
      EXPECT_NEAR(silu[i], expected_silu, relative * std::abs(expected_silu) + 1e-35) << x;
      EXPECT_NEAR(gelu[i], expected_gelu,
                  2e-6 * std::abs(expected_gelu) + 1e-6 * std::min(1.0, std::abs(x)) * std::abs(up[i]))
          << x;
    }
  });
}

TEST(Activations, PassNanOn) {
  ForEachTarget([&](int64_t) {
    std::vector<float> x(19, 1.0f);
    x[3] = x[18] = kNan;
    std::vector<float> y(19);
    SiluTimes(x, std::vector<float>(19, 1.0f), y);
    EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[18]) && !std::isnan(y[4]));
    GeluTimes(x, std::vector<float>(19, 1.0f), y);
    EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[18]) && !std::isnan(y[4]));
  });
}

TEST(Sums, AddAndScaleInPlace) {
  ForEachTarget([&](int64_t) {
    const auto x = RandomNumbers(45, 1.0f, 1);
    const auto before = RandomNumbers(45, 1.0f, 2);
    std::vector<float> y = before;
    AddTo(x, y);
    Scale(0.25f, y);
    for (size_t i = 0; i < y.size(); ++i) EXPECT_EQ(y[i], (before[i] + x[i]) * 0.25f);
  });
}

RC_GTEST_PROP(LogSumExp, AgreesWithFloat64, ()) {
  const auto count = *rc::gen::inRange<size_t>(1, 3000);
  auto x = RandomNumbers(count, *rc::gen::element(0.1f, 5.0f, 60.0f), count);
  if (count > 2) x[1] = -kInfinity;
  const double expected = reference::LogSumExp(x);
  ForEachTarget([&](int64_t) { RC_ASSERT(std::abs(LogSumExp(x) - expected) < 3e-7); });
}

TEST(LogSumExp, SaysWhatInfinitiesAndNansMean) {
  ForEachTarget([&](int64_t) {
    EXPECT_EQ(LogSumExp({}), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(LogSumExp(std::vector<float>(70, -kInfinity)), -std::numeric_limits<double>::infinity());
    EXPECT_EQ(LogSumExp(std::vector<float>{1.0f, kInfinity, 2.0f}), std::numeric_limits<double>::infinity());
    std::vector<float> x(70, 1.0f);
    x[69] = kNan;
    EXPECT_TRUE(std::isnan(LogSumExp(x)));
  });
}

TEST(ArgMax, TakesTheLowestIndexOfTheLargestValue) {
  ForEachTarget([&](int64_t) {
    for (const size_t count : {1u, 7u, 8u, 16u, 33u, 100u}) {
      for (size_t first = 0; first < count; ++first) {
        std::vector<float> x(count, -1.0f);
        for (size_t i = first; i < count; i += 3) x[i] = 2.5f;
        EXPECT_EQ(ArgMax(x), static_cast<int64_t>(first));
        for (size_t i = 0; i < first; ++i) x[i] = kNan;
        EXPECT_EQ(ArgMax(x), static_cast<int64_t>(first));
      }
      EXPECT_EQ(ArgMax(std::vector<float>(count, -kInfinity)), 0);
      EXPECT_EQ(ArgMax(std::vector<float>(count, kNan)), 0);
    }
  });
}

TEST(AllFinite, FindsOneBadValueAnywhere) {
  ForEachTarget([&](int64_t) {
    for (size_t i = 0; i < 37; ++i) {
      std::vector<float> x(37, 3e38f);
      EXPECT_TRUE(AllFinite(x));
      for (const float bad : {kNan, kInfinity, -kInfinity}) {
        x[i] = bad;
        EXPECT_FALSE(AllFinite(x));
      }
    }
    EXPECT_TRUE(AllFinite({}));
  });
}

}  // namespace
}  // namespace hone
