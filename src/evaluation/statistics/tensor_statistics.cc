#include "evaluation/statistics/tensor_statistics.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <mutex>

namespace hone {
namespace {

constexpr int64_t kSlabRows = 64;

struct Watched {
  Tensor tensor;
  TensorGroup group;
  std::string_view kind;
};
constexpr std::array kWatched = {
    Watched{Tensor::kMixerInput, TensorGroup::kActivations, "input of query, key and value"},
    Watched{Tensor::kAttended, TensorGroup::kActivations, "input of the output projection"},
    Watched{Tensor::kMlpInput, TensorGroup::kActivations, "input of gate and up"},
    Watched{Tensor::kActivation, TensorGroup::kActivations, "input of down"},
    Watched{Tensor::kKey, TensorGroup::kCache, "key"},
    Watched{Tensor::kValue, TensorGroup::kCache, "value"},
};

class StatisticsObserver : public Observer {
 public:
  explicit StatisticsObserver(int layers)
      : layers_(static_cast<size_t>(layers)), sums_(kWatched.size() * layers_) {}

  bool Wants(Tensor tensor, int) const override { return Find(tensor) < kWatched.size(); }
  void Observe(Tensor tensor, int layer, std::span<const int64_t>, MatrixView<const float> values) override {
    PowerSums& sums = sums_[Find(tensor) * layers_ + static_cast<size_t>(layer)];
    for (int64_t i = 0; i < values.rows; ++i) sums.Add(values.row_span(i));
  }
  std::vector<TensorStatistics> Take() const {
    std::vector<TensorStatistics> all;
    for (size_t i = 0; i < sums_.size(); ++i) {
      const Watched& watched = kWatched[i / layers_];
      if (sums_[i].count > 0.0)
        all.push_back({watched.group, std::string(watched.kind), static_cast<int>(i % layers_), sums_[i]});
    }
    return all;
  }

 private:
  static size_t Find(Tensor tensor) {
    return static_cast<size_t>(std::ranges::find(kWatched, tensor, &Watched::tensor) - kWatched.begin());
  }
  size_t layers_;
  std::vector<PowerSums> sums_;
};

// "blk.3.attn_q.weight": layer 3, "attn_q.weight".
void TakeLayer(TensorStatistics& statistics) {
  std::string& name = statistics.kind;
  if (!name.starts_with("blk.")) return;
  const char* end = name.data() + name.size();
  const auto [at, failure] = std::from_chars(name.data() + 4, end, statistics.layer);
  if (failure != std::errc() || at == end || *at != '.') return;
  name = std::string(at + 1, end);
}

}  // namespace

void PowerSums::Add(std::span<const float> x) {
  for (const float value : x) {
    const double one = value;
    const double two = one * one;
    first += one;
    second += two;
    third += two * one;
    fourth += two * two;
    largest = std::max(largest, std::abs(one));
  }
  count += static_cast<double>(x.size());
}

void PowerSums::Add(const PowerSums& other) {
  count += other.count;
  first += other.first;
  second += other.second;
  third += other.third;
  fourth += other.fourth;
  largest = std::max(largest, other.largest);
}

double PowerSums::deviation() const {
  if (count == 0.0) return 0.0;
  return std::sqrt(std::max(0.0, second / count - mean() * mean()));
}

double PowerSums::kurtosis() const {
  const double variance = deviation() * deviation();
  if (variance <= 0.0) return 0.0;
  const double m = mean();
  const double central =
      fourth / count - 4.0 * m * third / count + 6.0 * m * m * second / count - 3.0 * m * m * m * m;
  return central / (variance * variance);
}

std::string_view Name(TensorGroup group) {
  constexpr std::string_view kNames[] = {"weights", "activations", "cache"};
  return kNames[static_cast<size_t>(group)];
}

Result<std::vector<TensorStatistics>> WeightStatistics(const ModelSource& source, ComputeShare& share) {
  std::vector<TensorStatistics> all;
  const auto tensors = source.tensors();
  for (size_t t = 0; t < tensors.size(); ++t) {
    const SourceTensor& tensor = tensors[t];
    if (tensor.shape.size() != 2) continue;
    TensorStatistics statistics{TensorGroup::kWeights, tensor.name, -1, {}};
    TakeLayer(statistics);
    const int64_t slabs = (tensor.rows() + kSlabRows - 1) / kSlabRows;
    std::vector<PowerSums> parts(static_cast<size_t>(slabs));  // added in order: the same for any threads
    share.ParallelFor(slabs, [&](int64_t slab) {
      const int64_t begin = slab * kSlabRows;
      const int64_t rows = std::min(kSlabRows, tensor.rows() - begin);
      std::vector<float> values(static_cast<size_t>(rows * tensor.columns()));
      source.ReadRows(t, begin, rows, values.data());
      parts[static_cast<size_t>(slab)].Add(values);
    });
    for (const PowerSums& part : parts) statistics.sums.Add(part);
    source.Drop(t, 0, tensor.rows());
    if (!std::isfinite(statistics.sums.fourth))
      return BadInput(source.path(), tensor.name,
                      "a value that is not finite (NaN or infinity), or beyond 1e77");
    all.push_back(std::move(statistics));
  }
  return all;
}

Result<std::vector<TensorStatistics>> ActivationStatistics(Runner& runner, Engine& engine,
                                                           std::span<const CalibrationWindow> windows,
                                                           const MomentOptions& options) {
  const auto pool = PagePool::Create(engine.accounts.kv);
  StatisticsObserver statistics(runner.model().config().layers);
  Observer* observers[] = {&statistics};
  for (size_t i = 0; i < windows.size(); ++i) {
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed))
      return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted while reading the text"});
    KvCache cache = runner.model().MakeCache(pool, runner.options().mode);
    const auto rows = static_cast<int64_t>(windows[i].tokens.size());
    for (int64_t begin = 0; begin < rows; begin += runner.options().max_rows) {
      const int64_t end = std::min(rows, begin + runner.options().max_rows);
      Batch batch;
      for (int64_t r = begin; r < end; ++r) {
        Row row;
        row.token = windows[i].tokens[static_cast<size_t>(r)];
        row.position.fill(static_cast<int32_t>(r));
        batch.rows.push_back(row);
      }
      batch.sequences.push_back({&cache, 0, end - begin});
      HONE_CHECK_OK(
          runner.Run(batch, [](int64_t, std::span<float>) {}, {.head = false, .observers = observers}));
    }
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(windows.size()));
  }
  return statistics.Take();
}

}  // namespace hone
