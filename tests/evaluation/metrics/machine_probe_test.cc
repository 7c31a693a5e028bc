#include "evaluation/metrics/machine_probe.h"

#include <gtest/gtest.h>

#include "evaluation/metrics/model_speed.h"

namespace hone {
namespace {

TEST(MachineProbe, MeasuresABandwidthThatMemoryCanHave) {
  ComputePool pool(2);
  MemoryAccount account("probe");
  const auto bandwidth = MeasureReadBandwidth(*pool.MakeShare(), account);
  ASSERT_TRUE(bandwidth);
  EXPECT_GT(*bandwidth, 1e8);
  EXPECT_LT(*bandwidth, 1e13);
  EXPECT_EQ(account.used(), 0u) << "the probe's buffer is given back";
}

TEST(MachineProbe, RefusesABufferBeyondTheAccountsLimit) {
  ComputePool pool(1);
  MemoryAccount account("probe", 1 << 20);
  EXPECT_FALSE(MeasureReadBandwidth(*pool.MakeShare(), account));
}

TEST(MachineProbe, FindsNoMoreCoresThanThreads) {
  ComputePool pool(1);
  const double cores = MeasureFreeCores(*pool.MakeShare());
  EXPECT_GT(cores, 0.0);
  EXPECT_LT(cores, 1.5);
}

TEST(MachineProbe, ReadsThePeakOfResidentMemory) {
  const uint64_t before = PeakResidentBytes();
  ASSERT_GT(before, 1u << 20);
  const std::vector<char> block(64 << 20, 1);
  EXPECT_GE(PeakResidentBytes(), before);
  EXPECT_GE(PeakResidentBytes(), static_cast<uint64_t>(block.size()));
}

TEST(SpreadOf, IsMedianMinimumAndMaximum) {
  const Spread odd = SpreadOf({3, 1, 2});
  EXPECT_EQ(odd.median, 2);
  EXPECT_EQ(odd.minimum, 1);
  EXPECT_EQ(odd.maximum, 3);
  EXPECT_EQ(SpreadOf({4, 1, 2, 3}).median, 2.5);
  EXPECT_EQ(SpreadOf({}).median, 0);
}

}  // namespace
}  // namespace hone
