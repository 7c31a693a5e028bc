// The messages of a chat, on screen and in a file.
#pragma once

#include <string>
#include <vector>

#include "language/decoding/chat_prompt.h"

namespace hone {

class ChatHistory {
 public:
  const std::vector<ChatMessage>& messages() const { return messages_; }
  void Add(std::string role, std::string content) {
    messages_.push_back({std::move(role), std::move(content)});
  }
  void RemoveLast() { messages_.pop_back(); }

  // Empty: no system prompt. It stands first; the rest stays.
  void SetSystem(const std::string& text);
  const std::string& system() const { return system_; }
  // Forgets everything but the system prompt.
  void Reset();

  // [{"role": .., "content": ..}, ..] as `hone run --messages` reads it.
  Result<void> Save(const std::string& path) const;
  // Takes the place of everything here; an error leaves it as it was.
  Result<void> Load(const std::string& path);

 private:
  std::string system_;
  std::vector<ChatMessage> messages_;
};

}  // namespace hone
