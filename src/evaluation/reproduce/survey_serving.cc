// A Survey on Efficient Inference for Large Language Models (arXiv 2404.14294), table 6, on this server
// alone: one switch at a time. Padded static batches against paged, continuous ones at equal memory; whole
// prompts against prompts split among the answers' steps; the order of service; one stream against llama.cpp
// where it is at hand. The static baseline has the same kernels, runner and cache; what it lacks is that
// requests come and go within a batch.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <vector>

#include "core/downloads/model_cache.h"
#include "evaluation/metrics/model_speed.h"
#include "evaluation/reproduce/serving_trial.h"
#include "language/serving/percentile.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m"};
constexpr int64_t kMostPrompt = 256;
constexpr int64_t kMostAnswer = 96;
constexpr int64_t kSlots = 8;  // sequences of the greatest length that the memory holds
constexpr int64_t kRequests = 48;

TrafficOptions Traffic() {
  TrafficOptions options;
  options.requests = kRequests;
  options.prompt_median = 80.0;
  options.answer_median = 32.0;
  options.most_prompt = kMostPrompt;
  options.most_answer = kMostAnswer;
  return options;
}

class SurveyServing {
 public:
  SurveyServing(ExperimentContext& context, Report& report, std::string model)
      : context_(context), report_(report), model_(std::move(model)) {}

  Result<void> Run() {
    HONE_TRY(trial_, ServingTrial::Create(context_, model_));
    load_ = MakeLoad(Traffic());
    HONE_CHECK_OK(trial_->Calibrate(load_));
    HONE_CHECK_OK(Done());
    HONE_CHECK_OK(ReportBatching());
    HONE_CHECK_OK(ReportSplitting());
    HONE_CHECK_OK(ReportOrder());
    return ReportPeer();
  }

 private:
  Result<void> Done() { return context_.Step(++done_, 6); }
  Finding& Speed(std::string what, double measured, std::string unit) {
    return report_.Add(Aspect::kSpeed, model_, std::move(what), measured, std::move(unit));
  }

  // Batches in the order of arrival, each padded to its longest prompt and run to its longest answer.
  Result<double> StaticSeconds() {
    RunnerOptions options;
    options.max_rows = 512;
    HONE_TRY(const auto runner, Runner::Create(trial_->model(), trial_->engine(), options));
    const auto pool = PagePool::Create(trial_->engine().accounts.kv);
    double seconds = 0.0;
    for (size_t at = 0; at < load_.size(); at += kSlots) {
      const size_t end = std::min(load_.size(), at + kSlots);
      int64_t prompt = 1;
      int64_t answer = 1;
      for (size_t i = at; i < end; ++i) {
        prompt = std::max(prompt, load_[i].prompt_tokens);
        answer = std::max(answer, load_[i].answer_tokens);
      }
      HONE_TRY(const RequestSeconds batch,
               MeasureRequest(*runner, pool, static_cast<int64_t>(end - at), prompt, answer));
      seconds += batch.prefill + batch.decode;
    }
    return seconds;
  }

  Result<void> ReportBatching() {
    const uint64_t bytes = kSlots * trial_->CacheBytes(kMostPrompt + kMostAnswer);
    HONE_TRY(const double padded, StaticSeconds());
    HONE_CHECK_OK(Done());
    HONE_TRY(const auto limited, ServingTrial::Create(context_, model_, bytes));
    TrafficOptions backlog = Traffic();
    backlog.arrivals = Arrivals::kClosed;
    backlog.clients = kRequests;
    HONE_TRY(const TrialRun paged, limited->Play("prefill-first", load_, backlog));
    HONE_CHECK_OK(Done());
    const double continuous = Summarize(paged.served, {}).seconds;
    const auto count = static_cast<double>(load_.size());
    Speed("padded static batches", count / padded, "requests/s");
    Speed("paged and continuous, same bytes", count / continuous, "requests/s")
        .Difference(fmt::format("{} sequences at once at most, {} preemptions", paged.state.most_running,
                                paged.state.preemptions));
    Speed("paged and continuous over padded static", padded / continuous, "x")
        .AtLeast(1.5)
        .Paper("LightLLM over TensorRT-LLM 1.75 (ShareGPT, A100)");
    report_.Add(Aspect::kMemory, model_, "keys and values of either", static_cast<double>(bytes), "bytes");
    return {};
  }

  // Eight clients that ask again when they are answered: the same work for both, as much as there is.
  Result<void> ReportSplitting() {
    TrafficOptions closed = Traffic();
    closed.arrivals = Arrivals::kClosed;
    closed.clients = kSlots;
    struct Of {
      LoadSummary real, virtual_clock;
    };
    const auto run = [&](const std::string& schedule) -> Result<Of> {
      HONE_TRY(const LoadSummary real, trial_->Summarized(trial_->Play(schedule, load_, closed)));
      HONE_CHECK_OK(Done());
      TrafficOptions many = closed;
      many.requests = 1000;
      const auto load = MakeLoad(many);
      HONE_TRY(const LoadSummary simulated, trial_->Summarized(trial_->Simulate(schedule, load, many)));
      return Of{real, simulated};
    };
    HONE_TRY(const Of whole, run("prefill-first"));
    HONE_TRY(const Of split, run("chunked:64"));
    for (const auto& [name, of] :
         {std::pair{"whole prompts", whole}, {"prompts split, 64 rows a step", split}}) {
      Speed(fmt::format("{}: longest gap between tokens, 99th percentile", name), 1e3 * of.real.gap_p99, "ms")
          .Difference(fmt::format("{:.0f} ms over 1000 requests on the virtual clock",
                                  1e3 * of.virtual_clock.gap_p99));
      Speed(fmt::format("{}: written", name), of.real.tokens_per_second, "tokens/s");
    }
    Speed("split over whole, longest gap", split.real.gap_p99 / whole.real.gap_p99, "x").AtMost(0.7);
    Speed("split over whole, longest gap, virtual clock",
          split.virtual_clock.gap_p99 / whole.virtual_clock.gap_p99, "x")
        .AtMost(0.7);
    Speed("split over whole, throughput", split.real.tokens_per_second / whole.real.tokens_per_second, "x")
        .AtLeast(0.9);
    return {};
  }

  // One tenant asks in bursts of 24, another one request at a time; virtual time.
  Result<void> ReportOrder() {
    TrafficOptions options = Traffic();
    options.requests = 1200;
    std::vector<LoadRequest> load = MakeLoad(options);
    const double each = trial_->costs().Seconds({.rows = 96}) +
                        40.0 * trial_->costs().Seconds({.rows = 8, .decode_rows = 8}) / 8;
    std::vector<size_t> light;
    for (size_t i = 0; i < load.size(); ++i) {
      constexpr size_t kBurst = 25;  // 24 and one in between
      const bool is_light = i % kBurst == kBurst - 1;
      const double begin = static_cast<double>(i / kBurst) * kBurst * each / 0.8;
      load[i].at = is_light ? begin + 3.0 * each : begin;
      load[i].tenant = is_light ? "light" : "heavy";
      if (is_light) light.push_back(i);
    }
    const auto first_token = [&](const std::string& schedule, bool tenants) -> Result<double> {
      std::vector<LoadRequest> own = load;
      if (!tenants) {
        for (LoadRequest& request : own) request.tenant.clear();
      }
      HONE_TRY(const TrialRun run, trial_->Simulate(schedule, own));
      std::vector<double> ttft;
      for (const size_t i : light)
        ttft.push_back(run.served[i].times.first_token - run.served[i].times.arrival);
      return Percentile(ttft, 0.9);
    };
    HONE_TRY(const double fcfs, first_token("prefill-first", false));
    HONE_TRY(const double decode_first, first_token("chunked:64", false));
    HONE_TRY(const double fair, first_token("chunked:64", true));
    Speed("first token of a light tenant beside bursts, first come first served", fcfs, "s");
    Speed("the same, answers first", decode_first, "s");
    Speed("the same, answers first and tenants in turns", fair, "s").AtMost(fcfs);
    return {};
  }

  // Tokens a second of one stream, beside llama-bench where HONE_GGML's folder has it.
  Result<void> ReportPeer() {
    HONE_CHECK_OK(Done());
    RunnerOptions options;
    HONE_TRY(const auto runner, Runner::Create(trial_->model(), trial_->engine(), options));
    const auto pool = PagePool::Create(trial_->engine().accounts.kv);
    SpeedOptions one;
    one.prefill = 0;
    one.decode = 64;
    HONE_TRY(const hone::Speed own, MeasureSpeed(*runner, pool, one));
    Finding& mine = Speed("one stream, 64 tokens", own.decode.median, "tokens/s");
    const char* folder = std::getenv("HONE_GGML");
    if (folder == nullptr) {
      mine.Difference("not compared with llama.cpp: HONE_GGML does not name the folder of its programs");
      return {};
    }
    HONE_TRY(const std::string path, ResolveModel(model_));
    const std::string command =
        fmt::format("'{}/llama-bench' -m '{}' -t {} -p 0 -n 64 -r 5 -o json 2>/dev/null", folder, path,
                    context_.threads());
    std::string text;
    if (std::FILE* pipe = popen(command.c_str(), "r")) {
      char block[4096];
      while (const size_t n = std::fread(block, 1, sizeof(block), pipe)) text.append(block, n);
      pclose(pipe);
    }
    const auto json = nlohmann::json::parse(text, nullptr, false);
    if (!json.is_array() || json.empty() || !json[0].contains("avg_ts")) {
      mine.Difference("not compared with llama.cpp: its llama-bench did not run");
      return {};
    }
    const double theirs = json[0]["avg_ts"].get<double>();
    HONE_TRY(const hone::Speed again, MeasureSpeed(*runner, pool, one));
    const double ours = 0.5 * (own.decode.median + again.decode.median);
    Speed("llama.cpp, the same", theirs, "tokens/s");
    Speed("hone over llama.cpp, one stream", ours / theirs, "x").AtLeast(0.9);
    return {};
  }

  ExperimentContext& context_;
  Report& report_;
  const std::string model_;
  std::unique_ptr<ServingTrial> trial_;
  std::vector<LoadRequest> load_;
  int64_t done_ = 0;
};

}  // namespace

Result<void> ReproduceSurveyServing(ExperimentContext& context, Report& report) {
  HONE_TRY(report.models, context.Models(kModels));
  report.text = "none: arbitrary tokens, only their number counts";
  for (const std::string& model : report.models) HONE_CHECK_OK(SurveyServing(context, report, model).Run());
  report.notes.push_back(
      fmt::format("Load: {} requests of log-normal lengths, medians 80 and 32 tokens, spread 0.6, at most {} "
                  "and {}; the memory holds "
                  "{} of the longest.",
                  kRequests, kMostPrompt, kMostAnswer, kSlots));
  report.notes.push_back(
      "The paper's table compares engines on an A100; here one engine is compared with itself, a switch at a "
      "time.");
  return {};
}

}  // namespace hone
