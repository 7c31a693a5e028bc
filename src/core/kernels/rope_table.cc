#include "core/kernels/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hone {
namespace {

constexpr double kTwoPi = 2.0 * std::numbers::pi;

bool IsPositive(double x) { return std::isfinite(x) && x > 0.0; }

Result<void> CheckFactors(std::string_view file, std::string_view name, const std::vector<float>& factors,
                          size_t pairs) {
  if (factors.size() != pairs) return BadInput(file, name, "{} of them, expected {}", factors.size(), pairs);
  for (size_t i = 0; i < pairs; ++i) {
    if (!IsPositive(factors[i])) {
      return BadInput(file, name, "{} at {}, expected a positive number", factors[i], i);
    }
  }
  return {};
}

Result<void> CheckYarn(std::string_view file, const RopeScaling& scaling) {
  const auto check = [&](std::string_view name, double x) -> Result<void> {
    if (!std::isfinite(x) || x < 0.0) return BadInput(file, name, "{}, expected a number of 0 or more", x);
    return {};
  };
  HONE_CHECK_OK(check("YaRN mscale", scaling.mscale));
  HONE_CHECK_OK(check("YaRN mscale_all_dim", scaling.mscale_all_dim));
  if (!IsPositive(scaling.beta_fast) || !IsPositive(scaling.beta_slow)) {
    return BadInput(file, "YaRN beta_fast and beta_slow", "{} and {}, expected positive numbers",
                    scaling.beta_fast, scaling.beta_slow);
  }
  return {};
}

Result<void> CheckConfig(std::string_view file, const RopeConfig& config, LongRopeSet set) {
  const RopeScaling& scaling = config.scaling;
  if (config.dimensions <= 0 || config.dimensions % 2 != 0) {
    return BadInput(file, "rotated dimensions", "{}, expected a positive even number", config.dimensions);
  }
  if (!IsPositive(config.base) || config.base == 1.0) {
    return BadInput(file, "RoPE base", "{}, expected a positive number other than 1", config.base);
  }
  const size_t pairs = static_cast<size_t>(config.dimensions) / 2;
  if (!config.axes.empty() && config.axes.size() != pairs) {
    return BadInput(file, "RoPE sections", "{} pairs, expected {}", config.axes.size(), pairs);
  }
  if (std::any_of(config.axes.begin(), config.axes.end(), [](uint8_t axis) { return axis > 2; })) {
    return BadInput(file, "RoPE sections", "an axis past the third, expected at most three");
  }
  if (!scaling.factors.empty()) HONE_CHECK_OK(CheckFactors(file, "RoPE factors", scaling.factors, pairs));
  if (scaling.kind == RopeScalingKind::kNone) return {};
  if (!IsPositive(scaling.factor)) {
    return BadInput(file, "RoPE scaling factor", "{}, expected a positive number", scaling.factor);
  }
  if (!std::isfinite(scaling.attention_factor) || scaling.attention_factor < 0.0) {
    return BadInput(file, "RoPE attention factor", "{}, expected a number of 0 or more",
                    scaling.attention_factor);
  }
  if (scaling.kind == RopeScalingKind::kLinear) return {};
  const bool by_factors = scaling.kind == RopeScalingKind::kLlama3 && !scaling.factors.empty();
  if (scaling.original_context <= 1 && !by_factors) {
    return BadInput(file, "RoPE original context", "{}, expected more than 1", scaling.original_context);
  }
  if (scaling.kind == RopeScalingKind::kYarn) return CheckYarn(file, scaling);
  if (scaling.kind == RopeScalingKind::kLongRope) {
    const bool is_long = set == LongRopeSet::kLong;
    return CheckFactors(file, is_long ? "LongRoPE long factors" : "LongRoPE short factors",
                        is_long ? scaling.long_factors : scaling.short_factors, pairs);
  }
  if (!by_factors &&
      !(IsPositive(scaling.low_frequency_factor) && std::isfinite(scaling.high_frequency_factor) &&
        scaling.low_frequency_factor < scaling.high_frequency_factor)) {
    return BadInput(file, "Llama 3 RoPE frequency factors", "{} and {}, expected a low and a larger high one",
                    scaling.low_frequency_factor, scaling.high_frequency_factor);
  }
  return {};
}

// The pair that turns `rotations` times in the original context, as a real number.
double PairOfRotations(const RopeConfig& config, double rotations) {
  const double context = static_cast<double>(config.scaling.original_context);
  return config.dimensions * std::log(context / (rotations * kTwoPi)) / (2.0 * std::log(config.base));
}

void ScaleYarn(const RopeConfig& config, std::vector<double>& radians) {
  const double low = std::max(std::floor(PairOfRotations(config, config.scaling.beta_fast)), 0.0);
  double high =
      std::min(std::ceil(PairOfRotations(config, config.scaling.beta_slow)), config.dimensions - 1.0);
  if (low == high) high += 0.001;  // as in the authors' code
  for (size_t i = 0; i < radians.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    radians[i] = radians[i] * (1.0 - ramp) + radians[i] / config.scaling.factor * ramp;
  }
}

void ScaleLlama3(const RopeScaling& scaling, std::vector<double>& radians) {
  const double low = scaling.low_frequency_factor;
  const double high = scaling.high_frequency_factor;
  for (double& f : radians) {
    const double turns = static_cast<double>(scaling.original_context) * f / kTwoPi;
    const double keep = std::clamp((turns - low) / (high - low), 0.0, 1.0);
    f = (1.0 - keep) * f / scaling.factor + keep * f;
  }
}

double YarnMagnitude(double factor, double mscale) {
  return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

double Magnitude(const RopeScaling& scaling) {
  const bool has_magnitude =
      scaling.kind == RopeScalingKind::kYarn || scaling.kind == RopeScalingKind::kLongRope;
  if (!has_magnitude) return 1.0;
  if (scaling.attention_factor > 0.0) return scaling.attention_factor;
  if (scaling.kind == RopeScalingKind::kYarn) {
    if (scaling.mscale == 0.0 || scaling.mscale_all_dim == 0.0) return YarnMagnitude(scaling.factor, 1.0);
    return YarnMagnitude(scaling.factor, scaling.mscale) /
           YarnMagnitude(scaling.factor, scaling.mscale_all_dim);
  }
  if (scaling.factor <= 1.0) return 1.0;
  return std::sqrt(1.0 + std::log(scaling.factor) / std::log(static_cast<double>(scaling.original_context)));
}

void Divide(const std::vector<float>& factors, std::vector<double>& radians) {
  for (size_t i = 0; i < radians.size(); ++i) radians[i] /= factors[i];
}

}  // namespace

void RopeFrequencies::Fill(const std::array<int32_t, 3>& position, std::span<float> cos,
                           std::span<float> sin) const {
  for (size_t i = 0; i < radians.size(); ++i) {
    const double angle = position[axes.empty() ? 0 : axes[i]] * radians[i];
    cos[i] = static_cast<float>(magnitude * std::cos(angle));
    sin[i] = static_cast<float>(magnitude * std::sin(angle));
  }
}

Result<RopeFrequencies> MakeRopeFrequencies(std::string_view file, const RopeConfig& config,
                                            LongRopeSet set) {
  HONE_CHECK_OK(CheckConfig(file, config, set));
  const RopeScaling& scaling = config.scaling;
  RopeFrequencies made;
  made.axes = config.axes;
  made.magnitude = Magnitude(scaling);
  for (int i = 0; i < config.dimensions; i += 2) {
    made.radians.push_back(std::pow(config.base, -static_cast<double>(i) / config.dimensions));
  }
  if (!scaling.factors.empty()) Divide(scaling.factors, made.radians);
  switch (scaling.kind) {
    case RopeScalingKind::kNone:
      break;
    case RopeScalingKind::kLinear:
      for (double& f : made.radians) f /= scaling.factor;
      break;
    case RopeScalingKind::kYarn:
      ScaleYarn(config, made.radians);
      break;
    case RopeScalingKind::kLlama3:
      if (scaling.factors.empty()) ScaleLlama3(scaling, made.radians);
      break;
    case RopeScalingKind::kLongRope:
      Divide(set == LongRopeSet::kLong ? scaling.long_factors : scaling.short_factors, made.radians);
      break;
  }
  return made;
}

std::vector<uint8_t> ConsecutiveAxes(std::span<const int> sections) {
  std::vector<uint8_t> axes;
  for (size_t axis = 0; axis < sections.size(); ++axis) {
    axes.insert(axes.end(), static_cast<size_t>(std::max(sections[axis], 0)), static_cast<uint8_t>(axis));
  }
  return axes;
}

std::vector<uint8_t> InterleavedAxes(std::span<const int> sections) {
  std::vector<uint8_t> axes(ConsecutiveAxes(sections).size());
  for (size_t i = 0; i < axes.size(); ++i) {
    const size_t axis = i % sections.size();
    if (i < sections.size() * static_cast<size_t>(std::max(sections[axis], 0)))
      axes[i] = static_cast<uint8_t>(axis);
  }
  return axes;
}

}  // namespace hone
