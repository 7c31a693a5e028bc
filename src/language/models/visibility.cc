#include "language/models/visibility.h"

#include <algorithm>
#include <limits>

namespace hone {
namespace {

// Positions [begin, end) that a rule lets a row at `position` see.
struct PositionSpan {
  int64_t begin = std::numeric_limits<int32_t>::min();
  int64_t end = std::numeric_limits<int32_t>::max();
};

PositionSpan Allowed(const SegmentView& view, int64_t position, int window) {
  PositionSpan span;
  switch (view.rule) {
    case SegmentRule::kCausal:
      span.end = position + 1;
      break;
    case SegmentRule::kAll:
      break;
    case SegmentRule::kWindow:
      span.begin = position - view.size + 1;
      span.end = position + 1;
      break;
    case SegmentRule::kBlockCausal:
      span.end = (position / view.size + 1) * view.size;
      break;
    case SegmentRule::kNone:
      span.end = span.begin;
      break;
  }
  if (window > 0) span.begin = std::max(span.begin, position - window + 1);
  return span;
}

SegmentView ViewOf(const SequenceRows& sequence, int32_t segment) {
  for (const SegmentView& view : sequence.views) {
    if (view.segment == segment) return view;
  }
  return {segment, SegmentRule::kCausal, 0};
}

void AddSpan(int64_t begin, int64_t end, size_t first, std::vector<EntrySpan>& spans) {
  if (begin >= end) return;
  if (spans.size() > first && spans.back().end == begin) {
    spans.back().end = static_cast<int32_t>(end);
  } else {
    spans.push_back({static_cast<int32_t>(begin), static_cast<int32_t>(end)});
  }
}

bool SameRun(const EntryRun& a, const EntryRun& b) {
  return a.first_entry == b.first_entry && a.count == b.count && a.first_position == b.first_position &&
         a.segment == b.segment;
}

}  // namespace

bool Visibility::Key::operator==(const Key& other) const {
  return sequence == other.sequence && window == other.window && entries == other.entries &&
         active == other.active &&
         std::equal(runs.begin(), runs.end(), other.runs.begin(), other.runs.end(), SameRun);
}

std::span<const RowView> Visibility::Views(const Batch& batch, size_t sequence,
                                           std::span<const int64_t> active, const KvStore& store) {
  Key key{sequence, store.shape().window, store.entries(), {}, {}};
  key.runs.assign(store.runs().begin(), store.runs().end());
  key.active.assign(active.begin(), active.end());
  for (const auto& computed : computed_) {
    if (computed->key == key) return computed->views;
  }
  computed_.push_back(std::make_unique<Computed>());
  computed_.back()->key = std::move(key);
  Compute(batch.sequences[sequence], batch, active, store, *computed_.back());
  return computed_.back()->views;
}

void Visibility::Compute(const SequenceRows& sequence, const Batch& batch, std::span<const int64_t> active,
                         const KvStore& store, Computed& out) {
  const int64_t first_new_entry = store.entries() - static_cast<int64_t>(active.size());
  const bool masked = !sequence.mask.empty();
  std::vector<size_t> first_span(active.size() + 1);
  for (size_t i = 0; i < active.size(); ++i) {
    const int64_t position = batch.rows[static_cast<size_t>(sequence.first_row + active[i])].position[0];
    const size_t first = out.spans.size();
    first_span[i] = first;
    for (const EntryRun& run : store.runs()) {
      const PositionSpan allowed = Allowed(ViewOf(sequence, run.segment), position, store.shape().window);
      const int64_t begin =
          run.first_entry + std::clamp<int64_t>(allowed.begin - run.first_position, 0, run.count);
      int64_t end = run.first_entry + std::clamp<int64_t>(allowed.end - run.first_position, 0, run.count);
      if (masked) end = std::min(end, first_new_entry);
      AddSpan(begin, end, first, out.spans);
    }
    if (masked) {
      const uint64_t* bits = sequence.mask.data() + active[i] * sequence.mask_words();
      for (size_t j = 0; j < active.size(); ++j) {
        if ((bits[active[j] / 64] >> (active[j] % 64)) & 1) {
          AddSpan(first_new_entry + static_cast<int64_t>(j), first_new_entry + static_cast<int64_t>(j) + 1,
                  first, out.spans);
        }
      }
    }
  }
  first_span[active.size()] = out.spans.size();
  out.views.resize(active.size());
  const float* bias = sequence.key_bias.empty() ? nullptr : sequence.key_bias.data();
  for (size_t i = 0; i < active.size(); ++i) {
    out.views[i] = {
        std::span<const EntrySpan>(out.spans).subspan(first_span[i], first_span[i + 1] - first_span[i]),
        bias};
  }
}

}  // namespace hone
