#include "language/decoding/chat_prompt.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

// Marks the end of the last message in a rendering that is to be cut there. Unlikely in a text, and free of
// white space and of anything a template might escape.
constexpr std::string_view kFinalMark = "hone-end-of-final-message-3f9c1e7a";

std::tm Now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  return local;
}

tl::unexpected<Error> BadMessages(std::string_view where, std::string_view text) {
  return tl::unexpected(Error{ErrorKind::kBadInput, fmt::format("messages{}: {}", where, text)});
}

tl::unexpected<Error> BadMessage(size_t index, std::string_view field, std::string_view text) {
  return BadMessages(fmt::format("[{}]{}{}", index, field.empty() ? "" : ".", field), text);
}

// A content that templates can take: a string, or null beside tool calls.
Result<Json> PlainContent(const Json& message, size_t index) {
  const auto content = message.find("content");
  if (content == message.end() || content->is_null()) {
    const auto calls = message.find("tool_calls");
    const bool has_calls = calls != message.end() && !calls->is_null();
    return has_calls ? Json(nullptr) : Json("");
  }
  if (content->is_string()) return *content;
  if (!content->is_array()) {
    return BadMessage(
        index, "content",
        fmt::format("found {}, expected a string, null or a list of text parts", content->type_name()));
  }
  std::string joined;
  for (size_t i = 0; i < content->size(); ++i) {
    const Json& part = (*content)[i];
    const std::string field = fmt::format("content[{}]", i);
    if (!part.is_object()) return BadMessage(index, field, "expected an object with a type");
    const auto type = part.find("type");
    if (type == part.end() || !type->is_string())
      return BadMessage(index, field + ".type", "expected a string");
    if (*type != "text") {
      return BadMessage(index, field + ".type",
                        fmt::format("found \"{}\", expected \"text\"", type->get<std::string>()));
    }
    const auto text = part.find("text");
    if (text == part.end() || !text->is_string())
      return BadMessage(index, field + ".text", "expected a string");
    if (i > 0) joined += '\n';
    joined += text->get<std::string>();
  }
  return Json(std::move(joined));
}

Result<Json> PlainMessages(const Json& messages) {
  if (!messages.is_array())
    return BadMessages("", fmt::format("found {}, expected an array", messages.type_name()));
  if (messages.empty()) return BadMessages("", "found none, expected at least one");
  Json plain = Json::array();
  for (size_t i = 0; i < messages.size(); ++i) {
    Json message = messages[i];
    if (!message.is_object()) return BadMessage(i, "", "expected an object with role and content");
    const auto role = message.find("role");
    if (role == message.end() || !role->is_string()) return BadMessage(i, "role", "expected a string");
    HONE_TRY(message["content"], PlainContent(messages[i], i));
    plain.push_back(std::move(message));
  }
  return plain;
}

// Members of `text`, which must be a JSON object (or array), or nothing.
Result<Json> ParseOption(const std::string& text, const char* name, bool object) {
  Json value = Json::parse(text, nullptr, false);
  if (value.is_discarded()) return WrongUsage("{}: not valid JSON", name);
  if (object ? !value.is_object() : !value.is_array()) {
    return WrongUsage("{}: found {}, expected {}", name, value.type_name(),
                      object ? "an object" : "an array");
  }
  return value;
}

// Cuts the rendering where `kFinalMark` stands.
Result<RenderedChat> CutAtMark(RenderedChat chat) {
  const size_t end = chat.text.rfind(kFinalMark);
  if (end == std::string::npos) {
    return Failed(
        "chat template: the final message cannot be continued: the template does not write its text");
  }
  chat.text.resize(end);
  std::vector<RenderedChat::Span> spans;
  for (RenderedChat::Span span : chat.from_variables) {
    span.end = std::min(span.end, end);
    if (span.begin < span.end) spans.push_back(span);
  }
  chat.from_variables = std::move(spans);
  return chat;
}

std::string Spelling(const Tokenizer& tokenizer, TokenId id) {
  return id == kNoToken ? std::string() : tokenizer.Decode({&id, 1}, true);
}

void PutBosFirst(const SpecialTokens& special, std::vector<TokenId>& tokens) {
  if (special.add_bos && special.bos != kNoToken && (tokens.empty() || tokens.front() != special.bos)) {
    tokens.insert(tokens.begin(), special.bos);
  }
}

}  // namespace

Encoding EncodePrompt(const Tokenizer& tokenizer, std::string_view text) {
  Encoding encoding = tokenizer.EncodeText(text);
  PutBosFirst(tokenizer.special(), encoding.tokens);
  return encoding;
}

Result<ChatPrompt> ChatPrompt::Create(std::string_view source, std::shared_ptr<const Tokenizer> tokenizer,
                                      std::string_view model) {
  if (source.empty()) {
    return BadInput(model, "chat template",
                    "the model has none (a base model), expected one: give it with --chat-template FILE, or "
                    "complete plain "
                    "text with hone run --raw");
  }
  HONE_TRY(ChatTemplate parsed, ChatTemplate::Parse(source));
  return ChatPrompt(std::move(parsed), std::move(tokenizer));
}

ChatPrompt::ChatPrompt(ChatTemplate chat_template, std::shared_ptr<const Tokenizer> tokenizer)
    : template_(std::move(chat_template)),
      tokenizer_(std::move(tokenizer)),
      ends_(tokenizer_->special().ends) {
  FindEndOfTurn();
}

void ChatPrompt::FindEndOfTurn() {
  // A short conversation is rendered, and the control token that follows the assistant's words is the end of
  // a turn. A template that refuses the conversation or closes a turn with plain text has none.
  constexpr std::string_view kWords = "hone-answer";
  const Json messages = {{{"role", "user"}, {"content", "hone-question"}},
                         {{"role", "assistant"}, {"content", kWords}}};
  ChatPromptOptions options;
  options.add_generation_prompt = false;
  const auto chat = Render(messages, options);
  if (!chat) return;
  const size_t at = chat->text.rfind(kWords);
  if (at == std::string::npos) return;
  const std::string_view after = std::string_view(chat->text).substr(at + kWords.size());
  for (const TokenId id : tokenizer_->Encode(after, {}).tokens) {
    if (tokenizer_->IsControl(id)) {
      ends_.push_back(id);
      break;
    }
    const std::string_view bytes = tokenizer_->TokenBytes(id);
    if (bytes.find_first_not_of(" \t\r\n") != std::string_view::npos) return;
  }
  std::sort(ends_.begin(), ends_.end());
  ends_.erase(std::unique(ends_.begin(), ends_.end()), ends_.end());
}

Result<RenderedChat> ChatPrompt::Render(const Json& messages, const ChatPromptOptions& options) const {
  Json variables = Json::object();
  if (!options.template_kwargs_json.empty()) {
    HONE_TRY(variables, ParseOption(options.template_kwargs_json, "chat_template_kwargs", true));
  }
  HONE_TRY(Json plain, PlainMessages(messages));
  const bool continues = options.continue_final_message;
  if (continues) {
    if (options.add_generation_prompt.value_or(false)) {
      return WrongUsage(
          "continue_final_message: found together with add_generation_prompt, expected one of them");
    }
    Json& last = plain.back();
    if (last["role"] != "assistant") {
      return WrongUsage("continue_final_message: the last message is the {}'s, expected the assistant's",
                        last["role"].get<std::string>());
    }
    last["content"] =
        (last["content"].is_null() ? "" : last["content"].get<std::string>()) + std::string(kFinalMark);
  }
  variables["messages"] = std::move(plain);
  if (!options.tools_json.empty()) {
    HONE_TRY(variables["tools"], ParseOption(options.tools_json, "tools", false));
  }
  variables["add_generation_prompt"] = options.add_generation_prompt.value_or(!continues);
  const SpecialTokens& special = tokenizer_->special();
  variables["bos_token"] = Spelling(*tokenizer_, special.bos);
  variables["eos_token"] = Spelling(*tokenizer_, special.eos);
  HONE_TRY(RenderedChat chat, template_.Render(variables, options.clock ? *options.clock : Now()));
  if (continues) return CutAtMark(std::move(chat));
  return chat;
}

Encoding ChatPrompt::EncodeRendered(const RenderedChat& chat) const {
  std::vector<ByteSpan> literal;
  literal.reserve(chat.from_variables.size());
  for (const auto& span : chat.from_variables) literal.push_back({span.begin, span.end});
  Encoding encoding = tokenizer_->Encode(chat.text, literal);
  PutBosFirst(tokenizer_->special(), encoding.tokens);
  return encoding;
}

Result<Encoding> ChatPrompt::Encode(const Json& messages, const ChatPromptOptions& options) const {
  HONE_TRY(const RenderedChat chat, Render(messages, options));
  return EncodeRendered(chat);
}

Result<Encoding> ChatPrompt::Encode(std::span<const ChatMessage> messages,
                                    const ChatPromptOptions& options) const {
  Json json = Json::array();
  for (const ChatMessage& message : messages)
    json.push_back({{"role", message.role}, {"content", message.content}});
  return Encode(json, options);
}

}  // namespace hone
