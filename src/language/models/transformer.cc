#include "language/models/transformer.h"

#include <algorithm>
#include <cmath>

namespace hone {
namespace {

float LargestMagnitude(std::span<const float> values) {
  float largest = 0.0f;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  return largest;
}

}  // namespace

Result<std::vector<AttentionWeights>> LoadAttention(WeightLoader& loader, const ModelConfig& config,
                                                    LayerParts parts) {
  const int64_t q = static_cast<int64_t>(config.heads) * config.head_dim;
  const int64_t kv = static_cast<int64_t>(config.kv_heads) * config.head_dim;
  const float offset = loader.source().norm_offset();
  std::vector<AttentionWeights> layers(static_cast<size_t>(config.layers));
  for (size_t i = 0; i < layers.size(); ++i) {
    AttentionWeights& w = layers[i];
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", i, part); };
    HONE_TRY(w.norm, loader.Vector(name("attn_norm.weight"), config.width, offset));
    if (parts.fused) {
      HONE_TRY(w.fused, loader.Matrix(name("attn_qkv"), q + 2 * kv, config.width));
    } else {
      HONE_TRY(w.query, loader.Matrix(name("attn_q"), q, config.width));
      HONE_TRY(w.key, loader.Matrix(name("attn_k"), kv, config.width));
      HONE_TRY(w.value, loader.Matrix(name("attn_v"), kv, config.width));
    }
    if (parts.head_norms) {
      HONE_TRY(w.query_norm, loader.Vector(name("attn_q_norm.weight"), config.head_dim, offset));
      HONE_TRY(w.key_norm, loader.Vector(name("attn_k_norm.weight"), config.head_dim, offset));
      loader.NoteHeadNorms(LargestMagnitude(w.query_norm) * LargestMagnitude(w.key_norm));
    }
    HONE_TRY(w.output, loader.Matrix(name("attn_output"), config.width, q));
    if (parts.post_norms) {
      HONE_TRY(w.post_norm, loader.Vector(name("post_attention_norm.weight"), config.width, offset));
    }
  }
  return layers;
}

Result<std::vector<MlpWeights>> LoadMlp(WeightLoader& loader, const ModelConfig& config, LayerParts parts) {
  const float offset = loader.source().norm_offset();
  std::vector<MlpWeights> layers(static_cast<size_t>(config.layers));
  for (size_t i = 0; i < layers.size(); ++i) {
    MlpWeights& w = layers[i];
    const auto name = [&](std::string_view part) { return fmt::format("blk.{}.{}", i, part); };
    HONE_TRY(w.norm, loader.Vector(name("ffn_norm.weight"), config.width, offset));
    if (parts.fused) {
      HONE_TRY(w.fused,
               loader.Matrix(name("ffn_up"), 2 * static_cast<int64_t>(config.feed_forward), config.width));
    } else {
      HONE_TRY(w.gate, loader.Matrix(name("ffn_gate"), config.feed_forward, config.width));
      HONE_TRY(w.up, loader.Matrix(name("ffn_up"), config.feed_forward, config.width));
    }
    HONE_TRY(w.down, loader.Matrix(name("ffn_down"), config.width, config.feed_forward));
    if (parts.post_norms) {
      HONE_TRY(w.post_norm, loader.Vector(name("post_ffw_norm.weight"), config.width, offset));
    }
  }
  return layers;
}

}  // namespace hone
