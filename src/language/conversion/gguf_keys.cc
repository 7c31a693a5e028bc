#include "language/conversion/gguf_keys.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace hone {
namespace {

constexpr int kUsualPattern = 6;  // layers of a Gemma 3 from one with full attention to the next

// The distance of full-attention layers: layer i has full attention where (i + 1) % pattern == 0. 0: there is
// no such pattern.
int FindPattern(const std::vector<int>& window) {
  const auto first = std::ranges::find(window, 0);
  const int pattern = first == window.end() ? kUsualPattern : static_cast<int>(first - window.begin()) + 1;
  for (size_t i = 0; i < window.size(); ++i) {
    const bool full = (i + 1) % static_cast<size_t>(pattern) == 0;
    if (full != (window[i] == 0)) return 0;
  }
  return pattern;
}

Result<void> SetWindows(const ModelConfig& config, const std::string& path, const std::string& prefix,
                        GgufHeader& header) {
  const int window = config.window.empty() ? 0 : *std::ranges::max_element(config.window);
  if (window == 0) return {};
  header.Set(prefix + "attention.sliding_window", static_cast<uint32_t>(window));
  if (config.family == "phi3") return {};
  const int pattern = config.family == "gemma3" ? FindPattern(config.window) : 0;
  if (pattern == 0) {
    return BadInput(path, "sliding_window", "{} in layers that GGUF files of the family {} cannot list",
                    window, config.family);
  }
  if (pattern != kUsualPattern)
    header.Set(prefix + "attention.sliding_window_pattern", static_cast<uint32_t>(pattern));
  return {};
}

Result<void> SetScaling(const ModelConfig& config, const std::string& path, const std::string& prefix,
                        GgufHeader& header) {
  const RopeScaling& scaling = config.rope_scaling;
  switch (scaling.kind) {
    case RopeScalingKind::kNone:
    case RopeScalingKind::kLlama3:  // a vector of factors says it
      return {};
    case RopeScalingKind::kLinear:
      header.SetText(prefix + "rope.scaling.type", "linear");
      break;
    case RopeScalingKind::kYarn:
      header.SetText(prefix + "rope.scaling.type", "yarn");
      header.Set(prefix + "rope.scaling.yarn_beta_fast", static_cast<float>(scaling.beta_fast));
      header.Set(prefix + "rope.scaling.yarn_beta_slow", static_cast<float>(scaling.beta_slow));
      if (scaling.mscale != 0.0 || scaling.mscale_all_dim != 0.0)
        return BadInput(path, "rope_scaling.mscale", "set, which GGUF files of the family {} cannot say",
                        config.family);
      break;
    case RopeScalingKind::kLongRope:
      header.SetText(prefix + "rope.scaling.type", "longrope");
      break;
  }
  header.Set(prefix + "rope.scaling.factor", static_cast<float>(scaling.factor));
  header.Set(prefix + "rope.scaling.original_context_length",
             static_cast<uint32_t>(scaling.original_context));
  if (scaling.attention_factor != 0.0)
    header.Set(prefix + "rope.scaling.attn_factor", static_cast<float>(scaling.attention_factor));
  return {};
}

// What Llama 3 divides each frequency by: 1 for short waves, the factor for long ones, smooth between.
std::vector<float> Llama3Factors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (!scaling.factors.empty()) return scaling.factors;
  const auto original = static_cast<double>(scaling.original_context);
  const double longest = original / scaling.low_frequency_factor;
  const double shortest = original / scaling.high_frequency_factor;
  std::vector<float> factors;
  for (int i = 0; i < config.rope_dimensions / 2; ++i) {
    const double frequency = std::pow(config.rope_base, -2.0 * i / config.rope_dimensions);
    const double wave = 2.0 * std::numbers::pi / frequency;
    double factor = 1.0;
    if (wave > longest) {
      factor = scaling.factor;
    } else if (wave > shortest) {
      const double smooth = (original / wave - scaling.low_frequency_factor) /
                            (scaling.high_frequency_factor - scaling.low_frequency_factor);
      factor = 1.0 / ((1.0 - smooth) / scaling.factor + smooth);
    }
    factors.push_back(static_cast<float>(factor));
  }
  return factors;
}

}  // namespace

Result<void> SetModelKeys(const ModelConfig& config, const std::string& path, GgufHeader& header) {
  const std::string prefix = config.family + ".";
  if (std::fabs(config.attention_scale * std::sqrt(static_cast<float>(config.head_dim)) - 1.0f) > 1e-4f) {
    return BadInput(path, "query_pre_attn_scalar",
                    "scores scaled by {}, which GGUF files cannot say, expected {}", config.attention_scale,
                    1.0f / std::sqrt(static_cast<float>(config.head_dim)));
  }
  const auto set = [&](std::string_view key, int64_t value) {
    header.Set(prefix + std::string(key), static_cast<uint32_t>(value));
  };
  header.SetText("general.architecture", config.family);
  header.SetText("general.name", config.name);
  set("block_count", config.layers);
  set("context_length", config.context);
  set("embedding_length", config.width);
  set("feed_forward_length", config.feed_forward);
  set("attention.head_count", config.heads);
  set("attention.head_count_kv", config.kv_heads);
  set("attention.key_length", config.head_dim);
  set("attention.value_length", config.head_dim);
  set("rope.dimension_count", config.rope_dimensions);
  set("vocab_size", config.vocabulary);
  header.Set(prefix + "attention.layer_norm_rms_epsilon", config.norm_epsilon);
  header.Set(prefix + "rope.freq_base", static_cast<float>(config.rope_base));
  if (config.family == "gemma3") {
    // The second name is llama.cpp's.
    for (const char* key : {"rope.local.freq_base", "rope.freq_base_swa"})
      header.Set(prefix + key, static_cast<float>(config.local_rope_base));
  }
  HONE_CHECK_OK(SetWindows(config, path, prefix, header));
  return SetScaling(config, path, prefix, header);
}

std::vector<RopeVector> RopeVectors(const ModelConfig& config) {
  const RopeScaling& scaling = config.rope_scaling;
  if (scaling.kind == RopeScalingKind::kLlama3) return {{"rope_freqs.weight", Llama3Factors(config)}};
  if (scaling.kind != RopeScalingKind::kLongRope) return {};
  return {{"rope_factors_long.weight", scaling.long_factors},
          {"rope_factors_short.weight", scaling.short_factors}};
}

}  // namespace hone
