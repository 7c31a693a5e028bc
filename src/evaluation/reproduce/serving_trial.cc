#include "evaluation/reproduce/serving_trial.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "core/base/embedded_file.h"
#include "core/base/random.h"
#include "core/downloads/model_cache.h"
#include "language/serving/measure_costs.h"
#include "language/serving/percentile.h"

namespace hone {

// What the build made of traces/.
std::span<const EmbeddedFile> TraceFiles();

namespace {

constexpr int64_t kStepRows = 512;
constexpr int64_t kBatch = 64;

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Sets the shares of a running engine to what it draws, as long as it lives.
class ShareShuffler {
 public:
  ShareShuffler(ModelExecutor& executor, double seconds) {
    if (seconds <= 0.0) return;
    thread_ = std::thread([this, &executor, seconds] {
      for (uint64_t i = 0; !stop_; ++i) {
        const auto share = [&](uint32_t use) { return 10.0 + 90.0 * RandomUniformDouble(1, i, use); };
        executor.SetShares({share(1), share(2)});
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
      }
    });
  }
  ~ShareShuffler() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace

Result<std::unique_ptr<ServingTrial>> ServingTrial::Create(ExperimentContext& context,
                                                           const std::string& name, uint64_t kv_bytes) {
  std::unique_ptr<ServingTrial> trial(new ServingTrial(context));
  MemoryLimits limits;
  if (kv_bytes > 0) limits.kv = kv_bytes;
  trial->engine_ = std::make_shared<Engine>(context.threads(), limits);
  HONE_TRY(const std::string path, ResolveModel(name));
  HONE_TRY(trial->model_, LoadModel(path, *trial->engine_));
  return trial;
}

Result<void> ServingTrial::Calibrate(std::span<const LoadRequest> load) {
  HONE_TRY(costs_, MeasureStepCosts(model_, *engine_, NumericMode::kFast, kStepRows));
  std::vector<double> prompts;
  std::vector<double> answers;
  for (const LoadRequest& request : load) {
    prompts.push_back(static_cast<double>(request.prompt_tokens));
    answers.push_back(static_cast<double>(request.answer_tokens));
  }
  LoadRequest median;
  median.prompt_tokens = static_cast<int64_t>(Percentile(prompts, 0.5));
  median.answer_tokens = std::max<int64_t>(static_cast<int64_t>(Percentile(answers, 0.5)), 2);
  const std::vector<LoadRequest> alone(7, median);
  TrafficOptions one;
  one.arrivals = Arrivals::kClosed;
  one.clients = 1;
  HONE_TRY(const TrialRun run, Play("prefill-first", alone, one));
  const LoadSummary summary = Summarize(run.served, {});
  alone_ttft_ = summary.ttft_p50;
  alone_tpot_ = summary.tpot_p50;
  objectives_ = {10.0 * alone_ttft_, 4.0 * alone_tpot_, 0.9};
  return {};
}

Result<TrialRun> ServingTrial::Play(const std::string& schedule, std::span<const LoadRequest> load,
                                    const TrafficOptions& traffic, double shuffle_seconds) {
  ServingOptions options;
  options.schedule = schedule;
  options.objectives = objectives_;
  options.step_rows = kStepRows;
  options.batch = kBatch;
  options.max_waiting = static_cast<int64_t>(load.size());
  options.prefix_cache = false;  // every prompt is new, and no schedule helps the next
  HONE_TRY(const auto engine, ServingEngine::Create(engine_, model_, options));
  TrialRun run;
  const double begin = Now();
  {
    const ShareShuffler shuffler(engine->executor(), shuffle_seconds);
    HONE_TRY(run.served, PlayLoad(*engine, load, traffic, context_.options().cancel));
  }
  run.seconds = Now() - begin;
  run.state = engine->state();
  return run;
}

Result<TrialRun> ServingTrial::Simulate(const std::string& schedule, std::span<const LoadRequest> load,
                                        const TrafficOptions& traffic, int64_t pool_tokens) const {
  SimulationOptions options;
  options.schedule = schedule;
  options.objectives = objectives_;
  options.limits = {.step_rows = kStepRows, .batch = kBatch};
  options.pool_tokens = pool_tokens;
  TrialRun run;
  HONE_TRY(run.served, SimulateLoad(costs_, options, load, traffic, &run.state));
  run.seconds = Summarize(run.served, objectives_).seconds;
  return run;
}

uint64_t ServingTrial::CacheBytes(int64_t tokens) const {
  const KvCache probe = model_->MakeCache(PagePool::Create(engine_->accounts.kv), NumericMode::kFast);
  std::vector<uint64_t> pages;
  for (int i = 0; i < probe.layers(); ++i) probe.layer(i).PagesFor(tokens, pages);
  uint64_t bytes = 0;
  for (const uint64_t page : pages) bytes += page;
  return bytes;
}

Result<LoadSummary> ServingTrial::Summarized(const Result<TrialRun>& run) const {
  if (!run) return tl::unexpected(run.error());
  return Summarize(run->served, objectives_);
}

Result<std::vector<LoadRequest>> RecordedLoad(std::string_view trace, const TrafficOptions& options) {
  for (const EmbeddedFile& file : TraceFiles()) {
    if (file.path == trace) return ParseTrace(file.body, std::string(trace), options);
  }
  return BadInput(std::string(trace), "trace", "not built in");
}

Result<double> HighestRate(const ServingTrial& trial, const std::string& schedule, const LoadOfRate& load,
                           double from) {
  const auto keeps = [&](double rate) -> Result<bool> {
    HONE_TRY(const auto requests, load(rate));
    HONE_TRY(const LoadSummary summary, trial.Summarized(trial.Simulate(schedule, requests)));
    return summary.attainment >= trial.objectives().percentile;
  };
  double low = 0.0;
  double high = from;
  // A load of few requests may be kept however fast they come.
  constexpr double kHighest = 1e6;
  while (high < kHighest) {
    HONE_TRY(const bool kept, keeps(high));
    if (!kept) break;
    low = high;
    high *= 1.5;
  }
  constexpr double kFineness = 1.02;
  while (high > kFineness * std::max(low, 0.05 * from)) {
    const double middle = 0.5 * (low + high);
    HONE_TRY(const bool kept, keeps(middle));
    (kept ? low : high) = middle;
  }
  return low;
}

}  // namespace hone
