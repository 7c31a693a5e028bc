#include "language/kvcache/kv_cache.h"

#include <algorithm>

namespace hone {

KvCache::KvCache(std::shared_ptr<PagePool> pool, std::vector<std::unique_ptr<KvStore>> layers)
    : pool_(std::move(pool)), layers_(std::move(layers)) {}

Result<void> KvCache::Reserve(int64_t rows, int first_layer, int last_layer) {
  std::vector<uint64_t> sizes;
  std::vector<size_t> ends;
  ends.reserve(last_layer - first_layer);
  for (int i = first_layer; i < last_layer; ++i) {
    layers_[i]->PagesFor(rows, sizes);
    ends.push_back(sizes.size());
  }
  if (sizes.empty()) return {};
  HONE_TRY(std::vector<PageRef> pages, pool_->Reserve(sizes));
  const std::span<PageRef> all(pages);
  size_t begin = 0;
  for (size_t i = 0; i < ends.size(); begin = ends[i], ++i) {
    layers_[first_layer + i]->GivePages(all.subspan(begin, ends[i] - begin));
  }
  return {};
}

int64_t KvCache::entries() const {
  int64_t longest = 0;
  for (const auto& layer : layers_) longest = std::max(longest, layer->entries());
  return longest;
}

KvCache::Mark KvCache::Here() const {
  Mark mark;
  for (const auto& layer : layers_) mark.entries.push_back(layer->entries());
  return mark;
}

Result<void> KvCache::TruncateTo(const Mark& mark) {
  if (mark.entries.size() != layers_.size()) {
    return WrongUsage("KV cache: a mark of {} layers, the cache has {}", mark.entries.size(), layers_.size());
  }
  for (size_t i = 0; i < layers_.size(); ++i) HONE_CHECK_OK(layers_[i]->CheckTruncate(mark.entries[i]));
  for (size_t i = 0; i < layers_.size(); ++i) HONE_CHECK_OK(layers_[i]->Truncate(mark.entries[i]));
  return {};
}

namespace {

// How many entries stay so that the last is one with a position below `position`. A prefix that was dropped
// or erased counts as below.
int64_t EntriesBelow(const KvStore& store, int32_t position) {
  if (position <= 0) return 0;
  const std::span<const EntryRun> runs = store.runs();
  for (size_t i = runs.size(); i-- > 0;) {
    const EntryRun& run = runs[i];
    if (run.first_position < position) {
      return run.first_entry + std::min<int64_t>(run.count, int64_t{position} - run.first_position);
    }
  }
  return runs.empty() ? store.entries() : runs.front().first_entry;
}

// Erases what stands at or beyond `position` between entries that stay.
Result<void> EraseFrom(KvStore& store, int32_t position) {
  std::vector<EntrySpan> beyond;
  for (const EntryRun& run : store.runs()) {
    const int64_t stays = std::clamp<int64_t>(int64_t{position} - run.first_position, 0, run.count);
    if (stays < run.count)
      beyond.push_back({static_cast<int32_t>(run.first_entry + stays), run.first_entry + run.count});
  }
  for (const EntrySpan& span : beyond) HONE_CHECK_OK(store.Erase(span.begin, span.end));
  return {};
}

}  // namespace

Result<void> KvCache::TruncateToPosition(int32_t position) {
  Mark mark;
  for (const auto& layer : layers_) mark.entries.push_back(EntriesBelow(*layer, position));
  HONE_CHECK_OK(TruncateTo(mark));
  for (const auto& layer : layers_) HONE_CHECK_OK(EraseFrom(*layer, position));
  return {};
}

Result<void> KvCache::Erase(int64_t begin, int64_t end) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (begin < 0 || begin > end || end > layers_[i]->entries()) {
      return WrongUsage("KV cache: layer {}: cannot erase entries [{}, {}) of {}", i, begin, end,
                        layers_[i]->entries());
    }
  }
  for (const auto& layer : layers_) HONE_CHECK_OK(layer->Erase(begin, end));
  return {};
}

Result<KvCache> KvCache::Fork() const {
  std::vector<std::unique_ptr<KvStore>> forks;
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (!layers_[i]->capabilities().share_prefix)
      return WrongUsage("KV cache: layer {} cannot share its entries", i);
    forks.push_back(layers_[i]->Fork());
  }
  return KvCache(pool_, std::move(forks));
}

Result<void> KvCache::Replace(int layer, int64_t begin, int64_t end, MatrixView<const float> keys,
                              MatrixView<const float> values) {
  KvStore& store = *layers_[layer];
  if (!store.capabilities().replace_span)
    return WrongUsage("KV cache: layer {} cannot replace entries", layer);
  std::vector<uint64_t> sizes;
  store.PagesToReplace(begin, end, sizes);
  HONE_TRY(std::vector<PageRef> pages, pool_->Reserve(sizes));
  return store.Replace(begin, end, keys, values, pages);
}

uint64_t KvCache::bytes() const {
  uint64_t bytes = 0;
  for (const auto& layer : layers_) bytes += layer->bytes();
  return bytes;
}

}  // namespace hone
