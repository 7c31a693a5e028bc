#include "language/serving/measure_costs.h"

#include <algorithm>
#include <chrono>
#include <thread>
#include <vector>

#include "language/models/sequence.h"
#include "language/serving/percentile.h"

namespace hone {
namespace {

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

// Runs one step again and again: `rows` rows of each of some sequences that hold `context` entries.
class StepMeter {
 public:
  static Result<std::unique_ptr<StepMeter>> Create(std::shared_ptr<const Model> model, Engine& engine,
                                                   NumericMode mode, int64_t most_rows) {
    std::unique_ptr<StepMeter> meter(new StepMeter());
    HONE_TRY(meter->runner_, Runner::Create(model, engine, {.mode = mode, .max_rows = most_rows}));
    meter->pool_ = PagePool::Create(engine.accounts.kv);
    meter->model_ = std::move(model);
    meter->mode_ = mode;
    return meter;
  }
  int64_t most_rows() const { return runner_->options().max_rows; }
  Runner& runner() { return *runner_; }

  Result<void> Prepare(int64_t sequences, int64_t rows, int64_t context) {
    all_.clear();
    rows_ = rows;
    context_ = context;
    HONE_TRY(auto first, Filled());
    all_.push_back(std::move(first));
    for (int64_t s = 1; s < sequences; ++s) {
      HONE_TRY(KvCache cache, all_[0]->cache.Fork());
      all_.push_back(std::make_unique<Sequence>(Sequence{.cache = std::move(cache),
                                                         .tokens = all_[0]->tokens,
                                                         .prompt_tokens = all_[0]->prompt_tokens,
                                                         .cached = all_[0]->cached}));
    }
    return {};
  }

  Result<double> Once() {
    Batch batch;
    for (auto& sequence : all_) AppendRows(*sequence, context_, context_ + rows_, true, false, batch);
    const double begin = Now();
    HONE_CHECK_OK(runner_->Run(batch, [](int64_t, std::span<float>) {}));
    const double seconds = Now() - begin;
    for (auto& sequence : all_) {
      HONE_CHECK_OK(sequence->cache.TruncateToPosition(static_cast<int32_t>(context_)));
    }
    return seconds;
  }

  Result<double> Seconds(int64_t sequences, int64_t rows, int64_t context) {
    HONE_CHECK_OK(Prepare(sequences, rows, context));
    constexpr int kRepeat = 3;
    std::vector<double> seconds;
    for (int repeat = 0; repeat < kRepeat; ++repeat) {
      HONE_TRY(const double one, Once());
      seconds.push_back(one);
    }
    return Percentile(seconds, 0.5);
  }

  // Steps a second over about that long.
  Result<double> Rate(double seconds) {
    const double begin = Now();
    int64_t steps = 0;
    while (Now() - begin < seconds) {
      HONE_CHECK_OK(Once());
      ++steps;
    }
    return static_cast<double>(steps) / (Now() - begin);
  }

 private:
  StepMeter() = default;
  Result<std::unique_ptr<Sequence>> Filled() {
    const auto vocabulary = static_cast<size_t>(model_->config().vocabulary);
    std::vector<TokenId> tokens(static_cast<size_t>(context_ + rows_));
    for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<TokenId>(i * 7 % 1000 % vocabulary);
    auto sequence = std::make_unique<Sequence>(Sequence{.cache = model_->MakeCache(pool_, mode_),
                                                        .tokens = std::move(tokens),
                                                        .prompt_tokens = context_ + rows_});
    for (int64_t at = 0; at < context_; at += most_rows()) {
      Batch batch;
      AppendRows(*sequence, at, std::min(context_, at + most_rows()), false, false, batch);
      HONE_CHECK_OK(runner_->Run(batch, [](int64_t, std::span<float>) {}));
    }
    sequence->cached = context_;
    return sequence;
  }

  std::shared_ptr<const Model> model_;
  std::shared_ptr<PagePool> pool_;
  NumericMode mode_ = NumericMode::kFast;
  std::unique_ptr<Runner> runner_;
  std::vector<std::unique_ptr<Sequence>> all_;
  int64_t rows_ = 0;
  int64_t context_ = 0;
};

PhasePair::PhasePair() = default;
PhasePair::~PhasePair() = default;

Result<std::unique_ptr<PhasePair>> PhasePair::Create(std::shared_ptr<const Model> model, Engine& engine,
                                                     NumericMode mode, int64_t rows, int64_t sequences,
                                                     int64_t context) {
  std::unique_ptr<PhasePair> pair(new PhasePair());
  HONE_TRY(pair->prefill_, StepMeter::Create(model, engine, mode, rows));
  HONE_TRY(pair->decode_, StepMeter::Create(model, engine, mode, std::max<int64_t>(sequences, 64)));
  HONE_CHECK_OK(pair->prefill_->Prepare(1, rows, context));
  HONE_CHECK_OK(pair->decode_->Prepare(sequences, 1, context));
  return pair;
}

Result<PhaseRates> PhasePair::Run(Which which, const Shares& shares, double seconds) {
  prefill_->runner().SetWeight(shares.prefill);
  decode_->runner().SetWeight(shares.decode);
  PhaseRates rates;
  if (which == Which::kPrefill) {
    HONE_TRY(rates.prefill, prefill_->Rate(seconds));
    return rates;
  }
  if (which == Which::kDecode) {
    HONE_TRY(rates.decode, decode_->Rate(seconds));
    return rates;
  }
  Result<double> decode = 0.0;
  std::thread other([&] { decode = decode_->Rate(seconds); });
  const Result<double> prefill = prefill_->Rate(seconds);
  other.join();
  if (!prefill) return tl::unexpected(prefill.error());
  if (!decode) return tl::unexpected(decode.error());
  return PhaseRates{*prefill, *decode};
}

Result<StepCosts> MeasureStepCosts(std::shared_ptr<const Model> model, Engine& engine, NumericMode mode,
                                   int64_t most_rows) {
  HONE_TRY(const auto meter, StepMeter::Create(model, engine, mode, most_rows));
  most_rows = meter->most_rows();
  const int64_t context = std::min<int64_t>(512, model->config().context / 2);
  StepCosts costs;
  constexpr int64_t kShort = 1;
  HONE_CHECK_OK(meter->Seconds(1, 1, kShort));  // wakes threads, faults pages in
  for (int64_t rows = 1; rows <= most_rows; rows *= 2) {
    // More answers than a server writes at once need no measuring: the last two points go on.
    constexpr int64_t kMostAnswers = 64;
    HONE_TRY(const double prompt, meter->Seconds(1, rows, kShort));
    costs.prompt_points.push_back({rows, prompt});
    if (rows > kMostAnswers) continue;
    HONE_TRY(const double answers, meter->Seconds(rows, 1, kShort));
    costs.points.push_back({rows, answers});
  }
  constexpr int64_t kBatch = 8;
  HONE_TRY(const double near, meter->Seconds(kBatch, 1, kShort));
  HONE_TRY(const double far, meter->Seconds(kBatch, 1, context));
  costs.seconds_per_decode_entry =
      std::max(0.0, (far - near) / static_cast<double>(kBatch * (context - kShort)));
  const int64_t chunk = std::min<int64_t>(64, most_rows);
  HONE_TRY(const double chunk_near, meter->Seconds(1, chunk, kShort));
  HONE_TRY(const double chunk_far, meter->Seconds(1, chunk, context));
  costs.seconds_per_prefill_entry =
      std::max(0.0, (chunk_far - chunk_near) / static_cast<double>(chunk * (context - kShort)));

  // Side by side: how much of what each does alone the two do together.
  HONE_TRY(const auto pair, PhasePair::Create(std::move(model), engine, mode, chunk, 4, context / 2));
  constexpr double kSeconds = 0.4;
  HONE_TRY(const PhaseRates prefill, pair->Run(PhasePair::Which::kPrefill, {}, kSeconds));
  HONE_TRY(const PhaseRates decode, pair->Run(PhasePair::Which::kDecode, {}, kSeconds));
  HONE_TRY(const PhaseRates both, pair->Run(PhasePair::Which::kBoth, {}, 2.0 * kSeconds));
  costs.paired = both.prefill / prefill.prefill + both.decode / decode.decode;
  return costs;
}

}  // namespace hone
