#include "cli/chat_history.h"

#include <nlohmann/json.hpp>

#include "cli/text_file.h"

namespace hone {

using Json = nlohmann::ordered_json;

void ChatHistory::SetSystem(const std::string& text) {
  if (!messages_.empty() && messages_.front().role == "system") messages_.erase(messages_.begin());
  system_ = text;
  if (!text.empty()) messages_.insert(messages_.begin(), {"system", text});
}

void ChatHistory::Reset() {
  messages_.clear();
  SetSystem(system_);
}

Result<void> ChatHistory::Save(const std::string& path) const {
  Json json = Json::array();
  for (const ChatMessage& message : messages_)
    json.push_back({{"role", message.role}, {"content", message.content}});
  return WriteTextFile(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<void> ChatHistory::Load(const std::string& path) {
  HONE_TRY(const std::string text, ReadTextFile(path));
  const Json json = Json::parse(text, nullptr, false);
  if (!json.is_array()) return BadInput(path, "messages", "expected a JSON array of messages");
  std::vector<ChatMessage> messages;
  for (size_t i = 0; i < json.size(); ++i) {
    const Json& message = json[i];
    const bool complete = message.is_object() && message.contains("role") && message["role"].is_string() &&
                          message.contains("content") && message["content"].is_string();
    if (!complete) return BadInput(path, fmt::format("[{}]", i), "expected an object with role and content");
    messages.push_back({message["role"].get<std::string>(), message["content"].get<std::string>()});
  }
  messages_ = std::move(messages);
  system_ =
      !messages_.empty() && messages_.front().role == "system" ? messages_.front().content : std::string();
  return {};
}

}  // namespace hone
