// ModelConfig from GGUF metadata. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
#include <algorithm>
#include <cmath>

#include "core/formats/gguf/gguf_file.h"
#include "core/kernels/reference/dequantize.h"
#include "language/models/model_config.h"

namespace hone {

Result<void> CheckConfig(const ModelConfig& config, const std::string& path);

namespace {

class Reader {
 public:
  Reader(const GgufFile& file, std::string architecture)
      : file_(file), architecture_(std::move(architecture)) {}

  std::string Key(std::string_view name) const { return fmt::format("{}.{}", architecture_, name); }

  Result<std::optional<int64_t>> Optional(std::string_view name) const { return file_.Integer(Key(name)); }
  Result<int64_t> Integer(std::string_view name) const {
    HONE_TRY(auto value, Optional(name));
    if (!value) return BadInput(file_.path(), Key(name), "no such key, expected a number");
    return *value;
  }
  Result<int64_t> Integer(std::string_view name, int64_t fallback) const {
    HONE_TRY(auto value, Optional(name));
    return value.value_or(fallback);
  }
  Result<double> Real(std::string_view name, double fallback) const {
    HONE_TRY(auto value, file_.Real(Key(name)));
    return value.value_or(fallback);
  }
  // A number for all layers, or one a layer that must agree.
  Result<int64_t> ByLayer(std::string_view name, std::optional<int64_t> fallback) const {
    const std::string key = Key(name);
    if (fallback && file_.Find(key) == nullptr) return *fallback;
    HONE_TRY(auto values, file_.Integers(key));
    if (!values || values->empty()) return BadInput(file_.path(), key, "no such key, expected a number");
    if (std::adjacent_find(values->begin(), values->end(), std::not_equal_to<>()) != values->end()) {
      return BadInput(file_.path(), key, "values that differ by layer, which this family cannot run");
    }
    return values->front();
  }

 private:
  const GgufFile& file_;
  std::string architecture_;
};

Result<std::vector<float>> Factors(const GgufFile& file, std::string_view name) {
  std::vector<float> factors;
  const FileTensor* tensor = file.FindTensor(name);
  if (tensor == nullptr) return factors;
  if (tensor->type != DType::kF32 || tensor->columns() > 4096 || tensor->rows() != 1) {
    return BadInput(file.path(), name, "type {}, expected at most 4096 F32 values", Info(tensor->type).name);
  }
  factors.resize(static_cast<size_t>(tensor->columns()));
  Dequantize(DType::kF32, tensor->bytes().data(), tensor->columns(), factors.data());
  return factors;
}

Result<void> ReadScaling(const GgufFile& file, const Reader& reader, ModelConfig& config) {
  RopeScaling& scaling = config.rope_scaling;
  HONE_TRY(auto kind, file.Text(reader.Key("rope.scaling.type")));
  HONE_TRY(const double old_linear, reader.Real("rope.scale_linear", 0.0));
  if (!kind) {
    if (old_linear > 0.0 && old_linear != 1.0) {
      scaling.kind = RopeScalingKind::kLinear;
      scaling.factor = old_linear;
    }
  } else if (*kind == "linear") {
    scaling.kind = RopeScalingKind::kLinear;
  } else if (*kind == "yarn") {
    scaling.kind = RopeScalingKind::kYarn;
  } else if (*kind == "longrope") {
    scaling.kind = RopeScalingKind::kLongRope;
  } else if (*kind != "none") {
    return BadInput(file.path(), reader.Key("rope.scaling.type"),
                    "\"{}\", expected none, linear, yarn or longrope", *kind);
  }
  if (kind) {
    HONE_TRY(scaling.factor, reader.Real("rope.scaling.factor", 1.0));
  }
  HONE_TRY(scaling.original_context, reader.Integer("rope.scaling.original_context_length", config.context));
  HONE_TRY(scaling.attention_factor, reader.Real("rope.scaling.attn_factor", 0.0));
  HONE_TRY(scaling.beta_fast, reader.Real("rope.scaling.yarn_beta_fast", 32.0));
  HONE_TRY(scaling.beta_slow, reader.Real("rope.scaling.yarn_beta_slow", 1.0));
  HONE_TRY(scaling.factors, Factors(file, "rope_freqs.weight"));
  HONE_TRY(scaling.short_factors, Factors(file, "rope_factors_short.weight"));
  HONE_TRY(scaling.long_factors, Factors(file, "rope_factors_long.weight"));
  if (!scaling.factors.empty() && scaling.kind == RopeScalingKind::kNone)
    scaling.kind = RopeScalingKind::kLlama3;
  if (!scaling.long_factors.empty()) scaling.kind = RopeScalingKind::kLongRope;
  if (scaling.kind == RopeScalingKind::kLongRope) {
    scaling.factor = static_cast<double>(config.context) /
                     static_cast<double>(std::max<int64_t>(1, scaling.original_context));
  }
  return {};
}

// Gemma 3: five sliding-window layers, then one with full attention; the window layers turn by base 10000.
Result<void> ReadGemma3(const Reader& reader, ModelConfig& config) {
  HONE_TRY(const int64_t window, reader.Integer("attention.sliding_window", 0));
  HONE_TRY(const int64_t pattern, reader.Integer("attention.sliding_window_pattern", 6));
  HONE_TRY(config.local_rope_base, reader.Real("rope.local.freq_base", 10000.0));
  for (int i = 0; i < config.layers; ++i) {
    config.window[static_cast<size_t>(i)] =
        pattern > 0 && (i + 1) % pattern != 0 ? static_cast<int>(window) : 0;
  }
  constexpr int kLayersOf27B = 62;  // which scales its queries by width / heads instead of the head size
  const double scaled_size =
      config.layers == kLayersOf27B ? static_cast<double>(config.width) / config.heads : config.head_dim;
  config.attention_scale = static_cast<float>(1.0 / std::sqrt(scaled_size));
  config.embedding_scale = std::sqrt(static_cast<float>(config.width));
  return {};
}

}  // namespace

Result<ModelConfig> ReadConfig(const GgufFile& file) {
  HONE_TRY(auto architecture, file.Text("general.architecture"));
  if (!architecture)
    return BadInput(file.path(), "general.architecture", "no such key, expected one of {}",
                    SupportedFamilies());
  ModelConfig config;
  config.family = std::string(*architecture);
  constexpr std::string_view kFamilies[] = {"llama", "qwen2", "qwen3", "gemma3", "phi3"};
  if (std::find(std::begin(kFamilies), std::end(kFamilies), config.family) == std::end(kFamilies)) {
    return BadInput(file.path(), "general.architecture", "\"{}\", expected one of {}", config.family,
                    SupportedFamilies());
  }
  const Reader reader(file, config.family);
  HONE_TRY(auto name, file.Text("general.name"));
  config.name = std::string(name.value_or(config.family));
  HONE_TRY(const int64_t experts, reader.Integer("expert_count", 0));
  if (experts > 0)
    return BadInput(file.path(), reader.Key("expert_count"), "{}, expected a dense model", experts);

  HONE_TRY(const int64_t layers, reader.Integer("block_count"));
  HONE_TRY(const int64_t width, reader.Integer("embedding_length"));
  HONE_TRY(const int64_t heads, reader.ByLayer("attention.head_count", std::nullopt));
  HONE_TRY(const int64_t kv_heads, reader.ByLayer("attention.head_count_kv", heads));
  HONE_TRY(const int64_t feed_forward, reader.ByLayer("feed_forward_length", std::nullopt));
  if (heads < 1 || width < 1 || layers < 1) {
    return BadInput(file.path(), reader.Key("attention.head_count"),
                    "{} heads, {} wide, {} layers; expected positive numbers", heads, width, layers);
  }
  HONE_TRY(const int64_t key_length, reader.Integer("attention.key_length", width / heads));
  HONE_TRY(const int64_t value_length, reader.Integer("attention.value_length", width / heads));
  if (key_length != value_length) {
    return BadInput(file.path(), reader.Key("attention.value_length"), "{}, expected the key length {}",
                    value_length, key_length);
  }
  HONE_TRY(const int64_t rope_dimensions, reader.Integer("rope.dimension_count", key_length));
  constexpr int64_t kMost = 1 << 24;
  for (const int64_t value : {layers, width, heads, kv_heads, feed_forward, key_length, rope_dimensions}) {
    if (value < 1 || value > kMost) {
      return BadInput(file.path(), "metadata", "a size of {}, expected 1 to {}", value, kMost);
    }
  }
  config.layers = static_cast<int>(layers);
  config.width = static_cast<int>(width);
  config.heads = static_cast<int>(heads);
  config.kv_heads = static_cast<int>(kv_heads);
  config.feed_forward = static_cast<int>(feed_forward);
  config.head_dim = static_cast<int>(key_length);
  config.rope_dimensions = static_cast<int>(rope_dimensions);
  config.rope_neighbours = config.family == "llama";
  HONE_TRY(const double epsilon, reader.Real("attention.layer_norm_rms_epsilon", 1e-5));
  config.norm_epsilon = static_cast<float>(epsilon);
  HONE_TRY(config.rope_base, reader.Real("rope.freq_base", 10000.0));
  HONE_TRY(config.context, reader.Integer("context_length", 2048));

  const FileTensor* embedding = file.FindTensor("token_embd.weight");
  if (embedding == nullptr)
    return BadInput(file.path(), "token_embd.weight", "no such tensor; is this a vocabulary only?");
  config.vocabulary = embedding->rows();
  config.tied_embeddings = file.FindTensor("output.weight") == nullptr;
  HONE_CHECK_OK(CheckConfig(config, file.path()));

  config.window.assign(static_cast<size_t>(config.layers), 0);
  config.attention_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(config.head_dim)));
  HONE_CHECK_OK(ReadScaling(file, reader, config));
  if (config.family == "gemma3") {
    HONE_CHECK_OK(ReadGemma3(reader, config));
  } else if (config.family == "phi3") {
    HONE_TRY(const int64_t window, reader.Integer("attention.sliding_window", 0));
    if (window < 0 || window > kMost) {
      return BadInput(file.path(), reader.Key("attention.sliding_window"), "{}, expected 0 to {}", window,
                      kMost);
    }
    config.window.assign(static_cast<size_t>(config.layers), static_cast<int>(window));
  }
  for (const int window : config.window) {
    if (window < 0)
      return BadInput(file.path(), reader.Key("attention.sliding_window"), "{}, expected 0 or more", window);
  }
  HONE_CHECK_OK(CheckConfig(config, file.path()));
  return config;
}

}  // namespace hone
