// The routes that write text: chat completions, completions, responses.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "language/serving/http/api_server.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostPrompts = 256;
constexpr int64_t kMostTop = 20;
constexpr size_t kMostTools = 128;

ApiError FromPrompt(const Error& error, const char* param) {
  ApiError result{error.kind == ErrorKind::kFailed ? 500 : 400, error.message};
  result.param = param;
  return result;
}

struct Tools {
  std::string json;  // what the template sees; empty: none
  std::vector<std::string> names;
};

ApiResult<Tools> ReadTools(RequestFields& fields) {
  Tools tools;
  HONE_TRY(const Json* list, fields.Array("tools"));
  const Json* choice = fields.Find("tool_choice");
  HONE_TRY(const auto parallel, fields.Bool("parallel_tool_calls"));
  (void)parallel;
  if (list != nullptr) {
    if (list->size() > kMostTools) {
      return BadField("tools", fmt::format("tools: found {}, expected at most {}", list->size(), kMostTools));
    }
    for (size_t i = 0; i < list->size(); ++i) {
      const Json& tool = (*list)[i];
      const bool function = tool.is_object() && tool.value("type", Json()) == "function" &&
                            tool.contains("function") && tool["function"].is_object() &&
                            tool["function"].value("name", Json()).is_string();
      if (!function) {
        return BadField(
            fmt::format("tools[{}]", i),
            fmt::format("tools[{}]: expected {{\"type\": \"function\", \"function\": {{\"name\": ..}}}}", i));
      }
      tools.names.push_back(tool["function"]["name"].get<std::string>());
    }
  }
  if (choice != nullptr) {
    if (*choice == "none") {
      tools.names.clear();
      return tools;
    }
    if (*choice != "auto") {
      if (tools.names.empty()) return BadField("tool_choice", "tool_choice: no tools are declared");
      const Json function = choice->is_object() ? choice->value("function", Json::object()) : Json::object();
      const Json name = function.is_object() ? function.value("name", Json()) : Json();
      if (*choice != "required" && !name.is_string()) {
        return BadField("tool_choice",
                        "tool_choice: expected \"none\", \"auto\", \"required\" or {\"type\": \"function\", "
                        "\"function\": {\"name\": ..}}");
      }
      if (name.is_string() &&
          std::find(tools.names.begin(), tools.names.end(), name.get<std::string>()) == tools.names.end()) {
        return BadField("tool_choice",
                        fmt::format("tool_choice: the tool \"{}\" is not declared", name.get<std::string>()));
      }
      return BadField("tool_choice",
                      "tool_choice: forcing a call is not supported yet, use \"auto\" or \"none\"");
    }
  }
  if (list != nullptr && !list->empty()) tools.json = list->dump();
  return tools;
}

ApiResult<void> ReadResponseFormat(RequestFields& fields) {
  HONE_TRY(const Json* format, fields.Object("response_format"));
  if (format == nullptr) return {};
  const Json type = format->value("type", Json());
  if (type == "text") return {};
  return BadField("response_format", "response_format: only {\"type\": \"text\"} is supported yet");
}

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

ApiResult<ChatPromptOptions> ReadPromptOptions(RequestFields& fields, const Tools& tools) {
  ChatPromptOptions prompt;
  prompt.tools_json = tools.json;
  HONE_TRY(const Json* kwargs, fields.Object("chat_template_kwargs"));
  if (kwargs != nullptr)
    prompt.template_kwargs_json = kwargs->dump(-1, ' ', false, Json::error_handler_t::replace);
  HONE_TRY(const auto add, fields.Bool("add_generation_prompt"));
  HONE_TRY(const auto goes_on, fields.Bool("continue_final_message"));
  prompt.continue_final_message = goes_on.value_or(false);
  if (add) prompt.add_generation_prompt = *add;
  if (prompt.continue_final_message && add.value_or(false)) {
    return BadField("continue_final_message",
                    "continue_final_message: not together with add_generation_prompt true");
  }
  return prompt;
}

// The input of /v1/responses as messages.
ApiResult<Json> ResponsesMessages(RequestFields& fields) {
  Json messages = Json::array();
  HONE_TRY(const auto instructions, fields.String("instructions"));
  if (instructions) messages.push_back({{"role", "system"}, {"content", *instructions}});
  const Json* input = fields.Find("input");
  if (input == nullptr) return BadField("input", "input: absent, expected a string or a list of messages");
  if (input->is_string()) {
    messages.push_back({{"role", "user"}, {"content", *input}});
    return messages;
  }
  if (!input->is_array()) return BadField("input", "input: expected a string or a list of messages");
  for (size_t i = 0; i < input->size(); ++i) {
    Json item = (*input)[i];
    const std::string where = fmt::format("input[{}]", i);
    if (!item.is_object()) return BadField(where, where + ": expected a message");
    if (item.contains("type") && item["type"] != "message") {
      return BadField(where + ".type", where + ".type: only \"message\" is supported");
    }
    if (item.contains("content") && item["content"].is_array()) {
      for (Json& part : item["content"]) {
        if (!part.is_object()) continue;
        const Json type = part.value("type", Json());
        if (type == "input_text" || type == "output_text") part["type"] = "text";
      }
    }
    Json message{{"role", item.value("role", Json())}, {"content", item.value("content", Json())}};
    if (message["role"] == "developer") message["role"] = "system";
    messages.push_back(std::move(message));
  }
  return messages;
}

}  // namespace

// A template that opened the tag leaves it at the prompt's end.
ReasoningSplitter::Start ApiServer::ReasoningStart(const std::vector<TokenId>& prompt) const {
  if (!thinks_) return ReasoningSplitter::Start::kNever;
  constexpr size_t kTail = 8;
  const size_t begin = prompt.size() > kTail ? prompt.size() - kTail : 0;
  std::string tail = engine_.load()->model().tokenizer().Decode(std::span(prompt).subspan(begin), true);
  tail.erase(tail.find_last_not_of(" \t\r\n") + 1);
  return tail.ends_with("<think>") ? ReasoningSplitter::Start::kInside : ReasoningSplitter::Start::kMaybe;
}

ApiResult<void> ApiServer::ChatCompletions(const Exchange& exchange, const std::string& tenant) {
  HONE_CHECK_OK(CountRequest(exchange, tenant));
  HONE_TRY(const Json body, ParseBody(exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  AnswerPlan plan;
  HONE_TRY(plan.request, ReadGenerationRequest(fields));
  HONE_CHECK_OK(ReadMaxCompletionTokens(fields, "max_completion_tokens", plan.request));
  HONE_CHECK_OK(ReadChatScores(fields, plan.request));
  HONE_CHECK_OK(ReadResponseFormat(fields));
  HONE_TRY(const Tools tools, ReadTools(fields));
  HONE_TRY(const ChatPromptOptions options, ReadPromptOptions(fields, tools));
  const Json* messages = fields.Find("messages");
  if (messages == nullptr) return BadField("messages", "messages: absent, expected a list of messages");
  HONE_TRY(const ChatPrompt* chat, Chat());
  auto prompt = chat->Encode(*messages, options);
  if (!prompt) return tl::unexpected(FromPrompt(prompt.error(), "messages"));
  HONE_CHECK_OK(CheckLength("messages", static_cast<int64_t>(prompt->tokens.size()), plan.request));
  plan.ends = chat->ends();
  plan.reasoning = ReasoningStart(prompt->tokens);
  plan.tool_names = tools.json.empty() ? std::vector<std::string>() : tools.names;
  plan.prompts.push_back({std::move(prompt->tokens), prompt->dropped_bytes});
  auto writer = ChatWriter(Identity("chatcmpl-", plan.request));
  return StartAnswer(exchange, tenant, fields, std::move(plan), std::move(writer));
}

ApiResult<void> ApiServer::Responses(const Exchange& exchange, const std::string& tenant) {
  HONE_CHECK_OK(CountRequest(exchange, tenant));
  HONE_TRY(const Json body, ParseBody(exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  for (const char* name : {"previous_response_id", "conversation", "background", "prompt", "tools"}) {
    const Json* value = fields.Find(name);
    if (value == nullptr || *value == Json(false) || *value == Json::array()) continue;
    return BadField(name, fmt::format("{}: not supported", name));
  }
  AnswerPlan plan;
  HONE_TRY(plan.request, ReadGenerationRequest(fields));
  if (plan.request.choices != 1) return BadField("n", "n: expected 1");
  HONE_CHECK_OK(ReadMaxCompletionTokens(fields, "max_output_tokens", plan.request));
  HONE_TRY(const Json messages, ResponsesMessages(fields));
  HONE_TRY(const ChatPromptOptions options, ReadPromptOptions(fields, {}));
  HONE_TRY(const ChatPrompt* chat, Chat());
  auto prompt = chat->Encode(messages, options);
  if (!prompt) return tl::unexpected(FromPrompt(prompt.error(), "input"));
  HONE_CHECK_OK(CheckLength("input", static_cast<int64_t>(prompt->tokens.size()), plan.request));
  plan.ends = chat->ends();
  plan.reasoning = ReasoningStart(prompt->tokens);
  plan.prompts.push_back({std::move(prompt->tokens), prompt->dropped_bytes});
  auto writer = ResponsesWriter(Identity("resp_", plan.request));
  return StartAnswer(exchange, tenant, fields, std::move(plan), std::move(writer));
}

// A string, a list of strings, a list of token ids or a list of such lists.
ApiResult<std::vector<std::vector<TokenId>>> ApiServer::ReadPrompts(RequestFields& fields,
                                                                    const std::string& name,
                                                                    bool& texts) const {
  const Tokenizer& tokenizer = engine_.load()->model().tokenizer();
  const int64_t vocabulary = engine_.load()->model().config().vocabulary;
  const Json* value = fields.Find(name);
  const auto wrong = [&] {
    return BadField(name,
                    fmt::format("{}: expected a string, a list of strings, or lists of token ids", name));
  };
  if (value == nullptr || (!value->is_string() && !value->is_array()) || value->empty()) return wrong();
  const auto ids = [&](const Json& list) -> ApiResult<std::vector<TokenId>> {
    std::vector<TokenId> tokens;
    for (const Json& id : list) {
      if (!id.is_number_integer()) return wrong();
      const auto token = id.get<int64_t>();
      if (token < 0 || token >= vocabulary) {
        return BadField(
            name, fmt::format("{}: found token {}, expected ids from 0 to {}", name, token, vocabulary - 1));
      }
      tokens.push_back(static_cast<TokenId>(token));
    }
    return tokens;
  };
  std::vector<std::vector<TokenId>> prompts;
  texts = value->is_string() || (value->is_array() && (*value)[0].is_string());
  if (value->is_string()) {
    prompts.push_back(EncodePrompt(tokenizer, value->get<std::string>()).tokens);
  } else if ((*value)[0].is_number()) {
    HONE_TRY(auto tokens, ids(*value));
    prompts.push_back(std::move(tokens));
  } else {
    if (value->size() > kMostPrompts) {
      return BadField(
          name, fmt::format("{}: found {} prompts, expected at most {}", name, value->size(), kMostPrompts));
    }
    for (const Json& prompt : *value) {
      if (prompt.is_string() && texts) {
        prompts.push_back(EncodePrompt(tokenizer, prompt.get<std::string>()).tokens);
      } else if (prompt.is_array() && !texts) {
        HONE_TRY(auto tokens, ids(prompt));
        prompts.push_back(std::move(tokens));
      } else {
        return wrong();
      }
    }
  }
  return prompts;
}

ApiResult<void> ApiServer::Completions(const Exchange& exchange, const std::string& tenant) {
  HONE_CHECK_OK(CountRequest(exchange, tenant));
  HONE_TRY(const Json body, ParseBody(exchange->request().body));
  RequestFields fields(body);
  HONE_CHECK_OK(CheckModel(fields));
  AnswerPlan plan;
  HONE_TRY(plan.request, ReadGenerationRequest(fields));
  HONE_CHECK_OK(ReadMaxCompletionTokens(fields, "max_completion_tokens", plan.request));
  if (plan.request.max_tokens < 0) plan.request.max_tokens = 16;  // the API's default
  HONE_TRY(const auto top, fields.Integer("logprobs", 0, kMostTop));
  plan.request.log_probabilities = top.has_value();
  plan.request.top = top.value_or(0);
  HONE_CHECK_OK(ReadResponseFormat(fields));
  HONE_TRY(const auto echo_field, fields.Bool("echo"));
  const bool echo = echo_field.value_or(false);
  if (plan.request.max_tokens == 0 && !echo) {
    return BadField("max_tokens", "max_tokens: found 0, expected at least 1 without echo");
  }
  if (echo && plan.request.stream && plan.request.log_probabilities) {
    return BadField("echo", "echo: not together with stream and logprobs");
  }
  bool texts = false;
  HONE_TRY(auto prompts, ReadPrompts(fields, "prompt", texts));
  CompletionEcho echoed;
  echoed.choices = plan.request.choices;
  plan.prompt_scores = echo && plan.request.log_probabilities;
  const Tokenizer& tokenizer = engine_.load()->model().tokenizer();
  for (auto& tokens : prompts) {
    HONE_CHECK_OK(CheckLength("prompt", static_cast<int64_t>(tokens.size()), plan.request));
    if (echo) echoed.texts.push_back(tokenizer.Decode(tokens, false));
    if (plan.prompt_scores) echoed.tokens.push_back(tokens);
    plan.prompts.push_back({std::move(tokens), 0});
  }
  if (static_cast<int64_t>(plan.prompts.size()) * plan.request.choices > static_cast<int64_t>(kMostPrompts)) {
    return BadField(
        "n", fmt::format("n: {} answers in all, expected at most {}",
                         static_cast<int64_t>(plan.prompts.size()) * plan.request.choices, kMostPrompts));
  }
  plan.ends = chat_ ? chat_->ends() : tokenizer.special().ends;
  auto writer = CompletionWriter(Identity("cmpl-", plan.request), std::move(echoed));
  return StartAnswer(exchange, tenant, fields, std::move(plan), std::move(writer));
}

}  // namespace hone
