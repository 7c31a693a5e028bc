#include "language/kvcache/page_pool.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "language/kvcache/page_plan.h"

namespace hone {
namespace {

std::vector<PageRef> Take(PagePool& pool, std::vector<uint64_t> sizes) {
  auto pages = pool.Reserve(sizes);
  EXPECT_TRUE(pages) << pages.error().message;
  return pages ? std::move(*pages) : std::vector<PageRef>{};
}

TEST(PagePool, RoundsPagesUpAndGivesEverythingBack) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account);
  auto pages = Take(*pool, {1, 300, 8192, 10000});
  EXPECT_EQ(pages[0].size(), 256u);
  EXPECT_EQ(pages[1].size(), 512u);
  EXPECT_EQ(pages[2].size(), 8192u);
  EXPECT_EQ(pages[3].size(), 16384u);
  EXPECT_EQ(pool->used(), 256u + 512 + 8192 + 16384);
  EXPECT_EQ(account.used(), PagePool::kChunk);
  for (PageRef& page : pages) EXPECT_EQ(reinterpret_cast<uintptr_t>(page.data()) % 64, 0u);
  pages.clear();
  EXPECT_EQ(pool->used(), 0u);
  EXPECT_EQ(account.used(), 0u);
}

TEST(PagePool, FillsAChunkWithoutOverlap) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account);
  const uint64_t count = PagePool::kChunk / 4096;
  auto pages = Take(*pool, std::vector<uint64_t>(count, 4096));
  EXPECT_EQ(account.used(), PagePool::kChunk);
  for (uint64_t i = 0; i < count; ++i) std::memset(pages[i].data(), static_cast<int>(i % 251), 4096);
  for (uint64_t i = 0; i < count; ++i) {
    EXPECT_EQ(pages[i].data()[0], static_cast<std::byte>(i % 251));
    EXPECT_EQ(pages[i].data()[4095], static_cast<std::byte>(i % 251));
  }
}

TEST(PagePool, RefusesAllWhenTheLimitHoldsNotAllAndSaysTheNumbers) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account, 3 * 8192);
  auto held = Take(*pool, {8192, 8192});
  auto refused = pool->Reserve(std::vector<uint64_t>{8192, 256});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(refused.error().message, "memory: KV cache: 8448 bytes in 2 pages wanted, 16384 of 24576 in use");
  EXPECT_EQ(pool->used(), 2 * 8192u);
  EXPECT_EQ(Take(*pool, {8192}).size(), 1u);  // exactly the limit
}

TEST(PagePool, TakesBackWhatItTookWhenTheAccountRefuses) {
  MemoryAccount account("KV cache", 100 << 10);
  const auto pool = PagePool::Create(account);
  auto held = Take(*pool, {16 << 10});
  const uint64_t drawn = account.used();
  auto refused = pool->Reserve(std::vector<uint64_t>(6, 16 << 10));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFailed);
  EXPECT_NE(refused.error().message.find("of 102400 in use"), std::string::npos) << refused.error().message;
  EXPECT_EQ(pool->used(), 16u << 10);
  EXPECT_EQ(account.used(), drawn);
  EXPECT_EQ(Take(*pool, std::vector<uint64_t>(5, 16 << 10)).size(), 5u);  // all that the account can hold
}

TEST(PagePool, RefusesPagesThatNoMemoryHolds) {
  MemoryAccount account("KV cache", 1 << 20);
  const auto pool = PagePool::Create(account);
  EXPECT_FALSE(pool->Reserve(std::vector<uint64_t>{std::numeric_limits<uint64_t>::max()}));
  EXPECT_FALSE(pool->Reserve(std::vector<uint64_t>(4, uint64_t{1} << 62)));
  EXPECT_FALSE(pool->Reserve(std::vector<uint64_t>{2 << 20}));
  EXPECT_EQ(account.used(), 0u);
}

TEST(PagePool, JoinsHalvesSoThatALargePageFitsAgain) {
  MemoryAccount account("KV cache", PagePool::kChunk);
  const auto pool = PagePool::Create(account);
  for (int round = 0; round < 3; ++round) {
    auto small = Take(*pool, std::vector<uint64_t>(PagePool::kChunk / 512, 512));
    EXPECT_FALSE(pool->Reserve(std::vector<uint64_t>{256}));
    for (size_t i = 0; i < small.size(); i += 2) small[i] = {};
    for (size_t i = 1; i < small.size(); i += 2) small[i] = {};
    EXPECT_EQ(Take(*pool, {PagePool::kChunk})[0].size(), PagePool::kChunk);
  }
}

TEST(PagePool, GivesBackChunksThatAreEmptyAndRefillsOldOnesFirst) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account);
  auto first = Take(*pool, std::vector<uint64_t>(PagePool::kChunk / 8192, 8192));
  auto second = Take(*pool, std::vector<uint64_t>(PagePool::kChunk / 8192, 8192));
  EXPECT_EQ(account.used(), 2 * PagePool::kChunk);
  first.resize(first.size() / 2);
  second.resize(second.size() / 2);
  auto third = Take(*pool, std::vector<uint64_t>(PagePool::kChunk / 8192 / 2, 8192));
  second.clear();
  EXPECT_EQ(account.used(), PagePool::kChunk);
}

TEST(PageRef, GivesThePageBackWithTheLastHolderAndKeepsThePoolAlive) {
  MemoryAccount account("KV cache");
  auto pool = PagePool::Create(account);
  PageRef page = Take(*pool, {256})[0];
  EXPECT_FALSE(page.shared());
  PageRef other = page;
  EXPECT_TRUE(page.shared());
  EXPECT_EQ(page.data(), other.data());
  pool.reset();
  page = {};
  EXPECT_FALSE(other.shared());
  EXPECT_EQ(account.used(), PagePool::kChunk);
  other = {};
  EXPECT_EQ(account.used(), 0u);
}

TEST(PagePool, ServesThreadsAtOnceAndEndsEmpty) {
  MemoryAccount account("KV cache", 8 << 20);
  const auto pool = PagePool::Create(account, 4 << 20);
  std::atomic<int> refused{0};
  const auto work = [&](int thread) {
    std::vector<PageRef> held;
    for (int i = 0; i < 400; ++i) {
      std::vector<uint64_t> sizes;
      for (int j = 0; j < 30; ++j) sizes.push_back(uint64_t{256} << ((i * 7 + j * 3 + thread) % 9));
      auto pages = pool->Reserve(sizes);
      if (!pages) {
        ++refused;
        held.clear();
        continue;
      }
      for (PageRef& page : *pages) {
        std::memset(page.data(), thread, page.size());
        held.push_back(std::move(page));
      }
      for (const PageRef& page : held)
        ASSERT_EQ(page.data()[page.size() - 1], static_cast<std::byte>(thread));
      ASSERT_LE(pool->used(), pool->limit());
    }
  };
  std::thread one(work, 1);
  std::thread two(work, 2);
  one.join();
  two.join();
  EXPECT_GT(refused, 0);
  EXPECT_EQ(pool->used(), 0u);
  EXPECT_EQ(account.used(), 0u);
}

TEST(PageRef, IsCountedAcrossThreads) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account);
  PageRef page = Take(*pool, {4096})[0];
  const auto work = [page] {
    for (int i = 0; i < 2000; ++i) {
      PageRef copy = page;
      ASSERT_TRUE(copy.shared());
    }
  };
  {
    std::thread one(work);
    std::thread two(work);
    one.join();
    two.join();
  }
  EXPECT_TRUE(page.shared());  // `work` holds it
  EXPECT_EQ(pool->used(), 4096u);
}

TEST(PagePlan, WastesNothingForPowersOfTwoAndAtMostAnEighthForCommonHeads) {
  for (int64_t head_dim : {32, 64, 128, 256}) EXPECT_EQ(PlanPages(TileFormat::kF16, head_dim).waste(), 0.0);
  EXPECT_EQ(PlanPages(TileFormat::kF16, 64).page_bytes, 8192u);
  EXPECT_EQ(PlanPages(TileFormat::kF16, 80).page_bytes, 32768u);
  EXPECT_EQ(PlanPages(TileFormat::kF16, 80).tiles, 3);
  for (int64_t head_dim : {40, 48, 56, 72, 80, 96, 112, 120, 160, 192, 224, 240}) {
    EXPECT_LE(PlanPages(TileFormat::kF16, head_dim).waste(), 0.125) << head_dim;
    EXPECT_LE(PlanPages(TileFormat::kF32, head_dim).waste(), 0.125) << head_dim;
  }
  for (int64_t head_dim = 32; head_dim <= 256; head_dim += 8) {
    EXPECT_LE(PlanPages(TileFormat::kF16, head_dim).waste(), 0.1875) << head_dim;
  }
}

}  // namespace
}  // namespace hone
