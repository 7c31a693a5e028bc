// Which kept tokens a query attends to, by KV head. A policy is one file behind this interface; the store
// keeps what it keeps, the rules of the batch (causal, windows, masks) say what may be seen, and attention
// runs over the intersection: a tile in which nothing is selected is neither read nor computed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/kernels/attention.h"
#include "core/tensor/view.h"
#include "language/kvcache/kv_store.h"

namespace hone {

// The new rows of one sequence in one layer, appended to the store already.
struct KvQuery {
  int layer = 0;
  const KvStore* store = nullptr;
  MatrixView<const float>
      query;  // [rows, heads * head_dim], after norm and RoPE; heads of a KV head lie side by side
  std::span<const Position> positions;  // [rows]
  std::span<const RowView> visible;     // [rows], by the rules alone

  int64_t rows() const { return query.rows; }
  // The entry that a row was appended as.
  int64_t entry(int64_t row) const { return store->entries() - rows() + row; }
};

enum class KvSelectionKind : uint8_t {
  kFull,     // whatever the rules show
  kSkip,     // nothing: the head gives zeros
  kSpan,     // positions [begin, end)
  kBand,     // positions [own - before, own + after]
  kArrow,    // both: sinks (or a text) and a band
  kTiles,    // the entries of the tiles in `list`: entries [32 i, 32 i + 32)
  kEntries,  // the entries in `list`
};

// Positions are those of axis 0.
struct KvSelection {
  KvSelectionKind kind = KvSelectionKind::kFull;
  int32_t begin = 0;
  int32_t end = 0;
  int32_t before = 0;
  int32_t after = 0;
  std::vector<int32_t> list;  // rising
};

// A selection is a function of the row, its query and what it sees, never of its neighbours in the batch.
// State (an index of keys) belongs to one sequence, and follows the store when that is truncated.
class KvSelector {
 public:
  virtual ~KvSelector() = default;
  // Layers in which it does not select cost nothing.
  virtual bool Selects(int layer) const = 0;
  // Once a step and layer, before the selections of its rows.
  virtual Result<void> BeginLayer(const KvQuery&) { return {}; }
  // What `row` attends to in one KV head; `selection` is kFull with an empty list.
  virtual void Select(const KvQuery& query, int64_t row, int kv_head, KvSelection& selection) = 0;
};

// The views of one sequence's rows in one layer: rules and selection together.
class SelectedViews {
 public:
  // [rows, kv_heads], valid until the next call; an error where BeginLayer fails.
  Result<std::span<const RowView>> Select(KvSelector& selector, const KvQuery& query);

 private:
  std::vector<EntrySpan> spans_;
  std::vector<EntrySpan> wanted_;
  std::vector<RowView> views_;
  KvSelection selection_;
};

// Tiles that a view looks into: what attention executes for it, for each query head.
int64_t TilesSeen(std::span<const EntrySpan> visible);

}  // namespace hone
