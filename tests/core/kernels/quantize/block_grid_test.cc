#include "core/kernels/quantize/block_grid.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/random.h"
#include "core/kernels/quantize/quantize.h"
#include "core/kernels/reference/dequantize.h"

namespace hone {
namespace {

class BlockGrids : public testing::TestWithParam<DType> {};
INSTANTIATE_TEST_SUITE_P(AllTypes, BlockGrids,
                         testing::Values(DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0,
                                         DType::kQ2_K, DType::kQ3_K, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K,
                                         DType::kIQ4_NL, DType::kIQ4_XS),
                         [](const auto& tested) { return std::string(Info(tested.param).name); });

// The codes that were written come back as the values that the grid promised, and those of nearest rounding
// give the block that quantizing gave.
TEST_P(BlockGrids, TellWhatEachCodeMeans) {
  const auto elements = static_cast<size_t>(Info(GetParam()).elements);
  std::vector<float> x(elements);
  for (size_t i = 0; i < elements; ++i) x[i] = RandomUniform(3, i, 0) + RandomUniform(3, i, 1) - 1.1f;
  std::vector<std::byte> block(static_cast<size_t>(Info(GetParam()).bytes));
  QuantizeRows(GetParam(), x.data(), 1, static_cast<int64_t>(elements), nullptr, Rounding::kSearch,
               block.data());
  std::vector<float> before(elements), after(elements), promised(elements);
  Dequantize(GetParam(), block.data(), static_cast<int64_t>(elements), before.data());
  BlockGrid grid;
  ReadGrid(GetParam(), block.data(), grid);
  std::vector<uint8_t> codes(elements);
  double before_error = 0, after_error = 0;
  for (size_t i = 0; i < elements; ++i) {
    const BlockGrid::Choice choice = grid.Nearest(static_cast<int>(i), x[i]);
    ASSERT_LT(choice.code, grid.codes);
    codes[i] = choice.code;
    promised[i] = choice.value;
  }
  WriteCodes(GetParam(), codes, block.data());
  Dequantize(GetParam(), block.data(), static_cast<int64_t>(elements), after.data());
  for (size_t i = 0; i < elements; ++i) {
    ASSERT_NEAR(after[i], promised[i], 1e-5f) << i;
    before_error += std::pow(before[i] - x[i], 2.0);
    after_error += std::pow(after[i] - x[i], 2.0);
  }
  EXPECT_LE(after_error, before_error * (1 + 1e-4));
  // Any codes at all keep the scales.
  for (size_t i = 0; i < elements; ++i)
    codes[i] = static_cast<uint8_t>(RandomWord(9, i, 0) % static_cast<uint32_t>(grid.codes));
  WriteCodes(GetParam(), codes, block.data());
  BlockGrid again;
  ReadGrid(GetParam(), block.data(), again);
  for (size_t i = 0; i < elements; ++i) {
    ASSERT_EQ(again.step[i], grid.step[i]);
    ASSERT_EQ(again.base[i], grid.base[i]);
  }
}

}  // namespace
}  // namespace hone
