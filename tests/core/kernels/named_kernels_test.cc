#include "core/kernels/named_kernels.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(NamedKernels, AreFoundWhileTheyLive) {
  const DeviceKernels& cpu = **FindKernels("cpu");
  {
    const auto named = NamedKernels::Add("twin", cpu);
    ASSERT_TRUE(named);
    const auto found = FindKernels("twin");
    ASSERT_TRUE(found);
    EXPECT_EQ(*found, &cpu);
    EXPECT_FALSE(NamedKernels::Add("twin", cpu));
    EXPECT_FALSE(NamedKernels::Add("cpu", cpu));
    EXPECT_TRUE(FindKernels("twin"));  // the refused one took nothing away
  }
  EXPECT_FALSE(FindKernels("twin"));
}

}  // namespace
}  // namespace hone
