#include "language/serving/http/api_server.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>
#include <random>

#include "core/base/text_distance.h"
#include "language/serving/http/answer_json.h"
#include "language/serving/http/api_counters.h"

namespace hone {
namespace {

std::string RandomWord() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

// In a time that tells nothing of where they differ.
bool SameSecret(std::string_view a, std::string_view b) {
  unsigned different = static_cast<unsigned>(a.size() ^ b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    different |=
        static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i % std::max<size_t>(b.size(), 1)]);
  }
  return different == 0 && a.size() == b.size();
}

// Adds what every reply carries, and counts it.
class CountedExchange : public HttpExchange {
 public:
  CountedExchange(std::shared_ptr<HttpExchange> exchange, std::shared_ptr<ApiCounters> counters)
      : exchange_(std::move(exchange)), counters_(std::move(counters)) {}

  const HttpRequest& request() const override { return exchange_->request(); }
  void Respond(HttpResponse response) override {
    Complete(response);
    exchange_->Respond(std::move(response));
  }
  void BeginStream(HttpResponse head) override {
    Complete(head);
    exchange_->BeginStream(std::move(head));
  }
  void Send(std::string piece) override { exchange_->Send(std::move(piece)); }
  void EndStream() override { exchange_->EndStream(); }
  void OnGone(std::function<void()> gone) override { exchange_->OnGone(std::move(gone)); }

  // Counts the request of `tenant` until its exchange is let go; false: it has as many as it may.
  bool Enter(const std::string& tenant, int64_t most) {
    const std::lock_guard lock(counters_->mutex);
    int64_t& count = counters_->under_way[tenant];
    if (most > 0 && count >= most) return false;
    ++count;
    tenant_ = tenant;
    entered_ = true;
    return true;
  }
  ~CountedExchange() override {
    if (!entered_) return;
    const std::lock_guard lock(counters_->mutex);
    if (--counters_->under_way[tenant_] <= 0) counters_->under_way.erase(tenant_);
  }

 private:
  // Pages of other origins may use the API; keys protect it, not the browser.
  void Complete(HttpResponse& response) {
    response.headers.emplace_back("Access-Control-Allow-Origin", "*");
    response.headers.emplace_back("Server", "hone");
    const std::lock_guard lock(counters_->mutex);
    ++counters_->responses[response.status];
  }

  const std::shared_ptr<HttpExchange> exchange_;
  const std::shared_ptr<ApiCounters> counters_;
  std::string tenant_;
  bool entered_ = false;
};

HttpResponse ErrorResponse(const ApiError& error) {
  HttpResponse response{.status = error.status, .body = ErrorBody(error)};
  if (error.retry_after_seconds > 0.0) {
    response.headers.emplace_back("Retry-After",
                                  std::to_string(static_cast<int>(std::ceil(error.retry_after_seconds))));
  }
  if (error.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

std::string WithoutTrailingSlash(const std::string& path) {
  size_t end = path.size();
  while (end > 1 && path[end - 1] == '/') --end;
  return path.substr(0, end);
}

}  // namespace

ApiServer::ApiServer(const ApiOptions& options)
    : options_(options),
      created_(std::time(nullptr)),
      id_prefix_(RandomWord()),
      counters_(std::make_shared<ApiCounters>()) {}
ApiServer::~ApiServer() = default;

void ApiServer::Serve(std::shared_ptr<ServingEngine> engine) {
  auto model = std::make_shared<const ServedModel>(std::move(engine));
  {
    const std::lock_guard lock(mutex_);
    model_ = std::move(model);
    wanted_ = nullptr;
    used_ = std::chrono::steady_clock::now();
  }
  for (const Exchange& exchange : TakeParked()) DispatchOrRefuse(exchange);
}

void ApiServer::Unload(std::function<void()> wanted) {
  const std::lock_guard lock(mutex_);
  model_.reset();
  wanted_ = std::move(wanted);
}

void ApiServer::FailWaiting(const Error& error) {
  for (const Exchange& exchange : TakeParked()) {
    exchange->Respond(ErrorResponse({503, "the model could not be loaded again: " + error.message}));
  }
}

double ApiServer::idle_seconds() const {
  const std::lock_guard lock(mutex_);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - used_).count();
}

bool ApiServer::Park(const Exchange& exchange) {
  std::function<void()> wanted;
  {
    const std::lock_guard lock(mutex_);
    if (!wanted_ || draining_) return false;
    parked_.push_back(exchange);
    wanted = wanted_;
  }
  wanted();
  return true;
}

std::vector<ApiServer::Exchange> ApiServer::TakeParked() {
  const std::lock_guard lock(mutex_);
  return std::exchange(parked_, {});
}

void ApiServer::Drain() {
  draining_ = true;
  for (const Exchange& exchange : TakeParked()) DispatchOrRefuse(exchange);
}

bool ApiServer::unloaded() const {
  const std::lock_guard lock(mutex_);
  return wanted_ != nullptr;
}

ApiServer::ModelPointer ApiServer::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

const std::vector<ApiServer::Route>& ApiServer::Routes() {
  static const std::vector<Route> routes{
      {"POST", "/v1/chat/completions", &ApiServer::ChatCompletions},
      {"POST", "/v1/completions", &ApiServer::Completions},
      {"POST", "/v1/responses", &ApiServer::Responses},
      {"POST", "/v1/embeddings", &ApiServer::Embeddings},
      {"GET", "/v1/models", &ApiServer::Models, false, false},
      {"POST", "/tokenize", &ApiServer::Tokenize},
      {"POST", "/detokenize", &ApiServer::Detokenize},
      {"GET", "/health", &ApiServer::Health, true, false},
      {"GET", "/metrics", &ApiServer::Metrics, false, false},
      {"GET", "/status", &ApiServer::Status, false, true, false},
      {"GET", "/", &ApiServer::Page, true, false},
  };
  return routes;
}

tl::unexpected<ApiError> ApiServer::NoSuchPath(const std::string& path) {
  std::string wanted = path;
  // A base URL that ends in /v1 before a client that adds it, or one that lacks it.
  while (wanted.starts_with("/v1/v1")) wanted = wanted.substr(3);
  std::vector<std::string_view> paths;
  for (const Route& route : Routes()) paths.push_back(route.path);
  std::string_view right = Nearest(wanted, paths);
  for (const std::string_view candidate : paths) {
    if (candidate == "/v1" + wanted || candidate == wanted) right = candidate;
  }
  ApiError error{404, fmt::format("no such path: {}{}", path.substr(0, 200),
                                  right.empty() ? "" : fmt::format(", did you mean {}?", right))};
  error.code = "unknown_url";
  return tl::unexpected(std::move(error));
}

void ApiServer::Handle(std::shared_ptr<HttpExchange> plain) {
  DispatchOrRefuse(std::make_shared<CountedExchange>(std::move(plain), counters_));
}

void ApiServer::DispatchOrRefuse(const Exchange& exchange) {
  if (auto done = Dispatch(exchange); !done) exchange->Respond(ErrorResponse(done.error()));
}

ApiResult<void> ApiServer::Dispatch(const Exchange& exchange) {
  const HttpRequest& request = exchange->request();
  if (request.method == "OPTIONS") {
    HttpResponse response{.status = 204, .content_type = ""};
    response.headers = {{"Access-Control-Allow-Methods", "GET, POST, OPTIONS"},
                        {"Access-Control-Allow-Headers", "Authorization, Content-Type, *"},
                        {"Access-Control-Max-Age", "86400"}};
    exchange->Respond(std::move(response));
    return {};
  }
  const std::string path = WithoutTrailingSlash(request.path);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  const Route* found = nullptr;
  for (const Route& route : Routes()) {
    if (route.path == path) found = &route;
  }
  static const Route one_model{"GET", "/v1/models/", &ApiServer::OneModel, false, false};
  static const Route asset{"GET", "", &ApiServer::Page, true, false};
  if (found == nullptr && path.starts_with("/v1/models/")) found = &one_model;
  if (found == nullptr && FindAsset(path) != nullptr) found = &asset;
  Call call{exchange, "", model()};
  if (found == nullptr || !found->open) {
    HONE_TRY(call.tenant, Authenticate(request));
  }
  if (found == nullptr) return NoSuchPath(request.path);
  if (found->method != method) {
    return tl::unexpected(
        ApiError{405, fmt::format("{} {}: expected {}", request.method, path, found->method)});
  }
  if (found->model && found->uses) {
    const std::lock_guard lock(mutex_);
    used_ = std::chrono::steady_clock::now();
  }
  if (found->model && !call.model) {
    if (found->uses && Park(exchange)) return {};
    if (draining_) return tl::unexpected(ApiError{503, "the server is shutting down", "", "", 5.0});
    if (unloaded()) return tl::unexpected(ApiError{503, "the model is unloaded", "", "unloaded", 1.0});
    return tl::unexpected(ApiError{503, "the model is being loaded", "", "loading", 1.0});
  }
  return (this->*found->handle)(call);
}

ApiResult<std::string> ApiServer::Authenticate(const HttpRequest& request) const {
  if (options_.api_keys.empty()) return std::string();
  std::string_view given = request.header("authorization");
  for (const std::string_view scheme : {"Bearer ", "bearer "}) {
    if (!given.starts_with(scheme)) continue;
    given.remove_prefix(scheme.size());
    std::string tenant;
    for (size_t i = 0; i < options_.api_keys.size(); ++i) {
      if (SameSecret(given, options_.api_keys[i])) tenant = fmt::format("key {}", i + 1);
    }
    if (!tenant.empty()) return tenant;
  }
  ApiError error{401, given.empty() ? "no API key was given, expected \"Authorization: Bearer KEY\""
                                    : "the API key is not valid"};
  error.code = "invalid_api_key";
  return tl::unexpected(std::move(error));
}

ApiResult<void> ApiServer::CountRequest(const Call& call) {
  if (draining_) return tl::unexpected(ApiError{503, "the server is shutting down", "", "", 5.0});
  auto& counted = static_cast<CountedExchange&>(*call.exchange);
  if (counted.Enter(call.tenant, call.tenant.empty() ? 0 : options_.requests_per_key)) return {};
  ApiError error{
      429, fmt::format("this key has {} requests under way, as many as it may", options_.requests_per_key)};
  error.code = "rate_limit_exceeded";
  error.retry_after_seconds = 1.0;
  return tl::unexpected(std::move(error));
}

ApiResult<void> ApiServer::CheckModel(RequestFields& fields) const {
  HONE_TRY(const auto model, fields.String("model"));
  if (!model || model->empty() || *model == options_.model_name) return {};
  ApiError error{
      404, fmt::format("the model \"{}\" is not served here, expected \"{}\"", *model, options_.model_name)};
  error.param = "model";
  error.code = "model_not_found";
  return tl::unexpected(std::move(error));
}

ApiResult<void> ApiServer::CheckLength(const ServedModel& model, const char* param, int64_t prompt_tokens,
                                       GenerationRequest& request) const {
  const int64_t context = model.engine().context();
  // Scoring a prompt needs no room for an answer.
  const int64_t answer = request.max_tokens == 0 ? 0 : 1;
  const int64_t most = options_.most_prompt_tokens > 0
                           ? std::min(options_.most_prompt_tokens, context - answer)
                           : context - answer;
  if (prompt_tokens > most) {
    ApiError error{400, fmt::format("{}: found {} tokens, expected at most {}: the context holds {}", param,
                                    prompt_tokens, most, context)};
    error.param = param;
    error.code = "context_length_exceeded";
    return tl::unexpected(std::move(error));
  }
  if (prompt_tokens == 0)
    return BadField(param, fmt::format("{}: found no tokens, expected at least one", param));
  if (options_.most_answer_tokens > 0) {
    if (request.max_tokens > options_.most_answer_tokens) {
      return BadField("max_tokens", fmt::format("max_tokens: found {}, expected at most {}",
                                                request.max_tokens, options_.most_answer_tokens));
    }
    if (request.max_tokens < 0) request.max_tokens = options_.most_answer_tokens;
  }
  return {};
}

ApiResult<void> ApiServer::Models(const Call& call) {
  Json json;
  json["object"] = "list";
  json["data"] = Json::array();
  Json model{{"id", options_.model_name}, {"object", "model"}, {"created", created_}, {"owned_by", "hone"}};
  if (call.model) model["max_model_len"] = call.model->engine().context();
  json["data"].push_back(std::move(model));
  call.exchange->Respond({.body = Dump(json)});
  return {};
}

ApiResult<void> ApiServer::OneModel(const Call& call) {
  const std::string name =
      WithoutTrailingSlash(call.exchange->request().path).substr(std::string_view("/v1/models/").size());
  if (name != options_.model_name) {
    ApiError error{404, fmt::format("the model \"{}\" is not served here", name.substr(0, 200))};
    error.code = "model_not_found";
    return tl::unexpected(std::move(error));
  }
  call.exchange->Respond(
      {.body = Dump({{"id", name}, {"object", "model"}, {"created", created_}, {"owned_by", "hone"}})});
  return {};
}

ApiResult<void> ApiServer::Health(const Call& call) {
  if (unloaded() && !draining_) {
    call.exchange->Respond({.body = R"({"status":"ok","model":"unloaded"})"});
    return {};
  }
  if (!call.model) {
    return tl::unexpected(ApiError{503, "the model is being loaded", "", "loading", 1.0});
  }
  if (draining_) return tl::unexpected(ApiError{503, "the server is shutting down"});
  call.exchange->Respond({.body = R"({"status":"ok"})"});
  return {};
}

ApiResult<void> ApiServer::Page(const Call& call) {
  const StaticAsset* asset = FindAsset(WithoutTrailingSlash(call.exchange->request().path));
  HttpResponse response{.content_type = std::string(asset->content_type), .body = std::string(asset->body)};
  response.headers.emplace_back("Content-Security-Policy", kPagePolicy);
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cache-Control", "no-cache");  // a new program brings a new page
  response.headers.emplace_back("X-Content-Type-Options", "nosniff");
  call.exchange->Respond(std::move(response));
  return {};
}

}  // namespace hone
