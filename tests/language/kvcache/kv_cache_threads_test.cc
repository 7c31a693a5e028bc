#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "language/kvcache/test_rows.h"

namespace hone {
namespace {

constexpr KvLayerShape kShape{.kv_heads = 2, .head_dim = 32, .window = 0};

KvCache Empty(const std::shared_ptr<PagePool>& pool) {
  std::vector<std::unique_ptr<KvStore>> stores;
  for (int i = 0; i < 2; ++i) stores.push_back(MakePagedStore(kShape, TileFormat::kF16));
  return {pool, std::move(stores)};
}

TEST(KvCacheThreads, GrowsForksOfOnePrefixAtOnceWithinOneLimit) {
  MemoryAccount account("KV cache");
  const auto pool = PagePool::Create(account, 40 * 4096);
  {
    KvCache prefix = Empty(pool);
    ASSERT_TRUE(AppendEntries(prefix, Text(0, 50)));
    std::atomic<int> done{0};
    std::atomic<int> refused{0};
    const auto work = [&](int thread, KvCache cache) {
      for (int round = 0; round < 60; ++round) {
        int32_t count = 0;
        while (count < 300 && AppendEntries(cache, Text(1000 * thread + count, 11))) count += 11;
        if (count < 300) ++refused;
        ASSERT_TRUE(Holds(cache.layer(0), 0, Text(0, 50)));
        ASSERT_TRUE(Holds(cache.layer(1), 50, Text(1000 * thread, count)));
        ASSERT_TRUE(cache.TruncateTo({{50, 50}}));
        ++done;
      }
    };
    std::thread one(work, 1, std::move(*prefix.Fork()));
    std::thread two(work, 2, std::move(*prefix.Fork()));
    one.join();
    two.join();
    EXPECT_EQ(done, 120);
    EXPECT_TRUE(Holds(prefix.layer(0), 0, Text(0, 50)));
    EXPECT_EQ(pool->used(), prefix.bytes());
  }
  EXPECT_EQ(account.used(), 0u);
}

TEST(KvCacheThreads, WritesHeadsInDifferentThreads) {
  MemoryAccount account("KV cache");
  KvCache cache = Empty(PagePool::Create(account));
  ASSERT_TRUE(cache.Reserve(200));
  for (int layer = 0; layer < 2; ++layer) {
    const TestRows rows(kShape, Text(0, 200));
    KvStore& store = cache.layer(layer);
    ASSERT_TRUE(store.BeginAppend(rows.rows().positions, rows.rows().segments));
    std::thread one([&] { store.WriteHead(0, rows.rows()); });
    std::thread two([&] { store.WriteHead(1, rows.rows()); });
    one.join();
    two.join();
    EXPECT_TRUE(Holds(store, 0, Text(0, 200)));
  }
}

}  // namespace
}  // namespace hone
