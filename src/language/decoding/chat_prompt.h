// From messages to prompt tokens, by the model's chat template.
#pragma once

#include <ctime>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/formats/template/chat_template.h"
#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

struct ChatMessage {
  std::string role;  // "system", "user", "assistant" or what the template knows
  std::string content;
};

struct ChatPromptOptions {
  // Opens the assistant's turn; absent: yes, unless the last message is continued.
  std::optional<bool> add_generation_prompt;
  // Leaves the last message, the assistant's, open: the answer goes on from its text.
  bool continue_final_message = false;
  std::string tools_json;            // an array; empty: none
  std::string template_kwargs_json;  // an object whose members the template sees as variables; empty: none
  std::optional<std::tm> clock;      // what strftime_now sees; absent: now
};

class ChatPrompt {
 public:
  // `source` empty: an error that names --chat-template. `model` is how errors call the model.
  static Result<ChatPrompt> Create(std::string_view source, std::shared_ptr<const Tokenizer> tokenizer,
                                   std::string_view model);

  // `messages` is an array in OpenAI's form: content is a string, a list of text parts (joined by newlines),
  // or null (an empty string unless tool calls stand beside it). Only the template's own text can become
  // control tokens. The result starts with exactly one BOS where the model wants one, whether or not the
  // template writes it.
  Result<Encoding> Encode(const nlohmann::ordered_json& messages,
                          const ChatPromptOptions& options = {}) const;
  Result<Encoding> Encode(std::span<const ChatMessage> messages, const ChatPromptOptions& options = {}) const;

  // What Encode encodes.
  Result<RenderedChat> Render(const nlohmann::ordered_json& messages,
                              const ChatPromptOptions& options = {}) const;

  // Every token that ends an answer, sorted: the file's (eos, eot, lists of ids) and the one with which the
  // template closes an assistant's turn.
  const std::vector<TokenId>& ends() const { return ends_; }

 private:
  ChatPrompt(ChatTemplate chat_template, std::shared_ptr<const Tokenizer> tokenizer);
  void FindEndOfTurn();
  Encoding EncodeRendered(const RenderedChat& chat) const;

  ChatTemplate template_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::vector<TokenId> ends_;
};

// Text without a template: BOS in front where the file says so (Gemma: yes, SmolLM2: no). Spellings of
// control tokens are text.
Encoding EncodePrompt(const Tokenizer& tokenizer, std::string_view text);

}  // namespace hone
