// ModelConfig from a Hugging Face config.json.
#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "language/models/model_config.h"

namespace hone {

Result<void> CheckConfig(const ModelConfig& config, const std::string& path);

namespace {

using Json = nlohmann::ordered_json;

// Reads fields of one object; null counts as absent.
class Reader {
 public:
  Reader(const Json& object, std::string path) : object_(object), path_(std::move(path)) {}

  const Json* Find(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  Result<std::optional<double>> Number(const char* name) const {
    const Json* value = Find(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_number()) return BadInput(path_, name, "{}, expected a number", value->type_name());
    return value->get<double>();
  }
  Result<double> Number(const char* name, double fallback) const {
    HONE_TRY(auto value, Number(name));
    return value.value_or(fallback);
  }
  Result<int> Integer(const char* name, std::optional<int> fallback) const {
    HONE_TRY(auto value, Number(name));
    if (!value && fallback) return *fallback;
    if (!value) return BadInput(path_, name, "no such field, expected a number");
    if (std::floor(*value) != *value || std::abs(*value) > (1 << 24)) {
      return BadInput(path_, name, "{}, expected a whole number up to {}", *value, 1 << 24);
    }
    return static_cast<int>(*value);
  }
  Result<bool> Boolean(const char* name, bool fallback) const {
    const Json* value = Find(name);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) return BadInput(path_, name, "{}, expected true or false", value->type_name());
    return value->get<bool>();
  }
  Result<std::vector<float>> Numbers(const char* name) const {
    std::vector<float> numbers;
    const Json* value = Find(name);
    if (value == nullptr) return numbers;
    if (!value->is_array())
      return BadInput(path_, name, "{}, expected a list of numbers", value->type_name());
    for (const Json& number : *value) {
      if (!number.is_number())
        return BadInput(path_, name, "{} in the list, expected numbers", number.type_name());
      numbers.push_back(number.get<float>());
    }
    return numbers;
  }
  const std::string& path() const { return path_; }

 private:
  const Json& object_;
  std::string path_;
};

std::string Text(const Json* value) {
  return value != nullptr && value->is_string() ? value->get<std::string>() : "";
}

Result<void> ReadScaling(const Json& object, const ModelConfig& config, std::optional<int64_t> original,
                         const std::string& path, RopeScaling& scaling) {
  if (!object.is_object())
    return BadInput(path, "rope_scaling", "{}, expected an object", object.type_name());
  const Reader reader(object, path + ": rope_scaling");
  std::string kind = Text(reader.Find("rope_type"));
  if (kind.empty()) kind = Text(reader.Find("type"));
  if (kind.empty() || kind == "default" || kind == "mrope") return {};
  if (kind == "linear") {
    scaling.kind = RopeScalingKind::kLinear;
  } else if (kind == "yarn") {
    scaling.kind = RopeScalingKind::kYarn;
  } else if (kind == "llama3") {
    scaling.kind = RopeScalingKind::kLlama3;
  } else if (kind == "longrope" || kind == "su") {
    scaling.kind = RopeScalingKind::kLongRope;
  } else {
    return BadInput(path, "rope_scaling", "type \"{}\", expected default, linear, yarn, llama3 or longrope",
                    kind);
  }
  HONE_TRY(scaling.factor, reader.Number("factor", 1.0));
  HONE_TRY(const double context, reader.Number("original_max_position_embeddings",
                                               static_cast<double>(original.value_or(config.context))));
  scaling.original_context = static_cast<int64_t>(context);
  HONE_TRY(scaling.attention_factor, reader.Number("attention_factor", 0.0));
  HONE_TRY(scaling.beta_fast, reader.Number("beta_fast", 32.0));
  HONE_TRY(scaling.beta_slow, reader.Number("beta_slow", 1.0));
  HONE_TRY(scaling.mscale, reader.Number("mscale", 0.0));
  HONE_TRY(scaling.mscale_all_dim, reader.Number("mscale_all_dim", 0.0));
  HONE_TRY(scaling.low_frequency_factor, reader.Number("low_freq_factor", 1.0));
  HONE_TRY(scaling.high_frequency_factor, reader.Number("high_freq_factor", 4.0));
  HONE_TRY(scaling.short_factors, reader.Numbers("short_factor"));
  HONE_TRY(scaling.long_factors, reader.Numbers("long_factor"));
  if (scaling.kind == RopeScalingKind::kLongRope) {
    scaling.factor = static_cast<double>(config.context) / std::max(1.0, context);
  }
  return {};
}

// Rotation under rope_theta and rope_scaling, or under rope_parameters, there perhaps by kind of layer.
Result<void> ReadRope(const Reader& reader, ModelConfig& config) {
  HONE_TRY(config.rope_base, reader.Number("rope_theta", config.family == "gemma3" ? 1e6 : 10000.0));
  HONE_TRY(config.local_rope_base, reader.Number("rope_local_base_freq", 10000.0));
  HONE_TRY(auto original, reader.Number("original_max_position_embeddings"));
  std::optional<int64_t> original_context;
  if (original) original_context = static_cast<int64_t>(*original);
  const Json* scaling = reader.Find("rope_scaling");
  const Json* parameters = reader.Find("rope_parameters");
  if (parameters != nullptr && parameters->is_object() && parameters->contains("full_attention")) {
    const auto local = parameters->find("sliding_attention");
    if (local != parameters->end() && local->is_object()) {
      HONE_TRY(config.local_rope_base,
               Reader(*local, reader.path()).Number("rope_theta", config.local_rope_base));
    }
    parameters = &(*parameters)["full_attention"];
  }
  if (parameters != nullptr) {
    if (!parameters->is_object()) {
      return BadInput(reader.path(), "rope_parameters", "{}, expected an object", parameters->type_name());
    }
    HONE_TRY(config.rope_base, Reader(*parameters, reader.path()).Number("rope_theta", config.rope_base));
    if (scaling == nullptr) scaling = parameters;
  }
  if (scaling != nullptr) {
    HONE_CHECK_OK(ReadScaling(*scaling, config, original_context, reader.path(), config.rope_scaling));
  }
  double rotated = 1.0;
  for (const Json* object : {scaling, parameters}) {
    if (object == nullptr) continue;
    HONE_TRY(rotated, Reader(*object, reader.path()).Number("partial_rotary_factor", rotated));
  }
  HONE_TRY(rotated, reader.Number("partial_rotary_factor", rotated));
  config.rope_dimensions = static_cast<int>(rotated * config.head_dim);
  return {};
}

Result<void> ReadWindows(const Reader& reader, ModelConfig& config) {
  config.window.assign(static_cast<size_t>(config.layers), 0);
  HONE_TRY(const int window, reader.Integer("sliding_window", 0));
  HONE_TRY(const bool qwen_uses_window, reader.Boolean("use_sliding_window", false));
  const bool qwen = config.family == "qwen2" || config.family == "qwen3";
  if (window <= 0 || (qwen && !qwen_uses_window)) return {};
  const Json* types = reader.Find("layer_types");
  if (types != nullptr && (!types->is_array() || types->size() != config.window.size())) {
    return BadInput(reader.path(), "layer_types", "not a list of {} names", config.layers);
  }
  HONE_TRY(const int first_window_layer, reader.Integer("max_window_layers", 0));
  HONE_TRY(const int pattern, reader.Integer("sliding_window_pattern", 6));
  for (int i = 0; i < config.layers; ++i) {
    bool windowed = true;
    if (types != nullptr) {
      windowed = Text(&(*types)[static_cast<size_t>(i)]) == "sliding_attention";
    } else if (config.family == "gemma3") {
      windowed = pattern <= 0 || (i + 1) % pattern != 0;
    } else if (qwen) {
      windowed = i >= first_window_layer;
    }
    config.window[static_cast<size_t>(i)] = windowed ? window : 0;
  }
  return {};
}

}  // namespace

Result<ModelConfig> ReadConfig(const Json& config_json, const std::string& path) {
  if (!config_json.is_object())
    return BadInput(path, "config", "{}, expected an object", config_json.type_name());
  struct Family {
    std::string_view model_type, family;
  };
  constexpr std::array kFamilies = {Family{"llama", "llama"},  Family{"mistral", "llama"},
                                    Family{"qwen2", "qwen2"},  Family{"qwen3", "qwen3"},
                                    Family{"phi3", "phi3"},    Family{"gemma3_text", "gemma3"},
                                    Family{"gemma3", "gemma3"}};
  const std::string model_type = config_json.contains("model_type") ? Text(&config_json["model_type"]) : "";
  const auto* found = std::find_if(kFamilies.begin(), kFamilies.end(),
                                   [&](const Family& f) { return f.model_type == model_type; });
  if (found == kFamilies.end()) {
    return BadInput(path, "model_type",
                    "\"{}\", expected one of llama, mistral, qwen2, qwen3, gemma3_text, gemma3, phi3",
                    model_type);
  }
  // A multimodal Gemma 3 keeps the language model's numbers apart.
  const bool nested = config_json.contains("text_config") && config_json["text_config"].is_object();
  const Reader reader(nested ? config_json["text_config"] : config_json, path);

  ModelConfig config;
  config.family = std::string(found->family);
  config.name = Text(reader.Find("_name_or_path"));
  if (config.name.empty()) config.name = model_type;
  HONE_TRY(config.layers, reader.Integer("num_hidden_layers", std::nullopt));
  HONE_TRY(config.width, reader.Integer("hidden_size", std::nullopt));
  HONE_TRY(config.heads, reader.Integer("num_attention_heads", std::nullopt));
  HONE_TRY(config.kv_heads, reader.Integer("num_key_value_heads", config.heads));
  HONE_TRY(config.feed_forward, reader.Integer("intermediate_size", std::nullopt));
  HONE_TRY(const int vocabulary, reader.Integer("vocab_size", std::nullopt));
  config.vocabulary = vocabulary;
  HONE_TRY(const double context, reader.Number("max_position_embeddings", 2048));
  config.context = static_cast<int64_t>(context);
  if (config.heads < 1)
    return BadInput(path, "num_attention_heads", "{}, expected a positive number", config.heads);
  HONE_TRY(config.head_dim,
           reader.Integer("head_dim", config.family == "gemma3" ? 256 : config.width / config.heads));
  HONE_TRY(const double epsilon, reader.Number("rms_norm_eps", 1e-6));
  config.norm_epsilon = static_cast<float>(epsilon);
  HONE_TRY(config.tied_embeddings, reader.Boolean("tie_word_embeddings", config.family == "gemma3"));
  HONE_CHECK_OK(ReadRope(reader, config));
  HONE_CHECK_OK(ReadWindows(reader, config));
  const std::string activation =
      Text(reader.Find(config.family == "gemma3" ? "hidden_activation" : "hidden_act"));
  const std::string expected = config.family == "gemma3" ? "gelu_pytorch_tanh" : "silu";
  if (!activation.empty() && activation != expected) {
    return BadInput(path, "hidden_act", "\"{}\", expected {}", activation, expected);
  }
  double scaled_size = config.head_dim;
  if (config.family == "gemma3") {
    for (const char* cap : {"attn_logit_softcapping", "final_logit_softcapping"}) {
      if (reader.Find(cap) != nullptr) return BadInput(path, cap, "set, which Gemma 3 models do not use");
    }
    HONE_TRY(scaled_size, reader.Number("query_pre_attn_scalar", 256.0));
    config.embedding_scale = std::sqrt(static_cast<float>(config.width));
  }
  if (!(scaled_size > 0.0))
    return BadInput(path, "query_pre_attn_scalar", "{}, expected a positive number", scaled_size);
  config.attention_scale = static_cast<float>(1.0 / std::sqrt(scaled_size));
  HONE_CHECK_OK(CheckConfig(config, path));
  return config;
}

}  // namespace hone
