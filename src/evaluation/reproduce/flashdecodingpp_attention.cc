#include "evaluation/reproduce/flashdecodingpp_attention.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "core/downloads/model_cache.h"
#include "core/kernels/elementwise.h"
#include "language/calibration/softmax_calibration.h"
#include "language/decoding/chat_prompt.h"
#include "language/models/runner.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m", "gemma3-270m"};
constexpr int64_t kWindow = 512;  // of calibration and coverage
constexpr int64_t kWindows = 32;  // the dossier's 32 x 512 tokens
constexpr int64_t kForced = 128;  // tokens of a teacher-forced piece
constexpr int64_t kForcedPieces = 64;
constexpr float kInjected = 12.0f;  // factor of the queries of one layer
constexpr int kSteps = 6;           // of the progress bar, a model

// One model with all that the measurements share.
struct Subject {
  std::string name;
  Engine engine;
  std::shared_ptr<const Model> model;
  std::vector<TokenId> calibration_text, test_text;

  Subject(std::string model_name, int threads) : name(std::move(model_name)), engine(threads) {}

  Result<std::unique_ptr<Runner>> MakeRunner(NumericMode mode,
                                             std::vector<std::vector<SoftmaxScale>> softmax) {
    RunnerOptions options;
    options.mode = mode;
    options.max_rows = kWindow;
    options.softmax = std::move(softmax);
    return Runner::Create(model, engine, options);
  }
};

// --- 1. Correctness

struct Agreement {
  int64_t rows = 0;
  int64_t same = 0;
  double largest_difference = 0.0;
  double largest_gap = 0.0;  // between the two best logits where the arg-max differs
};

// Feeds each piece to both runners and compares all logits.
Result<void> CompareLogits(Subject& subject, Runner& running, Runner& fixed,
                           std::span<const std::vector<TokenId>> pieces, Agreement& agreement) {
  const auto pool = PagePool::Create(subject.engine.accounts.kv);
  std::vector<std::vector<float>> expected;
  for (const auto& piece : pieces) {
    for (Runner* runner : {&running, &fixed}) {
      Sequence sequence{.cache = subject.model->MakeCache(pool, runner->options().mode)};
      sequence.tokens = piece;
      sequence.prompt_tokens = static_cast<int64_t>(piece.size());
      Batch batch;
      AppendRows(sequence, 0, sequence.prompt_tokens, false, true, batch);
      HONE_CHECK_OK(runner->Run(batch, [&](int64_t row, std::span<float> logits) {
        const auto at = static_cast<size_t>(row);
        if (runner == &running) {
          if (expected.size() <= at) expected.resize(at + 1);
          expected[at].assign(logits.begin(), logits.end());
          return;
        }
        const std::vector<float>& other = expected[at];
        double difference = 0.0;
        for (size_t i = 0; i < logits.size(); ++i)
          difference = std::max(difference, std::abs(static_cast<double>(logits[i]) - other[i]));
        agreement.largest_difference = std::max(agreement.largest_difference, difference);
        const auto a = static_cast<size_t>(ArgMax(logits));
        const auto b = static_cast<size_t>(ArgMax(other));
        ++agreement.rows;
        agreement.same += a == b;
        if (a != b)
          agreement.largest_gap = std::max(agreement.largest_gap, static_cast<double>(other[b]) - other[a]);
      }));
    }
  }
  return {};
}

Result<void> MeasureCorrectness(Subject& subject, const std::vector<std::vector<SoftmaxScale>>& scales,
                                Report& report) {
  HONE_TRY(const auto pieces, CalibrationWindows(*subject.model, subject.test_text, kForced, kForcedPieces));
  HONE_TRY(const auto running, subject.MakeRunner(NumericMode::kExact, {}));
  HONE_TRY(const auto fixed, subject.MakeRunner(NumericMode::kExact, scales));
  Agreement agreement;
  HONE_CHECK_OK(CompareLogits(subject, *running, *fixed, pieces, agreement));
  const std::string what =
      fmt::format("fixed phi against running maximum, {} x {} tokens", pieces.size(), kForced);
  const double same = 100.0 * static_cast<double>(agreement.same) / static_cast<double>(agreement.rows);
  report.Add(Aspect::kQuality, subject.name, what + ": same arg-max", same, "%")
      .AtLeast(99.9)
      .Difference(agreement.same == agreement.rows
                      ? std::string()
                      : fmt::format("where it differs the two best logits lie at most {:.2g} apart",
                                    agreement.largest_gap));
  report
      .Add(Aspect::kQuality, subject.name, what + ": largest logit difference", agreement.largest_difference,
           "")
      .AtMost(1e-3);
  return {};
}

// --- 2. Coverage

Result<void> MeasureCoverage(Subject& subject, const std::vector<std::vector<SoftmaxScale>>& scales,
                             Report& report) {
  HONE_TRY(const auto windows, CalibrationWindows(*subject.model, subject.test_text, kWindow, kWindows));
  HONE_TRY(const auto fixed, subject.MakeRunner(NumericMode::kFast, scales));
  const auto pool = PagePool::Create(subject.engine.accounts.kv);
  for (const auto& window : windows) {
    Sequence sequence{.cache = subject.model->MakeCache(pool, NumericMode::kFast)};
    sequence.tokens = window;
    sequence.prompt_tokens = static_cast<int64_t>(window.size());
    Batch batch;
    AppendRows(sequence, 0, sequence.prompt_tokens, false, false, batch);
    HONE_CHECK_OK(fixed->Run(batch, [](int64_t, std::span<float>) {}, {.head = false}));
  }
  const AttentionCounters all = fixed->counters().AllLayers();
  report
      .Add(Aspect::kQuality, subject.name,
           fmt::format("rows computed again on text that phi was not chosen from ({} of {})",
                       all.rows_recomputed, all.rows_checked),
           static_cast<double>(all.rows_recomputed) / static_cast<double>(all.rows_checked), "")
      .AtMost(1e-4)
      .Paper("scores outside the range: at most 0.01 % (Llama2-7B)");
  return {};
}

void ReportRanges(const Subject& subject, const SoftmaxCalibration& calibration, Report& report) {
  std::string line = fmt::format("{}: 99.99 % of the scores of each layer:", subject.name);
  float low = calibration.LayerRange(0).low;
  float high = calibration.LayerRange(0).high;
  for (int layer = 0; layer < calibration.layers; ++layer) {
    const ScoreRange range = calibration.LayerRange(layer);
    line += fmt::format(" {:.1f}..{:.1f}", range.low, range.high);
    low = std::min(low, range.low);
    high = std::max(high, range.high);
  }
  report.notes.push_back(line);
  report.Add(Aspect::kQuality, subject.name, "lower end of the scores' range, all layers", low, "")
      .Paper("-16.8 Llama2-7B, -496.8 OPT-6.7B, -10.5 ChatGLM2-6B");
  report.Add(Aspect::kQuality, subject.name, "upper end of the scores' range, all layers", high, "")
      .Paper("6.5 Llama2-7B, 363.5 OPT-6.7B, 13.7 ChatGLM2-6B");
  if (const auto bound = subject.model->score_bound(0)) {
    float largest = *bound;
    for (int layer = 0; layer < calibration.layers; ++layer)
      largest = std::max(largest, *subject.model->score_bound(layer));
    report.notes.push_back(
        fmt::format("{}: the gains of its query and key norms bound every score, whatever the text, by "
                    "{:.0f}; the guard stays",
                    subject.name, largest));
  }
}

// --- 3. Injected overflow

// The query, key and value of one layer, as attention gets them.
class Recorder : public Observer {
 public:
  explicit Recorder(int layer) : layer_(layer) {}
  bool Wants(Tensor tensor, int layer) const override {
    return layer == layer_ &&
           (tensor == Tensor::kQuery || tensor == Tensor::kKey || tensor == Tensor::kValue);
  }
  void Observe(Tensor tensor, int, std::span<const int64_t>, MatrixView<const float> values) override {
    std::vector<float>& to = tensor == Tensor::kQuery ? query : tensor == Tensor::kKey ? key : value;
    for (int64_t row = 0; row < values.rows; ++row)
      to.insert(to.end(), values.row(row), values.row(row) + values.columns);
  }
  std::vector<float> query, key, value;

 private:
  int layer_;
};

// Keys and values of one sequence in tiles, and causal views of its last rows.
struct TiledCache {
  TiledCache(int kv_heads, int head_dim, int64_t entries, TileFormat format)
      : tile_bytes(TileBytes(format, head_dim)),
        tile_count((entries + kTileEntries - 1) / kTileEntries),
        memory(static_cast<size_t>(kv_heads * tile_count * tile_bytes)),
        pointers(static_cast<size_t>(kv_heads)) {
    for (int head = 0; head < kv_heads; ++head) {
      for (int64_t tile = 0; tile < tile_count; ++tile)
        pointers[static_cast<size_t>(head)].push_back(memory.data() +
                                                      (head * tile_count + tile) * tile_bytes);
      heads.push_back({format, pointers[static_cast<size_t>(head)], {}});
    }
  }
  std::byte* tile(int head, int64_t index) {
    return memory.data() + (head * tile_count + index) * tile_bytes;
  }
  void SeeCausally(int64_t rows, int64_t entries) {
    for (int64_t row = 0; row < rows; ++row)
      spans.push_back({0, static_cast<int32_t>(entries - rows + row + 1)});
    for (const EntrySpan& span : spans) views.push_back({{&span, 1}, nullptr});
  }

  int64_t tile_bytes;
  int64_t tile_count;
  std::vector<std::byte> memory;
  std::vector<std::vector<const std::byte*>> pointers;
  std::vector<KvTiles> heads;
  std::vector<EntrySpan> spans;
  std::vector<RowView> views;
};

std::vector<float> RunAttention(ComputeShare& share, const AttentionShape& shape, const TiledCache& cache,
                                const std::vector<float>& query, AttentionCounters* counters) {
  const auto rows = static_cast<int64_t>(cache.views.size());
  const int64_t columns = int64_t{shape.heads} * shape.head_dim;
  const AttentionItem item{0, rows, cache.heads, cache.views};
  std::vector<std::byte> scratch(static_cast<size_t>(AttentionScratchBytes(shape, {&item, 1})));
  std::vector<float> output(query.size());
  Attention(share, shape, {&item, 1}, {query.data(), rows, columns}, {output.data(), rows, columns}, scratch,
            counters);
  return output;
}

// (row, head) pairs whose largest score leaves the range, counted in float64 from the recorded numbers.
std::vector<bool> Offenders(const AttentionShape& shape, const Recorder& recorder, int64_t rows) {
  const int group = shape.heads / shape.kv_heads;
  std::vector<bool> offends;
  for (int64_t row = 0; row < rows; ++row) {
    for (int head = 0; head < shape.heads; ++head) {
      const float* query = recorder.query.data() + (row * shape.heads + head) * shape.head_dim;
      double largest = -INFINITY;
      for (int64_t entry = 0; entry <= row; ++entry) {
        const float* key = recorder.key.data() + (entry * shape.kv_heads + head / group) * shape.head_dim;
        double score = 0.0;
        for (int d = 0; d < shape.head_dim; ++d) score += static_cast<double>(query[d]) * key[d];
        largest = std::max(largest, shape.scale * score);
      }
      const SoftmaxScale& scale = shape.softmax[static_cast<size_t>(head / group)];
      offends.push_back(largest - scale.phi >= scale.above || largest - scale.phi <= scale.below);
    }
  }
  return offends;
}

// One layer's real numbers with queries times kInjected: every row that leaves the range must have the bits
// of the running maximum, and no other row may be computed again.
Result<void> MeasureInjection(Subject& subject, const std::vector<std::vector<SoftmaxScale>>& scales,
                              Report& report) {
  HONE_TRY(const auto windows, CalibrationWindows(*subject.model, subject.test_text, kForced, 1));
  const ModelConfig& config = subject.model->config();
  const int layer = config.layers / 2;
  HONE_TRY(const auto runner, subject.MakeRunner(NumericMode::kExact, {}));
  Recorder recorder(layer);
  Observer* observers[] = {&recorder};
  Sequence sequence{
      .cache = subject.model->MakeCache(PagePool::Create(subject.engine.accounts.kv), NumericMode::kExact)};
  sequence.tokens = windows[0];
  sequence.prompt_tokens = kForced;
  Batch batch;
  AppendRows(sequence, 0, kForced, false, false, batch);
  HONE_CHECK_OK(
      runner->Run(batch, [](int64_t, std::span<float>) {}, {.head = false, .observers = observers}));

  for (float& x : recorder.query) x *= kInjected;
  TiledCache cache(config.kv_heads, config.head_dim, kForced, TileFormat::kF32);
  for (int64_t entry = 0; entry < kForced; ++entry) {
    for (int head = 0; head < config.kv_heads; ++head) {
      const int64_t at = (entry * config.kv_heads + head) * config.head_dim;
      WriteEntry(TileFormat::kF32, config.head_dim, static_cast<int>(entry % kTileEntries),
                 recorder.key.data() + at, recorder.value.data() + at,
                 cache.tile(head, entry / kTileEntries));
    }
  }
  cache.SeeCausally(kForced, kForced);
  AttentionShape shape{config.heads, config.kv_heads, config.head_dim, config.attention_scale, {}};
  const auto share = subject.engine.pool.MakeShare();
  const std::vector<float> running = RunAttention(*share, shape, cache, recorder.query, nullptr);
  shape.softmax = scales[static_cast<size_t>(layer)];
  AttentionCounters counters;
  const std::vector<float> fixed = RunAttention(*share, shape, cache, recorder.query, &counters);

  const std::vector<bool> offends = Offenders(shape, recorder, kForced);
  const int64_t expected = std::count(offends.begin(), offends.end(), true);
  int64_t same_bits = 0;
  double largest = 0.0;
  for (size_t pair = 0; pair < offends.size(); ++pair) {
    const size_t at = pair * static_cast<size_t>(config.head_dim);
    same_bits += offends[pair] && std::memcmp(&fixed[at], &running[at],
                                              sizeof(float) * static_cast<size_t>(config.head_dim)) == 0;
    for (size_t i = at; i < at + static_cast<size_t>(config.head_dim); ++i)
      largest = std::max(largest, std::abs(static_cast<double>(fixed[i]) - running[i]));
  }
  const std::string what = fmt::format("layer {}, queries times {:.0f}", layer, kInjected);
  report
      .Add(Aspect::kQuality, subject.name, what + ": rows computed again",
           static_cast<double>(counters.rows_recomputed), fmt::format("of {}", offends.size()))
      .Within(static_cast<double>(expected), static_cast<double>(expected))
      .Difference("expected: the offenders counted one by one in float64");
  report
      .Add(Aspect::kQuality, subject.name, what + ": offenders with the bits of the running maximum",
           static_cast<double>(same_bits), "")
      .Within(static_cast<double>(expected), static_cast<double>(expected));
  report.Add(Aspect::kQuality, subject.name, what + ": largest difference of the output", largest, "")
      .AtMost(1e-3);
  return {};
}

// --- 4. Speed

// Median over rounds of time(running) / time(fixed), the two in turn.
double SpeedUp(ComputeShare& share, const AttentionShape& shape, int64_t entries) {
  constexpr int kRounds = 41;
  constexpr int kCaches = 6;  // so that long contexts are read from memory, as in a model of many layers
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<std::unique_ptr<TiledCache>> caches;
  std::vector<float> numbers(static_cast<size_t>(shape.head_dim));
  for (int i = 0; i < kCaches; ++i) {
    caches.push_back(std::make_unique<TiledCache>(shape.kv_heads, shape.head_dim, entries, TileFormat::kF16));
    for (int64_t entry = 0; entry < entries; ++entry) {
      for (int head = 0; head < shape.kv_heads; ++head) {
        for (float& x : numbers) x = normal(random);
        WriteEntry(TileFormat::kF16, shape.head_dim, static_cast<int>(entry % kTileEntries), numbers.data(),
                   numbers.data(), caches.back()->tile(head, entry / kTileEntries));
      }
    }
    caches.back()->SeeCausally(1, entries);
  }
  std::vector<float> query(static_cast<size_t>(shape.heads * shape.head_dim));
  for (float& x : query) x = normal(random);
  const std::vector<SoftmaxScale> fixed(static_cast<size_t>(shape.kv_heads), {.fixed = true, .phi = 1.0f});
  AttentionShape with_phi = shape;
  with_phi.softmax = fixed;
  const auto time = [&](const AttentionShape& which) {
    const auto begin = std::chrono::steady_clock::now();
    for (const auto& cache : caches) RunAttention(share, which, *cache, query, nullptr);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  std::vector<double> ratios;
  for (int round = 0; round < kRounds; ++round) {
    const double running = time(shape);
    ratios.push_back(running / time(with_phi));
  }
  std::nth_element(ratios.begin(), ratios.begin() + kRounds / 2, ratios.end());
  return ratios[kRounds / 2];
}

void MeasureSpeed(Subject& subject, Report& report) {
  const ModelConfig& config = subject.model->config();
  const AttentionShape shape{config.heads, config.kv_heads, config.head_dim, config.attention_scale, {}};
  const auto share = subject.engine.pool.MakeShare();
  double product = 1.0;
  constexpr int64_t kContexts[] = {512, 2048, 8192};
  for (const int64_t entries : kContexts) {
    const double ratio = SpeedUp(*share, shape, entries);
    product *= ratio;
    report.Add(Aspect::kSpeed, subject.name,
               fmt::format("decode attention, {} entries: running over fixed", entries), ratio, "x");
  }
  report
      .Add(Aspect::kSpeed, subject.name, "decode attention: running over fixed, mean",
           std::pow(product, 1.0 / std::size(kContexts)), "x")
      .AtLeast(0.97)
      .Paper("1.14x of attention in decode (GPU, MLSys 2024)")
      .Difference(
          "a running maximum is nearly free where one core walks a row: there is no barrier between parts");
}

Result<void> MeasureModel(ExperimentContext& context, Subject& subject, int64_t done, int64_t total,
                          Report& report) {
  const auto step = [&] { return context.Step(done++, total); };
  HONE_CHECK_OK(step());
  HONE_TRY(const auto windows,
           CalibrationWindows(*subject.model, subject.calibration_text, kWindow, kWindows));
  HONE_TRY(const auto runner, subject.MakeRunner(NumericMode::kFast, {}));
  HONE_TRY(const SoftmaxCalibration calibration,
           CalibrateSoftmax(*runner, subject.engine, windows, {.cancel = context.options().cancel}));
  HONE_CHECK_OK(step());
  ReportRanges(subject, calibration, report);
  const auto scales = SoftmaxScales(calibration, subject.model->config().context);
  HONE_CHECK_OK(MeasureCorrectness(subject, scales, report));
  HONE_CHECK_OK(step());
  HONE_CHECK_OK(MeasureCoverage(subject, scales, report));
  HONE_CHECK_OK(step());
  HONE_CHECK_OK(MeasureInjection(subject, scales, report));
  HONE_CHECK_OK(step());
  MeasureSpeed(subject, report);
  return step();
}

}  // namespace

Result<void> ReproduceFixedSoftmax(ExperimentContext& context, Report& report) {
  HONE_TRY(const auto names, context.Models(kModels));
  HONE_TRY(const auto text, context.ReadText());
  report.text = text.name;
  const auto total = static_cast<int64_t>(names.size()) * kSteps;
  for (size_t i = 0; i < names.size(); ++i) {
    Subject subject(names[i], context.threads());
    HONE_TRY(const std::string path, ResolveModel(names[i]));
    HONE_TRY(subject.model, LoadModel(path, subject.engine));
    subject.calibration_text = EncodePrompt(subject.model->tokenizer(), text.first_half).tokens;
    subject.test_text = EncodePrompt(subject.model->tokenizer(), text.second_half).tokens;
    report.models.push_back(names[i]);
    HONE_CHECK_OK(MeasureModel(context, subject, static_cast<int64_t>(i) * kSteps, total, report));
  }
  return context.Step(total, total);
}

}  // namespace hone
