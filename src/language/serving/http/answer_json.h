// Parts of answers that several forms have.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "language/serving/http/answer_writers.h"

namespace hone {

// A form that says of itself what every answer does.
class IdentifiedWriter : public AnswerWriter {
 public:
  explicit IdentifiedWriter(AnswerIdentity identity) : identity_(std::move(identity)) {}

 protected:
  const AnswerIdentity identity_;
};

// On one line; broken UTF-8 as U+FFFD.
std::string Dump(const nlohmann::ordered_json& json);
// A server-sent event.
std::string Event(const nlohmann::ordered_json& json);

// {"prompt_tokens", "completion_tokens", "total_tokens", ..} over all choices; a prompt with several answers
// counts once.
nlohmann::ordered_json Usage(const std::vector<FinishedChoice>& choices, int64_t choices_per_prompt = 1);

// Log-softmax of the raw logits of one of a token's alternatives.
double LogProbabilityOf(const ChosenToken& token, const ScoredToken& alternative);

// {"content": [{"token", "logprob", "bytes", "top_logprobs"}]}
nlohmann::ordered_json ChatLogProbabilities(const std::vector<ChosenToken>& tokens,
                                            const Tokenizer& tokenizer);

// A token as text, broken characters as U+FFFD.
std::string TokenText(const Tokenizer& tokenizer, TokenId id);

}  // namespace hone
