#include "language/models/llama_torch.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <torch/autograd.h>
#include <torch/nn/functional/loss.h>

#include <cmath>
#include <limits>

namespace hone {
namespace {

// y = x / sqrt(mean(x^2) + epsilon) * weight, by row, with its derivative in few passes over memory.
class RootMeanSquareNorm : public torch::autograd::Function<RootMeanSquareNorm> {
 public:
  static torch::Tensor forward(torch::autograd::AutogradContext* context, const torch::Tensor& x,
                               const torch::Tensor& weight, double epsilon) {
    const auto width = static_cast<double>(x.size(-1));
    const auto scale = (x.norm(2, -1, /*keepdim=*/true).square_().div_(width).add_(epsilon)).rsqrt_();
    const auto unit = x * scale;
    context->save_for_backward({unit, scale, weight});
    return unit * weight;
  }

  // dx = scale * (g - unit * mean(g * unit)) with g = dy * weight; dweight = sum of dy * unit over the rows.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const auto& unit = saved[0];
    const auto through = gradients[0] * unit;
    const auto weight_gradient = through.flatten(0, -2).sum(0);
    const auto mean = torch::matmul(through, saved[2]).div_(static_cast<double>(unit.size(-1))).unsqueeze(-1);
    auto gradient = gradients[0] * saved[2];
    gradient.addcmul_(unit, mean, -1.0).mul_(saved[1]);
    return {gradient, weight_gradient, torch::Tensor()};
  }
};

}  // namespace

LlamaTorch::LlamaTorch(const ModelConfig& config, uint64_t seed)
    : config_(config), generator_(at::detail::createCPUGenerator(seed)) {
  constexpr double kDeviation = 0.02;
  const double residual = kDeviation / std::sqrt(2.0 * config.layers);
  const int64_t width = config.width;
  const int64_t query_width = static_cast<int64_t>(config.heads) * config.head_dim;
  const int64_t kv_width = static_cast<int64_t>(config.kv_heads) * config.head_dim;
  embedding_ = Add("model.embed_tokens.weight", {config.vocabulary, width}, kDeviation);
  for (int i = 0; i < config.layers; ++i) {
    const std::string prefix = fmt::format("model.layers.{}.", i);
    Layer layer;
    layer.attention_norm = Add(prefix + "input_layernorm.weight", {width}, 0.0);
    layer.query = Add(prefix + "self_attn.q_proj.weight", {query_width, width}, kDeviation);
    layer.key = Add(prefix + "self_attn.k_proj.weight", {kv_width, width}, kDeviation);
    layer.value = Add(prefix + "self_attn.v_proj.weight", {kv_width, width}, kDeviation);
    layer.output = Add(prefix + "self_attn.o_proj.weight", {width, query_width}, residual);
    layer.mlp_norm = Add(prefix + "post_attention_layernorm.weight", {width}, 0.0);
    layer.gate = Add(prefix + "mlp.gate_proj.weight", {config.feed_forward, width}, kDeviation);
    layer.up = Add(prefix + "mlp.up_proj.weight", {config.feed_forward, width}, kDeviation);
    layer.down = Add(prefix + "mlp.down_proj.weight", {width, config.feed_forward}, residual);
    layers_.push_back(std::move(layer));
  }
  final_norm_ = Add("model.norm.weight", {width}, 0.0);
  head_ = config.tied_embeddings ? embedding_ : Add("lm_head.weight", {config.vocabulary, width}, kDeviation);
}

torch::Tensor LlamaTorch::Add(const std::string& name, std::vector<int64_t> shape, double deviation) {
  torch::NoGradGuard no_gradient;
  auto weight =
      deviation > 0.0 ? torch::empty(shape).normal_(0.0, deviation, generator_) : torch::ones(shape);
  weight.set_requires_grad(true);
  parameters_.emplace_back(name, weight);
  return weight;
}

torch::Tensor LlamaTorch::Norm(const torch::Tensor& x, const torch::Tensor& weight) const {
  return RootMeanSquareNorm::apply(x, weight, static_cast<double>(config_.norm_epsilon));
}

LlamaTorch::Rotation LlamaTorch::RotationOf(int64_t length) const {
  const int64_t half = config_.head_dim / 2;
  const auto index = torch::arange(half, torch::kFloat64);
  const auto frequency = torch::pow(config_.rope_base, index * (-1.0 / static_cast<double>(half)));
  const auto angle = torch::outer(torch::arange(length, torch::kFloat64), frequency);
  const auto both = torch::cat({angle, angle}, 1).unsqueeze(1);
  return {both.cos().to(torch::kFloat32), both.sin().to(torch::kFloat32)};
}

// Pairs (i, i + head_dim / 2) of each head turn by position * base^(-2 i / head_dim); x is [sequences,
// length, heads, head_dim].
torch::Tensor LlamaTorch::Rotate(const torch::Tensor& x, const Rotation& rotation) const {
  const auto halves = x.chunk(2, -1);
  return x * rotation.cosine + torch::cat({-halves[1], halves[0]}, -1) * rotation.sine;
}

// Grouped query heads: those of one KV head lie in a row, so that a group is one product with its keys.
torch::Tensor LlamaTorch::Attend(const Layer& layer, const torch::Tensor& x, const Rotation& rotation,
                                 const torch::Tensor& mask) const {
  const int64_t sequences = x.size(0);
  const int64_t length = x.size(1);
  const int64_t kv_heads = config_.kv_heads;
  const int64_t group = config_.heads / kv_heads;
  const int64_t dim = config_.head_dim;
  const auto heads_of = [&](const torch::Tensor& weight, int64_t heads) {
    return torch::linear(x, weight).view({sequences, length, heads, dim});
  };
  const auto q = Rotate(heads_of(layer.query, config_.heads), rotation)
                     .view({sequences, length, kv_heads, group, dim})
                     .permute({0, 2, 3, 1, 4})
                     .reshape({sequences * kv_heads, group * length, dim});
  const auto k = Rotate(heads_of(layer.key, kv_heads), rotation)
                     .permute({0, 2, 3, 1})
                     .reshape({sequences * kv_heads, dim, length});
  const auto v = heads_of(layer.value, kv_heads).transpose(1, 2).reshape({sequences * kv_heads, length, dim});
  const auto scores = torch::baddbmm(mask, q, k, 1.0, config_.attention_scale);
  const auto mixed = torch::bmm(torch::softmax(scores, -1), v)
                         .view({sequences, kv_heads, group, length, dim})
                         .permute({0, 3, 1, 2, 4})
                         .reshape({sequences, length, kv_heads * group * dim});
  return torch::linear(mixed, layer.output);
}

torch::Tensor LlamaTorch::Logits(const torch::Tensor& tokens) const {
  const int64_t length = tokens.size(1);
  const Rotation rotation = RotationOf(length);
  const int64_t group = config_.heads / config_.kv_heads;
  const auto mask = torch::full({length, length}, -std::numeric_limits<float>::infinity())
                        .triu_(1)
                        .repeat({group, 1})
                        .unsqueeze(0);
  auto x = torch::embedding(embedding_, tokens);
  for (const Layer& layer : layers_) {
    x = x + Attend(layer, Norm(x, layer.attention_norm), rotation, mask);
    const auto y = Norm(x, layer.mlp_norm);
    x = x + torch::linear(torch::silu(torch::linear(y, layer.gate)) * torch::linear(y, layer.up), layer.down);
  }
  return torch::linear(Norm(x, final_norm_), head_);
}

torch::Tensor LlamaTorch::Loss(const torch::Tensor& tokens, const torch::Tensor& next) const {
  return torch::nn::functional::cross_entropy(Logits(tokens).flatten(0, 1), next.flatten());
}

}  // namespace hone
