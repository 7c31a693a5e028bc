// A load in real time, and what steps cost on this machine.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/base/random.h"
#include "language/serving/percentile.h"
#include "language/serving/serving_load.h"

namespace hone {
namespace {

constexpr uint32_t kPromptToken = 110;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Player {
 public:
  Player(ServingEngine& engine, std::span<const LoadRequest> load, const TrafficOptions& options)
      : engine_(engine), load_(load), options_(options), served_(load.size()) {}

  Result<std::vector<ServedRequestTimes>> Play(const std::atomic<bool>* cancel) {
    const double start = Seconds();
    const bool closed = options_.arrivals == Arrivals::kClosed;
    std::unique_lock lock(mutex_);
    for (size_t i = 0; i < load_.size(); ++i) {
      const auto stop = [&] { return cancel != nullptr && cancel->load(); };
      if (closed) {
        while (open_ >= options_.clients && !stop()) changed_.wait_for(lock, std::chrono::milliseconds(100));
      } else {
        const double left = start + load_[i].at - Seconds();
        lock.unlock();
        if (left > 0.0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
        lock.lock();
      }
      if (stop()) break;
      HONE_CHECK_OK(Submit(i, lock));
    }
    while (open_ > 0) {
      if (cancel != nullptr && cancel->load()) {
        lock.unlock();
        engine_.CancelAll();
        lock.lock();
      }
      changed_.wait_for(lock, std::chrono::milliseconds(100));
    }
    if (cancel != nullptr && cancel->load())
      return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted"});
    return std::move(served_);
  }

 private:
  Result<void> Submit(size_t i, std::unique_lock<std::mutex>& lock) {
    ModelJob job;
    const auto vocabulary = static_cast<uint64_t>(engine_.model().config().vocabulary);
    for (int64_t t = 0; t < load_[i].prompt_tokens; ++t) {
      const uint64_t position = i * 100000 + static_cast<uint64_t>(t);
      job.prompt.push_back(
          static_cast<TokenId>(RandomWord(options_.seed, position, kPromptToken) % vocabulary));
    }
    job.rules.max_tokens = load_[i].answer_tokens;
    job.rules.ignore_ends = true;
    SamplingOptions sampling;
    sampling.seed = options_.seed + i;
    job.strategy = PlainStrategy(sampling, {});
    job.listener.token = [this, i](const ChosenToken&) {
      const double now = Seconds();
      const std::lock_guard guard(gap_mutex_);
      double& last = last_token_[i];
      if (last > 0.0) longest_gap_[i] = std::max(longest_gap_[i], now - last);
      last = now;
    };
    job.ended = [this, i](const ModelJob::Ended& ended) {
      const std::lock_guard guard(mutex_);
      {
        const std::lock_guard gaps(gap_mutex_);
        served_[i].longest_gap = longest_gap_[i];
      }
      served_[i].done = ended.end == JobEnd::kDone && ended.generation.finish() == FinishReason::kLength;
      served_[i].answer_tokens = static_cast<int64_t>(ended.generation.tokens().size());
      served_[i].times = ended.times;
      --open_;
      changed_.notify_all();
    };
    ++open_;
    served_[i].times.arrival = engine_.now();
    lock.unlock();
    auto submitted = engine_.Submit(std::move(job), {});
    lock.lock();
    if (!submitted || std::holds_alternative<Refusal>(*submitted)) --open_;
    if (!submitted) return tl::unexpected(submitted.error());
    return {};
  }

  ServingEngine& engine_;
  std::span<const LoadRequest> load_;
  const TrafficOptions& options_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<ServedRequestTimes> served_;
  int64_t open_ = 0;
  std::mutex gap_mutex_;  // guards what follows
  std::vector<double> last_token_ = std::vector<double>(load_.size(), 0.0);
  std::vector<double> longest_gap_ = std::vector<double>(load_.size(), 0.0);
};

// Runs one step of `rows` rows of one sequence (or one row of `rows` sequences) that hold `context` entries.
class StepMeter {
 public:
  StepMeter(std::shared_ptr<const Model> model, Engine& engine, NumericMode mode,
            std::unique_ptr<Runner> runner)
      : model_(std::move(model)),
        pool_(PagePool::Create(engine.accounts.kv)),
        mode_(mode),
        runner_(std::move(runner)) {}

  Result<double> Seconds(int64_t sequences, int64_t rows, int64_t context) {
    std::vector<std::unique_ptr<Sequence>> all;
    HONE_TRY(auto first, Filled(context, rows));
    all.push_back(std::move(first));
    for (int64_t s = 1; s < sequences; ++s) {
      HONE_TRY(KvCache cache, all[0]->cache.Fork());
      all.push_back(std::make_unique<Sequence>(Sequence{.cache = std::move(cache),
                                                        .tokens = all[0]->tokens,
                                                        .prompt_tokens = all[0]->prompt_tokens,
                                                        .cached = all[0]->cached}));
    }
    constexpr int kRepeat = 3;
    std::vector<double> seconds;
    for (int repeat = 0; repeat < kRepeat; ++repeat) {
      Batch batch;
      for (auto& sequence : all) AppendRows(*sequence, context, context + rows, true, false, batch);
      const double begin = hone::Seconds();
      HONE_CHECK_OK(runner_->Run(batch, [](int64_t, std::span<float>) {}));
      seconds.push_back(hone::Seconds() - begin);
      for (auto& sequence : all) {
        HONE_CHECK_OK(sequence->cache.TruncateToPosition(static_cast<int32_t>(context)));
      }
    }
    return Percentile(seconds, 0.5);
  }

 private:
  Result<std::unique_ptr<Sequence>> Filled(int64_t context, int64_t rows) {
    std::vector<TokenId> tokens(static_cast<size_t>(context + rows));
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = static_cast<TokenId>(i * 7 % 1000 % static_cast<size_t>(model_->config().vocabulary));
    auto sequence = std::make_unique<Sequence>(Sequence{.cache = model_->MakeCache(pool_, mode_),
                                                        .tokens = std::move(tokens),
                                                        .prompt_tokens = context + rows});
    const int64_t chunk = runner_->options().max_rows;
    for (int64_t at = 0; at < context; at += chunk) {
      Batch batch;
      AppendRows(*sequence, at, std::min(context, at + chunk), false, false, batch);
      HONE_CHECK_OK(runner_->Run(batch, [](int64_t, std::span<float>) {}));
    }
    sequence->cached = context;
    return sequence;
  }

  std::shared_ptr<const Model> model_;
  std::shared_ptr<PagePool> pool_;
  NumericMode mode_;
  std::unique_ptr<Runner> runner_;
};

}  // namespace

Result<std::vector<ServedRequestTimes>> PlayLoad(ServingEngine& engine, std::span<const LoadRequest> load,
                                                 const TrafficOptions& options,
                                                 const std::atomic<bool>* cancel) {
  return Player(engine, load, options).Play(cancel);
}

Result<StepCosts> MeasureStepCosts(std::shared_ptr<const Model> model, Engine& engine, NumericMode mode,
                                   int64_t most_rows) {
  HONE_TRY(auto runner, Runner::Create(model, engine, {.mode = mode, .max_rows = most_rows}));
  most_rows = runner->options().max_rows;
  const int64_t context = std::min<int64_t>(512, model->config().context / 2);
  StepMeter meter(std::move(model), engine, mode, std::move(runner));
  StepCosts costs;
  constexpr int64_t kShort = 1;
  HONE_CHECK_OK(meter.Seconds(1, 1, kShort));  // wakes threads, faults pages in
  for (int64_t rows = 1; rows <= most_rows; rows *= 2) {
    HONE_TRY(const double seconds, meter.Seconds(rows, 1, kShort));
    costs.points.push_back({rows, seconds});
  }
  constexpr int64_t kBatch = 8;
  HONE_TRY(const double near, meter.Seconds(kBatch, 1, kShort));
  HONE_TRY(const double far, meter.Seconds(kBatch, 1, context));
  costs.seconds_per_decode_entry =
      std::max(0.0, (far - near) / static_cast<double>(kBatch * (context - kShort)));
  const int64_t chunk = std::min<int64_t>(64, most_rows);
  HONE_TRY(const double chunk_near, meter.Seconds(1, chunk, kShort));
  HONE_TRY(const double chunk_far, meter.Seconds(1, chunk, context));
  costs.seconds_per_prefill_entry =
      std::max(0.0, (chunk_far - chunk_near) / static_cast<double>(chunk * (context - kShort)));
  return costs;
}

}  // namespace hone
