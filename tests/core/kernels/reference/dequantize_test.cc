#include "core/kernels/reference/dequantize.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace hone {
namespace {

class DequantizeGolden : public testing::TestWithParam<DType> {};

// tests/golden/dequantize/make.py made the files with gguf-py.
TEST_P(DequantizeGolden, EqualsGgufPyInEveryBit) {
  const DTypeInfo& info = Info(GetParam());
  const std::string path = HONE_SOURCE_DIR "/tests/golden/dequantize/" + std::string(info.name) + ".bin";
  std::ifstream file(path, std::ios::binary);
  ASSERT_TRUE(file) << path;
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  uint32_t columns = 0;
  ASSERT_GT(bytes.size(), sizeof(columns));
  std::memcpy(&columns, bytes.data(), sizeof(columns));
  const int64_t row_bytes = RowBytes(GetParam(), columns);
  ASSERT_EQ(bytes.size(), sizeof(columns) + row_bytes + columns * sizeof(float));
  std::vector<float> expected(columns);
  std::memcpy(expected.data(), bytes.data() + sizeof(columns) + row_bytes, columns * sizeof(float));

  std::vector<float> values(columns);
  Dequantize(GetParam(), reinterpret_cast<const std::byte*>(bytes.data()) + sizeof(columns), columns,
             values.data());
  for (uint32_t i = 0; i < columns; ++i) {
    uint32_t bits, expected_bits;
    std::memcpy(&bits, &values[i], sizeof(bits));
    std::memcpy(&expected_bits, &expected[i], sizeof(bits));
    ASSERT_EQ(bits, expected_bits) << "value " << i << ": " << values[i] << ", expected " << expected[i];
  }
}

INSTANTIATE_TEST_SUITE_P(AllTypes, DequantizeGolden,
                         testing::Values(DType::kF32, DType::kF16, DType::kBF16, DType::kQ4_0, DType::kQ4_1,
                                         DType::kQ5_0, DType::kQ5_1, DType::kQ8_0, DType::kQ2_K, DType::kQ3_K,
                                         DType::kQ4_K, DType::kQ5_K, DType::kQ6_K, DType::kIQ4_NL,
                                         DType::kIQ4_XS),
                         [](const auto& tested) { return std::string(Info(tested.param).name); });

TEST(Dequantize, ConvertsPlainNumbers) {
  const std::vector<int16_t> row = {-32768, 0, 7};
  std::vector<float> values(3);
  Dequantize(DType::kI16, reinterpret_cast<const std::byte*>(row.data()), 3, values.data());
  EXPECT_EQ(values, (std::vector<float>{-32768, 0, 7}));
  const std::vector<double> doubles = {0.1};
  Dequantize(DType::kF64, reinterpret_cast<const std::byte*>(doubles.data()), 1, values.data());
  EXPECT_EQ(values[0], 0.1f);
}

}  // namespace
}  // namespace hone
