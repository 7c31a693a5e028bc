#include "evaluation/reproduce/flashdecodingpp_products.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>

#include "core/downloads/model_cache.h"
#include "evaluation/metrics/matmul_speed.h"
#include "evaluation/metrics/matmul_tuning.h"
#include "evaluation/metrics/model_speed.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m"};
constexpr int64_t kFlatRows = 8;
constexpr int kRounds = 7;
constexpr double kReadingSeconds = 0.004;
constexpr uint64_t kStreamedBytes = 96 << 20;
// A chosen kernel may be this much slower than the fastest of its cell.
constexpr double kClose = 1.05;
constexpr int64_t kBatches[] = {1, 4, 8};
constexpr int64_t kPrompt = 16, kDecode = 24;

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// How many times faster 8 rows are with the flat kernel than as 8 matvecs that each read the matrix.
Result<double> FlatOverMatvecs(const MatmulShape& shape, ComputeShare& share) {
  MemoryAccount account("matrix copies");
  HONE_TRY(MatmulSubject subject, MatmulSubject::Create(account, *FindWeightFormat(shape.format), shape.rows,
                                                        shape.columns, kStreamedBytes));
  MatmulKey key{shape.format, ActivationForm::kInt8, share.threads(), shape.rows, shape.columns, 1};
  const MatmulChoice matvec = BuiltInMatmulChoice(key);
  key.activation_rows = kFlatRows;
  const MatmulChoice flat{MatmulKernel::kFlat, BuiltInMatmulChoice(key).rows_per_task};
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    const double one = subject.Measure(share, NumericMode::kFast, 1, matvec, kReadingSeconds);
    const double all = subject.Measure(share, NumericMode::kFast, kFlatRows, flat, kReadingSeconds);
    ratios.push_back(static_cast<double>(kFlatRows) * one / all);
  }
  return Median(ratios);
}

Result<void> MeasureFlat(std::span<const MatmulShape> shapes, ComputeShare& share, const std::string& name,
                         Report& report) {
  HONE_TRY(const double large, FlatOverMatvecs({DType::kQ4_0, 4096, 4096}, share));
  report.Add(Aspect::kSpeed, "", "8 rows: flat over 8 matvecs, Q4_0 4096 x 4096, streamed", large, "x")
      .AtLeast(2.5)
      .Paper("flat products up to 1.52x (GPU, MLSys 2024)");
  double sum = 0.0;
  for (const MatmulShape& shape : shapes) {
    HONE_TRY(const double ratio, FlatOverMatvecs(shape, share));
    sum += std::log(ratio);
  }
  report
      .Add(Aspect::kSpeed, name,
           fmt::format("8 rows: flat over 8 matvecs, geometric mean of {} shapes", shapes.size()),
           std::exp(sum / static_cast<double>(shapes.size())), "x")
      .AtLeast(1.2);
  return {};
}

// The table that was found, and how often its choice is close to the fastest of the cell.
Result<MatmulTable> FindTable(ExperimentContext& context, std::span<const MatmulShape> shapes,
                              ComputeShare& share, const std::string& name, Report& report) {
  MatmulTuningOptions options;
  options.activation_rows = {1, 2, 4, 8, 16, 32, 64};
  options.progress = [&](size_t done, size_t total) {
    return context.Step(static_cast<int64_t>(done), static_cast<int64_t>(total));
  };
  MemoryAccount account("tuning");
  HONE_TRY(const std::vector<TunedMatmul> cells, TuneMatmuls(shapes, share, account, options));
  MatmulTable table;
  int close = 0, built_in_close = 0;
  double gain = 0.0;
  for (const TunedMatmul& tuned : cells) {
    table.Set(tuned.cell.key, tuned.cell.choice);
    double fastest = std::min(tuned.seconds, tuned.built_in_seconds);
    for (const double seconds : tuned.kernel_seconds) {
      if (seconds > 0.0) fastest = std::min(fastest, seconds);
    }
    close += tuned.seconds <= kClose * fastest ? 1 : 0;
    built_in_close += tuned.built_in_seconds <= kClose * fastest ? 1 : 0;
    gain += std::log(tuned.built_in_seconds / tuned.seconds);
  }
  const auto count = static_cast<double>(cells.size());
  report
      .Add(Aspect::kSpeed, name,
           fmt::format("cells of {} whose choice is within 5 % of the fastest", cells.size()), close, "cells")
      .AtLeast(count)
      .Difference("two readings of one kernel differ by some per cent here");
  report.Add(Aspect::kSpeed, name, "the same of the choices that are built in", built_in_close, "cells");
  report.Add(Aspect::kSpeed, name, "tuned over built in, geometric mean", std::exp(gain / count), "x");
  return table;
}

// A table that says the same kernel everywhere, with the tasks of the built-in choice.
MatmulTable Static(std::span<const MatmulShape> shapes, MatmulKernel kernel, int threads) {
  MatmulTable table;
  for (const MatmulShape& shape : shapes) {
    for (const int64_t rows : {1, 2, 4, 8, 16, 512}) {
      const MatmulKey key{shape.format, ActivationForm::kInt8, threads, shape.rows, shape.columns, rows};
      table.Set(key, {kernel, BuiltInMatmulChoice(key).rows_per_task});
    }
  }
  return table;
}

// Decoding end to end: the tuned table beside each kernel alone.
Result<void> CompareDecoding(const std::shared_ptr<const Model>& model, Engine& engine,
                             std::span<const MatmulShape> shapes, const MatmulTable& tuned,
                             const std::string& name, Report& report) {
  const int threads = engine.pool.threads();
  std::array<std::unique_ptr<Runner>, 4> runners;
  for (size_t arm = 0; arm < runners.size(); ++arm) {
    RunnerOptions options;
    options.matmul_table = std::make_shared<const MatmulTable>(
        arm == 3 ? tuned : Static(shapes, static_cast<MatmulKernel>(arm), threads));
    HONE_TRY(runners[arm], Runner::Create(model, engine, options));
  }
  const auto pool = PagePool::Create(engine.accounts.kv);
  for (const int64_t batch : kBatches) {
    std::array<std::vector<double>, 4> seconds;
    for (int round = 0; round < kRounds; ++round) {
      for (size_t arm = 0; arm < runners.size(); ++arm) {
        HONE_TRY(const RequestSeconds request, MeasureRequest(*runners[arm], pool, batch, kPrompt, kDecode));
        seconds[arm].push_back(request.decode);
      }
    }
    double best = 1e9, worst = 0.0;
    for (size_t arm = 0; arm < 3; ++arm) {
      best = std::min(best, Median(seconds[arm]));
      worst = std::max(worst, Median(seconds[arm]));
    }
    const double own = Median(seconds[3]);
    report
        .Add(Aspect::kSpeed, name, fmt::format("decode, batch {}: tuned over the best kernel alone", batch),
             best / own, "x")
        .AtLeast(0.97);
    report
        .Add(Aspect::kSpeed, name, fmt::format("decode, batch {}: tuned over the worst kernel alone", batch),
             worst / own, "x")
        .AtLeast(1.3)
        .Paper("one static choice loses up to 1.50x (A100)");
  }
  return {};
}

}  // namespace

Result<void> ReproduceProducts(ExperimentContext& context, Report& report) {
  HONE_TRY(const auto names, context.Models(kModels));
  const std::string& name = names.front();
  HONE_TRY(const std::string path, ResolveModel(name));
  Engine engine(context.threads());
  HONE_TRY(const auto model, LoadModel(path, engine));
  const auto share = engine.pool.MakeShare();
  const std::vector<MatmulShape> shapes = MatmulShapes(*model);
  HONE_CHECK_OK(MeasureFlat(shapes, *share, name, report));
  HONE_TRY(const MatmulTable tuned, FindTable(context, shapes, *share, name, report));
  HONE_CHECK_OK(CompareDecoding(model, engine, shapes, tuned, name, report));
  report.notes.push_back(
      "the panel kernel stands for the library's product of the paper; `hone bench kernels` measures it "
      "beside OpenBLAS and oneDNN");
  return {};
}

}  // namespace hone
