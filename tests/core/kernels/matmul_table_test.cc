#include "core/kernels/matmul_table.h"

#include <gtest/gtest.h>

#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

namespace hone {
namespace {

MatmulKey Key(int64_t rows, int64_t activation_rows, int threads = 2) {
  return {DType::kQ4_0, ActivationForm::kInt8, threads, rows, 1024, activation_rows};
}

TEST(BuiltInMatmulChoice, CutsTasksIntoGroupsWithABoundedNumberOfProducts) {
  for (const WeightFormat* format : WeightFormats()) {
    for (int64_t columns : {256, 4096, 16384}) {
      MatmulKey key{format->source(), ActivationForm::kFloat, 2, 100000, columns, 1};
      for (const int64_t m : {1, 8, 64, 512}) {
        key.activation_rows = m;
        const int64_t rows = BuiltInMatmulChoice(key).rows_per_task;
        EXPECT_EQ(rows % kRowGroup, 0);
        EXPECT_GE(rows, kRowGroup);
        if (rows > kRowGroup) {
          EXPECT_LE(rows * columns * m, 40'000'000);
        }
      }
    }
  }
}

TEST(MatmulTable, ChoosesTheCellWithEnoughRows) {
  MatmulTable table;
  table.Set(Key(512, 1), {MatmulKernel::kMatvec, 64});
  table.Set(Key(512, 8), {MatmulKernel::kFlat, 32});
  table.Set(Key(512, 64), {MatmulKernel::kPanels, 16});
  table.Set(Key(1024, 4), {MatmulKernel::kPanels, 48});
  EXPECT_EQ(table.Choose(Key(512, 1)).rows_per_task, 64);
  EXPECT_EQ(table.Choose(Key(512, 2)).kernel, MatmulKernel::kFlat);
  EXPECT_EQ(table.Choose(Key(512, 8)).rows_per_task, 32);
  EXPECT_EQ(table.Choose(Key(512, 9)).rows_per_task, 16);
  EXPECT_EQ(table.Choose(Key(512, 4000)).rows_per_task, 16);
  EXPECT_EQ(table.Choose(Key(1024, 1)).rows_per_task, 48);
}

TEST(MatmulTable, FallsBackToTheBuiltInChoiceForAMatrixItDoesNotKnow) {
  MatmulTable table;
  table.Set(Key(512, 8), {MatmulKernel::kMatvec, 4096});
  EXPECT_EQ(table.Choose(Key(512, 8, 1)), BuiltInMatmulChoice(Key(512, 8, 1)));
  EXPECT_EQ(table.Choose(Key(256, 8)), BuiltInMatmulChoice(Key(256, 8)));
  EXPECT_EQ(table.Choose(Key(2048, 8)), BuiltInMatmulChoice(Key(2048, 8)));
}

TEST(MatmulTable, ReplacesACell) {
  MatmulTable table;
  table.Set(Key(512, 8), {MatmulKernel::kMatvec, 16});
  table.Set(Key(512, 8), {MatmulKernel::kFlat, 32});
  ASSERT_EQ(table.cells().size(), 1u);
  EXPECT_EQ(table.Choose(Key(512, 8)), (MatmulChoice{MatmulKernel::kFlat, 32}));
}

RC_GTEST_PROP(CutProducts, CoversEveryRowOnceInTasksThatShrink, ()) {
  const auto counts = *rc::gen::nonEmpty(rc::gen::container<std::vector<int>>(rc::gen::inRange(1, 3000)));
  const auto groups = *rc::gen::inRange(1, 100);
  const auto threads = *rc::gen::inRange(1, 9);
  const std::vector<int64_t> rows(counts.begin(), counts.end());
  const std::vector<int64_t> most(rows.size(), groups * kRowGroup);
  std::vector<MatmulCut> cuts;
  CutProducts(rows, most, threads, cuts);
  std::vector<int64_t> next(rows.size(), 0);
  for (const MatmulCut& cut : cuts) {
    RC_ASSERT(cut.begin == next[cut.product]);
    RC_ASSERT(cut.begin % kRowGroup == 0);
    RC_ASSERT(cut.end > cut.begin && cut.end - cut.begin <= most[cut.product]);
    next[cut.product] = cut.end;
  }
  RC_ASSERT(next == rows);
}

TEST(CutProducts, LeavesTheLastTasksSmall) {
  const int64_t rows[] = {576, 192, 192}, most[] = {100000, 100000, 100000};
  std::vector<MatmulCut> cuts;
  CutProducts(rows, most, 2, cuts);
  EXPECT_EQ(cuts.front().end - cuts.front().begin, 240);
  EXPECT_LE(cuts.back().end - cuts.back().begin, 32);
  EXPECT_LE(cuts.size(), 20u);
}

}  // namespace
}  // namespace hone
