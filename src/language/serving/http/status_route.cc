// /status: what /metrics tells, and how far every request under way has come, as JSON for the web page.
#include <nlohmann/json.hpp>

#include "language/serving/http/answer_json.h"
#include "language/serving/http/api_server.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostJobs = 64;

Json Lanes(const DispatcherState& state) {
  Json lanes = Json::array();
  for (size_t i = 0; i < state.lanes.size(); ++i) {
    const char* name = state.lanes.size() == 1 ? "all" : i == 0 ? "prefill" : "decode";
    lanes.push_back({{"name", name},
                     {"steps", state.lanes[i].steps},
                     {"rows", state.lanes[i].rows},
                     {"busy_seconds", state.lanes[i].busy_seconds}});
  }
  return lanes;
}

Json Jobs(const ServingEngine& engine) {
  Json jobs = Json::array();
  for (const JobProgress& job : engine.running(kMostJobs)) {
    jobs.push_back({{"phase", job.phase == JobPhase::kDecode ? "decode" : "prefill"},
                    {"prompt_tokens", job.prompt_tokens},
                    {"cached", job.cached},
                    {"answered", job.answered},
                    {"answer_tokens", job.answer_tokens}});
  }
  return jobs;
}

}  // namespace

ApiResult<void> ApiServer::Status(const Call& call) {
  ServingEngine& engine = call.model->engine();
  const DispatcherState state = engine.state();
  const ServiceObjectives& objectives = engine.options().objectives;
  const uint64_t limit = engine.executor().kv_limit();
  Json json;
  json["model"] = options_.model_name;
  json["context"] = engine.context();
  json["schedule"] = engine.schedule();
  json["draining"] = draining_.load();
  json["seconds"] = engine.now();
  json["objectives"] = {{"ttft_seconds", objectives.ttft_seconds}, {"tpot_seconds", objectives.tpot_seconds}};
  json["waiting"] = state.waiting;
  json["prefill"] = state.prefill;
  json["decode"] = state.decode;
  json["preemptions"] = state.preemptions;
  json["prompt_tokens"] = state.prompt_tokens;
  json["reused_tokens"] = state.reused_tokens;
  json["answer_tokens"] = state.answer_tokens;
  json["shares"] = {{"prefill", state.shares.prefill}, {"decode", state.shares.decode}};
  json["share_moves"] = state.share_moves;
  json["lanes"] = Lanes(state);
  json["cache"] = {{"bytes", engine.executor().kv_used()},
                   {"limit_bytes", limit == MemoryAccount::kUnlimited ? Json(nullptr) : Json(limit)},
                   {"prefix_tokens", engine.executor().prefixes().tokens()}};
  json["jobs"] = Jobs(engine);
  HttpResponse response{.body = Dump(json)};
  response.headers.emplace_back("Cache-Control", "no-store");
  call.exchange->Respond(std::move(response));
  return {};
}

}  // namespace hone
