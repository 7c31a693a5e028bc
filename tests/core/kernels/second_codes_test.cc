#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/matmul.h"

namespace hone {
namespace {

constexpr int64_t kColumns = 256;

// Eight blocks of values in [-1, 1]; the block `outlier`, where not negative, holds a 60.
std::vector<float> Row(int outlier) {
  std::vector<float> values;
  uint32_t state = 7;
  for (int64_t i = 0; i < kColumns; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back(static_cast<float>(state >> 8) / 8388608.0f - 1.0f);
  }
  if (outlier >= 0) values[static_cast<size_t>(32 * outlier + 9)] = 60.0f;
  return values;
}

// One row of Q8_0 blocks with scale 1 (f16 0x3C00) and codes i % 7 - 3; `exact` is its product with x.
std::vector<std::byte> PackedRow(const std::vector<float>& x, double& exact) {
  std::vector<std::byte> row(static_cast<size_t>(RowBytes(DType::kQ8_0, kColumns)));
  exact = 0.0;
  for (int64_t i = 0; i < kColumns; ++i) {
    std::byte* block = row.data() + i / 32 * 34;
    block[0] = std::byte{0x00};
    block[1] = std::byte{0x3C};
    const int code = static_cast<int>(i % 7) - 3;
    block[2 + i % 32] = static_cast<std::byte>(code);
    exact += static_cast<double>(code) * x[static_cast<size_t>(i)];
  }
  const WeightFormat& format = *FindWeightFormat(DType::kQ8_0);
  std::vector<std::byte> packed(static_cast<size_t>(format.GroupBytes(kColumns)));
  format.PackGroup(row.data(), 1, kColumns, packed.data());
  return packed;
}

float Product(const std::vector<float>& x, const std::vector<std::byte>& packed) {
  std::vector<std::byte> prepared(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, 1, kColumns)));
  Prepare(ActivationForm::kInt8, {x.data(), 1, kColumns}, 0, 1, prepared.data());
  const WeightFormat& format = *FindWeightFormat(DType::kQ8_0);
  float y = 0.0f;
  format.Multiply({{&format, 1, kColumns, packed.data()},
                   {ActivationForm::kInt8, 1, kColumns, prepared.data()},
                   0,
                   1,
                   {&y, 1, 1}});
  return y;
}

// The outlier's step is 60 / 127: with one code the other 31 values would be off by up to half of that each.
TEST(SecondCodes, KeepWhatAnOutlierHidesOfItsBlock) {
  for (const std::string_view target : SupportedCpuTargets()) {
    ASSERT_TRUE(SetCpuTargetForTest(target));
    for (int outlier = -1; outlier < 8; ++outlier) {
      const std::vector<float> x = Row(outlier);
      double exact = 0.0;
      const std::vector<std::byte> packed = PackedRow(x, exact);
      // 7 or 8 blocks with steps of 1 / 127, errors at most half of it, codes of 2 on average.
      EXPECT_NEAR(Product(x, packed), exact, 0.25) << target << ' ' << outlier;
    }
  }
}

TEST(SecondCodes, AreKeptOfBlocksAboveTheLevelAlone) {
  std::vector<float> x(kColumns, 1.0f);
  const auto second_scale = [&](int block) {
    std::vector<std::byte> prepared(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, 1, kColumns)));
    Prepare(ActivationForm::kInt8, {x.data(), 1, kColumns}, 0, 1, prepared.data());
    float scale;
    std::memcpy(&scale, prepared.data() + prepared.size() / 2 + 44 * block + 32, 4);
    return scale;
  };
  x[3] = 0.999f * kOutlierLevel;
  x[64] = 1.001f * kOutlierLevel;
  x[100] = NAN;
  EXPECT_EQ(second_scale(0), 0.0f);
  EXPECT_EQ(second_scale(1), 0.0f);
  EXPECT_GT(second_scale(2), 0.0f);
  EXPECT_EQ(second_scale(3), 0.0f);  // its first scale is NaN, which is enough
}

}  // namespace
}  // namespace hone
