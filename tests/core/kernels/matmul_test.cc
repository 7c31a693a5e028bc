#include "core/kernels/matmul.h"

#include <gtest/gtest.h>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/matrix_samples.h"

namespace hone {
namespace {

bool SameBits(float a, float b) { return std::memcmp(&a, &b, 4) == 0 || (std::isnan(a) && std::isnan(b)); }

// Every format on every CPU target that this machine has.
class Matmul : public testing::TestWithParam<std::tuple<const WeightFormat*, std::string_view>> {
 protected:
  void SetUp() override { ASSERT_TRUE(SetCpuTargetForTest(target())); }
  void TearDown() override { ASSERT_TRUE(SetCpuTargetForTest("")); }
  const WeightFormat& format() const { return *std::get<0>(GetParam()); }
  std::string_view target() const { return std::get<1>(GetParam()); }
  DType type() const { return format().source(); }
  bool slow() const { return target() == "scalar"; }

  std::vector<int64_t> Columns() const {
    const int step = Info(type()).elements;
    std::vector<int64_t> columns;
    for (int64_t k : {32, 64, 96, 256, 512, 576, 640, 2304}) {
      if (k % step == 0 && !(slow() && k > 640)) columns.push_back(k);
    }
    if (step == 1) columns.insert(columns.end(), {1, 7, 33, 259});
    return columns;
  }
  std::vector<NumericMode> Modes() const {
    if (format().form(NumericMode::kFast) == ActivationForm::kFloat) return {NumericMode::kExact};
    return {NumericMode::kExact, NumericMode::kFast};
  }

  // Compares y with sum_k w[n, k] x[m, k] in double; x holds what the activations stand for.
  static void ExpectProducts(const FileMatrix& file, const std::vector<float>& x,
                             const std::vector<float>& y) {
    const int64_t m_count = static_cast<int64_t>(x.size()) / file.columns;
    for (int64_t m = 0; m < m_count; ++m) {
      for (int64_t n = 0; n < file.rows; ++n) {
        double sum = 0, magnitude = 0;
        for (int64_t k = 0; k < file.columns; ++k) {
          const double product =
              static_cast<double>(file.values[n * file.columns + k]) * x[m * file.columns + k];
          sum += product;
          magnitude += std::fabs(product);
        }
        ASSERT_NEAR(y[m * file.rows + n], sum, 1e-5 * magnitude)
            << file.rows << "x" << file.columns << " m " << m << " n " << n;
      }
    }
  }
};

TEST_P(Matmul, EqualsTheSumInDoublePrecision) {
  for (int64_t rows : {1, 15, 16, 17, 33, 100}) {
    for (int64_t columns : Columns()) {
      const FileMatrix file = RandomMatrix(type(), rows, columns, static_cast<uint32_t>(rows + columns));
      const Packed packed = Pack(file);
      for (int64_t m : {1, 2, 3, 5, 8, 16, 33, 64}) {
        if (m > 5 && (slow() || rows > 33)) continue;
        const std::vector<float> x = RandomActivations(m, columns, static_cast<uint32_t>(m));
        for (NumericMode mode : Modes()) {
          const ActivationForm form = format().form(mode);
          const std::vector<float> y = MultiplyAll(packed.matrix, form, x, m);
          ExpectProducts(file, form == ActivationForm::kInt8 ? QuantizedActivations(x, file.columns) : x, y);
        }
      }
    }
  }
}

TEST_P(Matmul, GivesTheSameBitsForEveryNumberOfRowsAndEverySplit) {
  const int64_t rows = 71, columns = slow() ? 256 : 2304;
  const FileMatrix file = RandomMatrix(type(), rows, columns, 7);
  const Packed packed = Pack(file);
  const int64_t most = slow() ? 11 : 67;
  const std::vector<float> x = RandomActivations(most, columns, 8);
  for (NumericMode mode : Modes()) {
    const ActivationForm form = format().form(mode);
    const std::vector<float> whole = MultiplyAll(packed.matrix, form, x, most);
    // Each M: the rows [at, at + m) of x alone.
    for (int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 15, 31}) {
      for (int64_t at = 0; at + m <= most; at += m + 9) {
        const std::vector<float> part(x.begin() + at * columns, x.begin() + (at + m) * columns);
        for (const MatmulKernel kernel :
             {MatmulKernel::kMatvec, MatmulKernel::kFlat, MatmulKernel::kPanels}) {
          const std::vector<float> y = MultiplyAll(packed.matrix, form, part, m, kernel);
          for (int64_t i = 0; i < m * rows; ++i) {
            ASSERT_TRUE(SameBits(y[i], whole[at * rows + i]))
                << kMatmulKernelNames[static_cast<size_t>(kernel)] << " m " << m << " at " << at << " i "
                << i;
          }
        }
      }
    }
    // Each range of weight rows; what lies outside stays untouched.
    std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(form, most, columns)));
    Prepare(form, MatrixView<const float>(x.data(), most, columns), 3, most, data.data());
    Prepare(form, MatrixView<const float>(x.data(), most, columns), 0, 3, data.data());
    for (int64_t begin = 0; begin < rows; begin += 16) {
      for (int64_t end : {begin + 16, begin + 32, rows}) {
        if (end > rows) continue;
        std::vector<float> y(static_cast<size_t>(most * rows), -7.0f);
        format().Multiply(
            {packed.matrix, {form, most, columns, data.data()}, begin, end, {y.data(), most, rows}});
        for (int64_t m = 0; m < most; ++m) {
          for (int64_t n = 0; n < rows; ++n) {
            const float expected = n >= begin && n < end ? whole[m * rows + n] : -7.0f;
            ASSERT_TRUE(SameBits(y[m * rows + n], expected)) << begin << " " << end << " " << m << " " << n;
          }
        }
      }
    }
  }
}

TEST_P(Matmul, ReadsRowsAsTheDequantizerGivesThem) {
  for (int64_t columns : Columns()) {
    const FileMatrix file = RandomMatrix(type(), 21, columns, 3);
    const Packed packed = Pack(file);
    std::vector<float> values(static_cast<size_t>(columns));
    for (int64_t row = 0; row < file.rows; ++row) {
      format().ReadRow(packed.matrix, row, values);
      for (int64_t k = 0; k < columns; ++k) {
        ASSERT_TRUE(SameBits(values[k], file.values[row * columns + k])) << row << " " << k;
      }
    }
  }
}

TEST_P(Matmul, MultipliesTheValuesOfTheDequantizerInExactMode) {
  // A unit vector picks one column: the product is the very value.
  const FileMatrix file = RandomMatrix(type(), 16, 256, 5);
  const Packed packed = Pack(file);
  std::vector<float> x(256 * 256, 0.0f);
  for (int64_t k = 0; k < 256; ++k) x[k * 257] = 1.0f;
  const std::vector<float> y = MultiplyAll(packed.matrix, format().form(NumericMode::kExact), x, 256);
  for (int64_t k = 0; k < 256; ++k) {
    for (int64_t n = 0; n < 16; ++n) ASSERT_EQ(y[k * 16 + n], file.values[n * 256 + k]) << n << " " << k;
  }
}

TEST_P(Matmul, WritesEveryByteOfAPackedGroup) {
  for (int64_t columns : Columns()) {
    const FileMatrix file = RandomMatrix(type(), 16, columns, 4);
    for (int64_t rows : {1, 7, 15, 16}) {
      std::vector<std::byte> first(static_cast<size_t>(format().GroupBytes(columns)), std::byte{0xA5});
      std::vector<std::byte> second(first.size(), std::byte{0x5A});
      format().PackGroup(file.bytes.data(), rows, columns, first.data());
      format().PackGroup(file.bytes.data(), rows, columns, second.data());
      EXPECT_EQ(first, second) << rows << " rows of " << columns;
    }
  }
}

TEST_P(Matmul, TakesNoMoreMemoryThanTheFile) {
  const int64_t columns = 2304;
  EXPECT_EQ(format().GroupBytes(columns) % 64, 0);
  EXPECT_LE(format().GroupBytes(columns), kRowGroup * RowBytes(type(), columns) + 63);
}

TEST_P(Matmul, StaysExactWithHostileCodesAndShowsBadScales) {
  const int64_t columns = 512;
  const std::vector<int> halves = HalfOffsets(type());
  if (halves.empty()) return;  // numbers without scales
  FileMatrix file = RandomMatrix(type(), 32, columns, 9);
  const int bytes = Info(type()).bytes;
  const int64_t blocks = columns / Info(type()).elements;
  // Row 0 to 3: all codes extreme (0x80 is -128 in Q8_0); row 4, 5: NaN and infinite scales.
  const int extremes[] = {0x80, 0x00, 0xFF, 0x7F};
  for (int64_t row = 0; row < 6; ++row) {
    for (int64_t b = 0; b < blocks; ++b) {
      std::byte* block = file.bytes.data() + row * RowBytes(type(), columns) + b * bytes;
      uint16_t scales[2] = {0x2C01, 0x2802};
      if (row < 4) {
        std::memset(block, extremes[row], static_cast<size_t>(bytes));
      } else {
        scales[0] = row == 4 ? 0x7E00 : 0x7C00;
      }
      for (size_t i = 0; i < halves.size(); ++i) std::memcpy(block + halves[i], &scales[i], 2);
    }
  }
  file.Dequantize();
  const Packed packed = Pack(file);
  for (int64_t m : {1, 3, 9}) {
    std::vector<float> x(static_cast<size_t>(m * columns));
    for (size_t i = 0; i < x.size(); ++i) x[i] = i % 3 == 0 ? -1.0f : 1.0f;
    for (float sign : {1.0f, -1.0f}) {
      for (float& value : x) value = sign * std::fabs(value);  // all products of one sign: the largest sums
      for (NumericMode mode : Modes()) {
        const std::vector<float> y = MultiplyAll(packed.matrix, format().form(mode), x, m);
        FileMatrix sane = file;
        sane.rows = 4;
        sane.values.resize(static_cast<size_t>(4 * columns));
        std::vector<float> sane_y;
        for (int64_t i = 0; i < m; ++i)
          sane_y.insert(sane_y.end(), y.begin() + i * 32, y.begin() + i * 32 + 4);
        const bool fast = format().form(mode) == ActivationForm::kInt8;
        ExpectProducts(sane, fast ? QuantizedActivations(x, sane.columns) : x, sane_y);
        for (int64_t i = 0; i < m; ++i) {
          EXPECT_FALSE(std::isfinite(y[i * 32 + 4]));
          EXPECT_FALSE(std::isfinite(y[i * 32 + 5]));
          for (int64_t n = 6; n < 32; ++n) EXPECT_TRUE(std::isfinite(y[i * 32 + n]));
        }
      }
    }
  }
}

TEST_P(Matmul, ShowsBadActivationsInTheirRowAlone) {
  const int64_t columns = 256;
  const FileMatrix file = RandomMatrix(type(), 20, columns, 11);
  const Packed packed = Pack(file);
  std::vector<float> x = RandomActivations(10, columns, 12);
  x[1 * columns + 100] = std::nanf("");
  x[4 * columns + 255] = INFINITY;
  x[8 * columns + 31] = -INFINITY;
  for (NumericMode mode : Modes()) {
    const std::vector<float> y = MultiplyAll(packed.matrix, format().form(mode), x, 10);
    for (int64_t m = 0; m < 10; ++m) {
      const bool bad = m == 1 || m == 4 || m == 8;
      for (int64_t n = 0; n < 20; ++n) EXPECT_EQ(std::isfinite(y[m * 20 + n]), !bad) << m << " " << n;
    }
  }
}

std::string CaseName(const testing::TestParamInfo<Matmul::ParamType>& info) {
  return std::string(Info(std::get<0>(info.param)->source()).name) + "_" +
         std::string(std::get<1>(info.param));
}

INSTANTIATE_TEST_SUITE_P(Formats, Matmul,
                         testing::Combine(testing::ValuesIn(WeightFormats().begin(), WeightFormats().end()),
                                          testing::ValuesIn(SupportedCpuTargets())),
                         CaseName);

TEST(WeightFormats, CoverTheTypesOfModelFiles) {
  for (const char* name : {"F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K",
                           "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"}) {
    const WeightFormat* format = FindWeightFormat(*DTypeFromName(name));
    ASSERT_NE(format, nullptr) << name;
    EXPECT_EQ(Info(format->source()).name, name);
  }
  EXPECT_EQ(FindWeightFormat(DType::kI32), nullptr);
}

TEST(MatmulTargets, GiveTheSameBits) {
  for (const WeightFormat* format : WeightFormats()) {
    const FileMatrix file = RandomMatrix(format->source(), 40, 512, 21);
    const Packed packed = Pack(file);
    const std::vector<float> x = RandomActivations(5, 512, 22);
    for (NumericMode mode : {NumericMode::kExact, NumericMode::kFast}) {
      std::vector<float> first;
      for (std::string_view target : SupportedCpuTargets()) {
        ASSERT_TRUE(SetCpuTargetForTest(target));
        const std::vector<float> y = MultiplyAll(packed.matrix, format->form(mode), x, 5);
        if (first.empty()) first = y;
        EXPECT_EQ(std::memcmp(first.data(), y.data(), y.size() * 4), 0)
            << Info(format->source()).name << " " << target;
      }
    }
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

TEST(Prepare, ScalesEachBlockByItsLargestValue) {
  for (std::string_view target : SupportedCpuTargets()) {
    ASSERT_TRUE(SetCpuTargetForTest(target));
    std::vector<float> x(64, 0.0f);
    x[3] = -254.0f;
    x[5] = 1.0f;     // 0.5 rounds to the even 0
    x[6] = 3.0f;     // 1.5 rounds to the even 2
    x[40] = 1e-45f;  // too small for an 8-bit scale: zero
    std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, 1, 64)));
    Prepare(ActivationForm::kInt8, MatrixView<const float>(x.data(), 1, 64), 0, 1, data.data());
    EXPECT_EQ(static_cast<int8_t>(data[3]), -127);
    EXPECT_EQ(static_cast<int8_t>(data[5]), 0);
    EXPECT_EQ(static_cast<int8_t>(data[6]), 2);
    float scale[4];
    std::memcpy(scale, data.data() + 32, 8);
    std::memcpy(scale + 2, data.data() + 44 + 32, 8);
    EXPECT_EQ(scale[0], 2.0f);
    EXPECT_EQ(scale[1], 2.0f * -125.0f);
    EXPECT_EQ(scale[2], 0.0f);
    EXPECT_EQ(scale[3], 0.0f);
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

}  // namespace
}  // namespace hone
