#include "language/calibration/score_histogram.h"

#include <algorithm>
#include <cmath>

namespace hone {

void ScoreHistogram::Add(std::span<const float> scores) {
  if (scores.empty()) return;
  float smallest = count_ == 0 ? scores[0] : smallest_;
  float largest = count_ == 0 ? scores[0] : largest_;
  for (const float score : scores) {
    smallest = std::min(smallest, score);
    largest = std::max(largest, score);
    const float bin = std::clamp((score - kLowest) * kBinsPerUnit, 0.0f, static_cast<float>(kBins - 1));
    ++bins_[static_cast<size_t>(bin)];
  }
  smallest_ = smallest;
  largest_ = largest;
  count_ += static_cast<int64_t>(scores.size());
}

void ScoreHistogram::Add(const ScoreHistogram& other) {
  if (other.count_ == 0) return;
  smallest_ = count_ == 0 ? other.smallest_ : std::min(smallest_, other.smallest_);
  largest_ = count_ == 0 ? other.largest_ : std::max(largest_, other.largest_);
  for (size_t i = 0; i < bins_.size(); ++i) bins_[i] += other.bins_[i];
  count_ += other.count_;
}

float ScoreHistogram::LowerQuantile(double share) const {
  const auto allowed = static_cast<int64_t>(std::floor(share * static_cast<double>(count_)));
  int64_t below = 0;
  int bin = 0;
  while (bin < kBins - 1 && below + bins_[static_cast<size_t>(bin)] <= allowed)
    below += bins_[static_cast<size_t>(bin++)];
  return bin == 0 ? smallest_ : std::max(smallest_, kLowest + static_cast<float>(bin) / kBinsPerUnit);
}

float ScoreHistogram::UpperQuantile(double share) const {
  const auto allowed = static_cast<int64_t>(std::floor(share * static_cast<double>(count_)));
  int64_t above = 0;
  int bin = kBins - 1;
  while (bin > 0 && above + bins_[static_cast<size_t>(bin)] <= allowed)
    above += bins_[static_cast<size_t>(bin--)];
  return bin == kBins - 1 ? largest_
                          : std::min(largest_, kLowest + static_cast<float>(bin + 1) / kBinsPerUnit);
}

}  // namespace hone
