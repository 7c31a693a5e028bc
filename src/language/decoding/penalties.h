// Processors that lower or raise single tokens. They act on greedy decoding too.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "language/decoding/logits_processor.h"

namespace hone {

// logit_i += bias_i; a bias of -100 or less bans the token.
class LogitBias : public LogitsProcessor {
 public:
  static constexpr float kBan = -100.0f;
  explicit LogitBias(std::vector<std::pair<TokenId, float>> bias) : bias_(std::move(bias)) {}
  void Apply(const TokenContext& context, TokenScores& scores) override;

 private:
  std::vector<std::pair<TokenId, float>> bias_;
};

// For every token of prompt and answer, once: logit / penalty where it is positive, logit * penalty where
// negative. Source: Keskar et al., CTRL (arXiv 1909.05858), section 4.1, with the sign rule of Hugging Face
// transformers.
class RepetitionPenalty : public LogitsProcessor {
 public:
  explicit RepetitionPenalty(float penalty) : penalty_(penalty) {}
  void Apply(const TokenContext& context, TokenScores& scores) override;

 private:
  float penalty_;
  // The last call that saw each token: a token is punished once however often it occurs, without clearing the
  // table.
  std::vector<uint32_t> seen_;
  uint32_t call_ = 0;
};

// For every token of the answer that occurred n > 0 times: logit -= presence + n * frequency (the OpenAI
// API's definition).
class OccurrencePenalty : public LogitsProcessor {
 public:
  OccurrencePenalty(float presence, float frequency) : presence_(presence), frequency_(frequency) {}
  void Apply(const TokenContext& context, TokenScores& scores) override;

 private:
  float presence_;
  float frequency_;
  std::vector<TokenId> sorted_;
};

}  // namespace hone
