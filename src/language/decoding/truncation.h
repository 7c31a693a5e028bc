// Processors that cut off unlikely tokens, and temperature. Each measures probability among what its
// predecessors left.
#pragma once

#include <cstdint>

#include "language/decoding/logits_processor.h"

namespace hone {

// The k most likely tokens.
class TopK : public LogitsProcessor {
 public:
  explicit TopK(int64_t k) : k_(k) {}
  void Apply(const TokenContext&, TokenScores& scores) override { scores.KeepLargest(k_); }

 private:
  int64_t k_;
};

// With H the entropy: tokens by rising |-log p_i - H| until their probabilities reach `mass`.
// Source: Meister et al., Locally Typical Sampling (arXiv 2202.00666), equation 8 and section 4.
class Typical : public LogitsProcessor {
 public:
  explicit Typical(double mass) : mass_(mass) {}
  void Apply(const TokenContext&, TokenScores& scores) override;

 private:
  double mass_;
};

// The fewest most likely tokens whose probabilities reach `mass`: at least one.
// Source: Holtzman et al., The Curious Case of Neural Text Degeneration (arXiv 1904.09751), section 3.1.
class TopP : public LogitsProcessor {
 public:
  explicit TopP(double mass) : mass_(mass) {}
  void Apply(const TokenContext&, TokenScores& scores) override;

 private:
  double mass_;
};

// Tokens with p_i >= fraction * max_j p_j. Source: Nguyen et al., Min-p Sampling (arXiv 2407.01082).
class MinP : public LogitsProcessor {
 public:
  explicit MinP(double fraction) : fraction_(fraction) {}
  void Apply(const TokenContext&, TokenScores& scores) override;

 private:
  double fraction_;
};

// logit_i = (logit_i - max_j logit_j) / temperature, temperature > 0.
class Temperature : public LogitsProcessor {
 public:
  explicit Temperature(float temperature) : temperature_(temperature) {}
  void Apply(const TokenContext&, TokenScores& scores) override;

 private:
  float temperature_;
};

}  // namespace hone
