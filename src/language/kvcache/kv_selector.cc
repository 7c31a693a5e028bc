#include "language/kvcache/kv_selector.h"

#include <algorithm>

namespace hone {
namespace {

void AddSpan(int64_t begin, int64_t end, size_t first, std::vector<EntrySpan>& spans) {
  if (begin >= end) return;
  if (spans.size() > first && spans.back().end >= begin) {
    spans.back().end = std::max(spans.back().end, static_cast<int32_t>(end));
  } else {
    spans.push_back({static_cast<int32_t>(begin), static_cast<int32_t>(end)});
  }
}

// The entries of a run whose positions lie in [begin, end).
EntrySpan EntriesOf(const EntryRun& run, int64_t begin, int64_t end) {
  const int64_t first = std::clamp<int64_t>(begin - run.first_position, 0, run.count);
  const int64_t last = std::clamp<int64_t>(end - run.first_position, 0, run.count);
  return {static_cast<int32_t>(run.first_entry + first), static_cast<int32_t>(run.first_entry + last)};
}

void AddPositions(std::span<const EntryRun> runs, const KvSelection& selection, int64_t own,
                  std::vector<EntrySpan>& wanted) {
  const bool span = selection.kind != KvSelectionKind::kBand;
  const bool band = selection.kind != KvSelectionKind::kSpan;
  for (const EntryRun& run : runs) {
    EntrySpan parts[2] = {};
    if (span) parts[0] = EntriesOf(run, selection.begin, selection.end);
    if (band) parts[1] = EntriesOf(run, own - selection.before, own + selection.after + 1);
    if (parts[1].begin < parts[0].begin) std::swap(parts[0], parts[1]);
    for (const EntrySpan& part : parts) AddSpan(part.begin, part.end, 0, wanted);
  }
}

// Sorted, disjoint spans of what is selected, holes and unseen entries included.
void AddWanted(const KvQuery& query, int64_t row, const KvSelection& selection,
               std::vector<EntrySpan>& wanted) {
  switch (selection.kind) {
    case KvSelectionKind::kFull:
    case KvSelectionKind::kSkip:
      return;
    case KvSelectionKind::kSpan:
    case KvSelectionKind::kBand:
    case KvSelectionKind::kArrow:
      return AddPositions(query.store->runs(), selection, query.positions[static_cast<size_t>(row)][0],
                          wanted);
    case KvSelectionKind::kTiles:
      for (const int64_t tile : selection.list)
        AddSpan(tile * kTileEntries, (tile + 1) * kTileEntries, 0, wanted);
      return;
    case KvSelectionKind::kEntries:
      for (const int64_t entry : selection.list) AddSpan(entry, entry + 1, 0, wanted);
      return;
  }
}

void Intersect(std::span<const EntrySpan> a, std::span<const EntrySpan> b, std::vector<EntrySpan>& out) {
  const size_t first = out.size();
  for (size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    AddSpan(std::max(a[i].begin, b[j].begin), std::min(a[i].end, b[j].end), first, out);
    a[i].end < b[j].end ? ++i : ++j;
  }
}

}  // namespace

Result<std::span<const RowView>> SelectedViews::Select(KvSelector& selector, const KvQuery& query) {
  HONE_CHECK_OK(selector.BeginLayer(query));
  const int kv_heads = query.store->shape().kv_heads;
  // Where the spans of each view begin; they move while the list grows.
  std::vector<size_t> first;
  spans_.clear();
  views_.clear();
  for (int64_t row = 0; row < query.rows(); ++row) {
    const RowView& visible = query.visible[static_cast<size_t>(row)];
    for (int head = 0; head < kv_heads; ++head) {
      first.push_back(spans_.size());
      views_.push_back(visible);
      selection_.kind = KvSelectionKind::kFull;
      selection_.list.clear();
      selector.Select(query, row, head, selection_);
      if (selection_.kind == KvSelectionKind::kFull) {
        spans_.insert(spans_.end(), visible.visible.begin(), visible.visible.end());
        continue;
      }
      wanted_.clear();
      AddWanted(query, row, selection_, wanted_);
      Intersect(visible.visible, wanted_, spans_);
    }
  }
  first.push_back(spans_.size());
  for (size_t i = 0; i < views_.size(); ++i)
    views_[i].visible = std::span<const EntrySpan>(spans_).subspan(first[i], first[i + 1] - first[i]);
  return std::span<const RowView>(views_);
}

int64_t TilesSeen(std::span<const EntrySpan> visible) {
  int64_t tiles = 0;
  int64_t next = 0;
  for (const EntrySpan& span : visible) {
    const int64_t begin = std::max<int64_t>(next, span.begin / kTileEntries);
    const int64_t end = (span.end + kTileEntries - 1) / kTileEntries;
    tiles += std::max<int64_t>(end - begin, 0);
    next = std::max(next, end);
  }
  return tiles;
}

}  // namespace hone
