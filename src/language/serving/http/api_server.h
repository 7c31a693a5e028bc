// The routes of `hone serve`: the OpenAI API, and what operators need.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "language/decoding/chat_prompt.h"
#include "language/serving/http/answer.h"
#include "language/serving/http/answer_writers.h"
#include "language/serving/http/http_message.h"
#include "language/serving/http/request_fields.h"
#include "language/serving/http/static_assets.h"
#include "language/serving/serving_engine.h"

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

  // From here on requests are answered; the engine outlives the server.
  Result<void> Serve(ServingEngine& engine);
  // No new answers; those under way go on.
  void Drain() { draining_ = true; }

  void Handle(std::shared_ptr<HttpExchange> exchange);

 private:
  using Exchange = std::shared_ptr<HttpExchange>;
  using Json = nlohmann::ordered_json;
  struct Route {
    std::string_view method;
    std::string_view path;
    ApiResult<void> (ApiServer::*handle)(const Exchange& exchange, const std::string& tenant);
    bool open = false;  // needs no key
    bool model = true;  // needs the model
  };
  static const std::vector<Route>& Routes();
  static tl::unexpected<ApiError> NoSuchPath(const std::string& path);

  ApiResult<void> Dispatch(const Exchange& exchange);
  // The tenant that a request is accounted to, or 401.
  ApiResult<std::string> Authenticate(const HttpRequest& request) const;

  ApiResult<void> ChatCompletions(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Completions(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Responses(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Embeddings(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Models(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> OneModel(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Tokenize(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Detokenize(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Health(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Metrics(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Status(const Exchange& exchange, const std::string& tenant);
  ApiResult<void> Page(const Exchange& exchange, const std::string& tenant);

  ApiResult<void> CheckModel(RequestFields& fields) const;
  ApiResult<void> CheckLength(const char* param, int64_t prompt_tokens, GenerationRequest& request) const;
  ApiResult<std::vector<std::vector<TokenId>>> ReadPrompts(RequestFields& fields, const std::string& name,
                                                           bool& texts) const;
  ApiResult<const ChatPrompt*> Chat() const;
  AnswerIdentity Identity(std::string_view prefix, const GenerationRequest& request);
  // Ends the plan with what all endpoints have, and starts it.
  ApiResult<void> StartAnswer(const Exchange& exchange, const std::string& tenant, RequestFields& fields,
                              AnswerPlan plan, std::unique_ptr<AnswerWriter> writer);
  ApiResult<void> CountRequest(const Exchange& exchange, const std::string& tenant);
  ReasoningSplitter::Start ReasoningStart(const std::vector<TokenId>& prompt) const;

  const ApiOptions options_;
  const int64_t created_;
  std::atomic<ServingEngine*> engine_{nullptr};
  std::unique_ptr<ChatPrompt> chat_;
  Error no_chat_;
  bool thinks_ = false;  // the chat template knows <think>
  std::atomic<bool> draining_{false};
  std::atomic<uint64_t> next_id_{1};
  const std::string id_prefix_;
  std::shared_ptr<struct ApiCounters> counters_;
};

}  // namespace hone
