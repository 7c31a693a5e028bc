#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "language/kvcache/test_rows.h"

namespace hone {
namespace {

constexpr KvLayerShape kFull{.kv_heads = 2, .head_dim = 32, .window = 0};
constexpr KvLayerShape kWindowed{.kv_heads = 2, .head_dim = 32, .window = 40};

class KvSnapshot : public testing::Test {
 protected:
  KvCache Empty(std::vector<KvLayerShape> shapes, TileFormat format = TileFormat::kF16) {
    std::vector<std::unique_ptr<KvStore>> stores;
    for (const KvLayerShape& shape : shapes) stores.push_back(MakePagedStore(shape, format));
    return {pool_, std::move(stores)};
  }
  std::string Saved() {
    KvCache cache = Empty({kFull, kWindowed});
    EXPECT_TRUE(AppendEntries(cache, Text(0, 200)));
    EXPECT_TRUE(AppendEntries(cache, Text(200, 30, 1)));
    EXPECT_TRUE(cache.Erase(190, 210));
    return *cache.Snapshot();
  }

  MemoryAccount account_{"KV cache"};
  std::shared_ptr<PagePool> pool_ = PagePool::Create(account_);
};

// The checksum over all but the last 8 bytes, made anew as a forger would.
void Reseal(std::string& snapshot) {
  std::string_view bytes(snapshot.data(), snapshot.size() - 8);
  uint64_t sum = 0x9e3779b97f4a7c15 ^ bytes.size();
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + i, std::min<size_t>(8, bytes.size() - i));
    sum = (sum ^ word) * 0xbf58476d1ce4e5b9;
    sum ^= sum >> 29;
  }
  std::memcpy(snapshot.data() + snapshot.size() - 8, &sum, 8);
}

template <class T>
std::string With(std::string snapshot, size_t at, T value) {
  std::memcpy(snapshot.data() + at, &value, sizeof(T));
  Reseal(snapshot);
  return snapshot;
}

TEST_F(KvSnapshot, ComesBackWithEntriesHolesSegmentsAndWindowAndGrowsOn) {
  const std::string saved = Saved();
  EXPECT_EQ(account_.used(), 0u);
  KvCache cache = Empty({kFull, kWindowed});
  ASSERT_TRUE(cache.Restore(saved));
  EXPECT_EQ(cache.entries(), 230);
  EXPECT_EQ(cache.bytes(), pool_->used());
  ASSERT_EQ(cache.layer(0).runs().size(), 2u);
  EXPECT_EQ(cache.layer(0).runs()[1], (EntryRun{210, 20, 210, 1, {210, 210}}));
  EXPECT_TRUE(Holds(cache.layer(0), 0, Text(0, 190)));
  EXPECT_TRUE(Holds(cache.layer(1), 210, Text(210, 20)));
  ASSERT_TRUE(AppendEntries(cache, Text(230, 40)));
  EXPECT_TRUE(Holds(cache.layer(0), 210, Text(210, 60)));
  EXPECT_EQ(*Empty({kFull, kWindowed}).Snapshot(), *Empty({kFull, kWindowed}).Snapshot());
}

TEST_F(KvSnapshot, IsRefusedByAnotherShapeAndByACacheThatIsNotEmpty) {
  const std::string saved = Saved();
  const auto refusal = [&](KvCache cache) {
    const auto restored = cache.Restore(saved);
    return restored ? std::string() : restored.error().message;
  };
  EXPECT_EQ(refusal(Empty({kFull})), "KV snapshot: layers: 2 found, 1 expected");
  EXPECT_EQ(refusal(Empty({kWindowed, kFull})), "KV snapshot: window: 0 found, 40 expected");
  EXPECT_EQ(refusal(Empty({kFull, kWindowed}, TileFormat::kF32)),
            "KV snapshot: tile format: 1 found, 0 expected");
  EXPECT_EQ(refusal(Empty({{.kv_heads = 2, .head_dim = 64}, kWindowed})),
            "KV snapshot: head_dim: 32 found, 64 expected");
  EXPECT_EQ(refusal(Empty({{.kv_heads = 4, .head_dim = 32}, kWindowed})),
            "KV snapshot: kv_heads: 2 found, 4 expected");
  KvCache full = Empty({kFull, kWindowed});
  ASSERT_TRUE(AppendEntries(full, Text(0, 3)));
  EXPECT_EQ(refusal(std::move(full)), "KV snapshot: the cache holds 3 entries, expected none");
}

TEST_F(KvSnapshot, IsRefusedWhereItIsCutShort) {
  const std::string saved = Saved();
  for (size_t size = 0; size < saved.size(); size += size < 600 ? 1 : 997) {
    KvCache cache = Empty({kFull, kWindowed});
    const auto plain = cache.Restore(saved.substr(0, size));
    ASSERT_FALSE(plain) << size;
    ASSERT_EQ(plain.error().kind, ErrorKind::kBadInput);
    if (size < 8) continue;
    std::string sealed = saved.substr(0, size);
    Reseal(sealed);
    ASSERT_FALSE(cache.Restore(sealed)) << size;
  }
  EXPECT_EQ(pool_->used(), 0u);
}

TEST_F(KvSnapshot, IsRefusedWhereABitHasTurned) {
  std::string saved = Saved();
  for (size_t at = 0; at < saved.size(); at += 101) {
    saved[at] ^= 0x10;
    KvCache cache = Empty({kFull, kWindowed});
    ASSERT_FALSE(cache.Restore(saved)) << at;
    saved[at] ^= 0x10;
  }
}

TEST_F(KvSnapshot, NamesWhatAForgedOneGetsWrong) {
  // Header 16, size of layer 8, shape 16, then entries, dropped position, number of runs, runs of 24, number
  // of tiles.
  const std::string saved = Saved();
  const auto refusal = [&](const std::string& forged) {
    KvCache cache = Empty({kFull, kWindowed});
    const auto restored = cache.Restore(forged);
    EXPECT_EQ(pool_->used(), 0u);
    EXPECT_EQ(cache.entries(), 0);
    return restored ? std::string() : restored.error().message;
  };
  EXPECT_EQ(refusal(With<uint32_t>(saved, 8, 2)), "KV snapshot: version: 2 found, 1 expected");
  EXPECT_EQ(refusal(With<uint64_t>(saved, 16, ~uint64_t{0})).rfind("KV snapshot: layer: ", 0), 0u);
  EXPECT_EQ(refusal(With<int64_t>(saved, 40, -1)), "KV snapshot: entries: -1 found, 0 to 2^31 - 1 expected");
  EXPECT_EQ(refusal(With<int64_t>(saved, 40, 100)),
            "KV snapshot: runs: a run of 190 entries from 0, expected within [0, 100)");
  EXPECT_EQ(refusal(With<int64_t>(saved, 48, 7)),
            "KV snapshot: dropped position: 7 found in a layer with a window of 0");
  EXPECT_EQ(refusal(With<uint64_t>(saved, 56, uint64_t{1} << 61)).rfind("KV snapshot: number of runs: ", 0),
            0u);
  EXPECT_EQ(refusal(With<int32_t>(saved, 64 + 24, 5)),
            "KV snapshot: runs: a run of 20 entries from 5, expected within [190, 230)");
  EXPECT_EQ(refusal(With<int32_t>(saved, 64 + 8, 2147483600)),
            "KV snapshot: runs: 190 positions from 2147483600, expected below 2^31");
  EXPECT_EQ(
      refusal(With<uint64_t>(saved, 64 + 48, uint64_t{1} << 61)).rfind("KV snapshot: number of tiles: ", 0),
      0u);
  EXPECT_EQ(refusal(With<int64_t>(saved, 64 + 56, 1)),
            "KV snapshot: tiles: entries after 0 lie in no tile, expected each in one");
  EXPECT_EQ(refusal(With<int64_t>(saved, 64 + 56 + 8, 0)),
            "KV snapshot: tiles: tile 0 found, expected rising numbers below the entries");
}

TEST_F(KvSnapshot, SurvivesForgedNumbersAnywhere) {
  const std::string saved = Saved();
  std::mt19937 random(7);
  const uint64_t values[] = {
      0, 1, 31, 32, 255, 0x7fffffff, 0x80000000, 0xffffffff, uint64_t{1} << 63, ~uint64_t{0}};
  for (int i = 0; i < 3000; ++i) {
    std::string forged = saved;
    for (int j = random() % 3; j >= 0; --j) {
      const size_t at = random() % 4 == 0 ? random() % (saved.size() - 8) : random() % 200;
      std::memcpy(forged.data() + at, &values[random() % std::size(values)], random() % 2 == 0 ? 4 : 8);
    }
    Reseal(forged);
    KvCache cache = Empty({kFull, kWindowed});
    if (!cache.Restore(forged)) continue;
    const int32_t next = cache.layer(0).runs().empty() ? 0 : 1 << 20;
    (void)AppendEntries(cache, Text(next, 40));
    ASSERT_TRUE(cache.TruncateTo({{0, 0}}));
  }
  EXPECT_EQ(pool_->used(), 0u);
}

TEST_F(KvSnapshot, IsRefusedByAPoolThatCannotHoldIt) {
  const std::string saved = Saved();
  pool_ = PagePool::Create(account_, 5 * 4096);
  KvCache cache = Empty({kFull, kWindowed});
  const auto refused = cache.Restore(saved);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kFailed);
  EXPECT_EQ(cache.bytes(), 0u);
}

}  // namespace
}  // namespace hone
