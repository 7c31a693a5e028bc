// From what requests ask of their answers to masks over one model's vocabulary. What was compiled for one
// request serves the next that asks for the same.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "language/decoding/constraints/combine.h"
#include "language/decoding/constraints/token_masks.h"
#include "language/serving/http/answer_format.h"
#include "language/serving/http/tool_request.h"

namespace hone {

// Thread-safe.
class AnswerConstraints {
 public:
  // `syntax`: how the model writes calls, where its template shows that.
  AnswerConstraints(std::shared_ptr<const Tokenizer> tokenizer, std::optional<ToolSyntax> syntax)
      : tokenizer_(std::move(tokenizer)), syntax_(syntax) {}

  // Null where the answer is free. `thinking`: what may come before it. `ends`: see TokenMasks. 400 where
  // something does not compile: a format by its field, a tool by its name.
  ApiResult<std::shared_ptr<TokenMasks>> Masks(const std::optional<AnswerFormat>& format,
                                               const ToolRequest& tools,
                                               std::optional<ThinkingStart> thinking,
                                               const std::vector<TokenId>& ends);

  std::optional<ToolSyntax> syntax() const { return syntax_; }

 private:
  std::shared_ptr<const TokenTable> Table();
  ApiResult<Constraint> CompileBoth(const std::optional<AnswerFormat>& format, const ToolRequest& tools,
                                    std::optional<ThinkingStart> thinking);
  void Keep(const std::string& key, std::shared_ptr<TokenMasks> masks);

  const std::shared_ptr<const Tokenizer> tokenizer_;
  const std::optional<ToolSyntax> syntax_;
  std::once_flag table_made_;
  std::shared_ptr<const TokenTable> table_;  // made for the first constraint

  std::mutex mutex_;                                                     // guards what follows
  std::list<std::pair<std::string, std::shared_ptr<TokenMasks>>> kept_;  // the latest first
};

}  // namespace hone
