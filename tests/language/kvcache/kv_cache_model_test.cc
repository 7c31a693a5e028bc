// Random work on several caches over one pool, against plain vectors.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <set>

#include "language/kvcache/page_plan.h"
#include "language/kvcache/test_rows.h"

namespace hone {
namespace {

struct LayerKind {
  KvLayerShape shape;
  TileFormat format;
};

// One tile a page, three tiles a page, a window.
const LayerKind kKinds[] = {
    {{2, 32, 0}, TileFormat::kF16}, {{1, 40, 0}, TileFormat::kF32}, {{1, 32, 50}, TileFormat::kF16}};
constexpr int64_t kSlack = 10;

struct Step {
  int kind = 0;
  int cache = 0;
  int a = 0;
  int b = 0;
};

std::ostream& operator<<(std::ostream& out, const Step& step) {
  return out << "{" << step.kind << ", " << step.cache << ", " << step.a << ", " << step.b << "}";
}

rc::Gen<std::vector<Step>> Steps() {
  return rc::gen::container<std::vector<Step>>(rc::gen::build<Step>(
      rc::gen::set(&Step::kind,
                   rc::gen::weightedElement<int>(
                       {{6, 0}, {2, 1}, {3, 2}, {2, 3}, {2, 4}, {2, 5}, {1, 6}, {1, 7}, {1, 8}})),
      rc::gen::set(&Step::cache, rc::gen::inRange(0, 4)), rc::gen::set(&Step::a, rc::gen::inRange(0, 1000)),
      rc::gen::set(&Step::b, rc::gen::inRange(0, 1000))));
}

// A cache and what it must hold.
struct Modelled {
  KvCache cache;
  std::vector<TestEntry> entries;
};

class World {
 public:
  World(std::vector<int> kinds, uint64_t limit)
      : kinds_(std::move(kinds)), pool_(PagePool::Create(account_, limit)) {
    windowed_ = std::find(kinds_.begin(), kinds_.end(), 2) != kinds_.end();
    caches_.push_back({Empty(), {}});
  }
  ~World() {
    caches_.clear();
    EXPECT_EQ(pool_->used(), 0u);
    EXPECT_EQ(account_.used(), 0u);
  }

  void Do(const Step& step) {
    const size_t index = step.cache % caches_.size();
    Modelled& chosen = caches_[index];
    const auto size = static_cast<int64_t>(chosen.entries.size());
    const int64_t begin = step.a % (size + 1);
    const int64_t end = begin + step.b % (size - begin + 1);
    switch (step.kind) {
      case 0:
        return Append(chosen, 1 + step.a % 70, step.b);
      case 1:
        return Fork(index);
      case 2:
        return Truncate(chosen, size - std::min<int64_t>(size, step.a % 20));
      case 3:
        return Truncate(chosen, begin);
      case 4:
        return Erase(chosen, begin, end);
      case 5:
        return Replace(chosen, begin, end);
      case 6:
        return SaveAndRestore(chosen);
      case 7:
        return TruncateToPosition(chosen, step.a % 400);
      default:
        return Drop(index);
    }
  }

  void Check() const {
    for (const Modelled& modelled : caches_) {
      for (int i = 0; i < modelled.cache.layers(); ++i) CheckLayer(modelled, modelled.cache.layer(i));
    }
    CheckAccount();
  }

 private:
  KvCache Empty() const {
    std::vector<std::unique_ptr<KvStore>> layers;
    for (int kind : kinds_) layers.push_back(MakePagedStore(kKinds[kind].shape, kKinds[kind].format, kSlack));
    return {pool_, std::move(layers)};
  }

  void Append(Modelled& modelled, int32_t rows, int b) {
    // Text goes on, or (where no window forbids) another segment starts anywhere, or an image stands in one
    // place.
    int32_t position = modelled.entries.empty() ? 0 : modelled.entries.back().position[0] + 1;
    int32_t segment = modelled.entries.empty() ? 0 : modelled.entries.back().segment;
    int32_t rise = 1;
    if (!windowed_ && b % 4 == 0) {
      position = b % 300;
      segment = b % 5;
      rise = b % 8 == 0 ? 0 : 1;
    }
    std::vector<TestEntry> added;
    for (int32_t i = 0; i < rows; ++i) {
      added.push_back({{position + i * rise, position + i, position + i / 2}, segment, ++seed_});
    }
    const uint64_t used = pool_->used();
    if (AppendEntries(modelled.cache, added)) {
      modelled.entries.insert(modelled.entries.end(), added.begin(), added.end());
    } else {
      RC_ASSERT(pool_->used() == used);
      RC_ASSERT(pool_->limit() != MemoryAccount::kUnlimited);
    }
  }

  void Fork(size_t index) {
    if (caches_.size() == 4) return;
    const uint64_t used = pool_->used();
    auto fork = caches_[index].cache.Fork();
    RC_ASSERT(fork.has_value());
    RC_ASSERT(pool_->used() == used);
    caches_.push_back({std::move(*fork), caches_[index].entries});
  }

  void Truncate(Modelled& modelled, int64_t keep) {
    const KvCache::Mark mark{std::vector<int64_t>(kinds_.size(), keep)};
    if (modelled.cache.TruncateTo(mark)) {
      modelled.entries.resize(keep);
    } else {
      RC_ASSERT(windowed_);
    }
  }

  void TruncateToPosition(Modelled& modelled, int32_t position) {
    if (windowed_) return;  // the tests of the store say what a window refuses
    RC_ASSERT(modelled.cache.TruncateToPosition(position).has_value());
    for (TestEntry& entry : modelled.entries) entry.there = entry.there && entry.position[0] < position;
    modelled.entries.resize(modelled.cache.entries());
  }

  void Erase(Modelled& modelled, int64_t begin, int64_t end) {
    RC_ASSERT(modelled.cache.Erase(begin, end).has_value());
    for (int64_t i = begin; i < end; ++i) modelled.entries[i].there = false;
  }

  void Replace(Modelled& modelled, int64_t begin, int64_t end) {
    if (windowed_) return;
    bool all = true;
    for (int64_t i = begin; i < end; ++i) all = all && modelled.entries[i].there;
    std::vector<TestEntry> changed(modelled.entries.begin() + begin, modelled.entries.begin() + end);
    for (TestEntry& entry : changed) entry.seed = ++seed_;
    for (int layer = 0; layer < modelled.cache.layers(); ++layer) {
      const TestRows rows(modelled.cache.layer(layer).shape(), changed);
      std::vector<uint64_t> sizes;
      modelled.cache.layer(layer).PagesToReplace(begin, end, sizes);
      const bool done = modelled.cache.Replace(layer, begin, end, rows.keys(), rows.values()).has_value();
      if (!done && all) {  // the pool is full: write without the limit's consent is not possible, so put the
                           // old seeds back
        RC_ASSERT(!sizes.empty());
        RC_ASSERT(layer == 0 || kinds_.size() > 1);
        for (int back = 0; back < layer; ++back) {
          const std::span<const TestEntry> old(modelled.entries.data() + begin, changed.size());
          const TestRows before(modelled.cache.layer(back).shape(), old);
          RC_ASSERT(modelled.cache.Replace(back, begin, end, before.keys(), before.values()).has_value());
        }
        return;
      }
      RC_ASSERT(done == all);
    }
    if (all) std::copy(changed.begin(), changed.end(), modelled.entries.begin() + begin);
  }

  void SaveAndRestore(Modelled& modelled) {
    auto saved = modelled.cache.Snapshot();
    RC_ASSERT(saved.has_value());
    KvCache restored = Empty();
    if (!restored.Restore(*saved)) {
      RC_ASSERT(restored.bytes() == 0u);
      RC_ASSERT(pool_->limit() != MemoryAccount::kUnlimited);
      return;
    }
    RC_ASSERT(*restored.Snapshot() == *saved);
    modelled.cache = std::move(restored);
  }

  void Drop(size_t index) {
    if (caches_.size() == 1) return;
    caches_.erase(caches_.begin() + index);
  }

  void CheckLayer(const Modelled& modelled, const KvStore& store) const {
    RC_ASSERT(store.entries() == static_cast<int64_t>(modelled.entries.size()));
    std::vector<bool> there(modelled.entries.size(), false);
    int64_t end_of_last = 0;
    for (const EntryRun& run : store.runs()) {
      RC_ASSERT(run.count > 0);
      RC_ASSERT(run.first_entry >= end_of_last);
      end_of_last = run.first_entry + run.count;
      RC_ASSERT(end_of_last <= store.entries());
      for (int32_t i = 0; i < run.count; ++i) {
        const TestEntry& entry = modelled.entries[run.first_entry + i];
        const Position position{run.first_position + i, run.other_axes[0] + i, run.other_axes[1] + i};
        RC_ASSERT(entry.there);
        RC_ASSERT(entry.position == position);
        RC_ASSERT(entry.segment == run.segment);
        there[run.first_entry + i] = true;
      }
      RC_ASSERT(Holds(store, run.first_entry,
                      {&modelled.entries[run.first_entry], static_cast<size_t>(run.count)}));
    }
    const int window = store.shape().window;
    for (size_t i = 0; i < there.size(); ++i) {
      const TestEntry& entry = modelled.entries[i];
      const bool seen = window == 0 || entry.position[0] > modelled.entries.back().position[0] + 1 - window;
      if (entry.there && seen) RC_ASSERT(there[i]);
    }
  }

  // The pool holds exactly the pages that caches hold, each counted once. Where a page is one tile, tiles are
  // pages.
  void CheckAccount() const {
    std::set<const std::byte*> pages;
    uint64_t bytes = 0;
    uint64_t held = 0;
    bool exact = true;
    for (const Modelled& modelled : caches_) {
      held += modelled.cache.bytes();
      for (int i = 0; i < modelled.cache.layers(); ++i) {
        const PagePlan plan = PlanPages(kKinds[kinds_[i]].format, kKinds[kinds_[i]].shape.head_dim);
        exact = exact && plan.tiles == 1;
        for (const KvTiles& head : modelled.cache.layer(i).tiles()) {
          for (const std::byte* tile : head.tiles) {
            if (tile != nullptr && pages.insert(tile).second) bytes += plan.tile_bytes;
          }
        }
      }
    }
    RC_ASSERT(bytes <= pool_->used());
    RC_ASSERT(pool_->used() <= held);
    if (exact) RC_ASSERT(bytes == pool_->used());
    if (caches_.size() == 1) RC_ASSERT(held == pool_->used());
    RC_ASSERT(pool_->used() <= pool_->limit());
    RC_ASSERT(account_.used() >= pool_->used());
  }

  std::vector<int> kinds_;
  bool windowed_ = false;
  MemoryAccount account_{"KV cache"};
  std::shared_ptr<PagePool> pool_;
  std::vector<Modelled> caches_;
  int32_t seed_ = 0;
};

void Run(const std::vector<int>& kinds, uint64_t limit) {
  World world(kinds, limit);
  for (const Step& step : *Steps()) {
    world.Do(step);
    world.Check();
  }
}

RC_GTEST_PROP(KvCacheModel, HoldsInOneLayerWhatVectorsHold, ()) { Run({0}, MemoryAccount::kUnlimited); }
RC_GTEST_PROP(KvCacheModel, HoldsWhatVectorsHoldWithSeveralTilesAPage, ()) {
  Run({1, 0}, MemoryAccount::kUnlimited);
}
RC_GTEST_PROP(KvCacheModel, HoldsWhatAWindowShows, ()) { Run({2, 2}, MemoryAccount::kUnlimited); }
RC_GTEST_PROP(KvCacheModel, HoldsWhatVectorsHoldWhenThePoolIsSmall, ()) {
  Run({0, 1}, *rc::gen::inRange<uint64_t>(64 << 10, 400 << 10));
}
RC_GTEST_PROP(KvCacheModel, MixesFullAndWindowedLayersAllOrNone, ()) { Run({0, 2}, 160 << 10); }

}  // namespace
}  // namespace hone
