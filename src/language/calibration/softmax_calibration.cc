#include "language/calibration/softmax_calibration.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "language/models/model_hash.h"
#include "language/models/sequence.h"
#include "language/models/softmax_plan.h"

namespace hone {
namespace {

constexpr double kQuantile = 0.00005;
constexpr float kBelow = -60.0f;
constexpr double kAbove = 80.0;  // less ln(context): sums of so many terms stay below exp(80)

// Counts the causal scores of batches that are one window each.
class ScoreObserver : public Observer {
 public:
  ScoreObserver(const ModelConfig& config, ComputeShare& share)
      : config_(config),
        share_(share),
        histograms_(static_cast<size_t>(config.layers) * static_cast<size_t>(config.kv_heads)) {}

  bool Wants(Tensor tensor, int) const override { return tensor == Tensor::kQuery || tensor == Tensor::kKey; }

  // The query of a layer comes before its key.
  void Observe(Tensor tensor, int layer, std::span<const int64_t>, MatrixView<const float> values) override {
    if (tensor == Tensor::kQuery) {
      query_ = values;
      return;
    }
    Transpose(values);
    const int64_t slices = (query_.rows + kSliceRows - 1) / kSliceRows;
    std::vector<ScoreHistogram> parts(static_cast<size_t>(slices * config_.kv_heads));
    share_.ParallelFor(slices * config_.kv_heads, [&](int64_t task) {
      const int64_t slice = task / config_.kv_heads;
      CountRows(layer, static_cast<int>(task % config_.kv_heads), slice * kSliceRows,
                std::min(query_.rows, (slice + 1) * kSliceRows), parts[static_cast<size_t>(task)]);
    });
    for (size_t task = 0; task < parts.size(); ++task) {
      const size_t head = task % static_cast<size_t>(config_.kv_heads);
      histograms_[static_cast<size_t>(layer) * static_cast<size_t>(config_.kv_heads) + head].Add(parts[task]);
    }
  }

  const std::vector<ScoreHistogram>& histograms() const { return histograms_; }

 private:
  static constexpr int64_t kSliceRows = 32;

  // keys_[kv_head * head_dim + d][row]
  void Transpose(MatrixView<const float> key) {
    rows_ = key.rows;
    keys_.resize(static_cast<size_t>(key.columns * rows_));
    for (int64_t row = 0; row < rows_; ++row) {
      for (int64_t column = 0; column < key.columns; ++column)
        keys_[static_cast<size_t>(column * rows_ + row)] = key.row(row)[column];
    }
  }

  void CountRows(int layer, int kv_head, int64_t begin, int64_t end, ScoreHistogram& histogram) const {
    const int group = config_.heads / config_.kv_heads;
    const int64_t window = config_.window[static_cast<size_t>(layer)];
    std::vector<float> scores(static_cast<size_t>(rows_));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t first = window > 0 ? std::max<int64_t>(0, row - window + 1) : 0;
      for (int g = 0; g < group; ++g) {
        const float* query = query_.row(row) + int64_t{kv_head * group + g} * config_.head_dim;
        std::fill(scores.begin(), scores.end(), 0.0f);
        for (int64_t d = 0; d < config_.head_dim; ++d) {
          const float* key = keys_.data() + (int64_t{kv_head} * config_.head_dim + d) * rows_;
          const float q = query[d] * config_.attention_scale;
          for (int64_t entry = first; entry <= row; ++entry)
            scores[static_cast<size_t>(entry)] += q * key[entry];
        }
        histogram.Add(std::span<const float>(scores).subspan(static_cast<size_t>(first),
                                                             static_cast<size_t>(row + 1 - first)));
      }
    }
  }

  const ModelConfig& config_;
  ComputeShare& share_;
  MatrixView<const float> query_;
  std::vector<float> keys_;
  int64_t rows_ = 0;
  std::vector<ScoreHistogram> histograms_;
};

}  // namespace

ScoreRange SoftmaxCalibration::LayerRange(int layer) const {
  ScoreRange all = range(layer, 0);
  for (int head = 1; head < kv_heads; ++head) {
    const ScoreRange& one = range(layer, head);
    all.smallest = std::min(all.smallest, one.smallest);
    all.largest = std::max(all.largest, one.largest);
    all.low = std::min(all.low, one.low);
    all.high = std::max(all.high, one.high);
    all.scores += one.scores;
  }
  return all;
}

Result<SoftmaxCalibration> CalibrateSoftmax(Runner& runner, Engine& engine,
                                            std::span<const std::vector<TokenId>> windows,
                                            const CalibrationOptions& options) {
  const ModelConfig& config = runner.model().config();
  const auto share = engine.pool.MakeShare();
  ScoreObserver observer(config, *share);
  Observer* observers[] = {&observer};
  const auto pool = PagePool::Create(engine.accounts.kv);
  SoftmaxCalibration calibration{config.layers, config.kv_heads, {}, 0, 0};
  for (size_t i = 0; i < windows.size(); ++i) {
    if (options.cancel != nullptr && options.cancel->load(std::memory_order_relaxed)) {
      return tl::unexpected(Error{ErrorKind::kInterrupted,
                                  fmt::format("interrupted after {} of {} windows", i, windows.size())});
    }
    const auto size = static_cast<int64_t>(windows[i].size());
    Sequence sequence{.cache = runner.model().MakeCache(pool, runner.options().mode)};
    sequence.tokens = windows[i];
    sequence.prompt_tokens = size;
    Batch batch;
    AppendRows(sequence, 0, size, false, false, batch);
    HONE_CHECK_OK(
        runner.Run(batch, [](int64_t, std::span<float>) {}, {.head = false, .observers = observers}));
    calibration.tokens += size;
    calibration.longest_window = std::max(calibration.longest_window, size);
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(windows.size()));
  }
  for (const ScoreHistogram& histogram : observer.histograms()) {
    calibration.ranges.push_back({histogram.smallest(), histogram.largest(),
                                  histogram.LowerQuantile(kQuantile), histogram.UpperQuantile(kQuantile),
                                  histogram.count()});
  }
  return calibration;
}

Result<std::vector<std::vector<TokenId>>> CalibrationWindows(const Model& model,
                                                             std::span<const TokenId> tokens, int64_t size,
                                                             int64_t count) {
  const auto all = static_cast<int64_t>(tokens.size()) / std::max<int64_t>(size, 1);
  if (size < 1 || size > model.config().context)
    return WrongUsage("calibration: windows of {} tokens, expected 1 to {}", size, model.config().context);
  if (all == 0)
    return WrongUsage("calibration: a text of {} tokens, expected at least {} for one window", tokens.size(),
                      size);
  const int64_t taken = std::clamp<int64_t>(count, 1, all);
  const SpecialTokens& special = model.tokenizer().special();
  std::vector<std::vector<TokenId>> windows;
  for (int64_t i = 0; i < taken; ++i) {
    const auto window =
        tokens.subspan(static_cast<size_t>(i * all / taken * size), static_cast<size_t>(size));
    windows.emplace_back(window.begin(), window.end());
    if (special.add_bos && special.bos != kNoToken) windows.back().front() = special.bos;
  }
  return windows;
}

std::vector<std::vector<SoftmaxScale>> SoftmaxScales(const SoftmaxCalibration& calibration, int64_t context,
                                                     bool strict) {
  std::vector<std::vector<SoftmaxScale>> scales(static_cast<size_t>(calibration.layers));
  const auto above =
      static_cast<float>(kAbove - std::log(static_cast<double>(std::max<int64_t>(context, 1))));
  for (int layer = 0; layer < calibration.layers; ++layer) {
    for (int head = 0; head < calibration.kv_heads; ++head)
      scales[static_cast<size_t>(layer)].push_back(
          {true, calibration.range(layer, head).phi(), kBelow, above, strict});
  }
  return scales;
}

PlanPart SoftmaxPart(const SoftmaxCalibration& calibration, const Model& model, bool strict) {
  const int64_t context = model.config().context;
  const SoftmaxScale scale = SoftmaxScales(calibration, context, strict)[0][0];
  PlanPart part;
  part.made_for[PlanKey::kArchitecture] = ArchitectureHash(model.config());
  part.made_for[PlanKey::kTokenizer] = TokenizerHash(model.tokenizer());
  part.acts = PlanStage::kRunner;
  nlohmann::ordered_json settings = {{"guard", strict ? "strict" : "relaxed"},
                                     {"below", scale.below},
                                     {"above", scale.above},
                                     {"context", context},
                                     {"tokens", calibration.tokens},
                                     {"window", calibration.longest_window}};
  part.settings = settings.dump();
  const std::vector<int64_t> shape = {calibration.layers, calibration.kv_heads};
  const auto tensor = [&](auto number) {
    std::vector<float> values;
    for (const ScoreRange& range : calibration.ranges) values.push_back(number(range));
    return PlanTensor::FromFloats(values, shape);
  };
  part.tensors[std::string(kSoftmaxPhi)] = tensor([](const ScoreRange& r) { return r.phi(); });
  part.tensors["smallest"] = tensor([](const ScoreRange& r) { return r.smallest; });
  part.tensors["largest"] = tensor([](const ScoreRange& r) { return r.largest; });
  part.tensors["low"] = tensor([](const ScoreRange& r) { return r.low; });
  part.tensors["high"] = tensor([](const ScoreRange& r) { return r.high; });
  return part;
}

}  // namespace hone
