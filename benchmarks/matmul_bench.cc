// How fast packed matrices are multiplied, beside what the machine can do at most.
//   Read:                    plain reading of 256 MiB, the limit of decode (bytes/s)
//   Decode/TYPE/NxK:         one row of activations; enough copies of the matrix that no cache holds them
//   (bytes/s of weights) Few/TYPE/NxK/M:          M rows of activations, the same (items are products;
//   bytes/s of weights) Prefill/TYPE/NxK/M:      M rows, matrix in cache (items/s: multiply-adds; operations
//   are twice that) Pack/TYPE:               packing of rows (bytes/s of the file)
// --benchmark_filter chooses; --benchmark_repetitions gives the spread. HONE_CPU chooses the target.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/kernels/cpu/cpu_target.h"
#include "core/kernels/matmul_table.h"

namespace hone {
namespace {

constexpr int64_t kStreamedBytes = int64_t{256} << 20;

struct Weights {
  std::vector<std::byte> bytes;
  std::vector<PackedMatrix> copies;
};

// Random bytes of a file with small scales where the type has them in front; values do not matter to the
// speed except that NaN and denormal numbers are avoided.
std::vector<std::byte> RandomRows(DType type, int64_t rows, int64_t columns) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(static_cast<size_t>(rows * RowBytes(type, columns)));
  for (std::byte& byte : bytes) byte = static_cast<std::byte>(random() & 0x3B);
  return bytes;
}

Weights MakeWeights(DType type, int64_t rows, int64_t columns, int64_t copies) {
  const WeightFormat& format = *FindWeightFormat(type);
  const std::vector<std::byte> file = RandomRows(type, kRowGroup, columns);
  const int64_t group = format.GroupBytes(columns), groups = (rows + kRowGroup - 1) / kRowGroup;
  Weights weights;
  weights.bytes.resize(static_cast<size_t>(copies * groups * group));
  for (int64_t i = 0; i < copies * groups; ++i) {
    if (i == 0) {
      format.PackGroup(file.data(), kRowGroup, columns, weights.bytes.data());
    } else {
      std::memcpy(weights.bytes.data() + i * group, weights.bytes.data(), static_cast<size_t>(group));
    }
  }
  for (int64_t i = 0; i < copies; ++i) {
    weights.copies.push_back({&format, rows, columns, weights.bytes.data() + i * groups * group});
  }
  return weights;
}

std::vector<std::byte> PreparedRandom(ActivationForm form, int64_t m, int64_t columns) {
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(m * columns));
  for (float& value : x) value = normal(random);
  std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(form, m, columns)));
  Prepare(form, MatrixView<const float>(x.data(), m, columns), 0, m, data.data());
  return data;
}

// Multiplies one copy of the weights after the other, in tasks as the engine cuts them.
void RunMultiply(benchmark::State& state, DType type, int64_t rows, int64_t columns, int64_t m,
                 NumericMode mode, bool streamed) {
  const WeightFormat& format = *FindWeightFormat(type);
  const int64_t bytes = (rows + kRowGroup - 1) / kRowGroup * format.GroupBytes(columns);
  const int64_t copies = streamed ? std::max<int64_t>(1, kStreamedBytes / bytes) : 1;
  const Weights weights = MakeWeights(type, rows, columns, copies);
  const ActivationForm form = format.form(mode);
  const std::vector<std::byte> data = PreparedRandom(form, m, columns);
  const Activations x{form, m, columns, data.data()};
  std::vector<float> y(static_cast<size_t>(m * rows));
  const MatmulChoice choice = BuiltInMatmulChoice({type, form, 1, rows, columns, m});
  const int64_t task = choice.rows_per_task;
  size_t next = 0;
  for (auto _ : state) {
    const PackedMatrix& w = weights.copies[next++ % weights.copies.size()];
    for (int64_t row = 0; row < rows; row += task) {
      format.Multiply({w, x, row, std::min(rows, row + task), {y.data(), m, rows}, choice.kernel});
    }
    benchmark::DoNotOptimize(y.data());
  }
  state.SetBytesProcessed(state.iterations() * bytes);
  state.SetItemsProcessed(state.iterations() * rows * columns * m);
}

void RunRead(benchmark::State& state) {
  std::vector<uint64_t> data(static_cast<size_t>(kStreamedBytes / 8), 1);
  for (auto _ : state) {
    uint64_t sums[8] = {};
    for (size_t i = 0; i < data.size(); i += 8) {
      __builtin_prefetch(&data[i] + 256);
      for (size_t j = 0; j < 8; ++j) sums[j] += data[i + j];
    }
    benchmark::DoNotOptimize(sums);
  }
  state.SetBytesProcessed(state.iterations() * kStreamedBytes);
}

void RunPack(benchmark::State& state, DType type) {
  constexpr int64_t kColumns = 2048, kRows = 512;
  const WeightFormat& format = *FindWeightFormat(type);
  const std::vector<std::byte> file = RandomRows(type, kRows, kColumns);
  std::vector<std::byte> group(static_cast<size_t>(format.GroupBytes(kColumns)));
  for (auto _ : state) {
    for (int64_t row = 0; row < kRows; row += kRowGroup) {
      format.PackGroup(file.data() + row * RowBytes(type, kColumns), kRowGroup, kColumns, group.data());
    }
    benchmark::DoNotOptimize(group.data());
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(file.size()));
}

void RunPrepare(benchmark::State& state, int64_t m, int64_t columns) {
  std::vector<float> x(static_cast<size_t>(m * columns), 0.5f);
  std::vector<std::byte> data(static_cast<size_t>(PreparedBytes(ActivationForm::kInt8, m, columns)));
  for (auto _ : state) {
    Prepare(ActivationForm::kInt8, MatrixView<const float>(x.data(), m, columns), 0, m, data.data());
    benchmark::DoNotOptimize(data.data());
  }
  state.SetItemsProcessed(state.iterations() * m * columns);
}

void Register() {
  struct Shape {
    int64_t rows, columns;
  };
  benchmark::RegisterBenchmark("Read", RunRead);
  for (const int64_t m : {1, 512}) {
    benchmark::RegisterBenchmark(fmt::format("Prepare/{}x576", m).c_str(),
                                 [=](benchmark::State& state) { RunPrepare(state, m, 576); });
  }
  for (const WeightFormat* format : WeightFormats()) {
    const DType type = format->source();
    const std::string name(Info(type).name);
    benchmark::RegisterBenchmark(("Pack/" + name).c_str(),
                                 [=](benchmark::State& state) { RunPack(state, type); });
    for (const Shape& shape : {Shape{4096, 4096}, {49152, 576}, {1536, 576}, {576, 1536}, {640, 2048}}) {
      if (shape.columns % Info(type).elements != 0) continue;
      const std::string size = fmt::format("/{}x{}", shape.rows, shape.columns);
      const auto add = [&](const std::string& title, int64_t m, NumericMode mode, bool streamed) {
        benchmark::RegisterBenchmark((title + "/" + name + size + "/" + std::to_string(m)).c_str(),
                                     [=](benchmark::State& state) {
                                       RunMultiply(state, type, shape.rows, shape.columns, m, mode, streamed);
                                     });
      };
      add("Decode", 1, NumericMode::kFast, true);
      add("DecodeCached", 1, NumericMode::kFast, false);
      add("DecodeExact", 1, NumericMode::kExact, true);
      for (int64_t m : {2, 4, 8, 16}) add("Few", m, NumericMode::kFast, true);
      for (int64_t m : {32, 512}) add("Prefill", m, NumericMode::kFast, false);
      add("PrefillExact", 512, NumericMode::kExact, false);
    }
  }
}

}  // namespace
}  // namespace hone

int main(int argc, char** argv) {
  if (const auto ready = hone::InitCpuTarget(); !ready) {
    std::fprintf(stderr, "%s\n", ready.error().message.c_str());
    return 2;
  }
  benchmark::AddCustomContext("cpu_target", std::string(hone::ActiveCpuTarget()));
  benchmark::AddCustomContext("int8_kernel", std::string(hone::ActiveInt8Kernel()));
  hone::Register();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
