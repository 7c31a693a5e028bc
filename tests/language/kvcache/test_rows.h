// Rows for the tests of the cache: keys and values are small integers, which every tile format keeps exactly.
#pragma once

#include <vector>

#include "language/kvcache/kv_cache.h"

namespace hone {

struct TestEntry {
  Position position{};
  int32_t segment = 0;
  int32_t seed = 0;
  bool there = true;

  bool operator==(const TestEntry&) const = default;
};

// What entry `seed` holds at column `column` of its key or value.
inline float TestNumber(int32_t seed, int64_t column, bool value) {
  return static_cast<float>((seed * 31 + column * 7 + (value ? 3 : 0)) % 1021 - 510);
}

// Owns what a KvRows points to.
class TestRows {
 public:
  TestRows(const KvLayerShape& shape, std::span<const TestEntry> entries)
      : width_(shape.kv_heads * shape.head_dim) {
    for (const TestEntry& entry : entries) {
      positions_.push_back(entry.position);
      segments_.push_back(entry.segment);
      for (int64_t column = 0; column < width_; ++column) {
        keys_.push_back(TestNumber(entry.seed, column, false));
        values_.push_back(TestNumber(entry.seed, column, true));
      }
    }
  }

  KvRows rows() const {
    return {.mixer_input = {},
            .key_before_rope = {},
            .key = keys(),
            .value = values(),
            .positions = positions_,
            .segments = segments_};
  }
  MatrixView<const float> keys() const {
    return {keys_.data(), static_cast<int64_t>(positions_.size()), width_};
  }
  MatrixView<const float> values() const {
    return {values_.data(), static_cast<int64_t>(positions_.size()), width_};
  }

 private:
  int64_t width_;
  std::vector<float> keys_;
  std::vector<float> values_;
  std::vector<Position> positions_;
  std::vector<int32_t> segments_;
};

// Plain text: positions `first`, `first` + 1, ..., seeds as positions.
inline std::vector<TestEntry> Text(int32_t first, int32_t count, int32_t segment = 0) {
  std::vector<TestEntry> entries;
  for (int32_t p = first; p < first + count; ++p) entries.push_back({{p, p, p}, segment, p});
  return entries;
}

inline Result<void> AppendEntries(KvCache& cache, std::span<const TestEntry> entries) {
  HONE_CHECK_OK(cache.Reserve(static_cast<int64_t>(entries.size())));
  for (int i = 0; i < cache.layers(); ++i) {
    const TestRows rows(cache.layer(i).shape(), entries);
    HONE_CHECK_OK(cache.layer(i).Append(rows.rows()));
  }
  return {};
}

// Whether entries [begin, end) of a layer hold the numbers of these seeds, read one by one.
inline bool Holds(const KvStore& store, int64_t begin, std::span<const TestEntry> entries) {
  const int64_t width = store.shape().kv_heads * store.shape().head_dim;
  std::vector<float> key(width);
  std::vector<float> value(width);
  for (size_t i = 0; i < entries.size(); ++i) {
    const int64_t entry = begin + static_cast<int64_t>(i);
    if (!store.Read(entry, entry + 1, {key.data(), 1, width}, {value.data(), 1, width})) return false;
    for (int64_t column = 0; column < width; ++column) {
      if (key[column] != TestNumber(entries[i].seed, column, false)) return false;
      if (value[column] != TestNumber(entries[i].seed, column, true)) return false;
    }
  }
  return true;
}

}  // namespace hone
