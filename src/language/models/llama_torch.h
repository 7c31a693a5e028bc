// The Llama family (language/models/llama.cc) with gradients: the same sums in libtorch, for training and for
// whatever asks for derivatives. Float32 on the CPU.
#pragma once

#include <torch/types.h>

#include <string>
#include <utility>
#include <vector>

#include "language/models/model_config.h"

namespace hone {

class LlamaTorch {
 public:
  // Random weights: independent, Gaussian, of deviation 0.02, those that write into the residual stream
  // (o_proj, down_proj) divided by sqrt(2 * layers) (GPT-2's rule); norms 1. The same seed gives the same
  // weights. `config` describes a Llama without sliding windows or RoPE scaling, its rotation over the whole
  // head.
  LlamaTorch(const ModelConfig& config, uint64_t seed);

  // The logits of the token that follows each token: [sequences, length] of int64 -> [sequences, length,
  // vocabulary]. Attention is causal and stays within a sequence; positions count from 0.
  torch::Tensor Logits(const torch::Tensor& tokens) const;

  // The mean negative log-likelihood of `next` [sequences, length] (int64) in nats a token.
  torch::Tensor Loss(const torch::Tensor& tokens, const torch::Tensor& next) const;

  // Every weight under its Hugging Face name ("model.layers.0.self_attn.q_proj.weight", row-major [out, in]);
  // they are leaves that require gradients. A tied head is not listed.
  const std::vector<std::pair<std::string, torch::Tensor>>& parameters() const { return parameters_; }
  const ModelConfig& config() const { return config_; }

 private:
  struct Layer {
    torch::Tensor attention_norm, query, key, value, output;
    torch::Tensor mlp_norm, gate, up, down;
  };
  struct Rotation {
    torch::Tensor cosine, sine;  // [length, 1, head_dim]
  };

  torch::Tensor Add(const std::string& name, std::vector<int64_t> shape, double deviation);
  torch::Tensor Norm(const torch::Tensor& x, const torch::Tensor& weight) const;
  Rotation RotationOf(int64_t length) const;
  torch::Tensor Rotate(const torch::Tensor& x, const Rotation& rotation) const;
  torch::Tensor Attend(const Layer& layer, const torch::Tensor& x, const Rotation& rotation,
                       const torch::Tensor& mask) const;

  ModelConfig config_;
  torch::Generator generator_;
  std::vector<std::pair<std::string, torch::Tensor>> parameters_;
  torch::Tensor embedding_, final_norm_, head_;
  std::vector<Layer> layers_;
};

}  // namespace hone
