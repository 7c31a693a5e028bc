// The routes of `hone serve`: the OpenAI API, and what operators need.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "language/serving/http/answer.h"
#include "language/serving/http/answer_writers.h"
#include "language/serving/http/http_message.h"
#include "language/serving/http/request_fields.h"
#include "language/serving/http/served_model.h"
#include "language/serving/http/static_assets.h"
#include "language/serving/http/tool_request.h"

namespace hone {

struct ApiOptions {
  std::string model_name;             // how requests and replies call the model
  std::vector<std::string> api_keys;  // empty: none is asked for
  int64_t requests_per_key = 0;       // at once; 0: no limit
  int64_t most_prompt_tokens = 0;     // 0: what the context holds
  int64_t most_answer_tokens = 0;     // 0: what the context leaves
  double request_seconds = 0.0;       // an answer ends by then; 0: no limit
};

// Thread-safe. Handles requests before a model is there, too: with 503.
class ApiServer {
 public:
  explicit ApiServer(const ApiOptions& options);
  ~ApiServer();

  // From here on requests are answered, those that waited for it first.
  void Serve(std::shared_ptr<ServingEngine> engine);
  // Lets the model go. A request that needs one waits for the next Serve from here on, and has `wanted`
  // called, from any thread. Answers under way keep the engine: whoever gave it destroys it when its own
  // reference is the last.
  void Unload(std::function<void()> wanted);
  // The model could not be loaded again: who waits is told, with 503.
  void FailWaiting(const Error& error);
  // Since the last request that needed the model came.
  double idle_seconds() const;
  // No new answers; those under way go on.
  void Drain();

  void Handle(std::shared_ptr<HttpExchange> exchange);

 private:
  using Exchange = std::shared_ptr<HttpExchange>;
  using Json = nlohmann::ordered_json;
  using ModelPointer = std::shared_ptr<const ServedModel>;
  // A request with who asked; `model` is there wherever the route needs it.
  struct Call {
    Exchange exchange;
    std::string tenant;
    ModelPointer model;
  };
  struct Route {
    std::string_view method;
    std::string_view path;
    ApiResult<void> (ApiServer::*handle)(const Call& call);
    bool open = false;  // needs no key
    bool model = true;  // needs the model
    bool uses = true;   // and has it loaded where it was unloaded
  };
  static const std::vector<Route>& Routes();
  static tl::unexpected<ApiError> NoSuchPath(const std::string& path);

  void DispatchOrRefuse(const Exchange& exchange);
  ApiResult<void> Dispatch(const Exchange& exchange);
  // The tenant that a request is accounted to, or 401.
  ApiResult<std::string> Authenticate(const HttpRequest& request) const;

  ApiResult<void> ChatCompletions(const Call& call);
  ApiResult<void> Completions(const Call& call);
  ApiResult<void> Responses(const Call& call);
  ApiResult<void> Embeddings(const Call& call);
  ApiResult<void> Models(const Call& call);
  ApiResult<void> OneModel(const Call& call);
  ApiResult<void> Tokenize(const Call& call);
  ApiResult<void> Detokenize(const Call& call);
  ApiResult<void> Health(const Call& call);
  ApiResult<void> Metrics(const Call& call);
  ApiResult<void> Status(const Call& call);
  ApiResult<void> Page(const Call& call);

  struct TextRequest;
  // What the routes that write text begin with.
  ApiResult<std::unique_ptr<TextRequest>> ReadText(const Call& call, const char* most_tokens) const;
  // Ends the request's plan with what all of them have, and starts it.
  ApiResult<void> StartAnswer(const Call& call, TextRequest& text, std::unique_ptr<AnswerWriter> writer);
  // A conversation's prompt, and what its answer must look like.
  ApiResult<void> PlanChat(const ServedModel& model, TextRequest& text, nlohmann::ordered_json messages,
                           const char* param, const std::optional<AnswerFormat>& format,
                           const ToolRequest& tools) const;

  ApiResult<void> CheckModel(RequestFields& fields) const;
  ApiResult<void> CheckLength(const ServedModel& model, const char* param, int64_t prompt_tokens,
                              GenerationRequest& request) const;
  AnswerIdentity Identity(const ServedModel& model, std::string_view prefix,
                          const GenerationRequest& request);
  ApiResult<void> CountRequest(const Call& call);
  ModelPointer model() const;
  bool unloaded() const;
  // Keeps the request until there is a model; false: it is not to wait.
  bool Park(const Exchange& exchange);
  std::vector<Exchange> TakeParked();

  const ApiOptions options_;
  const int64_t created_;
  std::atomic<bool> draining_{false};
  std::atomic<uint64_t> next_id_{1};
  const std::string id_prefix_;
  std::shared_ptr<struct ApiCounters> counters_;
  mutable std::mutex mutex_;  // guards what follows
  ModelPointer model_;
  std::function<void()> wanted_;  // where the model was unloaded
  std::vector<Exchange> parked_;
  std::chrono::steady_clock::time_point used_ = std::chrono::steady_clock::now();
};

}  // namespace hone
