#include "language/models/model_config.h"

namespace hone {

uint64_t ModelConfig::KvBytesPerToken(int bytes_per_value) const {
  uint64_t full_layers = 0;
  for (const int w : window) full_layers += w == 0 ? 1 : 0;
  return full_layers * 2 * static_cast<uint64_t>(kv_heads) * static_cast<uint64_t>(head_dim) *
         static_cast<uint64_t>(bytes_per_value);
}

std::string SupportedFamilies() { return "llama, qwen2, qwen3, gemma3, phi3"; }

Result<void> CheckConfig(const ModelConfig& config, const std::string& path) {
  const auto check = [&](std::string_view field, int64_t value, int64_t most) -> Result<void> {
    if (value < 1 || value > most) return BadInput(path, field, "{}, expected 1 to {}", value, most);
    return {};
  };
  HONE_CHECK_OK(check("layers", config.layers, 1000));
  HONE_CHECK_OK(check("width", config.width, 1 << 20));
  HONE_CHECK_OK(check("attention heads", config.heads, 4096));
  HONE_CHECK_OK(check("KV heads", config.kv_heads, 4096));
  HONE_CHECK_OK(check("head size", config.head_dim, 256));
  HONE_CHECK_OK(check("feed-forward size", config.feed_forward, 1 << 20));
  HONE_CHECK_OK(check("vocabulary", config.vocabulary, 1 << 24));
  HONE_CHECK_OK(check("context", config.context, int64_t{1} << 31));
  HONE_CHECK_OK(check("rotated dimensions", config.rope_dimensions, config.head_dim));
  if (config.heads % config.kv_heads != 0) {
    return BadInput(path, "KV heads", "{}, expected a divisor of {} heads", config.kv_heads, config.heads);
  }
  if (config.head_dim % 8 != 0 || config.head_dim < 32) {
    return BadInput(path, "head size", "{}, expected a multiple of 8 from 32 to 256", config.head_dim);
  }
  if (config.rope_dimensions % 2 != 0) {
    return BadInput(path, "rotated dimensions", "{}, expected an even number", config.rope_dimensions);
  }
  if (!(config.norm_epsilon >= 0.0f && config.norm_epsilon < 1.0f)) {
    return BadInput(path, "norm epsilon", "{}, expected 0 to 1", config.norm_epsilon);
  }
  if (!(config.rope_base > 0.0) || !(config.local_rope_base > 0.0)) {
    return BadInput(path, "RoPE base", "{}, expected a positive number", config.rope_base);
  }
  const RopeScaling& scaling = config.rope_scaling;
  const auto pairs = static_cast<size_t>(config.rope_dimensions / 2);
  for (const auto* factors : {&scaling.factors, &scaling.short_factors, &scaling.long_factors}) {
    if (!factors->empty() && factors->size() != pairs) {
      return BadInput(path, "RoPE factors", "{} of them, expected {}", factors->size(), pairs);
    }
  }
  if (scaling.kind != RopeScalingKind::kNone && !(scaling.factor > 0.0)) {
    return BadInput(path, "RoPE scaling factor", "{}, expected a positive number", scaling.factor);
  }
  if (scaling.kind == RopeScalingKind::kLongRope &&
      (scaling.short_factors.empty() || scaling.long_factors.empty())) {
    return BadInput(path, "RoPE scaling", "LongRoPE without its short and long factors");
  }
  return {};
}

}  // namespace hone
