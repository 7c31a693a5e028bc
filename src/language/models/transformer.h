// The parts that the families' layers are built of.
#pragma once

#include <string>
#include <vector>

#include "language/models/model.h"
#include "language/models/weight_loader.h"

namespace hone {

struct AttentionWeights {
  std::vector<float> norm;
  Linear query, key, value;                 // or
  Linear fused;                             // the three on top of each other
  std::vector<float> query_norm, key_norm;  // of a head
  Linear output;
  std::vector<float> post_norm;
};

struct MlpWeights {
  std::vector<float> norm;
  Linear gate, up;  // or
  Linear fused;     // the two on top of each other
  Linear down;
  std::vector<float> post_norm;
};

// What a family's layers have beyond the common parts.
struct LayerParts {
  bool fused = false;       // attn_qkv and a doubled ffn_up
  bool head_norms = false;  // attn_q_norm, attn_k_norm
  bool post_norms = false;  // post_attention_norm, post_ffw_norm
};

Result<std::vector<AttentionWeights>> LoadAttention(WeightLoader& loader, const ModelConfig& config,
                                                    LayerParts parts);
Result<std::vector<MlpWeights>> LoadMlp(WeightLoader& loader, const ModelConfig& config, LayerParts parts);

}  // namespace hone
