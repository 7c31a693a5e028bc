// How likely each next token is, while logits processors narrow the choice.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/formats/tokenizer/tokenizer.h"

namespace hone {

struct ScoredToken {
  TokenId id = kNoToken;
  float logit = 0.0f;
};

// The `count` largest logits by falling value, the lower id first among equals; minus infinity (a banned
// token) is never one of them. One pass and a selection of 2 * count candidates, no sort of the vocabulary.
void LargestLogits(std::span<const float> logits, int64_t count, std::vector<ScoredToken>& largest);

// The logits of one row: at first all of the vocabulary (dense), and after the first truncation a list. A
// token with logit minus infinity is banned.
class TokenScores {
 public:
  // Starts over; `logits` [vocabulary] stays the caller's, must outlive the choice and is written.
  void Reset(std::span<float> logits);

  bool dense() const { return dense_; }
  std::span<float> logits() const { return logits_; }  // while dense
  std::span<ScoredToken> kept() {
    return kept_;
  }  // after truncation, by falling logit, lower id first among equals

  // Turns to a list, or shortens it: the `count` most likely tokens (at least one).
  void KeepLargest(int64_t count);
  // Turns to a list of every token with logit >= `threshold`.
  void KeepFrom(float threshold);
  // The list becomes `tokens`, in any order.
  void KeepOnly(std::vector<ScoredToken> tokens);

  // log(sum(exp(logit))) over what is still possible; minus infinity if nothing is.
  double LogMass() const;

 private:
  bool dense_ = true;
  std::span<float> logits_;
  std::vector<ScoredToken> kept_;
};

}  // namespace hone
