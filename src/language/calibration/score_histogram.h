// How often attention scores have which size: what a fixed softmax maximum is chosen from.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace hone {

// Counts in bins of 1/8 from -512 to 512; what lies beyond counts in the outermost bins. The extremes are
// exact.
class ScoreHistogram {
 public:
  void Add(std::span<const float> scores);
  void Add(const ScoreHistogram& other);

  int64_t count() const { return count_; }
  float smallest() const { return smallest_; }
  float largest() const { return largest_; }
  // The edge of a bin (or the extreme, where that is nearer) beyond which at most `share` of the scores lie:
  // below LowerQuantile, above UpperQuantile. Rounded outwards, by at most 1/8. Needs scores.
  float LowerQuantile(double share) const;
  float UpperQuantile(double share) const;

 private:
  static constexpr int kBins = 8192;
  static constexpr float kLowest = -512.0f;
  static constexpr float kBinsPerUnit = 8.0f;

  std::vector<int64_t> bins_ = std::vector<int64_t>(kBins, 0);
  int64_t count_ = 0;
  float smallest_ = 0.0f;
  float largest_ = 0.0f;
};

}  // namespace hone
