// Which tokens are allowed and how likely: samplers, grammars and drafts' acceptance share this interface.
#pragma once

#include <cstdint>
#include <span>

#include "language/decoding/token_scores.h"

namespace hone {

// What a processor may look at besides the scores. The token to be chosen will stand at index tokens.size()
// of its sequence; rows of a draft bring the draft's tokens at the end of `tokens`.
struct TokenContext {
  std::span<const TokenId> tokens;  // prompt and answer so far, a reused prefix included
  int64_t prompt_tokens = 0;        // how many of them are the prompt

  int64_t position() const { return static_cast<int64_t>(tokens.size()); }
  std::span<const TokenId> answer() const { return tokens.subspan(static_cast<size_t>(prompt_tokens)); }
};

class LogitsProcessor {
 public:
  virtual ~LogitsProcessor() = default;

  // Narrows or reweighs `scores` for the token that follows `context`. May be called for any rows, several
  // times each.
  virtual void Apply(const TokenContext& context, TokenScores& scores) = 0;

  // Processors whose answer is a function of `context` alone ignore these two. One that keeps a state (a
  // grammar) moves it here: `token` was chosen for good, the last `tokens` commits are taken back.
  virtual void Commit(TokenId token) { (void)token; }
  virtual void RollBack(int64_t tokens) { (void)tokens; }
};

}  // namespace hone
