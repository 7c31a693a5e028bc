// From rules to spans: which cached entries each new row of a layer sees.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/kernels/attention.h"
#include "language/kvcache/kv_store.h"
#include "language/models/batch.h"

namespace hone {

// Computes the views of all rows of a layer. Layers whose stores hold the same entries under the same window
// share one computation.
class Visibility {
 public:
  // The rows of one sequence that are active in this layer: `active` are indices into the sequence's rows,
  // rising; their entries are the last active.size() of the store. Returns [active.size()] views, valid until
  // the next step.
  std::span<const RowView> Views(const Batch& batch, size_t sequence, std::span<const int64_t> active,
                                 const KvStore& store);

 private:
  struct Key {
    size_t sequence = 0;
    int window = 0;
    int64_t entries = 0;
    std::vector<EntryRun> runs;
    std::vector<int64_t> active;
    bool operator==(const Key& other) const;
  };
  struct Computed {
    Key key;
    std::vector<EntrySpan> spans;
    std::vector<RowView> views;
  };
  static void Compute(const SequenceRows& sequence, const Batch& batch, std::span<const int64_t> active,
                      const KvStore& store, Computed& out);

  std::vector<std::unique_ptr<Computed>> computed_;
};

}  // namespace hone
