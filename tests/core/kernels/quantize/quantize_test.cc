#include "core/kernels/quantize/quantize.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "core/base/random.h"
#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

constexpr DType kBlockTypes[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,
                                 DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,   DType::kQ4_K,
                                 DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL, DType::kIQ4_XS};

std::vector<std::byte> Quantized(DType type, const std::vector<float>& x, int64_t columns,
                                 const std::vector<float>& importance, Rounding rounding) {
  const auto rows = static_cast<int64_t>(x.size()) / columns;
  std::vector<std::byte> bytes(static_cast<size_t>(rows * RowBytes(type, columns)));
  QuantizeRows(type, x.data(), rows, columns, importance.empty() ? nullptr : importance.data(), rounding,
               bytes.data());
  return bytes;
}

std::vector<float> RoundTrip(DType type, const std::vector<float>& x, int64_t columns,
                             const std::vector<float>& importance, Rounding rounding) {
  const std::vector<std::byte> bytes = Quantized(type, x, columns, importance, rounding);
  std::vector<float> values(x.size());
  Dequantize(type, bytes.data(), static_cast<int64_t>(x.size()), values.data());
  return values;
}

double WeightedError(const std::vector<float>& x, const std::vector<float>& y, int64_t columns,
                     const std::vector<float>& importance) {
  double error = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    const double off = static_cast<double>(x[i]) - static_cast<double>(y[i]);
    error += off * off * (importance.empty() ? 1.0 : importance[i % static_cast<size_t>(columns)]);
  }
  return error;
}

// Nearly Gaussian values with some far out, scaled by 2^exponent.
std::vector<float> HeavyTailed(uint64_t seed, size_t count, int exponent) {
  std::vector<float> x(count);
  for (size_t i = 0; i < count; ++i) {
    float sum = -6.0f;
    for (uint32_t use = 0; use < 12; ++use) sum += RandomUniform(seed, i, use);
    const bool far = RandomUniform(seed, i, 12) < 0.02f;
    x[i] = std::ldexp(far ? 6.0f * sum : sum, exponent);
  }
  return x;
}

std::vector<float> RandomImportance(uint64_t seed, size_t count) {
  std::vector<float> importance(count);
  for (size_t i = 0; i < count; ++i) {
    const float uniform = RandomUniform(seed, i, 99);
    importance[i] = uniform < 0.1f ? 0.0f : 1.0f / (uniform * uniform);
  }
  return importance;
}

class QuantizeGolden : public testing::TestWithParam<DType> {};

// tests/golden/quantize/make.py made the files with gguf-py.
TEST_P(QuantizeGolden, NearestRoundingGivesTheBytesOfGgufPy) {
  const std::string path =
      HONE_SOURCE_DIR "/tests/golden/quantize/" + std::string(Info(GetParam()).name) + ".bin";
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint32_t columns = 0;
  ASSERT_GT(bytes.size(), sizeof(columns));
  std::memcpy(&columns, bytes.data(), sizeof(columns));
  std::vector<float> row(columns);
  std::memcpy(row.data(), bytes.data() + sizeof(columns), columns * sizeof(float));
  const size_t begin = sizeof(columns) + columns * sizeof(float);
  ASSERT_EQ(bytes.size() - begin, static_cast<size_t>(RowBytes(GetParam(), columns)));
  for (const std::string_view target : SupportedCpuTargets()) {
    ASSERT_TRUE(SetCpuTargetForTest(target));
    const std::vector<std::byte> packed = Quantized(GetParam(), row, columns, {}, Rounding::kNearest);
    for (size_t i = 0; i < packed.size(); ++i) {
      ASSERT_EQ(packed[i], static_cast<std::byte>(bytes[begin + i])) << target << ", byte " << i;
    }
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

INSTANTIATE_TEST_SUITE_P(DefinedByGgufPy, QuantizeGolden,
                         testing::Values(DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                                         DType::kQ5_1, DType::kQ8_0),
                         [](const auto& tested) { return std::string(Info(tested.param).name); });

class QuantizeBlocks : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(AllTypes, QuantizeBlocks, testing::ValuesIn(kBlockTypes),
                         [](const auto& tested) { return std::string(Info(tested.param).name); });

RC_GTEST_PROP(QuantizeSearch, ErrorIsNeverAboveThatOfNearestRounding, ()) {
  const DType type = kBlockTypes[*rc::gen::inRange<size_t>(0, std::size(kBlockTypes))];
  const auto seed = *rc::gen::arbitrary<uint64_t>();
  const int64_t columns = *rc::gen::inRange<int64_t>(1, 4) * 256;
  const int64_t rows = *rc::gen::inRange<int64_t>(1, 4);
  const std::vector<float> x =
      HeavyTailed(seed, static_cast<size_t>(rows * columns), *rc::gen::inRange(-10, 5));
  const bool weighted = *rc::gen::arbitrary<bool>();
  const auto importance =
      weighted ? RandomImportance(seed, static_cast<size_t>(columns)) : std::vector<float>();
  const double nearest =
      WeightedError(x, RoundTrip(type, x, columns, importance, Rounding::kNearest), columns, importance);
  const double searched =
      WeightedError(x, RoundTrip(type, x, columns, importance, Rounding::kSearch), columns, importance);
  // Errors were compared in float32.
  RC_ASSERT(searched <= nearest * (1 + 1e-4));
}

// Half a step on the scale of a block's extreme value, and what rounding that scale adds.
TEST_P(QuantizeBlocks, NearestRoundingStaysWithinHalfAStep) {
  const struct {
    DType type;
    float steps;     // from the lowest to the highest value or, with one sign, to the extreme
    bool two_sided;  // the grid reaches as far on the other side
  } kGrids[] = {{DType::kQ4_0, 8, false}, {DType::kQ5_0, 16, false}, {DType::kQ8_0, 127, true},
                {DType::kQ4_1, 15, true}, {DType::kQ5_1, 31, true},  {DType::kQ6_K, 32, false},
                {DType::kQ4_K, 15, true}, {DType::kQ5_K, 31, true},  {DType::kQ2_K, 3, true},
                {DType::kQ3_K, 4, false}};
  for (const auto& grid : kGrids) {
    if (grid.type != GetParam()) continue;
    const std::vector<float> x = HeavyTailed(7, 2048, -5);
    const std::vector<float> y = RoundTrip(grid.type, x, 512, {}, Rounding::kNearest);
    const int64_t block = Info(grid.type).elements;
    for (int64_t b = 0; b < 2048 / block; ++b) {
      float low = 0, high = 0;
      for (int64_t i = b * block; i < (b + 1) * block; ++i) {
        low = std::min(low, x[static_cast<size_t>(i)]);
        high = std::max(high, x[static_cast<size_t>(i)]);
      }
      const bool offset = grid.steps == 15 || grid.steps == 31 || grid.steps == 3;
      const float step = (offset ? high - low : std::max(-low, high)) / grid.steps;
      // One code is missing at the far end of a one-sided grid. In super-blocks the small scales are rounded
      // to 4 or 6 bits of the largest one's range, of which the bound takes one unit for scale and minimum.
      const float most =
          step * (grid.two_sided ? 0.5f : 1.0f) +
          (block == 256 ? (high - low) * (grid.type == DType::kQ2_K ? 2.0f / 15 : 2.0f / 63) : 0.0f) +
          0.002f * std::max(-low, high);
      for (int64_t i = b * block; i < (b + 1) * block; ++i) {
        const auto at = static_cast<size_t>(i);
        ASSERT_LE(std::fabs(x[at] - y[at]), most) << Info(grid.type).name << ", value " << i;
      }
    }
  }
}

TEST_P(QuantizeBlocks, EveryTargetGivesTheSameBytes) {
  const int64_t columns = 768;
  const std::vector<float> x = HeavyTailed(11, 3 * 768, -4);
  for (const auto& importance : {std::vector<float>(), RandomImportance(3, 768)}) {
    for (const Rounding rounding : {Rounding::kNearest, Rounding::kSearch}) {
      ASSERT_TRUE(SetCpuTargetForTest("scalar"));
      const std::vector<std::byte> expected = Quantized(GetParam(), x, columns, importance, rounding);
      for (const std::string_view target : SupportedCpuTargets()) {
        ASSERT_TRUE(SetCpuTargetForTest(target));
        EXPECT_EQ(Quantized(GetParam(), x, columns, importance, rounding), expected) << target;
      }
    }
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

TEST_P(QuantizeBlocks, RowsDoNotDependOnTheirNeighbours) {
  const int64_t columns = GetParam() == DType::kQ4_0 || Info(GetParam()).elements == 32 ? 96 : 256;
  const std::vector<float> x = HeavyTailed(5, static_cast<size_t>(5 * columns), 0);
  const std::vector<float> importance = RandomImportance(1, static_cast<size_t>(columns));
  const std::vector<std::byte> together = Quantized(GetParam(), x, columns, importance, Rounding::kSearch);
  std::vector<std::byte> alone;
  for (int64_t row = 0; row < 5; ++row) {
    const std::vector<float> one(x.begin() + row * columns, x.begin() + (row + 1) * columns);
    const std::vector<std::byte> bytes = Quantized(GetParam(), one, columns, importance, Rounding::kSearch);
    alone.insert(alone.end(), bytes.begin(), bytes.end());
  }
  EXPECT_EQ(together, alone);
}

TEST_P(QuantizeBlocks, ZeroImportanceEverywhereIsNoImportance) {
  const std::vector<float> x = HeavyTailed(17, 512, -3);
  const std::vector<float> zeros(512, 0.0f);
  EXPECT_EQ(Quantized(GetParam(), x, 512, zeros, Rounding::kSearch),
            Quantized(GetParam(), x, 512, {}, Rounding::kSearch));
}

TEST_P(QuantizeBlocks, HoldsConstantTinyAndHugeBlocks) {
  for (const float value : {0.0f, 1.0f, -1.0f, 0.37f, 1e-30f, -1e-38f, 1e-7f, 6e4f, -1e9f}) {
    for (const Rounding rounding : {Rounding::kNearest, Rounding::kSearch}) {
      const std::vector<float> x(256, value);
      for (const float found : RoundTrip(GetParam(), x, 256, {}, rounding)) {
        ASSERT_TRUE(std::isfinite(found)) << value;
        if (std::fabs(value) > 1e-3f && std::fabs(value) < 1e5f) {
          // A constant block is one code times a scale; two or three roundings of small scales lie between.
          ASSERT_NEAR(found, value, 0.04f * std::fabs(value)) << value;
        }
        if (value == 0.0f) {
          ASSERT_EQ(found, 0.0f);
        }
      }
    }
  }
}

TEST_P(QuantizeBlocks, SearchIsWellBelowNearestOnHeavyTails) {
  const std::vector<float> x = HeavyTailed(23, 16384, -5);
  const double nearest = WeightedError(x, RoundTrip(GetParam(), x, 512, {}, Rounding::kNearest), 512, {});
  const double searched = WeightedError(x, RoundTrip(GetParam(), x, 512, {}, Rounding::kSearch), 512, {});
  RecordProperty("ratio", std::to_string(searched / nearest));
  EXPECT_LT(searched, nearest * (GetParam() == DType::kQ8_0 ? 1.0 : 0.96));
}

TEST(WidenRows, EqualsTheReferenceInEveryBit) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
  for (const DType type : {DType::kF16, DType::kBF16}) {
    std::vector<float> expected(halves.size()), found(halves.size());
    const auto* rows = reinterpret_cast<const std::byte*>(halves.data());
    Dequantize(type, rows, 65536, expected.data());
    WidenRows(type, rows, 256, 256, found.data());
    EXPECT_EQ(std::memcmp(expected.data(), found.data(), 65536 * sizeof(float)), 0) << Info(type).name;
    // From an odd address too.
    std::vector<std::byte> moved(2 * halves.size() + 1);
    std::memcpy(moved.data() + 1, halves.data(), 2 * halves.size());
    WidenRows(type, moved.data() + 1, 256, 256, found.data());
    EXPECT_EQ(std::memcmp(expected.data(), found.data(), 65536 * sizeof(float)), 0) << Info(type).name;
  }
}

}  // namespace
}  // namespace hone
