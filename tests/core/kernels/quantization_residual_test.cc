#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/matmul.h"

namespace hone {
namespace {

std::vector<float> Values(int64_t count) {
  std::vector<float> values;
  uint32_t state = 7;
  for (int64_t i = 0; i < count; ++i) {
    state = state * 1664525u + 1013904223u;
    values.push_back((static_cast<float>(state >> 8) / 8388608.0f - 1.0f) * (i % 37 == 0 ? 40.0f : 1.0f));
  }
  return values;
}

TEST(QuantizationResidual, IsAtMostHalfAStepOfItsBlock) {
  const std::vector<float> x = Values(96);
  std::vector<float> residual(x.size());
  QuantizationResidual(x, residual);
  for (size_t block = 0; block < x.size(); block += 32) {
    float largest = 0.0f;
    for (size_t i = block; i < block + 32; ++i) largest = std::max(largest, std::abs(x[i]));
    for (size_t i = block; i < block + 32; ++i) EXPECT_LE(std::abs(residual[i]), largest / 127.0f * 0.5001f);
  }
}

// y = W x with x and its residual comes within 2^-14 of the float product, where 8 bits alone miss by 2^-7.
TEST(QuantizationResidual, SecondProductMendsTheFirst) {
  constexpr int64_t kColumns = 256;
  const std::vector<float> x = Values(kColumns);
  std::vector<float> both(2 * kColumns);
  std::copy(x.begin(), x.end(), both.begin());
  QuantizationResidual(x, std::span(both).subspan(kColumns));
  // One row of Q8_0 blocks with scale 1 (f16 0x3C00) and codes i % 7 - 3.
  std::vector<std::byte> row(static_cast<size_t>(RowBytes(DType::kQ8_0, kColumns)));
  double exact = 0.0;
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
  for (const std::string_view target : SupportedCpuTargets()) {
    ASSERT_TRUE(SetCpuTargetForTest(target));
    std::vector<std::byte> prepared(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, 2, kColumns)));
    Prepare(ActivationForm::kInt8, {both.data(), 2, kColumns}, 0, 2, prepared.data());
    float y[2] = {0.0f, 0.0f};
    format.Multiply({{&format, 1, kColumns, packed.data()},
                     {ActivationForm::kInt8, 2, kColumns, prepared.data()},
                     0,
                     1,
                     {y, 2, 1}});
    EXPECT_NEAR(y[0] + y[1], exact, 0.01) << target;
    EXPECT_GT(std::abs(y[0] - exact), 0.01) << target;
  }
}

}  // namespace
}  // namespace hone
