// semi-PD: Towards Efficient LLM Serving via Phase-Wise Disaggregated Computation and Unified Storage (arXiv
// 2504.19867). Claims: at equal objectives more requests a second than one loop for both phases, than chunked
// prompts, than two copies of everything, and than undivided shares; latencies follow 1/y and 1/(x - lambda);
// no cache is copied, so that memory carries more sequences. Every schedule gets the same recorded arrivals;
// objectives are set by rule before any run. Rates come from the same scheduler objects on a virtual clock,
// whose step costs are measured here first; runs in real time at one rate say whether that clock can be
// trusted.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "evaluation/reproduce/serving_trial.h"
#include "language/serving/measure_costs.h"
#include "language/serving/percentile.h"

namespace hone {
namespace {

constexpr std::string_view kModels[] = {"smollm2-135m"};
constexpr std::string_view kConversation = "azure_conv.csv";
constexpr std::string_view kCode = "azure_code.csv";
constexpr const char* kDynamic = "semi-pd";
constexpr const char* kUndivided = "static:100,100";
const std::vector<std::string> kChunked = {"chunked:16", "chunked:32", "chunked:64", "chunked:128"};

// What the default run takes to stay within minutes, and what the dossier's full one takes.
struct Extent {
  double length_scale = 0.125;         // of the trace's lengths
  int64_t requests = 72;               // of one run in real time
  std::vector<double> rates = {0.85};  // of semi-pd's highest rate
  bool all_in_real_time = false;
  int64_t compared = 200;  // answers of the comparison of tokens
};
Extent FullExtent() { return {1.0, 250, {0.7, 1.0, 1.3}, true, 200}; }

class SemiPdExperiment {
 public:
  SemiPdExperiment(ExperimentContext& context, Report& report, std::string model)
      : context_(context),
        report_(report),
        model_(std::move(model)),
        extent_(context.options().full ? FullExtent() : Extent()) {}

  Result<void> Run() {
    HONE_TRY(trial_, ServingTrial::Create(context_, model_));
    HONE_TRY(const auto whole, Recorded(kConversation, 1.0, 1200));
    HONE_CHECK_OK(trial_->Calibrate(whole));
    report_.notes.push_back(
        fmt::format("Objectives, before any run: {:.0f} ms to the first token and {:.1f} ms a token, 10 and "
                    "4 times those of "
                    "one median request alone ({:.1f} and {:.2f} ms), kept by 90 % of requests.",
                    1e3 * trial_->objectives().ttft_seconds, 1e3 * trial_->objectives().tpot_seconds,
                    1e3 * trial_->alone_ttft(), 1e3 * trial_->alone_tpot()));
    HONE_CHECK_OK(Done());
    HONE_CHECK_OK(ReportPairing());
    HONE_CHECK_OK(ReportModels());
    HONE_CHECK_OK(Done());
    HONE_CHECK_OK(ReportTokens());
    HONE_CHECK_OK(ReportRates());
    HONE_CHECK_OK(Done());
    HONE_CHECK_OK(ReportFlip());
    HONE_CHECK_OK(ReportRealTime());
    return ReportMemory();
  }

 private:
  // In virtual time the whole trace, in real time its start.
  Result<std::vector<LoadRequest>> Recorded(std::string_view trace, double rate, int64_t requests) const {
    TrafficOptions options;
    options.rate = rate;
    options.requests = requests;
    options.length_scale = extent_.length_scale;
    options.most_prompt = 512;
    options.most_answer = 64;
    return RecordedLoad(trace, options);
  }
  Result<std::vector<LoadRequest>> Whole(double rate) const { return Recorded(kConversation, rate, 1200); }
  Result<void> Done() {
    ++done_;
    const auto real = static_cast<int64_t>(extent_.rates.size()) * (extent_.all_in_real_time ? 9 : 4);
    return context_.Step(done_, 3 + static_cast<int64_t>(Compared().size()) + real + 2);
  }
  Finding& Speed(std::string what, double measured, std::string unit) {
    return report_.Add(Aspect::kSpeed, model_, std::move(what), measured, std::move(unit));
  }
  static std::vector<std::string> Compared() {
    return {"prefill-first", "chunked:16", kUndivided, kDynamic, "disaggregated"};
  }

  // What the two phases do alone and side by side, and whether the time of a token follows 1/y.
  Result<void> ReportPairing() {
    constexpr double kSeconds = 1.5;
    using Which = PhasePair::Which;
    HONE_TRY(const auto pair,
             PhasePair::Create(trial_->model(), trial_->engine(), NumericMode::kFast, 64, 4, 128));
    HONE_TRY(const PhaseRates prefill, pair->Run(Which::kPrefill, {}, kSeconds));
    HONE_TRY(const PhaseRates decode, pair->Run(Which::kDecode, {}, kSeconds));
    HONE_TRY(const PhaseRates both, pair->Run(Which::kBoth, {}, 2.0 * kSeconds));
    Speed("prefill alone, prompt tokens", 64.0 * prefill.prefill, "tokens/s");
    Speed("decode alone, 4 answers", 4.0 * decode.decode, "tokens/s");
    Speed("side by side: prefill", both.prefill / prefill.prefill, "x alone");
    Speed("side by side: decode", both.decode / decode.decode, "x alone");
    Speed("side by side: both together", both.prefill / prefill.prefill + both.decode / decode.decode,
          "x alone")
        .Difference("1 where the two phases only divide the processors");
    std::vector<SharePoint> points;
    for (double y = 10.0; y <= 80.0; y += 10.0) {
      HONE_TRY(const PhaseRates rates, pair->Run(Which::kBoth, {100.0 - y, y}, kSeconds));
      points.push_back({y, 1.0 / rates.decode});
    }
    Speed("time per token against 1/y, y from 10 to 80 %, R2", FitToken(points).r2, "")
        .AtLeast(0.95)
        .Paper("0.9955, Llama 3 8B on an A100");
    return {};
  }

  // TTFT(x) at a fixed load beside answers that never end, so that shares always count; virtual time.
  Result<void> ReportModels() {
    constexpr double kStableShare = 12.0;  // percent
    HONE_TRY(auto load, Whole(1.0));
    double seconds = 0.0;
    for (const LoadRequest& request : load) {
      seconds += trial_->costs().Seconds({.rows = request.prompt_tokens}) / static_cast<double>(load.size());
    }
    HONE_TRY(load, Whole(kStableShare / 100.0 / seconds));
    constexpr size_t kEndless = 4;
    const double whole = load.back().at;
    for (LoadRequest& request : load) request.at += 1.0;
    const auto tokens =
        static_cast<int64_t>(4.0 * whole / trial_->costs().Seconds({.rows = 4, .decode_rows = 4}));
    load.insert(load.begin(), kEndless, LoadRequest{0.0, 1, std::min<int64_t>(tokens, 400000)});
    std::vector<SharePoint> points;
    for (double x = 20.0; x <= 90.0; x += 10.0) {
      HONE_TRY(const TrialRun run, trial_->Simulate(fmt::format("static:{:g},{:g}", x, 100.0 - x), load));
      std::vector<double> ttft;
      for (size_t i = kEndless; i < run.served.size(); ++i) {
        ttft.push_back(run.served[i].times.first_token - run.served[i].times.arrival);
      }
      points.push_back({x, Percentile(ttft, 0.9)});
    }
    const FirstTokenModel fit = FitFirstToken(points);
    Speed("time to first token against 1/(x - lambda), x from 20 to 90 %, R2", fit.r2, "")
        .AtLeast(0.95)
        .Paper("0.9953")
        .Difference(
            fmt::format("virtual clock; lambda fitted as {:.1f} %, set as {:g} %", fit.lambda, kStableShare));
    return {};
  }

  Result<void> ReportTokens() {
    TrafficOptions options;
    options.rate = 1000.0;  // all at once: batches of every size
    options.requests = extent_.compared;
    options.length_scale = 0.1;
    options.most_prompt = 40;
    options.most_answer = 8;
    HONE_TRY(const auto load, RecordedLoad(kConversation, options));
    std::vector<uint64_t> expected;
    int64_t different = 0;
    int64_t compared = 0;
    for (const std::string& schedule : Compared()) {
      HONE_TRY(const TrialRun run, trial_->Play(schedule, load, {}, 0.05));
      for (size_t i = 0; i < run.served.size(); ++i) {
        if (expected.size() < run.served.size()) {
          expected.push_back(run.served[i].tokens_hash);
          continue;
        }
        ++compared;
        different += run.served[i].tokens_hash == expected[i] && run.served[i].done ? 0 : 1;
      }
      HONE_CHECK_OK(Done());
    }
    report_
        .Add(Aspect::kQuality, model_,
             fmt::format("greedy answers that differ from prefill-first's, of {}", compared),
             static_cast<double>(different), "")
        .AtMost(0.0)
        .Difference("shares changed at random every 50 ms; chunked:16, static, semi-pd, disaggregated");
    return {};
  }

  // Half of the rate at which prompts alone would take all the time: where the search begins.
  double RateOfPrompts() const { return 0.5 / std::max(trial_->alone_ttft(), 1e-6); }

  // The highest rate of every schedule that keeps both objectives for 90 %; virtual time.
  Result<void> ReportRates() {
    const LoadOfRate load = [this](double rate) { return Whole(rate); };
    std::vector<std::string> schedules = {"prefill-first", kUndivided, "static:50,50", kDynamic,
                                          "disaggregated"};
    schedules.insert(schedules.end(), kChunked.begin(), kChunked.end());
    for (const std::string& schedule : schedules) {
      HONE_TRY(rates_[schedule], HighestRate(*trial_, schedule, load, RateOfPrompts()));
      Speed(fmt::format("{}: highest rate with 90 % kept (virtual clock)", schedule), rates_[schedule],
            "requests/s");
    }
    best_chunked_ = *std::max_element(kChunked.begin(), kChunked.end(),
                                      [&](const auto& a, const auto& b) { return rates_[a] < rates_[b]; });
    const double dynamic = rates_[kDynamic];
    const auto over = [&](const std::string& other) { return dynamic / std::max(rates_[other], 1e-9); };
    Speed("semi-pd over prefill-first, rate", over("prefill-first"), "x").AtLeast(1.3);
    Speed(fmt::format("semi-pd over the best chunked ({}), rate", best_chunked_), over(best_chunked_), "x")
        .AtLeast(1.1)
        .Paper("1.55 over vLLM, Llama 3 8B and 70B");
    Speed("semi-pd over static:100,100, rate", over(kUndivided), "x").AtLeast(1.0).Paper("1.11");
    if (rates_["disaggregated"] > 0.0) {
      Speed("semi-pd over disaggregated, rate", over("disaggregated"), "x").Paper("1.62 over DistServe");
    }
    HONE_TRY(const auto above, Whole(1.5 * dynamic));
    HONE_TRY(const LoadSummary moving, trial_->Summarized(trial_->Simulate(kDynamic, above)));
    HONE_TRY(const LoadSummary fixed, trial_->Summarized(trial_->Simulate(kUndivided, above)));
    Speed("kept at 1.5 times that rate, semi-pd above static:100,100",
          100.0 * (moving.attainment - fixed.attainment), "%")
        .AtLeast(0.0);
    HONE_TRY(const auto at, Whole(dynamic));
    HONE_TRY(const LoadSummary own, trial_->Summarized(trial_->Simulate(kDynamic, at)));
    HONE_TRY(const LoadSummary one_loop, trial_->Summarized(trial_->Simulate("prefill-first", at)));
    Speed("longest gap between tokens, 99th percentile, over prefill-first's", own.gap_p99 / one_loop.gap_p99,
          "x")
        .AtMost(0.3);
    return {};
  }

  // Shares at the end of a conversation load and of one that turns into code: long prompts, short answers.
  Result<void> ReportFlip() {
    const double rate = rates_[kDynamic];
    HONE_TRY(auto load, Recorded(kConversation, rate, 600));
    HONE_TRY(const TrialRun before, trial_->Simulate(kDynamic, load));
    HONE_TRY(const auto code, Recorded(kCode, rate, 600));
    const double end = load.back().at;
    for (LoadRequest request : code) {
      request.at += end;
      load.push_back(request);
    }
    HONE_TRY(const TrialRun after, trial_->Simulate(kDynamic, load));
    const auto part = [](const TrialRun& run) {
      return 100.0 * run.state.shares.prefill / (run.state.shares.prefill + run.state.shares.decode);
    };
    Speed("prefill's part of the shares after conversation (virtual clock)", part(before), "%");
    Speed("the same after it turned into code", part(after), "%")
        .AtLeast(part(before))
        .Difference("the code trace has longer prompts and shorter answers");
    report_.notes.push_back(
        fmt::format("The controller moved shares {} times on the conversation and {} with the code.",
                    before.state.share_moves, after.state.share_moves));
    return {};
  }

  Result<void> ReportRealTime() {
    std::vector<std::string> schedules = {"prefill-first", best_chunked_, kUndivided, kDynamic};
    if (extent_.all_in_real_time) {
      schedules.insert(schedules.end(), {"static:50,50", "disaggregated"});
      for (const std::string& chunked : kChunked) {
        if (chunked != best_chunked_) schedules.push_back(chunked);
      }
    }
    for (const double part : extent_.rates) {
      const double rate = part * rates_[kDynamic];
      HONE_TRY(const auto load, Recorded(kConversation, rate, extent_.requests));
      std::vector<uint64_t> expected;
      for (const std::string& schedule : schedules) {
        HONE_TRY(const TrialRun real, trial_->Play(schedule, load));
        HONE_TRY(const TrialRun simulated, trial_->Simulate(schedule, load));
        ReportRun(fmt::format("{} at {:.2f}/s", schedule, rate), real, simulated);
        for (size_t i = 0; i < real.served.size(); ++i) {
          if (expected.size() < real.served.size()) expected.push_back(real.served[i].tokens_hash);
          served_differently_ += expected[i] == real.served[i].tokens_hash ? 0 : 1;
        }
        HONE_CHECK_OK(Done());
      }
    }
    report_
        .Add(Aspect::kQuality, model_, "answers of the runs in real time that differ between schedules",
             static_cast<double>(served_differently_), "")
        .AtMost(0.0);
    return {};
  }

  void ReportRun(const std::string& name, const TrialRun& real, const TrialRun& simulated) {
    const LoadSummary own = Summarize(real.served, trial_->objectives());
    const LoadSummary expected = Summarize(simulated.served, trial_->objectives());
    Speed(name + ": kept both objectives", 100.0 * own.attainment, "%")
        .Difference(fmt::format(
            "first token {:.2f} s, token {:.1f} ms (90th percentiles), longest gap {:.2f} s (99th)",
            own.ttft_p90, 1e3 * own.tpot_p90, own.gap_p99));
    std::string busy;
    for (const LaneState& lane : real.state.lanes) {
      busy += fmt::format("{}{:.0f}", busy.empty() ? "" : " and ", 100.0 * lane.busy_seconds / real.seconds);
    }
    Speed(name + ": mean latency, real over virtual", own.latency_mean / expected.latency_mean, "x")
        .Within(0.85, 1.15)
        .Difference(fmt::format(
            "virtual clock keeps {:.0f} %; lanes at work {} % of the time, shares {:g}:{:g} at the end",
            100.0 * expected.attainment, busy, real.state.shares.prefill, real.state.shares.decode));
  }

  // Answers that are under way at once with a pool of a few; a backlog, so that memory is what limits.
  Result<void> ReportMemory() {
    constexpr int64_t kPrompt = 64;
    constexpr int64_t kAnswer = 32;
    constexpr int64_t kSequences = 16;
    const uint64_t bytes = kSequences * trial_->CacheBytes(kPrompt + kAnswer);
    HONE_TRY(const auto small, ServingTrial::Create(context_, model_, bytes));
    const std::vector<LoadRequest> backlog(40, LoadRequest{0.0, kPrompt, kAnswer});
    std::map<std::string, int64_t> most;
    for (const std::string& schedule : {std::string(kDynamic), std::string("disaggregated")}) {
      HONE_TRY(const TrialRun run, small->Play(schedule, backlog));
      most[schedule] = run.state.most_running;
      report_
          .Add(Aspect::kMemory, model_,
               fmt::format("{}: sequences under way at most, room for {} in all", schedule, kSequences),
               static_cast<double>(run.state.most_running), "")
          .Difference(fmt::format("{} preemptions", run.state.preemptions));
      HONE_CHECK_OK(Done());
    }
    report_
        .Add(Aspect::kMemory, model_, "sequences of semi-pd over disaggregated, same bytes",
             static_cast<double>(most[kDynamic]) / static_cast<double>(most["disaggregated"]), "x")
        .AtLeast(1.5);
    return {};
  }

  ExperimentContext& context_;
  Report& report_;
  const std::string model_;
  const Extent extent_;
  std::unique_ptr<ServingTrial> trial_;
  std::map<std::string, double> rates_;
  std::string best_chunked_;
  int64_t served_differently_ = 0;
  int64_t done_ = 0;
};

}  // namespace

Result<void> ReproduceSemiPd(ExperimentContext& context, Report& report) {
  HONE_TRY(report.models, context.Models(kModels));
  report.text = "none: arbitrary tokens, only their number counts";
  for (const std::string& model : report.models)
    HONE_CHECK_OK(SemiPdExperiment(context, report, model).Run());
  report.notes.push_back(
      "Arrivals and lengths: the first 1200 requests of Azure's conversation trace of 2023, scaled in time "
      "to each rate; "
      "prompts cut to 512 and answers to 64 tokens, after an eighth of the trace's lengths was taken "
      "(--full: its whole "
      "lengths, three rates and every schedule in real time, hours). Runs in real time take its first "
      "requests.");
  report.notes.push_back(
      "Two cores: the phases compete for all that there is, so what is to be gained is evenness, hardly "
      "throughput.");
  return {};
}

}  // namespace hone
