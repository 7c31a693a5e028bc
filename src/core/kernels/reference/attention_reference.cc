#include "core/kernels/reference/attention_reference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

namespace hone::reference {
namespace {

double HalfValue(uint16_t half) {
  const int exponent = half >> 10 & 0x1F;
  const double mantissa = half & 0x3FF;
  double magnitude = std::ldexp(1024 + mantissa, exponent - 25);
  if (exponent == 0) magnitude = std::ldexp(mantissa, -24);
  if (exponent == 31) {
    magnitude =
        mantissa == 0 ? std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

// Number `index` of the tile that holds `entry`: keys first, then values.
double TileNumber(const KvTiles& kv, int64_t entry, int64_t index) {
  const std::byte* tile = kv.tiles[static_cast<size_t>(entry / kTileEntries)];
  const TileFormat format =
      kv.formats.empty() ? kv.format : kv.formats[static_cast<size_t>(entry / kTileEntries)];
  if (format == TileFormat::kF32) return reinterpret_cast<const float*>(tile)[index];
  return HalfValue(reinterpret_cast<const uint16_t*>(tile)[index]);
}

double Score(const KvTiles& kv, int64_t entry, int head_dim, const float* query) {
  double sum = 0;
  for (int i = 0; i < head_dim; ++i)
    sum += query[i] * TileNumber(kv, entry, i * kTileEntries + entry % kTileEntries);
  return sum;
}

std::vector<double> ScoresOf(const AttentionShape& shape, const KvTiles& kv, const RowView& view,
                             const float* query) {
  std::vector<double> scores;
  for (const EntrySpan& span : view.visible) {
    for (int64_t entry = span.begin; entry < span.end; ++entry) {
      const double bias = view.bias == nullptr ? 0.0 : view.bias[entry];
      scores.push_back(shape.scale * Score(kv, entry, shape.head_dim, query) + bias);
    }
  }
  return scores;
}

void AttendOne(const AttentionShape& shape, const KvTiles& kv, const RowView& view, const float* query,
               double* output) {
  const std::vector<double> scores = ScoresOf(shape, kv, view, query);
  std::vector<int64_t> entries;
  for (const EntrySpan& span : view.visible) {
    for (int64_t entry = span.begin; entry < span.end; ++entry) entries.push_back(entry);
  }
  double max = -std::numeric_limits<double>::infinity();
  for (const double score : scores) max = std::max(max, score);
  std::fill_n(output, shape.head_dim, 0.0);
  if (max == -std::numeric_limits<double>::infinity()) return;
  double denominator = 0;
  for (const double score : scores) denominator += std::exp(score - max);
  for (size_t i = 0; i < entries.size(); ++i) {
    const double weight = std::exp(scores[i] - max) / denominator;
    const int64_t row = (kTileEntries + entries[i] % kTileEntries) * shape.head_dim;
    for (int j = 0; j < shape.head_dim; ++j) output[j] += weight * TileNumber(kv, entries[i], row + j);
  }
}

const RowView& ViewOf(const AttentionShape& shape, const AttentionItem& item, int64_t row, int64_t kv_head) {
  const bool shared = static_cast<int64_t>(item.views.size()) == item.rows;
  return item.views[static_cast<size_t>(shared ? row : row * shape.kv_heads + kv_head)];
}

}  // namespace

std::vector<double> Scores(const AttentionShape& shape, const AttentionItem& item,
                           MatrixView<const float> query, int64_t row, int head) {
  const int64_t kv_head = head / (shape.heads / shape.kv_heads);
  return ScoresOf(shape, item.heads[static_cast<size_t>(kv_head)], ViewOf(shape, item, row, kv_head),
                  query.row(item.first_row + row) + int64_t{head} * shape.head_dim);
}

void Attention(const AttentionShape& shape, std::span<const AttentionItem> items,
               MatrixView<const float> query, MatrixView<double> output) {
  const int group = shape.heads / shape.kv_heads;
  for (const AttentionItem& item : items) {
    for (int64_t row = 0; row < item.rows; ++row) {
      for (int head = 0; head < shape.heads; ++head) {
        const int64_t kv_head = head / group;
        const RowView& view = ViewOf(shape, item, row, kv_head);
        const int64_t column = int64_t{head} * shape.head_dim;
        AttendOne(shape, item.heads[static_cast<size_t>(kv_head)], view,
                  query.row(item.first_row + row) + column, output.row(item.first_row + row) + column);
      }
    }
  }
}

}  // namespace hone::reference
