#include "evaluation/simulation/rounding_store.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/base/memory_account.h"
#include "evaluation/simulation/group_rounding.h"
#include "language/kvcache/kv_cache.h"

namespace hone {
namespace {

constexpr int kHeads = 2;
constexpr int kHeadDim = 16;
constexpr int64_t kWidth = kHeads * kHeadDim;

TEST(RoundingStore, KeepsTheRoundedRowsOfEveryHead) {
  MemoryAccount account("KV cache", MemoryAccount::kUnlimited);
  std::vector<std::unique_ptr<KvStore>> layers;
  layers.push_back(MakeRoundingStore(MakePagedStore({kHeads, kHeadDim, 0}, TileFormat::kF32), 3, 8));
  KvCache cache(PagePool::Create(account), std::move(layers));
  constexpr int64_t kRows = 5;
  std::vector<float> keys(kRows * kWidth);
  std::vector<float> values(kRows * kWidth);
  for (size_t i = 0; i < keys.size(); ++i) {
    keys[i] = std::sin(static_cast<float>(3 * i));
    values[i] = std::cos(static_cast<float>(5 * i));
  }
  std::vector<Position> positions;
  for (int i = 0; i < kRows; ++i) positions.push_back({i, i, i});
  const std::vector<int32_t> segments(kRows, 0);
  ASSERT_TRUE(cache.Reserve(kRows));
  KvRows rows;
  rows.key = {keys.data(), kRows, kWidth};
  rows.value = {values.data(), kRows, kWidth};
  rows.positions = positions;
  rows.segments = segments;
  ASSERT_TRUE(cache.layer(0).Append(rows));
  std::vector<float> read_keys(keys.size());
  std::vector<float> read_values(values.size());
  const auto forked = cache.Fork();
  ASSERT_TRUE(forked);
  for (const KvCache* one : {static_cast<const KvCache*>(&cache), &*forked}) {
    ASSERT_TRUE(
        one->layer(0).Read(0, kRows, {read_keys.data(), kRows, kWidth}, {read_values.data(), kRows, kWidth}));
    for (int64_t i = 0; i < kRows; ++i) {
      std::vector<float> key(keys.begin() + i * kWidth, keys.begin() + (i + 1) * kWidth);
      RoundAsymmetric(key, 3, 8);
      std::vector<float> value(values.begin() + i * kWidth, values.begin() + (i + 1) * kWidth);
      RoundAsymmetric(value, 3, 8);
      for (int64_t j = 0; j < kWidth; ++j) {
        EXPECT_EQ(read_keys[static_cast<size_t>(i * kWidth + j)], key[static_cast<size_t>(j)]);
        EXPECT_EQ(read_values[static_cast<size_t>(i * kWidth + j)], value[static_cast<size_t>(j)]);
      }
    }
  }
}

}  // namespace
}  // namespace hone
