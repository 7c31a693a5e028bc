#include "core/base/memory_account.h"

#include <gtest/gtest.h>

namespace hone {
namespace {

TEST(MemoryAccount, CountsEveryBufferAndGivesItBack) {
  MemoryAccount account("scratch", 10 << 20);
  {
    auto small = Buffer::Allocate(account, 1000);
    auto large = Buffer::Allocate(account, 4 << 20);
    ASSERT_TRUE(small && large);
    EXPECT_EQ(account.used(), 1000u + (4u << 20));
    EXPECT_EQ(large->data()[(4 << 20) - 1], std::byte{0});
  }
  EXPECT_EQ(account.used(), 0u);
  EXPECT_EQ(account.peak(), 1000u + (4u << 20));
}

TEST(MemoryAccount, RefusesWhatPassesTheLimit) {
  MemoryAccount account("scratch", 1000);
  auto first = Buffer::Allocate(account, 600);
  auto second = Buffer::Allocate(account, 600);
  ASSERT_TRUE(first);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().message, "memory: scratch: 600 bytes wanted, 600 of 1000 in use");
  EXPECT_EQ(account.used(), 600u);
}

}  // namespace
}  // namespace hone
