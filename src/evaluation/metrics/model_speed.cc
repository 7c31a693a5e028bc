#include "evaluation/metrics/model_speed.h"

#include <algorithm>
#include <chrono>

#include "core/base/random.h"
#include "core/kernels/elementwise.h"
#include "language/decoding/long_rope.h"
#include "language/models/sequence.h"

namespace hone {
namespace {

constexpr uint64_t kSeed = 20261125;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Pass {
 public:
  Pass(Runner& runner, const std::shared_ptr<PagePool>& pool, const SpeedOptions& options)
      : runner_(runner), pool_(pool), options_(options) {}

  // Seconds that reading the prompt takes; each operator's go to `times` where it is given.
  Result<double> Prefill(OperatorTimes* times) {
    HONE_CHECK_OK(Start(options_.context, options_.context + options_.prefill));
    const double start = Seconds();
    HONE_CHECK_OK(Read(options_.prefill, times));
    return Seconds() - start;
  }

  // Both, the answer behind the prompt.
  Result<RequestSeconds> Request() {
    HONE_CHECK_OK(Start(0, options_.prefill + options_.decode));
    RequestSeconds seconds;
    const double start = Seconds();
    HONE_CHECK_OK(Read(options_.prefill));
    seconds.prefill = Seconds() - start;
    HONE_CHECK_OK(Write(nullptr));
    seconds.decode = Seconds() - start - seconds.prefill;
    return seconds;
  }

  // Seconds that writing the answer takes. At least one token stands before it.
  Result<double> Decode(OperatorTimes* times) {
    const int64_t before = std::max<int64_t>(options_.context, 1);
    HONE_CHECK_OK(Start(before, before + options_.decode));
    const double start = Seconds();
    HONE_CHECK_OK(Write(times));
    return Seconds() - start;
  }

 private:
  TokenId RandomToken(uint64_t position) const {
    const auto vocabulary = static_cast<uint64_t>(runner_.model().config().vocabulary);
    return static_cast<TokenId>(RandomWord(kSeed, position, 0) % vocabulary);
  }

  // Sequences that hold `context` tokens and will hold `length`. The context is read once: later passes fork
  // it.
  Result<void> Start(int64_t context, int64_t length) {
    Sequence first{.cache = runner_.model().MakeCache(pool_, runner_.options().mode)};
    HONE_CHECK_OK(ChooseRopeFactors(runner_.model().config(), length, first));
    const bool held = !held_.empty() && static_cast<int64_t>(held_.front().tokens.size()) == context &&
                      held_.front().long_rope == first.long_rope;
    if (!held) {
      sequences_.clear();
      for (int64_t i = 0; i < options_.batch; ++i) {
        sequences_.push_back(Sequence{.cache = runner_.model().MakeCache(pool_, runner_.options().mode)});
        sequences_.back().long_rope = first.long_rope;
      }
      HONE_CHECK_OK(Read(context));
      held_ = std::move(sequences_);
      held_best_ = best_;
    }
    best_ = held_best_;
    sequences_.clear();
    for (const Sequence& sequence : held_) {
      HONE_TRY(KvCache cache, sequence.cache.Fork());
      sequences_.push_back(Sequence{.cache = std::move(cache)});
      sequences_.back().tokens = sequence.tokens;
      sequences_.back().cached = sequence.cached;
      sequences_.back().long_rope = sequence.long_rope;
    }
    return {};
  }

  Result<void> Read(int64_t tokens, OperatorTimes* times = nullptr) {
    const int64_t most = std::max<int64_t>(1, runner_.options().max_rows / options_.batch);
    while (tokens > 0) {
      const int64_t rows = std::min(tokens, most);
      for (Sequence& sequence : sequences_) {
        for (int64_t i = 0; i < rows; ++i) sequence.tokens.push_back(RandomToken(sequence.tokens.size()));
      }
      tokens -= rows;
      HONE_CHECK_OK(Step(rows, times));
    }
    return {};
  }

  Result<void> Write(OperatorTimes* times) {
    for (int64_t i = 0; i < options_.decode; ++i) {
      for (size_t s = 0; s < sequences_.size(); ++s) sequences_[s].tokens.push_back(best_[s]);
      HONE_CHECK_OK(Step(1, times));
    }
    return {};
  }

  Result<void> Step(int64_t rows, OperatorTimes* times) {
    Batch batch;
    for (Sequence& sequence : sequences_) {
      const auto end = static_cast<int64_t>(sequence.tokens.size());
      AppendRows(sequence, end - rows, end, true, false, batch);
    }
    best_.assign(sequences_.size(), 0);
    const auto keep_best = [&](int64_t row, std::span<float> logits) {
      best_[static_cast<size_t>(row / rows)] = static_cast<TokenId>(ArgMax(logits));
    };
    RunOptions run;
    run.times = times;
    HONE_CHECK_OK(runner_.Run(batch, keep_best, run));
    for (Sequence& sequence : sequences_) sequence.cached += rows;
    return {};
  }

  Runner& runner_;
  const std::shared_ptr<PagePool>& pool_;
  const SpeedOptions& options_;
  std::vector<Sequence> held_;  // the context alone
  std::vector<Sequence> sequences_;
  std::vector<TokenId> best_;  // what follows each sequence
  std::vector<TokenId> held_best_;
};

Result<void> Check(const SpeedOptions& options, const Runner& runner) {
  if (options.prefill < 0 || options.decode < 0 || options.context < 0) {
    return WrongUsage("bench: found prefill {}, decode {}, context {}, expected 0 or more", options.prefill,
                      options.decode, options.context);
  }
  if (options.batch < 1 || options.batch > runner.options().max_rows) {
    return WrongUsage("batch: found {}, expected 1 to {}", options.batch, runner.options().max_rows);
  }
  if (options.repeat < 1) return WrongUsage("repeat: found {}, expected at least 1", options.repeat);
  const int64_t length = options.context + std::max(options.prefill, options.decode + 1);
  const int64_t limit = runner.model().config().context;
  if (length > limit)
    return WrongUsage("context: found {} tokens in all, expected at most {}", length, limit);
  return {};
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median = values.size() % 2 == 1 ? values[middle] : 0.5 * (values[middle - 1] + values[middle]);
  return {median, values.front(), values.back()};
}

Result<Speed> MeasureSpeed(Runner& runner, const std::shared_ptr<PagePool>& pool,
                           const SpeedOptions& options) {
  HONE_CHECK_OK(Check(options, runner));
  std::vector<double> prefill;
  std::vector<double> decode;
  const auto batch = static_cast<double>(options.batch);
  Pass pass(runner, pool, options);
  for (int i = -1; i < options.repeat; ++i) {
    if (options.prefill > 0) {
      HONE_TRY(const double seconds, pass.Prefill(i >= 0 ? options.prefill_times : nullptr));
      if (i >= 0) prefill.push_back(batch * static_cast<double>(options.prefill) / seconds);
    }
    if (options.decode > 0) {
      HONE_TRY(const double seconds, pass.Decode(i >= 0 ? options.decode_times : nullptr));
      if (i >= 0) decode.push_back(batch * static_cast<double>(options.decode) / seconds);
    }
    if (options.progress) options.progress(i + 2, options.repeat + 1);
  }
  return Speed{SpreadOf(std::move(prefill)), SpreadOf(std::move(decode))};
}

Result<RequestSeconds> MeasureRequest(Runner& runner, const std::shared_ptr<PagePool>& pool, int64_t batch,
                                      int64_t prompt, int64_t decode) {
  SpeedOptions options;
  options.batch = batch;
  options.prefill = prompt;
  options.decode = decode;
  HONE_CHECK_OK(Check(options, runner));
  if (prompt < 1) return WrongUsage("request: a prompt of {} tokens, expected at least 1", prompt);
  const int64_t limit = runner.model().config().context;
  if (prompt + decode > limit)
    return WrongUsage("request: {} tokens in all, expected at most {}", prompt + decode, limit);
  return Pass(runner, pool, options).Request();
}

}  // namespace hone
