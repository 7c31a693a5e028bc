// Which entries of a store are there, where they stand and which segment they belong to: a sorted list of
// runs. Plain text is one run that grows in O(1).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "language/kvcache/kv_store.h"

namespace hone {

class EntryRuns {
 public:
  EntryRuns() = default;
  // `runs` must be sorted and disjoint.
  explicit EntryRuns(std::vector<EntryRun> runs) : runs_(std::move(runs)) {}

  std::span<const EntryRun> all() const { return runs_; }

  // `entry` is larger than every entry before.
  void Append(int32_t entry, const Position& position, int32_t segment);
  void Truncate(int64_t entries);
  void Erase(int64_t begin, int64_t end);

  bool ContainsAny(int64_t begin, int64_t end) const;
  bool ContainsAll(int64_t begin, int64_t end) const;
  // Of the entries of [begin, end) that are there, on axis 0; nothing where there are none.
  std::optional<int32_t> HighestPosition(int64_t begin, int64_t end) const;

 private:
  // The first run that reaches beyond `entry`.
  size_t FirstRunBeyond(int64_t entry) const;

  std::vector<EntryRun> runs_;
};

}  // namespace hone
