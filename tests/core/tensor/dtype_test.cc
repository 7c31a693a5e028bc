#include "core/tensor/dtype.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(DType, TableIsIndexedByType) {
  for (int i = 0; i <= static_cast<int>(DType::kIQ4_XS); ++i) {
    EXPECT_EQ(static_cast<int>(Info(static_cast<DType>(i)).type), i);
  }
}

TEST(DType, IsFoundByNumberAndByName) {
  EXPECT_EQ(DTypeFromGgml(12), DType::kQ4_K);
  EXPECT_EQ(DTypeFromName("q4_k"), DType::kQ4_K);
  EXPECT_FALSE(DTypeFromGgml(4).has_value());
  EXPECT_FALSE(DTypeFromName("Q4_").has_value());
}

TEST(DType, RowBytesCountWholeBlocks) {
  EXPECT_EQ(RowBytes(DType::kQ4_0, 64), 36);
  EXPECT_EQ(RowBytes(DType::kQ6_K, 512), 420);
  EXPECT_EQ(RowBytes(DType::kF16, 3), 6);
}

}  // namespace
}  // namespace hone
