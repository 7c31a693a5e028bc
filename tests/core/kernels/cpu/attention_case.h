// A random attention call: caches, visibility and queries, from a seed.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "core/kernels/attention.h"
#include "core/kernels/reference/attention_reference.h"

namespace hone::test {

enum class VisibilityRule { kCausal, kWindow, kTree, kHoles, kAll, kEmpty };

struct CaseOptions {
  AttentionShape shape;
  TileFormat format = TileFormat::kF32;
  VisibilityRule rule = VisibilityRule::kCausal;
  bool bias = false;
  bool views_by_head = false;
  uint64_t seed = 1;
};

// One sequence's cache with `entries` entries. Entries that were never written hold NaN.
struct CaseCache {
  std::vector<std::vector<std::vector<float>>> memory;  // [kv head][tile]; owns the bytes
  std::vector<std::vector<const std::byte*>> tiles;     // [kv head][tile]
  std::vector<KvTiles> heads;
};

class AttentionCase {
 public:
  explicit AttentionCase(const CaseOptions& options) : options_(options), random_(options.seed) {}

  // Adds a sequence of `entries` cached entries whose last `rows` are the new rows.
  void AddSequence(int64_t rows, int64_t entries);

  const AttentionShape& shape() const { return options_.shape; }
  std::span<const AttentionItem> items() const { return items_; }
  AttentionItem& item(size_t i) { return items_[i]; }
  CaseCache& cache(size_t i) { return *caches_[i]; }
  MatrixView<const float> query() const { return {query_.data(), rows_, columns(), columns()}; }
  // What the calls below use in the place of the running maximum; `scales` outlives them.
  void SetSoftmax(std::span<const SoftmaxScale> scales) { options_.shape.softmax = scales; }
  // Changes the query of one (row, head): all numbers times `factor`; or {value, 0, 0, ...}.
  void ScaleQuery(int64_t row, int head, float factor) {
    for (float& x : QueryOf(row, head)) x *= factor;
  }
  void SetQuery(int64_t row, int head, float value) {
    const std::span<float> query = QueryOf(row, head);
    std::fill(query.begin(), query.end(), 0.0f);
    query[0] = value;
  }
  int64_t rows() const { return rows_; }
  int64_t columns() const { return int64_t{options_.shape.heads} * options_.shape.head_dim; }

  // The output of hone::Attention, with exactly the scratch that it asks for.
  std::vector<float> Run(ComputeShare& share, AttentionCounters* counters = nullptr) const {
    return Run(share, items_, counters);
  }
  std::vector<float> Run(ComputeShare& share, std::span<const AttentionItem> items,
                         AttentionCounters* counters = nullptr) const;
  std::vector<double> RunReference() const;

 private:
  std::span<float> QueryOf(int64_t row, int head) {
    const auto size = static_cast<size_t>(options_.shape.head_dim);
    return std::span<float>(query_).subspan(
        static_cast<size_t>(row * columns()) + static_cast<size_t>(head) * size, size);
  }
  std::vector<EntrySpan> Visible(int64_t position, int64_t entries);

  CaseOptions options_;
  std::mt19937_64 random_;
  int64_t rows_ = 0;
  std::vector<float> query_;
  std::vector<AttentionItem> items_;
  std::vector<std::unique_ptr<CaseCache>> caches_;
  std::vector<std::unique_ptr<std::vector<RowView>>> views_;
  std::vector<std::unique_ptr<std::vector<EntrySpan>>> spans_;
  std::vector<std::unique_ptr<std::vector<float>>> biases_;
};

inline std::vector<EntrySpan> AttentionCase::Visible(int64_t position, int64_t entries) {
  const auto at = [](int64_t begin, int64_t end) {
    return EntrySpan{static_cast<int32_t>(begin), static_cast<int32_t>(end)};
  };
  switch (options_.rule) {
    case VisibilityRule::kCausal:
      return {at(0, position + 1)};
    case VisibilityRule::kWindow:
      return {at(std::max<int64_t>(0, position - 40), position + 1)};
    case VisibilityRule::kAll:
      return {at(0, entries)};
    case VisibilityRule::kEmpty:
      return random_() % 2 == 0 ? std::vector<EntrySpan>{} : std::vector{at(0, position + 1)};
    case VisibilityRule::kTree: {  // a common stem, then single ancestors
      std::vector<EntrySpan> spans;
      const int64_t stem = std::max<int64_t>(1, position - 12);
      if (position > 0) spans.push_back(at(0, std::min(stem, position)));
      for (int64_t entry = stem + 1; entry < position; entry += 2 + static_cast<int64_t>(random_() % 2)) {
        spans.push_back(at(entry, entry + 1));
      }
      if (spans.empty() || spans.back().end < position + 1) spans.push_back(at(position, position + 1));
      return spans;
    }
    case VisibilityRule::kHoles: {
      std::vector<EntrySpan> spans;
      for (int64_t entry = static_cast<int64_t>(random_() % 70); entry <= position;) {
        const int64_t end =
            std::min<int64_t>(position + 1, entry + 1 + static_cast<int64_t>(random_() % 100));
        spans.push_back(at(entry, end));
        entry = end + 1 + static_cast<int64_t>(random_() % 100);
      }
      return spans;
    }
  }
  return {};
}

inline void AttentionCase::AddSequence(int64_t rows, int64_t entries) {
  const AttentionShape& shape = options_.shape;
  std::normal_distribution<float> normal;
  CaseCache& cache = *caches_.emplace_back(std::make_unique<CaseCache>());
  const int64_t tiles = (entries + kTileEntries - 1) / kTileEntries;
  const size_t tile_floats = static_cast<size_t>(TileBytes(options_.format, shape.head_dim)) / sizeof(float);
  std::vector<float> key(static_cast<size_t>(shape.head_dim));
  std::vector<float> value(key.size());
  for (int head = 0; head < shape.kv_heads; ++head) {
    auto& memory = cache.memory.emplace_back();
    auto& pointers = cache.tiles.emplace_back();
    for (int64_t tile = 0; tile < tiles; ++tile) {
      // All bits set: NaN in either format.
      memory.emplace_back(tile_floats, std::bit_cast<float>(~uint32_t{0}));
      pointers.push_back(reinterpret_cast<const std::byte*>(memory.back().data()));
    }
    for (int64_t entry = 0; entry < entries; ++entry) {
      for (float& x : key) x = normal(random_);
      for (float& x : value) x = normal(random_);
      WriteEntry(options_.format, shape.head_dim, static_cast<int>(entry % kTileEntries), key.data(),
                 value.data(),
                 reinterpret_cast<std::byte*>(memory[static_cast<size_t>(entry / kTileEntries)].data()));
    }
  }
  for (const auto& pointers : cache.tiles) cache.heads.push_back({options_.format, pointers, {}});

  auto& views = *views_.emplace_back(std::make_unique<std::vector<RowView>>());
  const int64_t views_of_row = options_.views_by_head ? shape.kv_heads : 1;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < views_of_row; ++i) {
      auto& spans = *spans_.emplace_back(
          std::make_unique<std::vector<EntrySpan>>(Visible(entries - rows + row, entries)));
      RowView& view = views.emplace_back(RowView{spans, nullptr});
      if (options_.bias) {
        auto& bias = *biases_.emplace_back(std::make_unique<std::vector<float>>());
        for (int64_t entry = 0; entry < entries; ++entry) bias.push_back(normal(random_));
        view.bias = bias.data();
      }
    }
  }
  items_.push_back({rows_, rows, cache.heads, views});
  rows_ += rows;
  for (int64_t i = 0; i < rows * columns(); ++i) query_.push_back(normal(random_));
}

inline std::vector<float> AttentionCase::Run(ComputeShare& share, std::span<const AttentionItem> items,
                                             AttentionCounters* counters) const {
  std::vector<float> output(static_cast<size_t>(rows_ * columns()), 12345.0f);
  std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(options_.shape, items)));
  Attention(share, options_.shape, items, query(), {output.data(), rows_, columns()}, scratch, counters);
  return output;
}

inline std::vector<double> AttentionCase::RunReference() const {
  std::vector<double> output(static_cast<size_t>(rows_ * columns()));
  reference::Attention(options_.shape, items_, query(), {output.data(), rows_, columns()});
  return output;
}

}  // namespace hone::test
