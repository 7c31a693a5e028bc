#include "cli/chat_history.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>

#include "cli/text_input.h"

namespace hone {

namespace {

using Json = nlohmann::ordered_json;

Result<void> WriteText(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return Failed("{}: {}", path, std::strerror(errno));
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) != 0 || !written) return Failed("{}: {}", path, std::strerror(errno));
  return {};
}

}  // namespace

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
  return WriteText(path, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

Result<void> ChatHistory::Load(const std::string& path) {
  HONE_TRY(const std::string text, ReadText(path));
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
