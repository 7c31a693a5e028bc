// From logits to a token: the processors in their one order, then the draw.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "language/decoding/logits_processor.h"

namespace hone {

// The processors run in this order, each on what the one before left:
//   logit bias, repetition penalty, presence and frequency penalty, added processors (grammars),
//   top-k, typical, top-p, min-p, temperature, draw.
// Truncation comes before temperature, so a temperature never changes which tokens are possible. Temperature
// 0 takes the most likely token after bias, penalties and added processors, whatever the other settings; ties
// go to the lowest id.
struct SamplingOptions {
  double temperature = 0.0;                           // >= 0; 0: greedy
  int64_t top_k = 0;                                  // 0 and -1: off
  double top_p = 1.0;                                 // [0, 1]; 1: off, 0: one token
  double min_p = 0.0;                                 // [0, 1]; 0: off
  double typical_p = 1.0;                             // (0, 1]; 1: off
  double repetition_penalty = 1.0;                    // > 0; 1: off; sees prompt and answer
  double presence_penalty = 0.0;                      // 0: off; sees the answer
  double frequency_penalty = 0.0;                     // 0: off; sees the answer
  std::vector<std::pair<TokenId, float>> logit_bias;  // added; -100 or less bans the token
  std::optional<uint64_t> seed;                       // absent: a fresh one is drawn, see Sampler::seed
};

// The seed of the choice-th of several answers to one request: the request's own for choice 0.
uint64_t ChoiceSeed(uint64_t seed, int64_t choice);

// log(softmax(logits))[token]: of the raw logits, so before a Sampler wrote them.
double LogProbability(std::span<const float> logits, TokenId token);

class Sampler {
 public:
  // A setting out of its range or a bias for an id outside the vocabulary is an error that names the setting.
  static Result<Sampler> Create(const SamplingOptions& options, int64_t vocabulary);

  // Runs after the penalties and before truncation, in the order of adding.
  void AddProcessor(std::unique_ptr<LogitsProcessor> processor);

  // The token that follows `context`. `logits` [vocabulary] is written. The random number is a function of
  // seed and position, so the same call gives the same token in any batch. An error if no token is allowed.
  Result<TokenId> Choose(const TokenContext& context, std::span<float> logits);

  // What each token that is still possible would be drawn with: sums to 1, one token if greedy. `logits` is
  // written.
  Result<std::vector<ScoredToken>> Distribution(const TokenContext& context, std::span<float> logits);

  // Passed on to processors that keep a state.
  void Commit(TokenId token);
  void RollBack(int64_t tokens);

  uint64_t seed() const { return seed_; }
  bool greedy() const { return greedy_; }

 private:
  Sampler() = default;
  void Narrow(const TokenContext& context, std::span<float> logits);

  std::vector<std::unique_ptr<LogitsProcessor>>
      adjusting_;  // bias, penalties, added ones: dense in, dense out
  std::vector<std::unique_ptr<LogitsProcessor>> truncating_;  // empty if greedy
  TokenScores scores_;
  uint64_t seed_ = 0;
  bool greedy_ = true;
};

}  // namespace hone
