#include "language/serving/prefix_cache.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "language/kvcache/kv_cache.h"

namespace hone {
namespace {

constexpr int64_t kBlock = PrefixCache::kBlock;

// A cache of one layer whose keys say which token wrote them.
struct Caches {
  explicit Caches(int window = 0) : window(window) {}
  KvCache Make(std::span<const TokenId> tokens, int64_t begin, KvCache cache) {
    const auto rows = static_cast<int64_t>(tokens.size()) - begin;
    EXPECT_TRUE(cache.Reserve(rows));
    std::vector<float> values(static_cast<size_t>(rows * 8));
    std::vector<Position> positions;
    std::vector<int32_t> segments(static_cast<size_t>(rows), 0);
    for (int64_t i = 0; i < rows; ++i) {
      std::fill_n(values.begin() + i * 8, 8, static_cast<float>(tokens[static_cast<size_t>(begin + i)]));
      const auto p = static_cast<int32_t>(begin + i);
      positions.push_back({p, p, p});
    }
    const MatrixView<const float> view(values.data(), rows, 8);
    EXPECT_TRUE(cache.layer(0).Append({.mixer_input = view,
                                       .key_before_rope = view,
                                       .key = view,
                                       .value = view,
                                       .positions = positions,
                                       .segments = segments}));
    return cache;
  }
  KvCache Empty() {
    std::vector<std::unique_ptr<KvStore>> layers;
    layers.push_back(MakePagedStore({.kv_heads = 1, .head_dim = 8, .window = window}, TileFormat::kF32));
    return KvCache(pool, std::move(layers));
  }
  // Written a block at a time, as a server reads prompts: windows let go what has passed.
  KvCache Of(std::span<const TokenId> tokens) {
    KvCache cache = Empty();
    for (size_t end = 0; end < tokens.size();) {
      const auto begin = static_cast<int64_t>(end);
      end = std::min(tokens.size(), end + kBlock);
      cache = Make(tokens.first(end), begin, std::move(cache));
    }
    return cache;
  }

  int window;
  MemoryAccount account{"test"};
  std::shared_ptr<PagePool> pool = PagePool::Create(account);
};

std::vector<TokenId> Tokens(int64_t count, TokenId first) {
  std::vector<TokenId> tokens;
  for (int64_t i = 0; i < count; ++i) tokens.push_back(first + static_cast<TokenId>(i));
  return tokens;
}

// Whether the cache holds exactly the first `count` tokens.
void ExpectHolds(const KvCache& cache, std::span<const TokenId> tokens, int64_t count) {
  ASSERT_EQ(cache.entries(), count);
  std::vector<float> keys(static_cast<size_t>(count * 8));
  std::vector<float> values(keys.size());
  ASSERT_TRUE(cache.layer(0).Read(0, count, {keys.data(), count, 8}, {values.data(), count, 8}));
  for (int64_t i = 0; i < count; ++i) {
    ASSERT_EQ(keys[static_cast<size_t>(i * 8)], static_cast<float>(tokens[static_cast<size_t>(i)]));
  }
}

TEST(PrefixCache, FindsTheLongestWholeBlocksOfAPrompt) {
  Caches caches;
  PrefixCache prefixes;
  const auto tokens = Tokens(3 * kBlock + 5, 0);
  prefixes.Insert(tokens, caches.Of(tokens), 0);
  EXPECT_EQ(prefixes.tokens(), 3 * kBlock);
  auto longer = tokens;
  longer.resize(tokens.size() + 40, 7777);
  const auto hit = prefixes.Find(longer, 1000, 0);
  ASSERT_TRUE(hit);
  EXPECT_EQ(hit->tokens, 3 * kBlock);
  ExpectHolds(hit->cache, tokens, 3 * kBlock);
  const auto capped = prefixes.Find(tokens, 3 * kBlock - 1, 0);
  ASSERT_TRUE(capped);
  EXPECT_EQ(capped->tokens, 3 * kBlock - 1);
  EXPECT_FALSE(prefixes.Find(Tokens(200, 1), 1000, 0));
  EXPECT_FALSE(prefixes.Find(tokens, 1000, 1)) << "made by something else";
}

TEST(PrefixCache, SharesPagesBetweenBranchesAndGivesThemBack) {
  Caches caches;
  PrefixCache prefixes;
  auto a = Tokens(4 * kBlock, 0);
  auto b = a;
  std::fill(b.begin() + 2 * kBlock, b.end(), 9999);
  {
    KvCache first = caches.Of(a);
    prefixes.Insert(a, first, 0);
    auto hit = prefixes.Find(b, 1000, 0);
    ASSERT_TRUE(hit);
    EXPECT_EQ(hit->tokens, 2 * kBlock);
    const KvCache second = caches.Make(b, 2 * kBlock, std::move(hit->cache));
    prefixes.Insert(b, second, 0);
  }
  EXPECT_EQ(prefixes.nodes(), 3) << "the common part and two ends";
  const uint64_t page = caches.pool->used() / 6;
  EXPECT_EQ(caches.pool->used(), page * 6) << "two blocks shared, two of each";
  EXPECT_EQ(prefixes.evictable_tokens(), 6 * kBlock);
  ExpectHolds(prefixes.Find(a, 1000, 0)->cache, a, 4 * kBlock);
  ExpectHolds(prefixes.Find(b, 1000, 0)->cache, b, 4 * kBlock);
  EXPECT_TRUE(prefixes.EvictOne());
  EXPECT_EQ(prefixes.Find(a, 1000, 0)->tokens, 2 * kBlock) << "the one used longer ago";
  EXPECT_EQ(prefixes.Find(b, 1000, 0)->tokens, 4 * kBlock);
  while (prefixes.EvictOne()) {
  }
  EXPECT_EQ(caches.pool->used(), 0u);
}

TEST(PrefixCache, KeepsWhatIsPinned) {
  Caches caches;
  PrefixCache prefixes;
  const auto tokens = Tokens(2 * kBlock, 0);
  PrefixCache::Pin pin = prefixes.Insert(tokens, caches.Of(tokens), 0);
  EXPECT_EQ(prefixes.evictable_tokens(), 0);
  EXPECT_FALSE(prefixes.EvictOne());
  pin.Release();
  EXPECT_EQ(prefixes.evictable_tokens(), 2 * kBlock);
  EXPECT_TRUE(prefixes.EvictOne());
}

TEST(PrefixCache, FindsAllButTheTailUnderASlidingWindow) {
  Caches caches(/*window=*/40);
  PrefixCache prefixes;
  const auto tokens = Tokens(6 * kBlock, 0);
  prefixes.Insert(tokens, caches.Of(tokens), 0);
  const auto repeated = prefixes.Find(tokens, 6 * kBlock - 1, 0);
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->tokens, 6 * kBlock - 1);
  auto branch = tokens;
  std::fill(branch.begin() + 2 * kBlock, branch.end(), 9999);
  EXPECT_FALSE(prefixes.Find(branch, 1000, 0)) << "what it would see was let go";
}

TEST(PrefixCache, KeepsAtMostSoManyNodes) {
  Caches caches;
  PrefixCache prefixes(10);
  for (TokenId i = 0; i < 50; ++i) {
    const auto tokens = Tokens(kBlock, 1000 * i);
    prefixes.Insert(tokens, caches.Of(tokens), 0);
  }
  EXPECT_LE(prefixes.nodes(), 10);
  EXPECT_TRUE(prefixes.Find(Tokens(kBlock, 49000), 1000, 0)) << "the newest stays";
}

// Against a list of all that was inserted: a hit is the longest common run of whole blocks, and holds it.
RC_GTEST_PROP(PrefixCache, AgreesWithAList, ()) {
  Caches caches;
  PrefixCache prefixes;
  std::vector<std::vector<TokenId>> inserted;
  const int rounds = *rc::gen::inRange(1, 20);
  for (int round = 0; round < rounds; ++round) {
    std::vector<TokenId> tokens;
    const int blocks = *rc::gen::inRange(1, 6);
    for (int b = 0; b < blocks; ++b) {
      const TokenId kind = *rc::gen::inRange(0, 2);
      for (int64_t i = 0; i < kBlock; ++i) tokens.push_back(kind);
    }
    int64_t best = 0;
    for (const auto& other : inserted) {
      const auto end = std::mismatch(tokens.begin(), tokens.end(), other.begin(), other.end()).first;
      best = std::max<int64_t>(best, (end - tokens.begin()) / kBlock * kBlock);
    }
    const auto hit = prefixes.Find(tokens, 10000, 0);
    RC_ASSERT((hit ? hit->tokens : 0) == best);
    if (hit) ExpectHolds(hit->cache, tokens, best);
    prefixes.Insert(tokens, caches.Of(tokens), 0);
    inserted.push_back(tokens);
  }
  while (prefixes.EvictOne()) {
  }
  RC_ASSERT(caches.pool->used() == 0u);
}

}  // namespace
}  // namespace hone
