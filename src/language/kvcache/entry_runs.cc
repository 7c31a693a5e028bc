#include "language/kvcache/entry_runs.h"

#include <algorithm>

namespace hone {
namespace {

int64_t EndOf(const EntryRun& run) { return int64_t{run.first_entry} + run.count; }

// The part of `run` that lies in [begin, end), which must not be empty.
EntryRun Cut(const EntryRun& run, int64_t begin, int64_t end) {
  EntryRun cut = run;
  const auto skipped = static_cast<int32_t>(std::max<int64_t>(begin - run.first_entry, 0));
  cut.first_entry += skipped;
  cut.first_position += skipped;
  for (int32_t& axis : cut.other_axes) axis += skipped;
  cut.count = static_cast<int32_t>(std::min(EndOf(run), end) - cut.first_entry);
  return cut;
}

bool Continues(const EntryRun& run, int32_t entry, const Position& position, int32_t segment) {
  return run.segment == segment && EndOf(run) == entry &&
         int64_t{run.first_position} + run.count == position[0] &&
         int64_t{run.other_axes[0]} + run.count == position[1] &&
         int64_t{run.other_axes[1]} + run.count == position[2];
}

}  // namespace

void EntryRuns::Append(int32_t entry, const Position& position, int32_t segment) {
  if (!runs_.empty() && Continues(runs_.back(), entry, position, segment)) {
    ++runs_.back().count;
  } else {
    runs_.push_back({entry, 1, position[0], segment, {position[1], position[2]}});
  }
}

size_t EntryRuns::FirstRunBeyond(int64_t entry) const {
  const auto found = std::upper_bound(runs_.begin(), runs_.end(), entry,
                                      [](int64_t e, const EntryRun& run) { return e < EndOf(run); });
  return found - runs_.begin();
}

void EntryRuns::Truncate(int64_t entries) {
  while (!runs_.empty() && runs_.back().first_entry >= entries) runs_.pop_back();
  if (!runs_.empty()) runs_.back() = Cut(runs_.back(), 0, entries);
}

void EntryRuns::Erase(int64_t begin, int64_t end) {
  const size_t first = FirstRunBeyond(begin);
  size_t last = first;
  std::array<EntryRun, 2> kept;
  size_t kept_count = 0;
  for (; last < runs_.size() && runs_[last].first_entry < end; ++last) {
    const EntryRun& run = runs_[last];
    if (run.first_entry < begin) kept[kept_count++] = Cut(run, 0, begin);
    if (EndOf(run) > end) kept[kept_count++] = Cut(run, end, EndOf(run));
  }
  const auto at = runs_.erase(runs_.begin() + first, runs_.begin() + last);
  runs_.insert(at, kept.begin(), kept.begin() + kept_count);
}

bool EntryRuns::ContainsAny(int64_t begin, int64_t end) const {
  if (begin >= end) return false;
  const size_t first = FirstRunBeyond(begin);
  return first < runs_.size() && runs_[first].first_entry < end;
}

bool EntryRuns::ContainsAll(int64_t begin, int64_t end) const {
  for (size_t i = FirstRunBeyond(begin); begin < end && i < runs_.size(); ++i) {
    if (runs_[i].first_entry > begin) return false;
    begin = EndOf(runs_[i]);
  }
  return begin >= end;
}

std::optional<int32_t> EntryRuns::HighestPosition(int64_t begin, int64_t end) const {
  std::optional<int32_t> highest;
  for (size_t i = FirstRunBeyond(begin); i < runs_.size() && runs_[i].first_entry < end; ++i) {
    const EntryRun part = Cut(runs_[i], begin, end);
    highest = std::max(highest.value_or(part.first_position), part.first_position + part.count - 1);
  }
  return highest;
}

}  // namespace hone
