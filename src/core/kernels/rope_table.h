// Frequencies of rotary position embedding (RoFormer, Su et al. 2021) and their extensions to longer
// contexts, and the cosines and sines that core/kernels/elementwise.h's Rope takes.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hone {

enum class RopeScalingKind : uint8_t { kNone, kLinear, kYarn, kLlama3, kLongRope };

struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::kNone;
  double factor = 1.0;  // new context / original context
  int64_t original_context = 0;
  double attention_factor = 0.0;  // of cosines and sines (YaRN, LongRoPE); 0: the method's own formula
  // YaRN: rotations within the original context above which a pair is kept, and below which it is
  // interpolated.
  double beta_fast = 32.0;
  double beta_slow = 1.0;
  double mscale = 0.0;
  double mscale_all_dim = 0.0;
  // Llama 3, unless the file gives a factor a frequency
  double low_frequency_factor = 1.0;
  double high_frequency_factor = 4.0;
  // Divisors a frequency: [dimensions / 2]. Llama 3 files carry one set, LongRoPE a short and a long one.
  std::vector<float> factors = {};
  std::vector<float> short_factors = {};
  std::vector<float> long_factors = {};
};

struct RopeConfig {
  int dimensions = 0;  // elements of a head that rotate; even; the rest stay
  double base = 10000.0;
  RopeScaling scaling = {};
  std::vector<uint8_t> axes = {};  // [dimensions / 2] which axis of a position turns a pair; empty: the first
};

// LongRoPE has two sets of factors; a sequence uses kLong once it is longer than the original context.
enum class LongRopeSet : uint8_t { kShort, kLong };

struct RopeFrequencies {
  std::vector<double> radians;  // [pairs] angle a position
  std::vector<uint8_t> axes;    // [pairs] or empty: the first axis
  double magnitude = 1.0;       // factor of cosines and sines

  size_t pairs() const { return radians.size(); }
  // cos[i] = magnitude cos(position[axes[i]] radians[i]), sin alike. Angles are float64: exact enough for
  // positions of millions, where float32 has lost the fast pairs by 100 000.
  void Fill(const std::array<int32_t, 3>& position, std::span<float> cos, std::span<float> sin) const;
};

// With f_i = base^(-2 i / dimensions), divided by `factors` where there are any:
//   linear    f_i / factor
//   YaRN      f_i (1 - r_i) + f_i / factor r_i, r_i the ramp between the pairs that turn beta_fast and
//   beta_slow times
//             in the original context; magnitude 0.1 ln(factor) + 1, or the quotient of that with mscale and
//             mscale_all_dim, or attention_factor (Peng et al. 2023)
//   Llama 3   f_i for wavelengths below original / high, f_i / factor above original / low, between them a
//   blend; where
//             the file gives factors, they say it all
//   LongRoPE  f_i / short or long factor; magnitude sqrt(1 + ln(factor) / ln(original)), or attention_factor
//             (Ding et al. 2024)
// Errors (bad input, naming `file`): sizes that do not fit, numbers that are not positive and finite.
Result<RopeFrequencies> MakeRopeFrequencies(std::string_view file, const RopeConfig& config,
                                            LongRopeSet set = LongRopeSet::kShort);

// Axes of multimodal rotation from the pairs that each axis gets, {time, height, width}: one axis after the
// other (Qwen2-VL), or in turn as long as an axis has pairs left, time where it has none (Qwen3-VL).
std::vector<uint8_t> ConsecutiveAxes(std::span<const int> sections);
std::vector<uint8_t> InterleavedAxes(std::span<const int> sections);

}  // namespace hone
