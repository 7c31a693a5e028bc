// How long attention of one layer takes over a full cache.
#pragma once

#include <cstdint>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/memory_account.h"
#include "core/kernels/attention.h"

namespace hone {

// Caches of several layers with random entries, visited one after the other, so that with enough of them no
// cache holds the next one's.
class AttentionSubject {
 public:
  // As many layers as make up `bytes`, at least one.
  static Result<AttentionSubject> Create(MemoryAccount& account, const AttentionShape& shape,
                                         TileFormat format, int64_t entries, uint64_t bytes);

  // Seconds of one call with `rows` new rows at the end of the cache, which see causally: the mean over calls
  // that last `seconds` together.
  double Measure(ComputeShare& share, int64_t rows, double seconds);

  uint64_t layer_bytes() const { return layer_bytes_; }
  // Floating-point operations of one call: 4 head_dim for each (row, head, seen entry).
  double Operations(int64_t rows) const;

 private:
  AttentionShape shape_;
  int64_t entries_ = 0;
  uint64_t layer_bytes_ = 0;
  size_t next_ = 0;
  Buffer memory_;
  std::vector<std::vector<const std::byte*>> tiles_;  // [layer * kv_heads]
  std::vector<std::vector<KvTiles>> heads_;           // [layer][kv_heads]
};

}  // namespace hone
