#include "language/calibration/input_moments.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "core/kernels/elementwise.h"
#include "language/calibration/gram.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

constexpr std::array<Tensor, kLayerInputs> kTensors = {Tensor::kMixerInput, Tensor::kAttended,
                                                       Tensor::kMlpInput, Tensor::kActivation};
constexpr std::array<std::string_view, kLayerInputs> kInputNames = {
    "the mixer's input", "what attention gives", "the MLP's input", "the down projection's input"};
constexpr int64_t kSliceColumns = 64;

std::optional<size_t> IndexOf(Tensor tensor) {
  const auto found = std::ranges::find(kTensors, tensor);
  if (found == kTensors.end()) return std::nullopt;
  return static_cast<size_t>(found - kTensors.begin());
}

// Adds what a step's rows say of each input to the layer's moments.
class MomentObserver : public Observer {
 public:
  MomentObserver(ComputeShare& share, const TagWeights& tags, bool second)
      : share_(share), tags_(tags), second_(second) {}

  std::vector<LayerMoments> layers;
  const Batch* batch = nullptr;
  const CalibrationWindow* window = nullptr;
  std::optional<std::string> not_finite;

  bool Wants(Tensor tensor, int layer) const override {
    return layer >= first_layer_ && layer - first_layer_ < static_cast<int>(layers.size()) && IndexOf(tensor);
  }
  void StartAt(int layer) { first_layer_ = layer; }

  void Observe(Tensor tensor, int layer, std::span<const int64_t> batch_rows,
               MatrixView<const float> x) override {
    const size_t input = *IndexOf(tensor);
    InputMoments& moments = layers[static_cast<size_t>(layer - first_layer_)][input];
    if (!CheckFinite(layer, input, batch_rows, x)) return;
    std::vector<float> weights;
    for (const int64_t row : batch_rows) {
      weights.push_back(tags_[static_cast<size_t>(batch->rows[static_cast<size_t>(row)].tag)]);
      moments.rows += static_cast<double>(weights.back());
    }
    moments.squares.resize(static_cast<size_t>(x.columns));
    moments.largest.resize(static_cast<size_t>(x.columns));
    share_.ParallelFor((x.columns + kSliceColumns - 1) / kSliceColumns, [&](int64_t task) {
      AddColumns(x, weights, task * kSliceColumns, std::min(x.columns, (task + 1) * kSliceColumns), moments);
    });
    if (!second_) return;
    moments.second.resize(static_cast<size_t>(x.columns * x.columns));
    gram_.Add(share_, x, weights, {moments.second.data(), x.columns, x.columns});
  }

 private:
  static void AddColumns(MatrixView<const float> x, std::span<const float> weights, int64_t begin,
                         int64_t end, InputMoments& moments) {
    for (int64_t row = 0; row < x.rows; ++row) {
      const float weight = weights[static_cast<size_t>(row)];
      if (weight == 0.0f) continue;
      for (int64_t column = begin; column < end; ++column) {
        const float value = x.row(row)[column];
        const auto at = static_cast<size_t>(column);
        moments.squares[at] += static_cast<double>(weight * value * value);
        moments.largest[at] = std::max(moments.largest[at], std::fabs(value));
      }
    }
  }

  bool CheckFinite(int layer, size_t input, std::span<const int64_t> batch_rows, MatrixView<const float> x) {
    for (int64_t i = 0; i < x.rows; ++i) {
      if (AllFinite(x.row_span(i))) continue;
      const int64_t token = window->first_token + batch_rows[static_cast<size_t>(i)];
      if (!not_finite)
        not_finite = fmt::format("blk.{}: {} is not finite (NaN or infinity) at token {} of the text", layer,
                                 kInputNames[input], token);
      return false;
    }
    return true;
  }

  ComputeShare& share_;
  TagWeights tags_;
  bool second_;
  int first_layer_ = 0;
  GramSums gram_;
};

// A batch that is one window; hidden states [tokens, width] take the place of the embedding where given.
Batch MakeBatch(const CalibrationWindow& window, KvCache& cache, const float* hidden, int64_t width) {
  Batch batch;
  for (size_t i = 0; i < window.tokens.size(); ++i) {
    Row row;
    row.token = window.tokens[i];
    row.position = {static_cast<int32_t>(i), static_cast<int32_t>(i), static_cast<int32_t>(i)};
    if (!window.tags.empty()) row.tag = window.tags[i];
    if (hidden != nullptr) row.embedding = hidden + static_cast<int64_t>(i) * width;
    batch.rows.push_back(row);
  }
  batch.sequences.push_back({&cache, 0, static_cast<int64_t>(window.tokens.size())});
  return batch;
}

Result<void> CheckCancelled(const MomentOptions& options) {
  if (options.cancel == nullptr || !options.cancel->load(std::memory_order_relaxed)) return {};
  return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted while calibrating"});
}

Result<void> RunWindow(Runner& runner, const CalibrationWindow& window, const Batch& batch,
                       MomentObserver& moments, const RunOptions& options) {
  moments.window = &window;
  moments.batch = &batch;
  const Result<void> run = runner.Run(
      batch, [](int64_t, std::span<float>) {}, options);
  if (moments.not_finite) return Failed("{}: {}", runner.model().path(), *moments.not_finite);
  return run;
}

}  // namespace

std::optional<MatrixInput> InputOfMatrix(std::string_view name) {
  if (!name.starts_with("blk.")) return std::nullopt;
  MatrixInput input;
  const auto [end, error] = std::from_chars(name.data() + 4, name.data() + name.size(), input.layer);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return std::nullopt;
  std::string_view part(end + 1, static_cast<size_t>(name.data() + name.size() - end - 1));
  if (part.ends_with(".weight")) part.remove_suffix(7);
  if (part == "attn_q" || part == "attn_k" || part == "attn_v" || part == "attn_qkv") {
    input.input = LayerInput::kMixer;
  } else if (part == "attn_output") {
    input.input = LayerInput::kAttended;
  } else if (part == "ffn_gate" || part == "ffn_up") {
    input.input = LayerInput::kMlp;
  } else if (part == "ffn_down") {
    input.input = LayerInput::kDown;
  } else {
    return std::nullopt;
  }
  return input;
}

std::vector<float> InputMoments::MeanSquares() const {
  std::vector<float> means(squares.size());
  for (size_t i = 0; i < means.size(); ++i)
    means[i] = rows > 0 ? static_cast<float>(squares[i] / rows) : 0.0f;
  return means;
}

Result<std::vector<CalibrationWindow>> CutCalibrationText(const Model& model, std::string_view text,
                                                          const std::string& text_name, int64_t size,
                                                          int64_t count) {
  if (size < 2 || size > model.config().context)
    return WrongUsage("calibration: windows of {} tokens, expected 2 to {}", size, model.config().context);
  const std::vector<TokenId> tokens = model.tokenizer().EncodeText(text).tokens;
  const auto all = static_cast<int64_t>(tokens.size()) / size;
  if (all < kLeastWindows) {
    return BadInput(text_name, "text", "{} tokens, expected at least {} to calibrate ({} windows of {})",
                    tokens.size(), kLeastWindows * size, kLeastWindows, size);
  }
  const int64_t taken = std::clamp<int64_t>(count, kLeastWindows, all);
  const SpecialTokens& special = model.tokenizer().special();
  std::vector<CalibrationWindow> windows;
  for (int64_t i = 0; i < taken; ++i) {
    CalibrationWindow window;
    window.first_token = i * all / taken * size;
    window.tokens.assign(tokens.begin() + window.first_token, tokens.begin() + window.first_token + size);
    if (special.add_bos && special.bos != kNoToken) window.tokens.front() = special.bos;
    windows.push_back(std::move(window));
  }
  return windows;
}

Result<std::vector<LayerMoments>> CollectMoments(Runner& runner, Engine& engine,
                                                 std::span<const CalibrationWindow> windows,
                                                 const MomentOptions& options) {
  const auto share = engine.pool.MakeShare();
  const auto pool = PagePool::Create(engine.accounts.kv);
  MomentObserver moments(*share, options.tags, false);
  moments.layers.resize(static_cast<size_t>(runner.model().config().layers));
  Observer* observers[] = {&moments};
  for (size_t i = 0; i < windows.size(); ++i) {
    HONE_CHECK_OK(CheckCancelled(options));
    KvCache cache = runner.model().MakeCache(pool, runner.options().mode);
    const Batch batch = MakeBatch(windows[i], cache, nullptr, 0);
    HONE_CHECK_OK(RunWindow(runner, windows[i], batch, moments, {.head = false, .observers = observers}));
    if (options.progress) options.progress(static_cast<int64_t>(i) + 1, static_cast<int64_t>(windows.size()));
  }
  return std::move(moments.layers);
}

class LayerByLayer::Impl {
 public:
  Impl(Runner& runner, Engine& engine, std::vector<CalibrationWindow> windows, MomentOptions options)
      : runner_(runner),
        windows_(std::move(windows)),
        options_(std::move(options)),
        share_(engine.pool.MakeShare()),
        pool_(PagePool::Create(engine.accounts.kv)),
        moments_(*share_, options_.tags, true) {
    moments_.layers.resize(1);
  }

  Result<const LayerMoments*> Moments(int layer) {
    if (layer < 0 || layer >= runner_.model().config().layers)
      return WrongUsage("calibration: layer {}, expected 0 to {}", layer,
                        runner_.model().config().layers - 1);
    if (layer < next_) next_ = 0;
    while (next_ <= layer) HONE_CHECK_OK(RunLayer(next_++));
    return &moments_.layers[0];
  }

 private:
  // Keeps what the layer hands on.
  class HiddenObserver : public Observer {
   public:
    bool Wants(Tensor tensor, int) const override { return tensor == Tensor::kHidden; }
    void Observe(Tensor, int, std::span<const int64_t>, MatrixView<const float> values) override {
      to->resize(static_cast<size_t>(values.rows * values.columns));
      for (int64_t row = 0; row < values.rows; ++row) {
        std::memcpy(to->data() + row * values.columns, values.row(row),
                    static_cast<size_t>(values.columns) * sizeof(float));
      }
    }
    std::vector<float>* to = nullptr;
  };

  Result<void> RunLayer(int layer) {
    hidden_.resize(windows_.size());
    for (InputMoments& input : moments_.layers[0]) input = {};
    moments_.StartAt(layer);
    HiddenObserver hidden;
    Observer* observers[] = {&moments_, &hidden};
    for (size_t i = 0; i < windows_.size(); ++i) {
      HONE_CHECK_OK(CheckCancelled(options_));
      KvCache cache = runner_.model().MakeCache(pool_, runner_.options().mode);
      const float* from = layer == 0 ? nullptr : hidden_[i].data();
      const Batch batch = MakeBatch(windows_[i], cache, from, runner_.model().config().width);
      hidden.to = &hidden_[i];
      HONE_CHECK_OK(
          RunWindow(runner_, windows_[i], batch, moments_,
                    {.first_layer = layer, .last_layer = layer + 1, .head = false, .observers = observers}));
      if (options_.progress) {
        const auto windows = static_cast<int64_t>(windows_.size());
        options_.progress(layer * windows + static_cast<int64_t>(i) + 1,
                          windows * runner_.model().config().layers);
      }
    }
    return {};
  }

  Runner& runner_;
  std::vector<CalibrationWindow> windows_;
  MomentOptions options_;
  std::unique_ptr<ComputeShare> share_;
  std::shared_ptr<PagePool> pool_;
  MomentObserver moments_;
  std::vector<std::vector<float>> hidden_;  // by window, [tokens, width]
  int next_ = 0;
};

LayerByLayer::LayerByLayer(Runner& runner, Engine& engine, std::vector<CalibrationWindow> windows,
                           MomentOptions options)
    : impl_(std::make_unique<Impl>(runner, engine, std::move(windows), std::move(options))) {}
LayerByLayer::~LayerByLayer() = default;
Result<const LayerMoments*> LayerByLayer::Moments(int layer) { return impl_->Moments(layer); }

}  // namespace hone
