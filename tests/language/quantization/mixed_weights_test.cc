#include "language/quantization/mixed_weights.h"
#include "language/quantization/round_in_groups.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "language/quantization/gptq.h"
#include "language/quantization/mixed_model.h"

namespace hone {
namespace {

constexpr int64_t kRows = 40, kColumns = 192;

// Heavy-tailed weights, some columns of which matter more.
std::vector<float> Weights(uint32_t seed) {
  std::mt19937 random(seed);
  std::student_t_distribution<float> tails(3.0f);
  std::vector<float> w(kRows * kColumns);
  for (size_t i = 0; i < w.size(); ++i) w[i] = tails(random) * (i % kColumns / 16 % 4 == 1 ? 4.0f : 1.0f);
  return w;
}

std::vector<float> Importance(uint32_t seed) {
  std::mt19937 random(seed);
  std::lognormal_distribution<float> wide(0.0f, 1.5f);
  std::vector<float> h(kColumns);
  for (float& value : h) value = wide(random);
  return h;
}

double Loss(const std::vector<float>& w, const std::vector<float>& values, const std::vector<float>& h) {
  double loss = 0.0;
  for (size_t i = 0; i < w.size(); ++i) {
    const double error = static_cast<double>(w[i]) - static_cast<double>(values[i]);
    loss += static_cast<double>(h[i % kColumns]) * error * error;
  }
  return loss;
}

class MixedWeightsTest : public testing::Test {
 protected:
  MixedWeights Quantize(const MixedOptions& options, uint32_t seed = 1, std::span<const float> factor = {}) {
    const std::vector<float> w = Weights(seed);
    return *QuantizeMixed(*share_, {w.data(), kRows, kColumns}, Importance(seed), factor, options, true);
  }
  double LossOf(const MixedOptions& options, uint32_t seed = 1) {
    return Loss(Weights(seed), Quantize(options, seed).values, Importance(seed));
  }

  ComputePool pool_{2};
  std::unique_ptr<ComputeShare> share_ = pool_.MakeShare();
};

TEST_F(MixedWeightsTest, PacksTheValuesThatItSaysItHas) {
  for (const bool search : {false, true}) {
    MixedOptions options;
    options.four_bit_share = 0.3;
    options.search = search;
    const MixedWeights mixed = Quantize(options);
    ASSERT_GT(mixed.layout.outliers, 0);
    ASSERT_FALSE(mixed.layout.four.empty());
    const auto format = MakeMixedFormat(mixed.layout);
    const int64_t bytes = format->GroupBytes(kColumns);
    std::vector<std::byte> packed(static_cast<size_t>((kRows + kRowGroup - 1) / kRowGroup * bytes));
    for (int64_t group = 0; group * kRowGroup < kRows; ++group) {
      format->PackGroup(mixed.groups.data() + group * mixed.layout.bytes(), kRowGroup, kColumns,
                        packed.data() + group * bytes);
    }
    std::vector<float> row(kColumns);
    for (int64_t i = 0; i < kRows; ++i) {
      format->ReadRow({format.get(), kRows, kColumns, packed.data()}, i, row);
      for (int64_t k = 0; k < kColumns; ++k)
        ASSERT_FLOAT_EQ(row[static_cast<size_t>(k)], mixed.values[static_cast<size_t>(i * kColumns + k)]);
    }
  }
}

TEST_F(MixedWeightsTest, LosesLessWithEveryPartOfTheMethod) {
  MixedOptions two;
  two.four_bit_share = two.outlier_share = 0.0;
  MixedOptions bands = two;
  bands.four_bit_share = 0.25;
  MixedOptions outliers = bands;
  outliers.outlier_share = 0.01;
  MixedOptions plain = two;
  plain.search = false;
  EXPECT_LT(LossOf(two), LossOf(plain));
  EXPECT_LT(LossOf(bands), LossOf(two));
  EXPECT_LT(LossOf(outliers), LossOf(bands));
  MixedOptions random = bands;
  random.rule = BandRule::kRandom;
  double mean = 0.0;
  for (random.seed = 0; random.seed < 5; ++random.seed) mean += LossOf(random) / 5;
  EXPECT_LT(LossOf(bands), 0.9 * mean);
}

TEST_F(MixedWeightsTest, GptqLosesLessOnTheInputsThatItWasGiven) {
  // Inputs whose columns go together.
  constexpr int kInputs = 400;
  std::mt19937 random(5);
  std::normal_distribution<float> normal;
  std::vector<float> x(kInputs * kColumns), h(kColumns * kColumns, 0.0f);
  for (int n = 0; n < kInputs; ++n) {
    const float common = normal(random);
    for (int k = 0; k < kColumns; ++k) x[n * kColumns + k] = common + 0.5f * normal(random);
  }
  for (int n = 0; n < kInputs; ++n) {
    for (int i = 0; i < kColumns; ++i) {
      for (int j = 0; j < kColumns; ++j) h[i * kColumns + j] += x[n * kColumns + i] * x[n * kColumns + j];
    }
  }
  const std::vector<float> factor = *InverseFactor(*share_, h, kColumns);
  const std::vector<float> w = Weights(1);
  const auto error = [&](std::span<const float> inverse) {
    const MixedWeights mixed = *QuantizeMixed(*share_, {w.data(), kRows, kColumns}, {}, inverse, {}, true);
    double sum = 0.0;
    for (int n = 0; n < kInputs; ++n) {
      for (int64_t row = 0; row < kRows; ++row) {
        double product = 0.0;
        for (int64_t k = 0; k < kColumns; ++k) {
          const auto at = static_cast<size_t>(row * kColumns + k);
          product +=
              static_cast<double>((w[at] - mixed.values[at]) * x[static_cast<size_t>(n * kColumns + k)]);
        }
        sum += product * product;
      }
    }
    return sum;
  };
  EXPECT_LT(error(factor), 0.7 * error({}));
}

TEST_F(MixedWeightsTest, KeepsConstantRowsAndZeroMatrices) {
  std::vector<float> w(kRows * kColumns, 0.0f);
  for (int64_t k = 0; k < kColumns; ++k) w[static_cast<size_t>(k)] = 0.5f;
  const auto mixed = QuantizeMixed(*share_, {w.data(), kRows, kColumns}, {}, {}, {}, true);
  ASSERT_TRUE(mixed);
  for (size_t i = 0; i < w.size(); ++i) ASSERT_NEAR(mixed->values[i], w[i], 0.02) << i;
}

TEST_F(MixedWeightsTest, RefusesWhatItCannotPack) {
  std::vector<float> w(kRows * kColumns, 1.0f);
  EXPECT_FALSE(QuantizeMixed(*share_, {w.data(), 16, 48}, {}, {}, {}));
  EXPECT_FALSE(QuantizeMixed(*share_, {w.data(), kRows, kColumns}, std::vector<float>(3), {}, {}));
  MixedOptions options;
  options.outlier_share = 0.5;
  EXPECT_FALSE(QuantizeMixed(*share_, {w.data(), kRows, kColumns}, {}, {}, options));
  w[77] = NAN;
  const auto refused = QuantizeMixed(*share_, {w.data(), kRows, kColumns}, {}, {}, {});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("row 0 holds a value that is not finite"), std::string::npos);
}

RC_GTEST_PROP(MixedOptionsForBits, AddUpToTheBits, ()) {
  const double bits = 2.42 + *rc::gen::inRange(0, 283) / 100.0;
  const auto options = OptionsForBits(bits);
  RC_ASSERT(options.has_value());
  const double r = options->four_bit_share;
  RC_ASSERT(r >= 0.0 && r <= 1.0);
  const double two = 2.0 + 1.0 / 3 + (16.0 + 16.0 / 3) / 256;
  RC_ASSERT(std::fabs((two + 32.0 * options->outlier_share) * (1 - r) + 5.25 * r - bits) < 1e-9);
}

TEST(RoundInGroups, StaysWithinHalfAStep) {
  const std::vector<float> w = Weights(3);
  std::vector<float> values(w.size());
  const auto bits = RoundInGroups({w.data(), kRows, kColumns}, 8, 64, {}, {values.data(), kRows, kColumns});
  ASSERT_TRUE(bits);
  EXPECT_DOUBLE_EQ(*bits, 8.5);
  for (size_t group = 0; group < w.size(); group += 64) {
    const auto [low, high] = std::minmax_element(w.begin() + static_cast<int64_t>(group),
                                                 w.begin() + static_cast<int64_t>(group) + 64);
    for (size_t i = group; i < group + 64; ++i) EXPECT_NEAR(values[i], w[i], 0.02f * (*high - *low) + 1e-3f);
  }
}

}  // namespace
}  // namespace hone
