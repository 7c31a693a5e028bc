// /v1/embeddings, /tokenize and /detokenize.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <nlohmann/json.hpp>

#include "language/decoding/pooled_hidden.h"
#include "language/serving/http/answer_json.h"
#include "language/serving/http/api_server.h"
#include "language/serving/http/prompt_fields.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

std::string Base64(std::string_view bytes) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - i);
    uint32_t word = 0;
    for (size_t j = 0; j < 3; ++j) word = word << 8 | (j < left ? static_cast<uint8_t>(bytes[i + j]) : 0);
    for (size_t j = 0; j < 4; ++j) text += j <= left ? kDigits[word >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

// The texts of one request, embedded one by one or in one batch, as the scheduler likes.
class EmbeddingAnswer : public std::enable_shared_from_this<EmbeddingAnswer> {
 public:
  EmbeddingAnswer(std::shared_ptr<const ServedModel> served, std::vector<std::vector<TokenId>> inputs,
                  std::string model, bool base64, int64_t dimensions, std::shared_ptr<HttpExchange> exchange)
      : served_(std::move(served)),
        inputs_(std::move(inputs)),
        model_(std::move(model)),
        base64_(base64),
        dimensions_(dimensions),
        exchange_(std::move(exchange)),
        vectors_(inputs_.size()),
        left_(inputs_.size()) {}

  void Submit(const std::string& tenant) {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      ModelJob job;
      job.prompt = inputs_[i];
      job.rules.max_tokens = 0;
      job.reuse_prefix = false;
      job.strategy = [](Runner& runner, Sequence& sequence) -> Result<std::unique_ptr<DecodingStrategy>> {
        return std::make_unique<PooledHidden>(runner, sequence);
      };
      job.ended = [self = shared_from_this(), i](const ModelJob::Ended& ended) { self->OnEnded(i, ended); };
      JobRequest order;
      order.tenant = tenant;
      auto submitted = served_->engine().Submit(std::move(job), order);
      if (!submitted || std::holds_alternative<Refusal>(*submitted)) {
        if (submitted) {
          Fail({429, "the server is busy: the queue is full, try again later", "", "rate_limit_exceeded",
                std::get<Refusal>(*submitted).retry_after_seconds});
        } else {
          Fail(FromEngine(submitted.error()));
        }
        return Cancel();
      }
      const std::lock_guard lock(mutex_);
      jobs_.push_back(std::get<JobId>(*submitted));
    }
    exchange_->OnGone([weak = weak_from_this()] {
      if (const auto self = weak.lock()) self->Cancel();
    });
  }

 private:
  void Cancel() {
    std::vector<JobId> jobs;
    {
      const std::lock_guard lock(mutex_);
      jobs = jobs_;
    }
    for (const JobId id : jobs) served_->engine().Cancel(id);
  }

  void Fail(const ApiError& error) {
    HttpResponse response{.status = error.status, .body = ErrorBody(error)};
    if (error.retry_after_seconds > 0.0) {
      response.headers.emplace_back("Retry-After",
                                    std::to_string(static_cast<int>(error.retry_after_seconds + 1)));
    }
    exchange_->Respond(std::move(response));
  }

  void OnEnded(size_t index, const ModelJob::Ended& ended) {
    const std::lock_guard lock(mutex_);
    --left_;
    if (ended.generation.finish() == FinishReason::kFailed) return Fail(FromEngine(ended.generation.error()));
    if (ended.generation.finish() == FinishReason::kCancelled)
      return Fail({503, "the server is shutting down"});
    if (const auto* pooled = dynamic_cast<const PooledHidden*>(&ended.strategy)) {
      vectors_[index] = pooled->Embedding();
    }
    if (left_ == 0) Respond();
  }

  Json Vector(std::vector<float> values) const {
    if (dimensions_ > 0 && dimensions_ < static_cast<int64_t>(values.size())) {
      values.resize(static_cast<size_t>(dimensions_));
      double squares = 0.0;
      for (const float value : values) squares += static_cast<double>(value) * value;
      const double scale = squares > 0.0 ? 1.0 / std::sqrt(squares) : 0.0;
      for (float& value : values) value = static_cast<float>(value * scale);
    }
    if (!base64_) return values;
    return Base64({reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)});
  }

  void Respond() {
    Json json{{"object", "list"}, {"data", Json::array()}, {"model", model_}};
    int64_t tokens = 0;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      tokens += static_cast<int64_t>(inputs_[i].size());
      json["data"].push_back(
          {{"object", "embedding"}, {"index", i}, {"embedding", Vector(std::move(vectors_[i]))}});
    }
    json["usage"] = {{"prompt_tokens", tokens}, {"total_tokens", tokens}};
    exchange_->Respond({.body = Dump(json)});
  }

  const std::shared_ptr<const ServedModel> served_;
  const std::vector<std::vector<TokenId>> inputs_;
  const std::string model_;
  const bool base64_;
  const int64_t dimensions_;
  const std::shared_ptr<HttpExchange> exchange_;
  std::mutex mutex_;  // guards what follows
  std::vector<std::vector<float>> vectors_;
  std::vector<JobId> jobs_;
  size_t left_;
};

}  // namespace

ApiResult<void> ApiServer::Embeddings(const Call& call) {
  HONE_CHECK_OK(CountRequest(call));
  HONE_TRY(const Json body, ParseBody(call.exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  HONE_TRY(const auto format, fields.String("encoding_format"));
  const std::string encoding = format.value_or("float");
  if (encoding != "float" && encoding != "base64") {
    return BadField("encoding_format",
                    fmt::format("encoding_format: found \"{}\", expected \"float\" or \"base64\"",
                                encoding.substr(0, 40)));
  }
  const ServedModel& model = *call.model;
  HONE_TRY(const auto dimensions, fields.Integer("dimensions", 1, model.engine().model().config().width));
  bool texts = false;
  HONE_TRY(auto inputs, ReadPrompts(model, fields, "input", texts));
  GenerationRequest request;
  request.max_tokens = 0;
  for (const auto& tokens : inputs) {
    HONE_CHECK_OK(CheckLength(model, "input", static_cast<int64_t>(tokens.size()), request));
  }
  std::make_shared<EmbeddingAnswer>(call.model, std::move(inputs), options_.model_name, encoding == "base64",
                                    dimensions.value_or(0), call.exchange)
      ->Submit(call.tenant);
  return {};
}

ApiResult<void> ApiServer::Tokenize(const Call& call) {
  HONE_TRY(const Json body, ParseBody(call.exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  const Tokenizer& tokenizer = call.model->tokenizer();
  HONE_TRY(const auto content, fields.String("content"));
  HONE_TRY(const auto prompt, fields.String("prompt"));
  HONE_TRY(const auto special, fields.Bool("add_special_tokens"));
  HONE_TRY(const auto also_special, fields.Bool("add_special"));
  HONE_TRY(const auto pieces, fields.Bool("with_pieces"));
  Encoding encoding;
  if (const Json* messages = fields.Find("messages")) {
    HONE_TRY(const ChatPrompt* chat, call.model->Chat());
    auto encoded = chat->Encode(*messages);
    if (!encoded) return BadField("messages", encoded.error().message);
    encoding = std::move(*encoded);
  } else if (content || prompt) {
    const std::string& text = content ? *content : *prompt;
    const bool bos = special.value_or(also_special.value_or(false));
    encoding = bos ? EncodePrompt(tokenizer, text) : tokenizer.EncodeText(text);
  } else {
    return BadField("content", "content: absent, expected a string (or messages)");
  }
  Json json;
  json["tokens"] = Json::array();
  for (const TokenId id : encoding.tokens) {
    if (pieces.value_or(false)) {
      json["tokens"].push_back({{"id", id}, {"piece", TokenText(tokenizer, id)}});
    } else {
      json["tokens"].push_back(id);
    }
  }
  json["count"] = encoding.tokens.size();
  json["max_model_len"] = call.model->engine().context();
  if (encoding.dropped_bytes > 0) json["dropped_bytes"] = encoding.dropped_bytes;
  call.exchange->Respond({.body = Dump(json)});
  return {};
}

ApiResult<void> ApiServer::Detokenize(const Call& call) {
  HONE_TRY(const Json body, ParseBody(call.exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  HONE_TRY(const Json* list, fields.Array("tokens"));
  if (list == nullptr) return BadField("tokens", "tokens: absent, expected a list of token ids");
  std::vector<TokenId> tokens;
  if (!list->empty()) {
    bool texts = false;
    RequestFields ids(body);
    HONE_TRY(auto prompts, ReadPrompts(*call.model, ids, "tokens", texts));
    if (texts || !(*list)[0].is_number()) return BadField("tokens", "tokens: expected a list of token ids");
    tokens = std::move(prompts.front());
  }
  const std::string text = call.model->tokenizer().Decode(tokens, true);
  call.exchange->Respond({.body = Dump({{"content", text}, {"prompt", text}})});
  return {};
}

}  // namespace hone
