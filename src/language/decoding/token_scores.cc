#include "language/decoding/token_scores.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/kernels/elementwise.h"

namespace hone {
namespace {

constexpr float kBanned = -std::numeric_limits<float>::infinity();
constexpr int64_t kBlock = 64;  // logits compared with the threshold at once

bool Before(const ScoredToken& a, const ScoredToken& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// Whether any of `count` logits is above the threshold, without a branch in the loop so that it vectorizes.
bool AnyAbove(const float* logits, int64_t count, float threshold) {
  int any = 0;
  for (int64_t i = 0; i < count; ++i) any |= logits[i] > threshold;
  return any != 0;
}

}  // namespace

void LargestLogits(std::span<const float> logits, int64_t count, std::vector<ScoredToken>& largest) {
  largest.clear();
  const auto size = static_cast<int64_t>(logits.size());
  count = std::min(count, size);
  if (count <= 0) return;
  const auto capacity = static_cast<size_t>(2 * count + kBlock);
  largest.reserve(capacity + kBlock);
  // Ids rise, so a later token that only equals the smallest candidate kept so far cannot displace it.
  float threshold = kBanned;
  for (int64_t begin = 0; begin < size; begin += kBlock) {
    const int64_t block = std::min(kBlock, size - begin);
    if (!AnyAbove(logits.data() + begin, block, threshold)) continue;
    for (int64_t i = begin; i < begin + block; ++i) {
      if (logits[i] > threshold) largest.push_back({static_cast<TokenId>(i), logits[i]});
    }
    if (largest.size() >= capacity) {
      std::nth_element(largest.begin(), largest.begin() + (count - 1), largest.end(), Before);
      largest.resize(static_cast<size_t>(count));
      threshold = largest.back().logit;
    }
  }
  if (static_cast<int64_t>(largest.size()) > count) {
    std::nth_element(largest.begin(), largest.begin() + (count - 1), largest.end(), Before);
    largest.resize(static_cast<size_t>(count));
  }
  std::sort(largest.begin(), largest.end(), Before);
}

void TokenScores::Reset(std::span<float> logits) {
  dense_ = true;
  logits_ = logits;
  kept_.clear();
}

void TokenScores::KeepLargest(int64_t count) {
  count = std::max<int64_t>(count, 1);
  if (dense_) {
    LargestLogits(logits_, count, kept_);
    dense_ = false;
  } else if (count < static_cast<int64_t>(kept_.size())) {
    kept_.resize(static_cast<size_t>(count));
  }
}

void TokenScores::KeepFrom(float threshold) {
  if (!dense_) {
    const auto end =
        std::find_if(kept_.begin(), kept_.end(), [&](const ScoredToken& t) { return t.logit < threshold; });
    kept_.erase(end, kept_.end());
    return;
  }
  std::vector<ScoredToken> tokens;
  for (size_t i = 0; i < logits_.size(); ++i) {
    if (logits_[i] >= threshold && logits_[i] != kBanned)
      tokens.push_back({static_cast<TokenId>(i), logits_[i]});
  }
  KeepOnly(std::move(tokens));
}

void TokenScores::KeepOnly(std::vector<ScoredToken> tokens) {
  kept_ = std::move(tokens);
  std::sort(kept_.begin(), kept_.end(), Before);
  dense_ = false;
}

double TokenScores::LogMass() const {
  if (dense_) {
    if (logits_.empty() || logits_[static_cast<size_t>(ArgMax(logits_))] == kBanned) return kBanned;
    return LogSumExp(logits_);
  }
  if (kept_.empty()) return kBanned;
  double sum = 0.0;
  for (const ScoredToken& token : kept_)
    sum += std::exp(static_cast<double>(token.logit) - kept_.front().logit);
  return kept_.front().logit + std::log(sum);
}

}  // namespace hone
