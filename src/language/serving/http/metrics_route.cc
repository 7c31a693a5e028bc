// /metrics, in the text format of Prometheus.
#include "language/serving/http/api_counters.h"
#include "language/serving/http/api_server.h"

namespace hone {

void DurationHistogram::Add(double seconds) {
  size_t bucket = 0;
  while (bucket < kBounds.size() && seconds > kBounds[bucket]) ++bucket;
  ++counts_[bucket];
  sum_ += seconds;
  ++count_;
}

std::string DurationHistogram::Text(const std::string& name, const std::string& help) const {
  std::string text = fmt::format("# HELP {0} {1}\n# TYPE {0} histogram\n", name, help);
  int64_t below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    below += counts_[i];
    text += fmt::format("{}_bucket{{le=\"{:g}\"}} {}\n", name, kBounds[i], below);
  }
  return text +
         fmt::format("{0}_bucket{{le=\"+Inf\"}} {1}\n{0}_sum {2}\n{0}_count {1}\n", name, count_, sum_);
}

namespace {

class MetricsText {
 public:
  template <class T>
  void Add(const char* type, std::string_view name, std::string_view help, const T& value,
           const std::string& labels = "") {
    if (name != last_) text_ += fmt::format("# HELP hone_{0} {1}\n# TYPE hone_{0} {2}\n", name, help, type);
    last_ = name;
    text_ += fmt::format("hone_{}{} {}\n", name, labels.empty() ? "" : "{" + labels + "}", value);
  }
  std::string text_;

 private:
  std::string last_;
};

void AddEngine(MetricsText& out, ServingEngine& engine) {
  const DispatcherState state = engine.state();
  out.Add("gauge", "requests_waiting", "Requests in the queue.", state.waiting);
  out.Add("gauge", "requests_running", "Requests whose prompt is being read, or answer written.",
          state.prefill, "phase=\"prefill\"");
  out.Add("gauge", "requests_running", "", state.decode, "phase=\"decode\"");
  out.Add("counter", "requests_total", "Requests taken.", state.submitted);
  out.Add("counter", "requests_refused_total", "Requests refused because the queue was full.", state.refused);
  static constexpr const char* kEnds[] = {"done", "cancelled", "late", "too_large"};
  for (size_t i = 0; i < state.ended.size(); ++i) {
    out.Add("counter", "requests_ended_total", "Requests that ended, by how.", state.ended[i],
            fmt::format("end=\"{}\"", kEnds[i]));
  }
  out.Add("counter", "preemptions_total", "Answers that gave their cache pages up for others.",
          state.preemptions);
  out.Add("counter", "prompt_tokens_total", "Tokens of prompts.", state.prompt_tokens);
  out.Add("counter", "prompt_tokens_cached_total", "Of them, found in the prefix cache.",
          state.reused_tokens);
  out.Add("counter", "answer_tokens_total", "Tokens written.", state.answer_tokens);
  for (size_t i = 0; i < state.lanes.size(); ++i) {
    const std::string lane = state.lanes.size() == 1 ? "lane=\"all\""
                             : i == 0                ? "lane=\"prefill\""
                                                     : "lane=\"decode\"";
    out.Add("counter", "steps_total", "Forward passes.", state.lanes[i].steps, lane);
  }
  for (size_t i = 0; i < state.lanes.size(); ++i) {
    const std::string lane = state.lanes.size() == 1 ? "lane=\"all\""
                             : i == 0                ? "lane=\"prefill\""
                                                     : "lane=\"decode\"";
    out.Add("counter", "busy_seconds_total", "Seconds in forward passes.", state.lanes[i].busy_seconds, lane);
  }
  out.Add("gauge", "compute_share_percent", "Share of the machine, by phase.", state.shares.prefill,
          "phase=\"prefill\"");
  out.Add("gauge", "compute_share_percent", "", state.shares.decode, "phase=\"decode\"");
  out.Add("counter", "compute_share_moves_total", "Times the controller moved the shares.",
          state.share_moves);
  out.Add("gauge", "prefill_stable_share_percent",
          "The share at which prompts are just read as fast as they come.", state.first_token_model.lambda);
  out.Add("gauge", "kv_bytes", "Bytes of key and value pages in use, kept prefixes included.",
          engine.executor().kv_used());
  if (engine.executor().kv_limit() != MemoryAccount::kUnlimited) {
    out.Add("gauge", "kv_limit_bytes", "The most they may be.", engine.executor().kv_limit());
  }
  out.Add("gauge", "swap_bytes", "Bytes of preempted answers' copied keys and values.",
          engine.executor().swap().used());
  out.Add("counter", "swaps_total", "Preemptions by copying rather than by recomputing.",
          engine.executor().swapped());
  out.Add("gauge", "prefix_tokens", "Tokens in the prefix cache.", engine.executor().prefixes().tokens());
}

}  // namespace

ApiResult<void> ApiServer::Metrics(const Call& call) {
  MetricsText out;
  ServingEngine* engine = call.model ? &call.model->engine() : nullptr;
  out.Add("gauge", "up", "Whether the model is loaded.", engine != nullptr ? 1 : 0);
  out.Add("gauge", "unloaded", "Whether the model was let go and waits for a request.", unloaded() ? 1 : 0);
  if (engine != nullptr) {
    out.Add("gauge", "info", "What is served, and how.", 1,
            fmt::format("schedule=\"{}\"", engine->schedule()));
    AddEngine(out, *engine);
  }
  {
    const std::lock_guard lock(counters_->mutex);
    for (const auto& [status, count] : counters_->responses) {
      out.Add("counter", "http_responses_total", "Replies, by status.", count,
              fmt::format("status=\"{}\"", status));
    }
    out.text_ +=
        counters_->first_token.Text("hone_time_to_first_token_seconds", "From a request to its first token.");
    out.text_ += counters_->per_token.Text("hone_time_per_output_token_seconds",
                                           "Mean time between the tokens of an answer.");
    out.text_ += counters_->whole.Text("hone_request_seconds", "From a request to its last token.");
  }
  call.exchange->Respond(
      {.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = std::move(out.text_)});
  return {};
}

}  // namespace hone
