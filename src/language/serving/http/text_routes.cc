// The routes that write text: chat completions, completions, responses.
#include <ctime>
#include <nlohmann/json.hpp>

#include "language/serving/http/api_counters.h"
#include "language/serving/http/api_server.h"
#include "language/serving/http/prompt_fields.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostTop = 20;

ApiResult<void> ReadMaxCompletionTokens(RequestFields& fields, const char* name, GenerationRequest& request) {
  HONE_TRY(const auto most, fields.Integer(name, 0, INT32_MAX));
  if (!most) return {};
  if (request.max_tokens >= 0 && request.max_tokens != *most) {
    return BadField(name, fmt::format("{}: found {} beside max_tokens {}: they mean the same", name, *most,
                                      request.max_tokens));
  }
  request.max_tokens = *most;
  return {};
}

ApiResult<void> ReadChatScores(RequestFields& fields, GenerationRequest& request) {
  HONE_TRY(const auto wanted, fields.Bool("logprobs"));
  HONE_TRY(const auto top, fields.Integer("top_logprobs", 0, kMostTop));
  request.log_probabilities = wanted.value_or(false);
  request.top = top.value_or(0);
  if (top && *top > 0 && !request.log_probabilities) {
    return BadField("top_logprobs", "top_logprobs: only with logprobs true");
  }
  return {};
}

std::optional<ThinkingStart> Thinking(ReasoningSplitter::Start start) {
  switch (start) {
    case ReasoningSplitter::Start::kInside:
      return ThinkingStart::kOpened;
    case ReasoningSplitter::Start::kMaybe:
      return ThinkingStart::kMaybe;
    case ReasoningSplitter::Start::kNever:
      break;
  }
  return std::nullopt;
}

}  // namespace

// A request for text on its way to a plan.
struct ApiServer::TextRequest {
  explicit TextRequest(Json json) : body(std::move(json)), fields(body) {}
  const Json body;
  RequestFields fields;
  AnswerPlan plan;
};

ApiResult<std::unique_ptr<ApiServer::TextRequest>> ApiServer::ReadText(const Call& call,
                                                                       const char* most_tokens) const {
  HONE_TRY(Json body, ParseBody(call.exchange->request().body));
  auto text = std::make_unique<TextRequest>(std::move(body));
  HONE_CHECK_OK(CheckModel(text->fields));
  HONE_TRY(text->plan.request, ReadGenerationRequest(text->fields));
  HONE_CHECK_OK(ReadMaxCompletionTokens(text->fields, most_tokens, text->plan.request));
  return text;
}

ApiResult<void> ApiServer::PlanChat(const ServedModel& model, TextRequest& text, Json messages,
                                    const char* param, const std::optional<AnswerFormat>& format,
                                    const ToolRequest& tools) const {
  AnswerPlan& plan = text.plan;
  const bool shown = tools.active() && model.constraints().syntax().has_value();
  HONE_TRY(const ChatPromptOptions options, ReadPromptOptions(text.fields, shown ? tools.list->dump() : ""));
  if (tools.active() && !shown) DescribeTools(tools, messages);
  HONE_TRY(const ChatPrompt* chat, model.Chat());
  auto prompt = chat->Encode(messages, options);
  if (!prompt) {
    ApiError error = FromEngine(prompt.error());
    error.param = param;
    return tl::unexpected(std::move(error));
  }
  HONE_CHECK_OK(CheckLength(model, param, static_cast<int64_t>(prompt->tokens.size()), plan.request));
  plan.ends = model.ends();
  plan.reasoning = model.ReasoningStart(prompt->tokens);
  plan.markers = model.Markers(tools.active());
  if (tools.active()) plan.tool_names = tools.names;
  HONE_TRY(plan.masks, model.constraints().Masks(format, tools, Thinking(plan.reasoning), plan.ends));
  plan.prompts.push_back({std::move(prompt->tokens), prompt->dropped_bytes});
  return {};
}

ApiResult<void> ApiServer::ChatCompletions(const Call& call) {
  HONE_CHECK_OK(CountRequest(call));
  HONE_TRY(const auto text, ReadText(call, "max_completion_tokens"));
  RequestFields& fields = text->fields;
  HONE_CHECK_OK(ReadChatScores(fields, text->plan.request));
  HONE_TRY(const auto format, ReadAnswerFormat(fields));
  HONE_TRY(const ToolRequest tools, ReadTools(fields));
  const Json* messages = fields.Find("messages");
  if (messages == nullptr) return BadField("messages", "messages: absent, expected a list of messages");
  HONE_CHECK_OK(PlanChat(*call.model, *text, *messages, "messages", format, tools));
  return StartAnswer(call, *text, ChatWriter(Identity(*call.model, "chatcmpl-", text->plan.request)));
}

ApiResult<void> ApiServer::Responses(const Call& call) {
  HONE_CHECK_OK(CountRequest(call));
  HONE_TRY(const auto text, ReadText(call, "max_output_tokens"));
  RequestFields& fields = text->fields;
  for (const char* name : {"previous_response_id", "conversation", "background", "prompt", "tools"}) {
    const Json* value = fields.Find(name);
    if (value == nullptr || *value == Json(false) || *value == Json::array()) continue;
    return BadField(name, fmt::format("{}: not supported", name));
  }
  if (text->plan.request.choices != 1) return BadField("n", "n: expected 1");
  HONE_TRY(const auto format, ReadTextFormat(fields));
  HONE_TRY(Json messages, ResponsesMessages(fields));
  HONE_CHECK_OK(PlanChat(*call.model, *text, std::move(messages), "input", format, {}));
  return StartAnswer(call, *text, ResponsesWriter(Identity(*call.model, "resp_", text->plan.request)));
}

ApiResult<void> ApiServer::Completions(const Call& call) {
  HONE_CHECK_OK(CountRequest(call));
  HONE_TRY(const auto text, ReadText(call, "max_completion_tokens"));
  RequestFields& fields = text->fields;
  AnswerPlan& plan = text->plan;
  const ServedModel& model = *call.model;
  if (plan.request.max_tokens < 0) plan.request.max_tokens = 16;  // the API's default
  HONE_TRY(const auto top, fields.Integer("logprobs", 0, kMostTop));
  plan.request.log_probabilities = top.has_value();
  plan.request.top = top.value_or(0);
  HONE_TRY(const auto format, ReadAnswerFormat(fields));
  HONE_TRY(const auto echo_field, fields.Bool("echo"));
  const bool echo = echo_field.value_or(false);
  if (plan.request.max_tokens == 0 && !echo) {
    return BadField("max_tokens", "max_tokens: found 0, expected at least 1 without echo");
  }
  if (echo && plan.request.stream && plan.request.log_probabilities) {
    return BadField("echo", "echo: not together with stream and logprobs");
  }
  bool texts = false;
  HONE_TRY(auto prompts, ReadPrompts(model, fields, "prompt", texts));
  CompletionEcho echoed;
  echoed.choices = plan.request.choices;
  plan.prompt_scores = echo && plan.request.log_probabilities;
  const Tokenizer& tokenizer = model.tokenizer();
  for (auto& tokens : prompts) {
    HONE_CHECK_OK(CheckLength(model, "prompt", static_cast<int64_t>(tokens.size()), plan.request));
    if (echo) echoed.texts.push_back(tokenizer.Decode(tokens, false));
    if (plan.prompt_scores) echoed.tokens.push_back(tokens);
    plan.prompts.push_back({std::move(tokens), 0});
  }
  if (static_cast<int64_t>(plan.prompts.size()) * plan.request.choices > static_cast<int64_t>(kMostPrompts)) {
    return BadField(
        "n", fmt::format("n: {} answers in all, expected at most {}",
                         static_cast<int64_t>(plan.prompts.size()) * plan.request.choices, kMostPrompts));
  }
  plan.ends = model.ends();
  HONE_TRY(plan.masks, model.constraints().Masks(format, {}, std::nullopt, plan.ends));
  return StartAnswer(call, *text,
                     CompletionWriter(Identity(model, "cmpl-", plan.request), std::move(echoed)));
}

AnswerIdentity ApiServer::Identity(const ServedModel& model, std::string_view prefix,
                                   const GenerationRequest& request) {
  AnswerIdentity identity;
  identity.id = fmt::format("{}{}{:x}", prefix, id_prefix_, next_id_.fetch_add(1));
  identity.model = options_.model_name;
  identity.created = std::time(nullptr);
  identity.seed = request.seed;
  identity.include_usage = request.include_usage;
  identity.tokenizer = model.shared_tokenizer();
  identity.log_probabilities = request.log_probabilities;
  return identity;
}

ApiResult<void> ApiServer::StartAnswer(const Call& call, TextRequest& text,
                                       std::unique_ptr<AnswerWriter> writer) {
  AnswerPlan& plan = text.plan;
  if (plan.masks && plan.request.ignore_ends) {
    return BadField("ignore_eos", "ignore_eos: not together with a form that the answer must have");
  }
  const std::vector<std::string> ignored = text.fields.Unread();
  if (!ignored.empty()) {
    std::string names;
    for (const std::string& name : ignored) {
      // Names come from the client: only what a header may hold.
      std::string clean;
      for (const char c : name.substr(0, 64)) clean += c > ' ' && c < 127 && c != ',' ? c : '?';
      if (names.size() < 1024) names += (names.empty() ? "" : ", ") + clean;
    }
    plan.headers.emplace_back("X-Ignored-Parameters", names);
  }
  plan.tenant = call.tenant.empty() ? plan.request.user : call.tenant;
  plan.seconds = options_.request_seconds;
  plan.on_times = [counters = counters_](const JobTimes& times, int64_t tokens) {
    const std::lock_guard lock(counters->mutex);
    if (times.first_token < 0.0) return;
    counters->first_token.Add(times.first_token - times.arrival);
    counters->whole.Add(times.last_token - times.arrival);
    if (tokens > 1) {
      counters->per_token.Add((times.last_token - times.first_token) / static_cast<double>(tokens - 1));
    }
  };
  HttpAnswer::Start(call.model, std::move(plan), std::move(writer), call.exchange);
  return {};
}

}  // namespace hone
