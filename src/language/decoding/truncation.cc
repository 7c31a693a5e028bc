#include "language/decoding/truncation.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/kernels/elementwise.h"

namespace hone {
namespace {

constexpr int64_t kFirstGuess = 128;  // how many tokens top-p looks at first in a whole vocabulary
constexpr int64_t kGrowth = 8;

// How many of the leading tokens it takes to reach `mass`; more than there are if they do not.
int64_t TokensToReach(double mass, double log_mass, std::span<const ScoredToken> tokens) {
  double sum = 0.0;
  for (size_t i = 0; i < tokens.size(); ++i) {
    sum += std::exp(tokens[i].logit - log_mass);
    if (sum >= mass) return static_cast<int64_t>(i) + 1;
  }
  return static_cast<int64_t>(tokens.size()) + 1;
}

float Largest(TokenScores& scores) {
  constexpr float kNone = -std::numeric_limits<float>::infinity();
  if (!scores.dense()) return scores.kept().empty() ? kNone : scores.kept().front().logit;
  return scores.logits().empty() ? kNone : scores.logits()[static_cast<size_t>(ArgMax(scores.logits()))];
}

}  // namespace

void TopP::Apply(const TokenContext& /*context*/, TokenScores& scores) {
  const double log_mass = scores.LogMass();
  if (!scores.dense()) {
    scores.KeepLargest(TokensToReach(mass_, log_mass, scores.kept()));
    return;
  }
  const auto vocabulary = static_cast<int64_t>(scores.logits().size());
  std::vector<ScoredToken> likely;
  for (int64_t guess = kFirstGuess;; guess *= kGrowth) {
    LargestLogits(scores.logits(), guess, likely);
    const int64_t count = TokensToReach(mass_, log_mass, likely);
    if (count <= static_cast<int64_t>(likely.size()))
      likely.resize(static_cast<size_t>(count));
    else if (guess < vocabulary)
      continue;
    scores.KeepOnly(std::move(likely));
    return;
  }
}

void Typical::Apply(const TokenContext& /*context*/, TokenScores& scores) {
  const double log_mass = scores.LogMass();
  scores.KeepFrom(-std::numeric_limits<float>::infinity());
  double entropy = 0.0;
  for (const ScoredToken& token : scores.kept()) {
    const double log_probability = token.logit - log_mass;
    entropy -= std::exp(log_probability) * log_probability;
  }
  std::vector<ScoredToken> tokens(scores.kept().begin(), scores.kept().end());
  // The list comes by falling logit; a stable sort keeps that order, and with it the lower id, among equally
  // typical ones.
  std::stable_sort(tokens.begin(), tokens.end(), [&](const ScoredToken& a, const ScoredToken& b) {
    return std::abs(log_mass - a.logit - entropy) < std::abs(log_mass - b.logit - entropy);
  });
  const int64_t count = TokensToReach(mass_, log_mass, tokens);
  if (count <= static_cast<int64_t>(tokens.size())) tokens.resize(static_cast<size_t>(count));
  scores.KeepOnly(std::move(tokens));
}

void MinP::Apply(const TokenContext& /*context*/, TokenScores& scores) {
  scores.KeepFrom(Largest(scores) + static_cast<float>(std::log(fraction_)));
}

void Temperature::Apply(const TokenContext& /*context*/, TokenScores& scores) {
  // Relative to the largest, so that a tiny temperature cannot overflow.
  const float largest = Largest(scores);
  if (std::isinf(largest)) return;
  if (scores.dense()) {
    for (float& logit : scores.logits()) logit = (logit - largest) / temperature_;
  } else {
    for (ScoredToken& token : scores.kept()) token.logit = (token.logit - largest) / temperature_;
  }
}

}  // namespace hone
