#include "core/kernels/mixed_matrix.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cstring>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/matrix_samples.h"
#include "core/tensor/half.h"

namespace hone {
namespace {

// A matrix of random tiles and the values that its definition gives them.
struct MixedSample {
  MixedLayout layout;
  std::unique_ptr<WeightFormat> format;
  std::vector<std::byte> bytes;
  PackedMatrix matrix;
  std::vector<float> values;  // [rows, columns]
};

MixedSample Sample(int64_t rows, int64_t columns, int64_t outliers, uint32_t seed) {
  std::mt19937 random(seed);
  const auto below = [&](int n) { return static_cast<uint8_t>(random() % static_cast<unsigned>(n)); };
  const auto half = [&] {
    return F16ToF32(static_cast<uint16_t>((random() & 0x3FFu) | ((6 + random() % 4) << 10)));
  };
  std::vector<uint8_t> four(static_cast<size_t>(columns / kBandColumns));
  for (uint8_t& f : four) f = random() % 4 == 0;
  for (size_t i = 0; std::count(four.begin(), four.end(), 0) % 3 != 0; ++i) four[i] = 1;
  MixedSample sample;
  sample.layout = *MixedLayout::Make(four, outliers);
  const MixedLayout& layout = sample.layout;
  sample.format = MakeMixedFormat(layout);
  const int64_t groups = (rows + kRowGroup - 1) / kRowGroup;
  const int64_t group_bytes = sample.format->GroupBytes(columns);
  sample.bytes.resize(static_cast<size_t>(groups * group_bytes));
  sample.values.assign(static_cast<size_t>(groups * kRowGroup * columns), 0.0f);
  for (int64_t g = 0; g < groups; ++g) {
    std::vector<std::byte> group(static_cast<size_t>(layout.bytes()));
    float* values = sample.values.data() + g * kRowGroup * columns;
    for (size_t i = 0; i < layout.two.size(); ++i) {
      TwoBitTile tile;
      tile.offset = below(16);
      tile.unit = half();
      for (int row = 0; row < kRowGroup; ++row) {
        tile.zero[row] = below(4);
        tile.scale[row] = below(ScaleCodes(static_cast<int64_t>(i)));
        for (int c = 0; c < kBandColumns; ++c) {
          tile.code[row][c] = below(4);
          values[row * columns + layout.two[i] * kBandColumns + c] =
              static_cast<float>(tile.code[row][c] - tile.zero[row]) *
              (tile.unit * static_cast<float>(tile.scale[row] + tile.offset));
        }
      }
      WriteTile(layout, static_cast<int64_t>(i), tile, group.data());
    }
    for (size_t i = 0; i < layout.four.size(); ++i) {
      FourBitTile tile;
      for (int row = 0; row < kRowGroup; ++row) {
        tile.zero[row] = below(16);
        tile.scale[row] = half();
        for (int c = 0; c < kBandColumns; ++c) {
          tile.code[row][c] = below(16);
          values[row * columns + layout.four[i] * kBandColumns + c] =
              static_cast<float>(tile.code[row][c] - tile.zero[row]) * tile.scale[row];
        }
      }
      WriteTile(layout, static_cast<int64_t>(i), tile, group.data());
    }
    for (int row = 0; row < kRowGroup; ++row) {
      for (int64_t k = 0; k < outliers; ++k) {
        const MixedOutlier outlier{static_cast<uint16_t>(random() % static_cast<unsigned>(columns)), half()};
        values[row * columns + outlier.column] += outlier.value;
        WriteOutlier(layout, row, k, outlier, group.data());
      }
    }
    sample.format->PackGroup(group.data(), kRowGroup, columns, sample.bytes.data() + g * group_bytes);
  }
  sample.values.resize(static_cast<size_t>(rows * columns));
  sample.matrix = {sample.format.get(), rows, columns, sample.bytes.data()};
  return sample;
}

class MixedMatrix : public testing::TestWithParam<std::string_view> {
 protected:
  void SetUp() override { ASSERT_TRUE(SetCpuTargetForTest(GetParam())); }
  void TearDown() override { ASSERT_TRUE(SetCpuTargetForTest("")); }
};

TEST_P(MixedMatrix, ReadsTheRowsThatItsDefinitionGives) {
  const MixedSample sample = Sample(35, 192, 2, 1);
  std::vector<float> row(192);
  for (int64_t i = 0; i < 35; ++i) {
    sample.format->ReadRow(sample.matrix, i, row);
    for (size_t k = 0; k < row.size(); ++k)
      ASSERT_FLOAT_EQ(row[k], sample.values[static_cast<size_t>(i) * 192 + k]) << i << " " << k;
  }
}

TEST_P(MixedMatrix, EqualsTheSumInDoublePrecision) {
  for (const int64_t columns : {32, 96, 576, 1536}) {
    for (const int64_t outliers : {0, 3}) {
      const int64_t rows = columns == 96 ? 40 : 33;
      const MixedSample sample = Sample(rows, columns, outliers, static_cast<uint32_t>(columns));
      for (const int64_t m : {1, 2, 5, 19}) {
        const std::vector<float> x = RandomActivations(m, columns, 7);
        for (const ActivationForm form : {ActivationForm::kInt8, ActivationForm::kFloat}) {
          const std::vector<float> seen = form == ActivationForm::kInt8 ? Rounded(x) : x;
          const std::vector<float> y = MultiplyAll(sample.matrix, form, x, m, MatmulKernel::kFlat);
          for (int64_t i = 0; i < m; ++i) {
            for (int64_t n = 0; n < rows; ++n) {
              double sum = 0, magnitude = 0;
              for (int64_t k = 0; k < columns; ++k) {
                const double product =
                    static_cast<double>(sample.values[static_cast<size_t>(n * columns + k)]) *
                    seen[static_cast<size_t>(i * columns + k)];
                sum += product;
                magnitude += std::fabs(product);
              }
              ASSERT_NEAR(y[static_cast<size_t>(i * rows + n)], sum, 1e-5 * magnitude) << columns << " " << m;
            }
          }
        }
      }
    }
  }
}

TEST_P(MixedMatrix, GivesTheSameBitsInEveryKernelAndBatch) {
  const MixedSample sample = Sample(40, 1152, 4, 5);
  const std::vector<float> x = RandomActivations(21, 1152, 9);
  for (const ActivationForm form : {ActivationForm::kInt8, ActivationForm::kFloat}) {
    const std::vector<float> all = MultiplyAll(sample.matrix, form, x, 21, MatmulKernel::kPanels);
    for (const int64_t m : {1, 2, 3, 4, 7, 8, 13, 21}) {
      const std::vector<float> some(x.begin(), x.begin() + m * 1152);
      for (const MatmulKernel kernel : {MatmulKernel::kMatvec, MatmulKernel::kFlat, MatmulKernel::kPanels}) {
        const std::vector<float> y = MultiplyAll(sample.matrix, form, some, m, kernel);
        ASSERT_EQ(std::memcmp(y.data(), all.data(), y.size() * sizeof(float)), 0) << m;
      }
    }
  }
}

TEST_P(MixedMatrix, GivesTheBitsOfTheScalarTarget) {
  const MixedSample sample = Sample(33, 672, 3, 11);
  const std::vector<float> x = RandomActivations(3, 672, 13);
  for (const ActivationForm form : {ActivationForm::kInt8, ActivationForm::kFloat}) {
    const std::vector<float> here = MultiplyAll(sample.matrix, form, x, 3, MatmulKernel::kFlat);
    ASSERT_TRUE(SetCpuTargetForTest("scalar"));
    const std::vector<float> scalar = MultiplyAll(sample.matrix, form, x, 3, MatmulKernel::kFlat);
    ASSERT_TRUE(SetCpuTargetForTest(GetParam()));
    EXPECT_EQ(here, scalar);
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, MixedMatrix, testing::ValuesIn(SupportedCpuTargets()),
                         [](const auto& info) { return std::string(info.param); });

RC_GTEST_PROP(MixedLayout, TakesTheBitsThatItPromises, ()) {
  const auto twos = *rc::gen::inRange(0, 40) * 3;
  const auto fours = *rc::gen::inRange(0, 40) * 2 + twos % 2;
  RC_PRE(twos + fours > 0);
  std::vector<uint8_t> four(static_cast<size_t>(twos + fours));
  std::fill(four.begin() + twos, four.end(), 1);
  const auto outliers = *rc::gen::inRange(0, 5);
  const auto layout = MixedLayout::Make(four, outliers);
  RC_ASSERT(layout.has_value());
  const double bits =
      256.0 * (twos * (2.0 + 16.0 / 48 + (16.0 + 16.0 / 3) / 256) + fours * 5.25) + 16 * 32.0 * outliers;
  RC_ASSERT(std::fabs(static_cast<double>(layout->bytes()) * 8 - bits) < 1e-6);
}

TEST(MixedLayout, RefusesBandsThatDoNotFit) {
  EXPECT_FALSE(MixedLayout::Make(std::vector<uint8_t>(4, 0), 0));
  EXPECT_FALSE(MixedLayout::Make(std::vector<uint8_t>(3, 0), 0));
  EXPECT_FALSE(MixedLayout::Make(std::vector<uint8_t>{}, 0));
  EXPECT_FALSE(MixedLayout::Make(std::vector<uint8_t>(6, 0), -1));
  EXPECT_TRUE(MixedLayout::Make(std::vector<uint8_t>(6, 0), 0));
}

}  // namespace
}  // namespace hone
