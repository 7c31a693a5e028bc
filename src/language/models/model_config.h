// The numbers that describe a language model, read from GGUF metadata or from a Hugging Face config.json.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/kernels/rope_table.h"

namespace hone {

class GgufFile;

struct ModelConfig {
  std::string family;  // "llama", "qwen2", "qwen3", "gemma3", "phi3"
  std::string name;    // as the file calls itself
  int layers = 0;
  int width = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int feed_forward = 0;
  int64_t vocabulary = 0;
  int64_t context = 0;  // the model's own limit, scaling included
  float norm_epsilon = 1e-5f;

  double rope_base = 10000.0;
  double local_rope_base = 10000.0;  // of sliding-window layers (Gemma 3)
  int rope_dimensions = 0;
  bool rope_neighbours = false;  // pairs (2i, 2i + 1): Llama files in GGUF
  RopeScaling rope_scaling;      // full-attention layers only in Gemma 3

  std::vector<int> window;  // [layers], 0: full attention
  float attention_scale = 0.0f;
  float embedding_scale = 1.0f;
  float logit_scale = 1.0f;
  bool tied_embeddings = false;

  // Bytes of keys and values that one token takes in full-attention layers, and those of windowed layers for
  // a whole window.
  uint64_t KvBytesPerToken(int bytes_per_value) const;
};

Result<ModelConfig> ReadConfig(const GgufFile& file);
Result<ModelConfig> ReadConfig(const nlohmann::ordered_json& config, const std::string& path);

// The families that can be run, for error messages.
std::string SupportedFamilies();

}  // namespace hone
