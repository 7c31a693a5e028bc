// The cache of one sequence: one store a layer.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "language/kvcache/kv_store.h"

namespace hone {

class KvCache {
 public:
  KvCache(std::shared_ptr<PagePool> pool, std::vector<std::unique_ptr<KvStore>> layers);

  int layers() const { return static_cast<int>(layers_.size()); }
  KvStore& layer(int i) { return *layers_[i]; }
  const KvStore& layer(int i) const { return *layers_[i]; }

  // Pages for `rows` more entries in every layer of [first_layer, last_layer), all or none: after it Append
  // cannot fail.
  Result<void> Reserve(int64_t rows) { return Reserve(rows, 0, layers()); }
  Result<void> Reserve(int64_t rows, int first_layer, int last_layer);

  // Entries of the longest layer: layers differ where rows were dropped on the way.
  int64_t entries() const;
  // Removes every entry that was appended after a mark, in every layer.
  struct Mark {
    std::vector<int64_t> entries;  // by layer
  };
  Mark Here() const;
  Result<void> TruncateTo(const Mark& mark);
  // Keeps entries with position < `position` (axis 0), in every layer.
  Result<void> TruncateToPosition(int32_t position);
  Result<void> Erase(int64_t begin, int64_t end);

  // Shares every page with this one until one of the two writes. Refused where a layer cannot.
  Result<KvCache> Fork() const;

  // Overwrites entries [begin, end) of one layer, making shared pages private first.
  Result<void> Replace(int layer, int64_t begin, int64_t end, MatrixView<const float> keys,
                       MatrixView<const float> values);

  // A self-contained copy of all entries, positions and segments, and its way back into an empty cache of the
  // same shape.
  Result<std::string> Snapshot() const;
  Result<void> Restore(std::string_view snapshot);

  uint64_t bytes() const;
  PagePool& pool() const { return *pool_; }

 private:
  std::shared_ptr<PagePool> pool_;
  std::vector<std::unique_ptr<KvStore>> layers_;
};

}  // namespace hone
