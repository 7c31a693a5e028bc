// The forms of an answer that endpoints of the OpenAI API have.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"
#include "language/serving/http/answer.h"

namespace hone {

// What every answer says of itself.
struct AnswerIdentity {
  std::string id;
  std::string model;
  int64_t created = 0;  // seconds since 1970
  uint64_t seed = 0;
  bool include_usage = false;  // a last event with the tokens counted
  std::shared_ptr<const Tokenizer> tokenizer;
  bool log_probabilities = false;
};

// chat.completion and chat.completion.chunk.
std::unique_ptr<AnswerWriter> ChatWriter(AnswerIdentity identity);

// text_completion. `echo`: what each prompt said, before its answers; empty: nothing. `prompt_tokens`: of
// each prompt, where their scores are wanted.
struct CompletionEcho {
  std::vector<std::string> texts;
  std::vector<std::vector<TokenId>> tokens;
  int64_t choices = 1;  // answers to each prompt
};
std::unique_ptr<AnswerWriter> CompletionWriter(AnswerIdentity identity, CompletionEcho echo);

// response and its events.
std::unique_ptr<AnswerWriter> ResponsesWriter(AnswerIdentity identity);

}  // namespace hone
