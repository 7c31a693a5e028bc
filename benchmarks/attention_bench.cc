// Attention of one layer: prefill of 512 rows and decode of one row at several contexts, beside what the
// threads can do: their peak of fused multiply-adds and their plain read of as many bytes. Prefill lines come
// with the running maximum and with a fixed phi. Prints the best of many short runs, so that a disturbed
// minute spoils little.
//   bench_attention [seconds for each line, default 0.5] [threads, default 1]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/base/compute_share.h"
#include "core/kernels/attention.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "benchmarks/attention_bench.cc"
#include <hwy/foreach_target.h>
//
#include <hwy/cache_control.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace hone {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// `steps` rounds of twelve independent multiply-adds; returns the operations done.
double MultiplyAdds(int64_t steps) {
  const hn::ScalableTag<float> d;
  constexpr int kSums = 12;
  hn::Vec<decltype(d)> sum[kSums];
  for (int i = 0; i < kSums; ++i) sum[i] = hn::Iota(d, static_cast<float>(i));
  const auto x = hn::Set(d, 0.999f);
  const auto y = hn::Set(d, 0.001f);
  for (int64_t step = 0; step < steps; ++step) {
    HWY_UNROLL(12)
    for (int i = 0; i < kSums; ++i) sum[i] = hn::MulAdd(sum[i], x, y);
  }
  auto total = sum[0];
  for (int i = 1; i < kSums; ++i) total = hn::Add(total, sum[i]);
  volatile float sink = hn::GetLane(hn::SumOfLanes(d, total));
  (void)sink;
  return 2.0 * kSums * static_cast<double>(hn::Lanes(d)) * static_cast<double>(steps);
}

// Sums all floats.
void Read(const float* x, size_t count) {
  const hn::ScalableTag<float> d;
  const size_t step = 4 * hn::Lanes(d);
  hn::Vec<decltype(d)> sum[4] = {hn::Zero(d), hn::Zero(d), hn::Zero(d), hn::Zero(d)};
  for (size_t i = 0; i + step <= count; i += step) {
    hwy::Prefetch(x + i + 1024);
    for (size_t k = 0; k < 4; ++k) sum[k] = hn::Add(sum[k], hn::LoadU(d, x + i + k * hn::Lanes(d)));
  }
  volatile float sink = hn::GetLane(hn::Add(hn::Add(sum[0], sum[1]), hn::Add(sum[2], sum[3])));
  (void)sink;
}

}  // namespace HWY_NAMESPACE
}  // namespace hone
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hone {
namespace {

HWY_EXPORT(MultiplyAdds);
HWY_EXPORT(Read);

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

template <class Work>
double BestSeconds(double budget, Work work) {
  double best = 1e30;
  const double start = Seconds();
  do {
    const double begin = Seconds();
    work();
    best = std::min(best, Seconds() - begin);
  } while (Seconds() - start < budget);
  return best;
}

// The caches of several layers, so that decode reads from as far away as it does in a model.
struct Layers {
  std::vector<std::vector<std::byte>> memory;
  std::vector<std::vector<std::vector<const std::byte*>>> tiles;
  std::vector<std::vector<KvTiles>> heads;

  Layers(const AttentionShape& shape, TileFormat format, int64_t entries, int count) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    std::vector<float> numbers(static_cast<size_t>(shape.head_dim));
    const int64_t head_tiles = (entries + kTileEntries - 1) / kTileEntries;
    const int64_t tile_bytes = TileBytes(format, shape.head_dim);
    for (int layer = 0; layer < count; ++layer) {
      auto& bytes = memory.emplace_back(static_cast<size_t>(shape.kv_heads * head_tiles * tile_bytes));
      auto& layer_tiles = tiles.emplace_back();
      for (int head = 0; head < shape.kv_heads; ++head) {
        auto& pointers = layer_tiles.emplace_back();
        for (int64_t tile = 0; tile < head_tiles; ++tile) {
          std::byte* at = bytes.data() + (head * head_tiles + tile) * tile_bytes;
          for (float& x : numbers) x = normal(random);
          for (int i = 0; i < kTileEntries; ++i) {
            WriteEntry(format, shape.head_dim, i, numbers.data(), numbers.data(), at);
          }
          pointers.push_back(at);
        }
      }
      auto& layer_heads = heads.emplace_back();
      for (const auto& pointers : layer_tiles) layer_heads.push_back({format, pointers, {}});
    }
  }
};

constexpr size_t kReadTasks = 16;

struct Line {
  const char* name;
  AttentionShape shape;
  TileFormat format;
  int64_t rows;
  int64_t entries;
  int layers;
  bool fixed = false;
};

void Measure(ComputeShare& share, Line line, double budget, double peak) {
  const std::vector<SoftmaxScale> fixed(static_cast<size_t>(line.shape.kv_heads), {.fixed = true});
  if (line.fixed) line.shape.softmax = fixed;
  const Layers kv(line.shape, line.format, line.entries, line.layers);
  const int64_t columns = int64_t{line.shape.heads} * line.shape.head_dim;
  std::vector<float> query(static_cast<size_t>(line.rows * columns), 0.1f);
  std::vector<float> output(query.size());
  std::vector<EntrySpan> spans;
  double seen = 0;
  for (int64_t row = 0; row < line.rows; ++row) {
    spans.push_back({0, static_cast<int32_t>(line.entries - line.rows + row + 1)});
    seen += spans.back().end;
  }
  std::vector<RowView> views;
  for (const EntrySpan& span : spans) views.push_back({{&span, 1}, nullptr});
  AttentionItem item{0, line.rows, kv.heads[0], views};
  std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(line.shape, {&item, 1})));
  size_t next = 0;
  const double seconds = BestSeconds(budget, [&] {
    item.heads = kv.heads[next++ % kv.heads.size()];
    Attention(share, line.shape, {&item, 1}, {query.data(), line.rows, columns},
              {output.data(), line.rows, columns}, scratch, nullptr);
  });
  const double read = BestSeconds(budget / 2, [&] {
    const auto& memory = kv.memory[next++ % kv.memory.size()];
    const auto* numbers = reinterpret_cast<const float*>(memory.data());
    const size_t part = memory.size() / sizeof(float) / kReadTasks;
    share.ParallelFor(static_cast<int64_t>(kReadTasks), [&](int64_t task) {
      HWY_DYNAMIC_DISPATCH(Read)(numbers + static_cast<size_t>(task) * part, part);
    });
  });
  const double operations = 4.0 * static_cast<double>(columns) * seen / seconds;
  const double bytes = static_cast<double>(kv.memory[0].size());
  std::printf("%-42s %9.1f us %7.1f GFLOP/s (%3.0f %% of peak) %7.2f GB/s (plain read %6.2f)\n", line.name,
              seconds * 1e6, operations * 1e-9, 100 * operations / peak, bytes / seconds * 1e-9,
              bytes / read * 1e-9);
}

int Main(double budget, int threads) {
  ComputePool pool(threads);
  const auto share = pool.MakeShare();
  double operations = 0;
  const double seconds = BestSeconds(budget, [&] { operations = HWY_DYNAMIC_DISPATCH(MultiplyAdds)(20000); });
  const double peak = threads * operations / seconds;
  std::printf("%d threads, fused multiply-add peak %.1f GFLOP/s\n", threads, peak * 1e-9);
  const AttentionShape smollm{9, 3, 64, 0.125f, {}};
  const AttentionShape gemma{4, 1, 256, 0.0625f, {}};
  const AttentionShape no_groups{9, 9, 64, 0.125f, {}};
  for (const Line& line : {
           Line{"prefill 512, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 512, 512, 1},
           Line{"prefill 512, 9/3 heads of 64, f32", smollm, TileFormat::kF32, 512, 512, 1},
           Line{"prefill 512, 4/1 heads of 256, f16", gemma, TileFormat::kF16, 512, 512, 1},
           Line{"prefill 512 at 8192, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 512, 8192, 1},
           Line{"the same, fixed phi", smollm, TileFormat::kF16, 512, 8192, 1, true},
           Line{"decode at 128, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 1, 128, 30},
           Line{"decode at 512, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 1, 512, 30},
           Line{"decode at 4096, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 1, 4096, 30},
           Line{"decode at 8192, 9/3 heads of 64, f16", smollm, TileFormat::kF16, 1, 8192, 30},
           Line{"the same, fixed phi", smollm, TileFormat::kF16, 1, 8192, 30, true},
           Line{"decode at 8192, 9/9 heads of 64, f16", no_groups, TileFormat::kF16, 1, 8192, 10},
           Line{"decode at 8192, 4/1 heads of 256, f16", gemma, TileFormat::kF16, 1, 8192, 18},
       }) {
    Measure(*share, line, budget, peak);
  }
  return 0;
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  return hone::Main(argc > 1 ? std::atof(argv[1]) : 0.5, argc > 2 ? std::atoi(argv[2]) : 1);
}
#endif  // HWY_ONCE
