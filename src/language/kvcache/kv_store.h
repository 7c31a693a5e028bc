// How one layer of one sequence keeps its keys and values. A policy is one file behind this interface.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/kernels/attention.h"
#include "core/tensor/view.h"
#include "language/kvcache/page_pool.h"

namespace hone {

// Where a row stands: up to three axes (text uses the first; images time, height, width). Rules look at axis
// 0.
using Position = std::array<int32_t, 3>;

// Entries [first_entry, first_entry + count) have positions first_position, first_position + 1, ... on axis 0
// and belong to one segment (a prompt, a shared prefix, an iteration, a draft branch, an image: whoever
// builds a batch numbers them). Axes 1 and 2 rise by one an entry too, so that a run keeps whole positions;
// rows of an image are runs of one entry.
struct EntryRun {
  int32_t first_entry = 0;
  int32_t count = 0;
  int32_t first_position = 0;
  int32_t segment = 0;
  std::array<int32_t, 2> other_axes{};  // of the first entry

  bool operator==(const EntryRun&) const = default;
};

struct KvLayerShape {
  int kv_heads = 0;
  int head_dim = 0;
  int window = 0;  // 0: every entry is kept; n: a row at position p sees positions > p - n only
};

struct KvCapabilities {
  static constexpr int64_t kAnyDepth = std::numeric_limits<int64_t>::max();

  // How many of the newest entries can always be truncated without loss, counted from the most there have
  // been.
  int64_t rollback = 0;
  bool share_prefix = false;  // Fork shares pages
  bool read_span = false;
  bool replace_span = false;
};

// The new rows of one sequence in one layer, rows in rising entry order.
struct KvRows {
  MatrixView<const float> mixer_input;      // [rows, width], after the norm
  MatrixView<const float> key_before_rope;  // [rows, kv_heads * head_dim]; empty unless the store asks for it
  MatrixView<const float> key;              // [rows, kv_heads * head_dim]
  MatrixView<const float> value;            // [rows, kv_heads * head_dim]
  std::span<const Position> positions;      // [rows]
  std::span<const int32_t> segments;        // [rows]
};

// Appending is: PagesFor, GivePages, BeginAppend, then WriteHead for every KV head (heads may run in
// different threads). A store is used by one thread otherwise.
class KvStore {
 public:
  virtual ~KvStore() = default;
  virtual const KvLayerShape& shape() const = 0;
  virtual KvCapabilities capabilities() const = 0;
  virtual bool wants_key_before_rope() const { return false; }

  // Entries are numbered from 0 in the order of appending; entries that a window dropped keep their numbers.
  virtual int64_t entries() const = 0;
  // The entries that are still there, by rising entry. Holes (dropped or erased entries) lie in no run.
  virtual std::span<const EntryRun> runs() const = 0;
  // [kv_heads]; valid until the store changes. What WriteHead has not yet written is finite.
  virtual std::span<const KvTiles> tiles() const = 0;

  // Sizes of the pages that appending `rows` more entries takes, copies of shared pages included, less those
  // that were given and are not used yet: reserving twice takes nothing the second time.
  virtual void PagesFor(int64_t rows, std::vector<uint64_t>& sizes) const = 0;
  // The pages for the next appends, in the order PagesFor listed them. Fork, Truncate and Erase end their
  // validity: reserve again after them.
  virtual void GivePages(std::span<PageRef> pages) = 0;
  // Makes room for `positions.size()` new entries, makes the tail private, lets go what no row can see any
  // more: entries beyond the window of the lowest new position and beyond the slack. From here on entries(),
  // runs() and tiles() show the new entries. Errors, with the store unchanged: pages were not given; a
  // position needs entries that were let go.
  virtual Result<void> BeginAppend(std::span<const Position> positions,
                                   std::span<const int32_t> segments) = 0;
  // Writes one KV head of the rows that BeginAppend announced.
  virtual void WriteHead(int kv_head, const KvRows& rows) = 0;
  Result<void> Append(const KvRows& rows) {
    HONE_CHECK_OK(BeginAppend(rows.positions, rows.segments));
    for (int head = 0; head < shape().kv_heads; ++head) WriteHead(head, rows);
    return {};
  }

  // Whether the store can keep just its first `entries` entries: not when a window has let go what a next row
  // would see. To keep nothing is always possible.
  virtual Result<void> CheckTruncate(int64_t entries) const = 0;
  virtual Result<void> Truncate(int64_t entries) = 0;
  // A second store with the same entries; pages are shared until one of the two writes.
  virtual std::unique_ptr<KvStore> Fork() const = 0;
  // Erases entries [begin, end): they become holes. Pages without entries go back to the pool.
  virtual Result<void> Erase(int64_t begin, int64_t end) = 0;
  // keys, values: [end - begin, kv_heads * head_dim] float32, as attention sees them. A hole is an error.
  virtual Result<void> Read(int64_t begin, int64_t end, MatrixView<float> keys,
                            MatrixView<float> values) const = 0;
  // Overwrites entries [begin, end); their positions stay. Shared pages are copied into `pages` first
  // (PagesToReplace).
  virtual void PagesToReplace(int64_t begin, int64_t end, std::vector<uint64_t>& sizes) const = 0;
  virtual Result<void> Replace(int64_t begin, int64_t end, MatrixView<const float> keys,
                               MatrixView<const float> values, std::span<PageRef> pages) = 0;

  // Appends everything that is kept to `saved`, and takes it back into an empty store of the same shape and
  // format. PagesToRestore checks every field (kBadInput); Restore needs its pages given.
  virtual void Save(std::string& saved) const = 0;
  virtual Result<void> PagesToRestore(std::string_view saved, std::vector<uint64_t>& sizes) const = 0;
  virtual Result<void> Restore(std::string_view saved) = 0;

  // Bytes of the pages that this store holds; a shared page counts once for each holder here, once in the
  // pool.
  virtual uint64_t bytes() const = 0;
};

// A store that keeps every entry (or the window's) in pages of float16 or float32 tiles. `slack` is the
// number of entries that a windowed store keeps beyond its window so that they can be rolled back.
std::unique_ptr<KvStore> MakePagedStore(const KvLayerShape& shape, TileFormat format, int64_t slack = 64);

}  // namespace hone
