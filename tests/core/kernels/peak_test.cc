#include "core/kernels/peak.h"

#include <gtest/gtest.h>

#include "core/kernels/cpu/cpu_target.h"

namespace hone {
namespace {

TEST(RunPeakLoop, CountsOperationsByTheWidthOfTheTarget) {
  ASSERT_TRUE(SetCpuTargetForTest("scalar"));
  const int64_t floats = RunPeakLoop(PeakLoop::kFma), bytes = RunPeakLoop(PeakLoop::kByteDots);
  EXPECT_GT(floats, 0);
  EXPECT_EQ(bytes, floats);
  for (const std::string_view target : SupportedCpuTargets()) {
    if (target == "scalar") continue;
    ASSERT_TRUE(SetCpuTargetForTest(target));
    const int64_t lanes = target == "avx512" ? 16 : 8;
    EXPECT_EQ(RunPeakLoop(PeakLoop::kFma), lanes * floats) << target;
    EXPECT_EQ(RunPeakLoop(PeakLoop::kByteDots), 4 * lanes * bytes) << target;
  }
  ASSERT_TRUE(SetCpuTargetForTest(""));
}

}  // namespace
}  // namespace hone
