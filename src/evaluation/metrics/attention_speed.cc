#include "evaluation/metrics/attention_speed.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <random>

namespace hone {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<AttentionSubject> AttentionSubject::Create(MemoryAccount& account, const AttentionShape& shape,
                                                  TileFormat format, int64_t entries, uint64_t bytes) {
  AttentionSubject subject;
  subject.shape_ = shape;
  subject.entries_ = entries;
  const int64_t head_tiles = (entries + kTileEntries - 1) / kTileEntries;
  const int64_t tile_bytes = TileBytes(format, shape.head_dim);
  subject.layer_bytes_ = static_cast<uint64_t>(shape.kv_heads * head_tiles * tile_bytes);
  const uint64_t layers = std::max<uint64_t>(1, bytes / subject.layer_bytes_);
  HONE_TRY(subject.memory_, Buffer::Allocate(account, layers * subject.layer_bytes_));
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> numbers(static_cast<size_t>(shape.head_dim));
  std::byte* at = subject.memory_.data();
  for (int i = 0; i < kTileEntries; ++i) {  // all tiles alike: the speed does not depend on the values
    for (float& x : numbers) x = normal(random);
    WriteEntry(format, shape.head_dim, i, numbers.data(), numbers.data(), at);
  }
  for (uint64_t layer = 0; layer < layers; ++layer) {
    auto& heads = subject.heads_.emplace_back();
    for (int head = 0; head < shape.kv_heads; ++head) {
      auto& tiles = subject.tiles_.emplace_back();
      for (int64_t tile = 0; tile < head_tiles; ++tile, at += tile_bytes) {
        if (at != subject.memory_.data())
          std::memcpy(at, subject.memory_.data(), static_cast<size_t>(tile_bytes));
        tiles.push_back(at);
      }
      heads.push_back({format, tiles, {}});
    }
  }
  return subject;
}

double AttentionSubject::Operations(int64_t rows) const {
  const double seen = static_cast<double>(rows) *
                      (static_cast<double>(entries_ - rows) + 0.5 * static_cast<double>(rows + 1));
  return 4.0 * shape_.head_dim * shape_.heads * seen;
}

double AttentionSubject::Measure(ComputeShare& share, int64_t rows, double seconds) {
  const int64_t columns = int64_t{shape_.heads} * shape_.head_dim;
  std::vector<float> query(static_cast<size_t>(rows * columns), 0.1f), output(query.size());
  std::vector<EntrySpan> spans;
  for (int64_t row = 0; row < rows; ++row)
    spans.push_back({0, static_cast<int32_t>(entries_ - rows + row + 1)});
  std::vector<RowView> views;
  for (const EntrySpan& span : spans) views.push_back({{&span, 1}, nullptr});
  AttentionItem item{0, rows, heads_[0], views};
  std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(shape_, {&item, 1})));
  const auto call = [&] {
    item.heads = heads_[next_++ % heads_.size()];
    Attention(share, shape_, {&item, 1}, {query.data(), rows, columns}, {output.data(), rows, columns},
              scratch, nullptr);
  };
  call();  // warms up
  const double start = Seconds();
  int64_t calls = 0;
  double spent = 0.0;
  do {
    call();
    ++calls;
    spent = Seconds() - start;
  } while (spent < seconds);
  return spent / static_cast<double>(calls);
}

}  // namespace hone
