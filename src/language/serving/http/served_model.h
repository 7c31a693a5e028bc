// A model as the routes use it: what is worked out once when it has been loaded.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "language/decoding/chat_prompt.h"
#include "language/serving/http/answer_constraints.h"
#include "language/serving/http/reasoning_splitter.h"
#include "language/serving/serving_engine.h"

namespace hone {

class ServedModel {
 public:
  explicit ServedModel(std::shared_ptr<ServingEngine> engine);

  ServingEngine& engine() const { return *engine_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }
  AnswerConstraints& constraints() const { return *constraints_; }

  // 400 where the model has no chat template.
  ApiResult<const ChatPrompt*> Chat() const;
  // Tokens that end an answer.
  const std::vector<TokenId>& ends() const;
  // Control tokens that mark thinking, and calls where there are tools: text as far as answers go, sorted.
  std::vector<TokenId> Markers(bool tools) const;
  ReasoningSplitter::Start ReasoningStart(const std::vector<TokenId>& prompt) const;

 private:
  std::shared_ptr<ServingEngine> engine_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatPrompt> chat_;
  Error no_chat_;
  bool thinks_ = false;  // the chat template knows <think>
  std::vector<TokenId> thinking_markers_;
  std::vector<TokenId> call_markers_;
  std::unique_ptr<AnswerConstraints> constraints_;
};

}  // namespace hone
