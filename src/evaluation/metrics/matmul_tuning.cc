#include "evaluation/metrics/matmul_tuning.h"

#include <algorithm>
#include <set>

#include "evaluation/metrics/matmul_speed.h"
#include "language/models/model.h"

namespace hone {
namespace {

// A task stays below half a millisecond on a core that multiplies 60 G pairs a second.
constexpr int64_t kMostProductsOfTask = 30'000'000;
// Beyond these rows of activations a kernel is never the fastest.
constexpr int64_t kMostMatvecRows = 16;
constexpr int64_t kMostFlatRows = 128;
// What is not this much faster than the built-in choice is noise.
constexpr double kWorthwhile = 0.98;

Space ChoicesOf(const MatmulShape& shape, int64_t activation_rows) {
  Space space;
  space.dimensions = {{0, 1, 2}, {32, 64, 128, 256, 512, 1024, 4096}};
  space.valid = [=](const Configuration& choice) {
    const auto kernel = static_cast<MatmulKernel>(choice[0]);
    if (kernel == MatmulKernel::kMatvec && activation_rows > kMostMatvecRows) return false;
    // One row is a matvec: the others only unpack it otherwise.
    if (kernel != MatmulKernel::kMatvec && activation_rows == 1) return false;
    const bool plain = Info(shape.format).elements == 1;  // nothing to unpack: the tile of rows alone counts
    if (kernel == MatmulKernel::kFlat && activation_rows > kMostFlatRows && !plain) return false;
    if (choice[1] > 32 && choice[1] / 2 >= shape.rows) return false;
    return choice[1] == 32 || choice[1] * shape.columns * activation_rows <= kMostProductsOfTask;
  };
  return space;
}

MatmulChoice ChoiceOf(const Configuration& configuration) {
  return {static_cast<MatmulKernel>(configuration[0]), configuration[1]};
}

Result<TunedMatmul> TuneCell(MatmulSubject& subject, const MatmulKey& key, ComputeShare& share,
                             const MatmulTuningOptions& options) {
  Meter meter;
  meter.read = [&](const Configuration& configuration) -> Result<std::vector<double>> {
    return std::vector<double>{subject.Measure(share, options.mode, key.activation_rows,
                                               ChoiceOf(configuration), options.reading_seconds)};
  };
  const MatmulShape shape{key.format, key.rows, key.columns};
  HONE_TRY(const std::vector<Candidate> candidates,
           Tune(
               ChoicesOf(shape, key.activation_rows), meter,
               [](const std::vector<double>& reading) { return reading[0]; }, options.tuner));
  TunedMatmul tuned;
  tuned.cell = {key, ChoiceOf(candidates.front().configuration)};
  tuned.seconds = candidates.front().cost;
  for (const Candidate& candidate : candidates) {
    double& least = tuned.kernel_seconds[static_cast<size_t>(candidate.configuration[0])];
    if (least == 0.0 || candidate.cost < least) least = candidate.cost;
  }
  // The built-in choice beside the chosen one, in turn.
  tuned.built_in = BuiltInMatmulChoice(key);
  std::vector<double> ours, theirs;
  for (int i = 0; i < options.tuner.rounds; ++i) {
    ours.push_back(subject.Measure(share, options.mode, key.activation_rows, tuned.cell.choice,
                                   options.reading_seconds));
    theirs.push_back(
        subject.Measure(share, options.mode, key.activation_rows, tuned.built_in, options.reading_seconds));
  }
  std::sort(ours.begin(), ours.end());
  std::sort(theirs.begin(), theirs.end());
  tuned.seconds = ours[ours.size() / 2];
  tuned.built_in_seconds = theirs[theirs.size() / 2];
  if (tuned.seconds > kWorthwhile * tuned.built_in_seconds) {
    tuned.cell.choice = tuned.built_in;
    tuned.seconds = tuned.built_in_seconds;
  }
  return tuned;
}

}  // namespace

std::vector<MatmulShape> MatmulShapes(const Model& model) {
  std::set<MatmulShape> shapes;
  for (const WeightInfo& weight : model.weights()) {
    if (weight.rows > 1 && weight.op != Operator::kEmbedding)
      shapes.insert({weight.type, weight.rows, weight.columns});
  }
  return {shapes.begin(), shapes.end()};
}

Result<std::vector<TunedMatmul>> TuneMatmuls(std::span<const MatmulShape> shapes, ComputeShare& share,
                                             MemoryAccount& account, const MatmulTuningOptions& options) {
  std::vector<TunedMatmul> all;
  size_t done = 0;
  const size_t total = shapes.size() * options.activation_rows.size();
  for (const MatmulShape& shape : shapes) {
    const WeightFormat& format = *FindWeightFormat(shape.format);
    HONE_TRY(MatmulSubject subject,
             MatmulSubject::Create(account, format, shape.rows, shape.columns, options.streamed_bytes));
    for (const int64_t rows : options.activation_rows) {
      if (options.progress) HONE_CHECK_OK(options.progress(done, total));
      ++done;
      if (rows > 64 && shape.rows > options.most_rows_in_bulk) continue;
      const MatmulKey key{shape.format, format.form(options.mode), share.threads(), shape.rows, shape.columns,
                          rows};
      HONE_TRY(TunedMatmul tuned, TuneCell(subject, key, share, options));
      all.push_back(tuned);
    }
  }
  if (options.progress) HONE_CHECK_OK(options.progress(total, total));
  return all;
}

}  // namespace hone
