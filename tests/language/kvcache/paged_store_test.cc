#include <gtest/gtest.h>

#include "language/kvcache/page_plan.h"
#include "language/kvcache/test_rows.h"

namespace hone {
namespace {

class PagedStoreTest : public testing::Test {
 protected:
  KvCache Cache(const KvLayerShape& shape, int layers = 1, TileFormat format = TileFormat::kF16,
                int64_t slack = 8) {
    std::vector<std::unique_ptr<KvStore>> stores;
    for (int i = 0; i < layers; ++i) stores.push_back(MakePagedStore(shape, format, slack));
    return {pool_, std::move(stores)};
  }

  MemoryAccount account_{"KV cache"};
  std::shared_ptr<PagePool> pool_ = PagePool::Create(account_);
};

constexpr KvLayerShape kSmall{.kv_heads = 2, .head_dim = 32, .window = 0};
constexpr KvLayerShape kWindowed{.kv_heads = 2, .head_dim = 32, .window = 40};

TEST_F(PagedStoreTest, KeepsPlainTextAsOneRunAndItsNumbers) {
  KvCache cache = Cache(kSmall, 2);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 50)));
  for (int i = 50; i < 70; ++i) ASSERT_TRUE(AppendEntries(cache, Text(i, 1)));
  EXPECT_EQ(cache.entries(), 70);
  ASSERT_EQ(cache.layer(1).runs().size(), 1u);
  EXPECT_EQ(cache.layer(1).runs()[0], (EntryRun{0, 70, 0, 0, {0, 0}}));
  EXPECT_TRUE(Holds(cache.layer(0), 0, Text(0, 70)));
  EXPECT_TRUE(Holds(cache.layer(1), 0, Text(0, 70)));
  EXPECT_EQ(cache.bytes(), 2u * 2 * 3 * 4096);
  EXPECT_EQ(pool_->used(), cache.bytes());
}

TEST_F(PagedStoreTest, ShowsTilesThatHoldTheEntriesAndZerosAfterThem) {
  KvCache cache = Cache(kSmall, 1, TileFormat::kF32);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 35)));
  const auto heads = cache.layer(0).tiles();
  ASSERT_EQ(heads.size(), 2u);
  ASSERT_EQ(heads[1].tiles.size(), 2u);
  const auto* keys = reinterpret_cast<const float*>(heads[1].tiles[1]);
  const float* values = keys + 32 * kTileEntries;
  for (int64_t d = 0; d < 32; ++d) {
    EXPECT_EQ(keys[d * kTileEntries + 2], TestNumber(34, 32 + d, false));
    EXPECT_EQ(values[2 * 32 + d], TestNumber(34, 32 + d, true));
    EXPECT_EQ(keys[d * kTileEntries + 3], 0.0f);
    EXPECT_EQ(values[3 * 32 + d], 0.0f);
  }
}

TEST_F(PagedStoreTest, RefusesRowsWithoutReservedPagesAndStaysAsItWas) {
  KvCache cache = Cache(kSmall);
  const TestRows rows(kSmall, Text(0, 1));
  const auto refused = cache.layer(0).Append(rows.rows());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "KV cache: 1 rows need 2 pages, 0 were reserved");
  EXPECT_EQ(cache.entries(), 0);
}

TEST_F(PagedStoreTest, ReservesNothingTwice) {
  KvCache cache = Cache(kSmall, 3);
  ASSERT_TRUE(cache.Reserve(33));
  const uint64_t used = pool_->used();
  EXPECT_EQ(used, 3u * 2 * 2 * 4096);
  ASSERT_TRUE(cache.Reserve(33));
  EXPECT_EQ(pool_->used(), used);
}

TEST_F(PagedStoreTest, ReservesForAllLayersOrNone) {
  pool_ = PagePool::Create(account_, 11 * 4096);
  KvCache cache = Cache(kSmall, 3);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 32)));
  ASSERT_FALSE(AppendEntries(cache, Text(32, 1)));
  EXPECT_EQ(pool_->used(), 6u * 4096);
  EXPECT_EQ(cache.entries(), 32);
  EXPECT_TRUE(Holds(cache.layer(2), 0, Text(0, 32)));
}

TEST_F(PagedStoreTest, SharesPagesAfterAForkAndCopiesOnlyTheTail) {
  KvCache cache = Cache(kSmall);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 70)));
  const uint64_t before = pool_->used();
  auto fork = cache.Fork();
  ASSERT_TRUE(fork);
  EXPECT_EQ(pool_->used(), before);
  ASSERT_TRUE(AppendEntries(*fork, Text(500, 1)));
  EXPECT_EQ(pool_->used(), before + 2 * 4096);
  EXPECT_EQ(fork->layer(0).tiles()[0].tiles[1], cache.layer(0).tiles()[0].tiles[1]);
  EXPECT_NE(fork->layer(0).tiles()[0].tiles[2], cache.layer(0).tiles()[0].tiles[2]);
  ASSERT_TRUE(AppendEntries(cache, Text(70, 1)));
  EXPECT_EQ(pool_->used(), before + 2 * 4096);  // nobody shares the tail any more
  EXPECT_TRUE(Holds(cache.layer(0), 0, Text(0, 71)));
  EXPECT_TRUE(Holds(fork->layer(0), 0, Text(0, 70)));
  EXPECT_TRUE(Holds(fork->layer(0), 70, Text(500, 1)));
}

TEST_F(PagedStoreTest, CopiesOneTileWhereAPageHoldsSeveral) {
  const KvLayerShape shape{.kv_heads = 1, .head_dim = 80, .window = 0};
  KvCache cache = Cache(shape);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 70)));
  EXPECT_EQ(pool_->used(), 32768u);
  auto fork = cache.Fork();
  ASSERT_TRUE(AppendEntries(*fork, Text(70, 60)));
  EXPECT_EQ(pool_->used(), 2 * 32768u);  // tiles 2, 3 and 4 lie in the second page
  ASSERT_TRUE(AppendEntries(cache, Text(70, 1)));
  EXPECT_TRUE(Holds(cache.layer(0), 0, Text(0, 71)));
  EXPECT_TRUE(Holds(fork->layer(0), 0, Text(0, 130)));
}

TEST_F(PagedStoreTest, FreesPagesThatAreWhollyErasedAndKeepsHoles) {
  KvCache cache = Cache(kSmall);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 100)));
  ASSERT_TRUE(cache.Erase(10, 70));
  EXPECT_EQ(cache.bytes(), 3u * 2 * 4096);
  ASSERT_EQ(cache.layer(0).runs().size(), 2u);
  EXPECT_EQ(cache.layer(0).runs()[1], (EntryRun{70, 30, 70, 0, {70, 70}}));
  EXPECT_EQ(cache.layer(0).tiles()[0].tiles[1], nullptr);
  EXPECT_TRUE(Holds(cache.layer(0), 70, Text(70, 30)));
  std::vector<float> row(64);
  const auto hole = cache.layer(0).Read(10, 11, {row.data(), 1, 64}, {row.data(), 1, 64});
  ASSERT_FALSE(hole);
  EXPECT_EQ(hole.error().message, "KV cache: entries [10, 11) of 100 are not all there");
  ASSERT_TRUE(cache.Erase(0, 100));
  EXPECT_EQ(cache.bytes(), 2u * 4096);  // the tail, which is to grow
}

TEST_F(PagedStoreTest, GrowsAgainAfterGoingBackIntoAHole) {
  KvCache cache = Cache(kSmall);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 64)));
  ASSERT_TRUE(cache.Erase(0, 64));
  EXPECT_EQ(pool_->used(), 0u);
  ASSERT_TRUE(cache.TruncateTo({{20}}));
  ASSERT_TRUE(AppendEntries(cache, Text(20, 20)));
  EXPECT_TRUE(Holds(cache.layer(0), 20, Text(20, 20)));
  EXPECT_EQ(pool_->used(), 2u * 2 * 4096);
}

TEST_F(PagedStoreTest, LetsGoWhatAWindowHasPassedInWholeTiles) {
  KvCache cache = Cache(kWindowed);
  uint64_t most = 0;
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(AppendEntries(cache, Text(i, 1)));
    most = std::max(most, cache.bytes());
    const int64_t kept = cache.layer(0).runs()[0].count;
    ASSERT_GE(kept, std::min(i + 1, 47));  // after a rollback of 8, row i - 7 sees i - 46
    ASSERT_LE(kept, 47 + 31);
  }
  EXPECT_LE(most, 2u * 4 * 4096);
  const EntryRun run = cache.layer(0).runs()[0];
  EXPECT_EQ(run.first_entry, run.first_position);
  EXPECT_EQ(cache.layer(0).tiles()[0].tiles[0], nullptr);
  EXPECT_TRUE(Holds(cache.layer(0), run.first_entry, Text(run.first_entry, run.count)));
}

TEST_F(PagedStoreTest, KeepsTheWindowOfTheFirstOfManyNewRows) {
  KvCache cache = Cache(kWindowed);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 300)));
  ASSERT_TRUE(AppendEntries(cache, Text(300, 300)));
  EXPECT_LE(cache.layer(0).runs()[0].first_position, 300 - 39);
  EXPECT_TRUE(Holds(cache.layer(0), 261, Text(261, 339)));
}

TEST_F(PagedStoreTest, GoesBackAsDeepAsItsSlackAndRefusesWhatTheWindowLost) {
  KvCache cache = Cache(kWindowed);
  EXPECT_EQ(cache.layer(0).capabilities().rollback, 8);
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(AppendEntries(cache, Text(i, 1)));
  const auto refused = cache.TruncateTo({{200}});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
  EXPECT_EQ(cache.entries(), 256);
  ASSERT_TRUE(cache.TruncateTo({{248}}));
  EXPECT_LE(cache.layer(0).runs()[0].first_position, 248 - 39);
  ASSERT_TRUE(AppendEntries(cache, Text(248, 3)));
  EXPECT_FALSE(AppendEntries(cache, Text(100, 1)));  // its window is gone
  EXPECT_FALSE(cache.TruncateToPosition(5));
  ASSERT_TRUE(cache.TruncateTo({{0}}));
  EXPECT_EQ(pool_->used(), 0u);
  EXPECT_TRUE(AppendEntries(cache, Text(0, 1)));
}

TEST_F(PagedStoreTest, ReplacesASpanWithoutTouchingItsForks) {
  KvCache cache = Cache(kSmall, 2);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 100)));
  auto fork = cache.Fork();
  const TestRows rows(kSmall, Text(700, 40));
  const uint64_t before = pool_->used();
  ASSERT_TRUE(cache.Replace(1, 30, 70, rows.keys(), rows.values()));
  EXPECT_EQ(pool_->used(), before + 3 * 2 * 4096);
  EXPECT_TRUE(Holds(cache.layer(1), 30, Text(700, 40)));
  EXPECT_TRUE(Holds(cache.layer(1), 70, Text(70, 30)));
  EXPECT_EQ(cache.layer(1).runs()[0].first_position, 0);
  EXPECT_TRUE(Holds(fork->layer(1), 0, Text(0, 100)));
  EXPECT_FALSE(cache.Replace(1, 80, 120, rows.keys(), rows.values()));
}

TEST_F(PagedStoreTest, TruncatesByPositionAcrossSegments) {
  KvCache cache = Cache(kSmall);
  ASSERT_TRUE(AppendEntries(cache, Text(0, 20, 0)));
  ASSERT_TRUE(AppendEntries(cache, Text(15, 10, 1)));
  ASSERT_TRUE(AppendEntries(cache, Text(5, 5, 2)));
  EXPECT_EQ(cache.layer(0).runs().size(), 3u);
  ASSERT_TRUE(cache.TruncateToPosition(8));
  EXPECT_EQ(cache.entries(), 33);
  ASSERT_EQ(cache.layer(0).runs().size(), 2u);
  EXPECT_EQ(cache.layer(0).runs()[0], (EntryRun{0, 8, 0, 0, {0, 0}}));
  EXPECT_EQ(cache.layer(0).runs()[1], (EntryRun{30, 3, 5, 2, {5, 5}}));
}

}  // namespace
}  // namespace hone
