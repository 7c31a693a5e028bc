#include "language/decoding/penalties.h"

#include <algorithm>
#include <limits>

namespace hone {

void LogitBias::Apply(const TokenContext& /*context*/, TokenScores& scores) {
  const std::span<float> logits = scores.logits();
  for (const auto& [id, bias] : bias_) {
    logits[static_cast<size_t>(id)] =
        bias <= kBan ? -std::numeric_limits<float>::infinity() : logits[static_cast<size_t>(id)] + bias;
  }
}

void RepetitionPenalty::Apply(const TokenContext& context, TokenScores& scores) {
  const std::span<float> logits = scores.logits();
  if (seen_.size() != logits.size() || call_ == std::numeric_limits<uint32_t>::max()) {
    seen_.assign(logits.size(), 0);
    call_ = 0;
  }
  ++call_;
  for (const TokenId token : context.tokens) {
    const auto id = static_cast<size_t>(token);
    if (id >= logits.size() || seen_[id] == call_) continue;
    seen_[id] = call_;
    logits[id] = logits[id] > 0.0f ? logits[id] / penalty_ : logits[id] * penalty_;
  }
}

void OccurrencePenalty::Apply(const TokenContext& context, TokenScores& scores) {
  const std::span<float> logits = scores.logits();
  const std::span<const TokenId> answer = context.answer();
  sorted_.assign(answer.begin(), answer.end());
  std::sort(sorted_.begin(), sorted_.end());
  for (auto token = sorted_.begin(); token != sorted_.end();) {
    const auto next = std::upper_bound(token, sorted_.end(), *token);
    const auto id = static_cast<size_t>(*token);
    if (id < logits.size()) logits[id] -= presence_ + frequency_ * static_cast<float>(next - token);
    token = next;
  }
}

}  // namespace hone
