#include "language/quantization/gptq.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/base/random.h"
#include "core/kernels/quantize/quantize.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

constexpr int64_t kColumns = 256;
constexpr int64_t kRows = 24;

float Gaussian(uint64_t seed, uint64_t position) {
  float sum = -6.0f;
  for (uint32_t use = 0; use < 12; ++use) sum += RandomUniform(seed, position, use);
  return sum;
}

// Second moments of inputs that are strongly correlated: each column leans on the one before it.
std::vector<float> CorrelatedMoments(std::vector<float>& inputs, int64_t samples) {
  inputs.resize(static_cast<size_t>(samples * kColumns));
  for (int64_t s = 0; s < samples; ++s) {
    float last = 0.0f;
    for (int64_t j = 0; j < kColumns; ++j) {
      last = 0.9f * last + 0.5f * Gaussian(1, static_cast<uint64_t>(s * kColumns + j));
      inputs[static_cast<size_t>(s * kColumns + j)] = last * (1.0f + static_cast<float>(j % 7));
    }
  }
  std::vector<float> moments(static_cast<size_t>(kColumns * kColumns), 0.0f);
  for (int64_t s = 0; s < samples; ++s) {
    const float* x = inputs.data() + s * kColumns;
    for (int64_t a = 0; a < kColumns; ++a) {
      for (int64_t b = 0; b < kColumns; ++b) moments[static_cast<size_t>(a * kColumns + b)] += x[a] * x[b];
    }
  }
  return moments;
}

double OutputError(const std::vector<float>& w, const std::vector<float>& found,
                   const std::vector<float>& inputs) {
  double error = 0;
  for (size_t s = 0; s < inputs.size() / kColumns; ++s) {
    for (int64_t r = 0; r < kRows; ++r) {
      double off = 0;
      for (int64_t j = 0; j < kColumns; ++j) {
        const auto at = static_cast<size_t>(r * kColumns + j);
        off += static_cast<double>(w[at] - found[at]) * inputs[s * kColumns + static_cast<size_t>(j)];
      }
      error += off * off;
    }
  }
  return error;
}

TEST(InverseFactor, GivesTheInverseAsAProduct) {
  std::vector<float> inputs;
  std::vector<float> h = CorrelatedMoments(inputs, 600);
  for (int64_t i = 0; i < kColumns; ++i) {  // a column that is always zero
    h[static_cast<size_t>(17 * kColumns + i)] = 0.0f;
    h[static_cast<size_t>(i * kColumns + 17)] = 0.0f;
  }
  ComputePool pool(2);
  const auto share = pool.MakeShare();
  const auto factor = InverseFactor(*share, h, kColumns, 0.01);
  ASSERT_TRUE(factor) << factor.error().message;
  double trace = 0;
  for (int64_t i = 0; i < kColumns; ++i) trace += h[static_cast<size_t>(i * kColumns + i)];
  for (int64_t i = 0; i < kColumns; ++i) {
    float& diagonal = h[static_cast<size_t>(i * kColumns + i)];
    if (diagonal == 0.0f) diagonal = static_cast<float>(trace / kColumns);
    diagonal += static_cast<float>(0.01 * trace / kColumns);
  }
  // H R^T R = I, asked for some columns.
  const auto r = [&](int64_t a, int64_t b) {
    return static_cast<double>((*factor)[static_cast<size_t>(a * kColumns + b)]);
  };
  for (const int64_t column : {0, 17, 100, 255}) {
    std::vector<double> inverse(kColumns, 0.0);
    for (int64_t i = 0; i < kColumns; ++i) {
      for (int64_t k = 0; k <= std::min(i, column); ++k)
        inverse[static_cast<size_t>(i)] += r(k, i) * r(k, column);
    }
    for (int64_t i = 0; i < kColumns; ++i) {
      double product = 0;
      for (int64_t k = 0; k < kColumns; ++k)
        product +=
            static_cast<double>(h[static_cast<size_t>(i * kColumns + k)]) * inverse[static_cast<size_t>(k)];
      ASSERT_NEAR(product, i == column ? 1.0 : 0.0, 2e-3) << i << " " << column;
    }
  }
  EXPECT_FALSE(
      InverseFactor(*share, std::vector<float>(static_cast<size_t>(kColumns * kColumns), NAN), kColumns));
}

TEST(Gptq, LosesLessThanRoundingEachColumnByItself) {
  std::vector<float> inputs;
  const std::vector<float> moments = CorrelatedMoments(inputs, 600);
  std::vector<float> importance(kColumns);
  for (int64_t i = 0; i < kColumns; ++i)
    importance[static_cast<size_t>(i)] = moments[static_cast<size_t>(i * kColumns + i)];
  ComputePool pool(2);
  const auto share = pool.MakeShare();
  const auto factor = InverseFactor(*share, moments, kColumns);
  ASSERT_TRUE(factor);
  std::vector<float> w(static_cast<size_t>(kRows * kColumns));
  for (size_t i = 0; i < w.size(); ++i) w[i] = 0.05f * Gaussian(2, i);
  for (const DType type : {DType::kQ2_K, DType::kQ3_K, DType::kQ4_0, DType::kQ4_K, DType::kIQ4_XS,
                           DType::kIQ4_NL, DType::kQ5_1, DType::kQ6_K, DType::kQ8_0}) {
    const auto bytes = static_cast<size_t>(kRows * RowBytes(type, kColumns));
    std::vector<std::byte> plain(bytes), gptq(bytes);
    std::vector<float> of_plain(w.size()), of_gptq(w.size());
    QuantizeRows(type, w.data(), kRows, kColumns, importance.data(), Rounding::kSearch, plain.data());
    QuantizeRowsGptq(type, w.data(), kRows, kColumns, importance, *factor, gptq.data());
    Dequantize(type, plain.data(), kRows * kColumns, of_plain.data());
    Dequantize(type, gptq.data(), kRows * kColumns, of_gptq.data());
    EXPECT_LT(OutputError(w, of_gptq, inputs), 0.6 * OutputError(w, of_plain, inputs)) << Info(type).name;
  }
}

}  // namespace
}  // namespace hone
