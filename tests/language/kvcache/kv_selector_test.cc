// Selections meet the rules entry by entry, and attention executes what they say.
#include "language/kvcache/kv_selector.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <random>

#include "core/kernels/reference/attention_reference.h"
#include "language/kvcache/selectors.h"
#include "test_rows.h"

namespace hone {
namespace {

constexpr int kKvHeads = 2;
constexpr int kHeadDim = 32;
constexpr int kGroup = 3;

class CallerShare final : public ComputeShare {
 public:
  int threads() const override { return 1; }
  void SetWeight(double) override {}
  void ParallelFor(int64_t tasks, FunctionRef<void(int64_t)> body) override {
    for (int64_t i = 0; i < tasks; ++i) body(i);
  }
};

// One layer's store with text and holes, and some last rows under a causal rule.
struct Layer {
  Layer(int32_t entries, int32_t row_count, uint64_t seed)
      : account("KV"),
        cache(PagePool::Create(account), MakeLayers()),
        random(seed),
        numbers(static_cast<size_t>(row_count) * kKvHeads * kGroup * kHeadDim) {
    EXPECT_TRUE(AppendEntries(cache, Text(0, entries)));
    std::normal_distribution<float> normal;
    for (float& x : numbers) x = 0.001f * normal(random);
    for (int32_t row = entries - row_count; row < entries; ++row) positions.push_back({row, row, row});
  }
  static std::vector<std::unique_ptr<KvStore>> MakeLayers() {
    std::vector<std::unique_ptr<KvStore>> layers;
    layers.push_back(MakePagedStore({kKvHeads, kHeadDim, 0}, TileFormat::kF32));
    return layers;
  }
  // What each row sees: causal, without the holes.
  void SeeCausally() {
    spans.assign(positions.size(), {});
    for (size_t row = 0; row < positions.size(); ++row) {
      for (const EntryRun& run : cache.layer(0).runs()) {
        const int32_t end = std::min(run.first_entry + run.count, positions[row][0] + 1);
        if (run.first_entry < end) spans[row].push_back({run.first_entry, end});
      }
    }
    for (const auto& span : spans) views.push_back({span, nullptr});
  }
  KvQuery query() const {
    const auto rows = static_cast<int64_t>(positions.size());
    return {0, &cache.layer(0), {numbers.data(), rows, kKvHeads * kGroup * kHeadDim}, positions, views};
  }

  MemoryAccount account;
  KvCache cache;
  std::mt19937_64 random;
  std::vector<float> numbers;
  std::vector<Position> positions;
  std::vector<std::vector<EntrySpan>> spans;
  std::vector<RowView> views;
};

bool Contains(std::span<const EntrySpan> spans, int32_t entry) {
  for (const EntrySpan& span : spans) {
    if (entry >= span.begin && entry < span.end) return true;
  }
  return false;
}

// What a selection says of one entry, straight from its definition. Positions are entry numbers here.
bool Says(const KvSelection& s, int32_t own, int32_t entry) {
  const bool in_span = entry >= s.begin && entry < s.end;
  const bool in_band = entry >= own - s.before && entry <= own + s.after;
  switch (s.kind) {
    case KvSelectionKind::kFull:
      return true;
    case KvSelectionKind::kSkip:
      return false;
    case KvSelectionKind::kSpan:
      return in_span;
    case KvSelectionKind::kBand:
      return in_band;
    case KvSelectionKind::kArrow:
      return in_span || in_band;
    case KvSelectionKind::kTiles:
      return std::count(s.list.begin(), s.list.end(), entry / kTileEntries) > 0;
    case KvSelectionKind::kEntries:
      return std::count(s.list.begin(), s.list.end(), entry) > 0;
  }
  return false;
}

KvSelection RandomSelection(std::mt19937_64& random, int32_t entries) {
  const auto below = [&](int32_t limit) {
    return static_cast<int32_t>(random() % static_cast<uint64_t>(limit));
  };
  KvSelection s;
  s.kind = static_cast<KvSelectionKind>(below(7));
  s.begin = below(entries);
  s.end = s.begin + below(200);
  s.before = below(entries);
  s.after = below(10);
  if (s.kind == KvSelectionKind::kTiles) {
    for (int32_t tile = 0; tile * kTileEntries < entries; ++tile) {
      if (below(3) == 0) s.list.push_back(tile);
    }
  }
  if (s.kind == KvSelectionKind::kEntries) {
    for (int32_t entry = below(30); entry < entries; entry += 1 + below(60)) s.list.push_back(entry);
  }
  return s;
}

// Given selections, one a (row, KV head).
class GivenSelector : public KvSelector {
 public:
  bool Selects(int) const override { return true; }
  void Select(const KvQuery&, int64_t row, int kv_head, KvSelection& selection) override {
    selection = selections[static_cast<size_t>(row * kKvHeads + kv_head)];
  }
  std::vector<KvSelection> selections;
};

struct Run {
  std::vector<float> output;
  int64_t tiles = 0;
};

Run Attend(const Layer& layer, std::span<const RowView> views) {
  const KvQuery query = layer.query();
  const AttentionShape shape{kKvHeads * kGroup, kKvHeads, kHeadDim, 0.2f, {}};
  const AttentionItem item{0, query.rows(), layer.cache.layer(0).tiles(), views};
  Run run;
  run.output.resize(layer.numbers.size());
  std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(shape, {&item, 1})));
  AttentionCounters counters;
  CallerShare share;
  Attention(share, shape, {&item, 1}, query.query, {run.output.data(), query.rows(), query.query.columns},
            scratch, &counters);
  run.tiles = counters.tiles_executed;
  return run;
}

// Attention in float64 over the entries for which `keeps(row, kv_head, entry)`.
template <class Keeps>
std::vector<double> Expected(const Layer& layer, Keeps keeps) {
  const KvQuery query = layer.query();
  std::vector<std::vector<EntrySpan>> spans;
  std::vector<RowView> views;
  for (int64_t row = 0; row < query.rows(); ++row) {
    for (int head = 0; head < kKvHeads; ++head) {
      auto& kept = spans.emplace_back();
      for (int32_t entry = 0; entry < layer.cache.layer(0).entries(); ++entry) {
        if (keeps(row, head, entry)) kept.push_back({entry, entry + 1});
      }
    }
  }
  for (const auto& kept : spans) views.push_back({kept, nullptr});
  const AttentionShape shape{kKvHeads * kGroup, kKvHeads, kHeadDim, 0.2f, {}};
  const AttentionItem item{0, query.rows(), layer.cache.layer(0).tiles(), views};
  std::vector<double> output(layer.numbers.size());
  reference::Attention(shape, {&item, 1}, query.query, {output.data(), query.rows(), query.query.columns});
  return output;
}

RC_GTEST_PROP(KvSelector, MeetsTheRulesEntryByEntryAndRunsWhatItSays, ()) {
  const auto entries = *rc::gen::inRange<int32_t>(1, 900);
  const auto rows = std::min(entries, *rc::gen::inRange<int32_t>(1, 20));
  Layer layer(entries, rows, *rc::gen::arbitrary<uint64_t>());
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) {
    const auto begin = static_cast<int64_t>(layer.random() % static_cast<uint64_t>(entries));
    RC_ASSERT(layer.cache.Erase(begin, std::min<int64_t>(entries, begin + 50)));
  }
  layer.SeeCausally();
  GivenSelector selector;
  for (int32_t i = 0; i < rows * kKvHeads; ++i)
    selector.selections.push_back(RandomSelection(layer.random, entries));
  SelectedViews selected;
  const auto views = selected.Select(selector, layer.query());
  RC_ASSERT(views.has_value());

  const auto keeps = [&](int64_t row, int head, int32_t entry) {
    const auto r = static_cast<size_t>(row);
    return Contains(layer.spans[r], entry) &&
           Says(selector.selections[r * kKvHeads + static_cast<size_t>(head)], layer.positions[r][0], entry);
  };
  int64_t tiles = 0;
  for (int64_t row = 0; row < rows; ++row) {
    for (int head = 0; head < kKvHeads; ++head) {
      const RowView& view = (*views)[static_cast<size_t>(row * kKvHeads + head)];
      int64_t last_tile = -1;
      for (int32_t entry = 0; entry < entries; ++entry) {
        RC_ASSERT(Contains(view.visible, entry) == keeps(row, head, entry));
        if (keeps(row, head, entry) && entry / kTileEntries != last_tile) {
          last_tile = entry / kTileEntries;
          tiles += kGroup;
        }
      }
      for (size_t i = 1; i < view.visible.size(); ++i)
        RC_ASSERT(view.visible[i - 1].end < view.visible[i].begin);  // sorted, disjoint, joined
    }
  }
  const Run run = Attend(layer, *views);
  RC_ASSERT(run.tiles == tiles);
  const std::vector<double> expected = Expected(layer, keeps);
  // Values are integers up to 510; float32 sums stay near 1e-4.
  for (size_t i = 0; i < expected.size(); ++i) RC_ASSERT(std::abs(run.output[i] - expected[i]) < 2e-3);
}

std::vector<float> DenseOutput(Layer& layer) { return Attend(layer, layer.views).output; }

TEST(KvSelector, WithAFullBudgetEqualsDenseInEveryBit) {
  Layer layer(700, 17, 5);
  layer.SeeCausally();
  const std::vector<float> dense = DenseOutput(layer);
  std::vector<int32_t> all(700);
  for (int32_t i = 0; i < 700; ++i) all[static_cast<size_t>(i)] = i;
  std::vector<std::unique_ptr<KvSelector>> selectors;
  selectors.push_back(MakeSinkWindowSelector({{{4, 700}, {700, 1}}}));
  const BlockMask mask{64, 11, std::vector<bool>(121, true)};
  selectors.push_back(MakeBlockMaskSelector({{mask, mask}}));
  selectors.push_back(MakeEntryListSelector({{all, all}}));
  for (const auto& selector : selectors) {
    SelectedViews selected;
    const auto views = selected.Select(*selector, layer.query());
    ASSERT_TRUE(views);
    EXPECT_EQ(Attend(layer, *views).output, dense);
  }
}

TEST(KvSelector, ExecutesTheTilesOfSinksAndWindowOnly) {
  Layer layer(1000, 1, 6);
  layer.SeeCausally();
  const auto selector = MakeSinkWindowSelector({{{4, 100}, {0, 0}}});
  SelectedViews selected;
  const auto views = selected.Select(*selector, layer.query());
  ASSERT_TRUE(views);
  // Row 999: entries 0 to 3 (one tile) and 900 to 999 (tiles 28 to 31); the second head sees all 32 tiles.
  EXPECT_EQ(TilesSeen((*views)[0].visible), 5);
  EXPECT_EQ(TilesSeen((*views)[1].visible), 32);
  EXPECT_EQ(Attend(layer, *views).tiles, kGroup * (5 + 32));
}

TEST(KvSelector, BlockMaskKeepsTheBlocksOfTheRowsBlock) {
  Layer layer(256, 100, 7);
  layer.SeeCausally();
  BlockMask mask{64, 4, std::vector<bool>(16, false)};
  mask.kept[2 * 4 + 0] = mask.kept[2 * 4 + 2] = true;  // rows 128 to 191
  mask.kept[3 * 4 + 1] = mask.kept[3 * 4 + 3] = true;  // rows 192 to 255
  const auto selector = MakeBlockMaskSelector({{mask, mask}});
  SelectedViews selected;
  const auto views = selected.Select(*selector, layer.query());
  ASSERT_TRUE(views);
  using Spans = std::vector<EntrySpan>;
  const auto of = [&](int64_t row) {
    const auto visible = (*views)[static_cast<size_t>((row - 156) * kKvHeads)].visible;
    return Spans(visible.begin(), visible.end());
  };
  EXPECT_EQ(of(160), (Spans{{0, 64}, {128, 161}}));
  EXPECT_EQ(of(255), (Spans{{64, 128}, {192, 256}}));
}

TEST(KvSelector, EntryListAddsTheRowsOwnEntry) {
  Layer layer(100, 2, 8);
  layer.SeeCausally();
  const auto selector = MakeEntryListSelector({{{3, 40, 41}, {98}}});
  SelectedViews selected;
  const auto views = selected.Select(*selector, layer.query());
  ASSERT_TRUE(views);
  using Spans = std::vector<EntrySpan>;
  const auto of = [&](size_t i) { return Spans((*views)[i].visible.begin(), (*views)[i].visible.end()); };
  EXPECT_EQ(of(0), (Spans{{3, 4}, {40, 42}, {98, 99}}));
  EXPECT_EQ(of(1), (Spans{{98, 99}}));
  EXPECT_EQ(of(2), (Spans{{3, 4}, {40, 42}, {99, 100}}));
  EXPECT_EQ(of(3), (Spans{{98, 100}}));
}

}  // namespace
}  // namespace hone
