#include "language/serving/http/generation_request.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <random>

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kMostChoices = 128;
constexpr size_t kMostStops = 16;
constexpr size_t kLongestStop = 1000;

uint64_t FreshSeed() {
  std::random_device device;
  // What JSON numbers hold exactly, so that a client can send it back.
  return ((static_cast<uint64_t>(device()) << 32) | device()) & ((uint64_t{1} << 53) - 1);
}

ApiResult<std::vector<std::string>> ReadStop(RequestFields& fields) {
  std::vector<std::string> stop;
  const Json* value = fields.Find("stop");
  if (value == nullptr) return stop;
  const Json list = value->is_string() ? Json::array({*value}) : *value;
  if (!list.is_array()) return BadField("stop", "stop: expected a string or a list of strings");
  if (list.size() > kMostStops) {
    return BadField("stop",
                    fmt::format("stop: found {} strings, expected at most {}", list.size(), kMostStops));
  }
  for (const Json& text : list) {
    if (!text.is_string()) return BadField("stop", "stop: expected a string or a list of strings");
    stop.push_back(text.get<std::string>());
    if (stop.back().empty() || stop.back().size() > kLongestStop) {
      return BadField("stop", fmt::format("stop: found a string of {} bytes, expected 1 to {}",
                                          stop.back().size(), kLongestStop));
    }
  }
  return stop;
}

ApiResult<void> ReadLogitBias(RequestFields& fields, SamplingOptions& sampling) {
  HONE_TRY(const Json* bias, fields.Object("logit_bias"));
  if (bias == nullptr) return {};
  for (const auto& [key, value] : bias->items()) {
    TokenId id = kNoToken;
    const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (status != std::errc() || end != key.data() + key.size()) {
      return BadField("logit_bias", fmt::format("logit_bias: found \"{}\", expected token ids", key));
    }
    if (!value.is_number()) {
      return BadField("logit_bias", fmt::format("logit_bias.{}: expected a number", key));
    }
    sampling.logit_bias.emplace_back(id, value.get<float>());
  }
  return {};
}

// The defaults of the OpenAI API: temperature 1, nothing cut off.
ApiResult<SamplingOptions> ReadSampling(RequestFields& fields) {
  SamplingOptions sampling;
  sampling.temperature = 1.0;
  HONE_TRY(const auto temperature, fields.Number("temperature", 0.0, 1e6));
  HONE_TRY(const auto top_p, fields.Number("top_p", 0.0, 1.0));
  HONE_TRY(const auto top_k, fields.Integer("top_k", -1, INT32_MAX));
  HONE_TRY(const auto min_p, fields.Number("min_p", 0.0, 1.0));
  HONE_TRY(const auto typical_p, fields.Number("typical_p", 1e-6, 1.0));
  HONE_TRY(const auto repetition, fields.Number("repetition_penalty", 1e-6, 1e6));
  HONE_TRY(const auto presence, fields.Number("presence_penalty", -1e6, 1e6));
  HONE_TRY(const auto frequency, fields.Number("frequency_penalty", -1e6, 1e6));
  sampling.temperature = temperature.value_or(sampling.temperature);
  sampling.top_p = top_p.value_or(sampling.top_p);
  sampling.top_k = top_k.value_or(sampling.top_k);
  sampling.min_p = min_p.value_or(sampling.min_p);
  sampling.typical_p = typical_p.value_or(sampling.typical_p);
  sampling.repetition_penalty = repetition.value_or(sampling.repetition_penalty);
  sampling.presence_penalty = presence.value_or(sampling.presence_penalty);
  sampling.frequency_penalty = frequency.value_or(sampling.frequency_penalty);
  HONE_CHECK_OK(ReadLogitBias(fields, sampling));
  return sampling;
}

}  // namespace

ApiResult<GenerationRequest> ReadGenerationRequest(RequestFields& fields) {
  GenerationRequest request;
  HONE_CHECK_OK(RefuseUnsupported(fields));
  HONE_TRY(request.sampling, ReadSampling(fields));
  HONE_TRY(const auto seed, fields.Integer("seed", INT64_MIN, INT64_MAX));
  request.seed = seed ? static_cast<uint64_t>(*seed) : FreshSeed();
  HONE_TRY(const auto max_tokens, fields.Integer("max_tokens", 0, INT32_MAX));
  request.max_tokens = max_tokens.value_or(-1);
  HONE_TRY(const auto choices, fields.Integer("n", 1, kMostChoices));
  request.choices = choices.value_or(1);
  HONE_TRY(request.stop, ReadStop(fields));
  HONE_TRY(const auto ignore, fields.Bool("ignore_eos"));
  request.ignore_ends = ignore.value_or(false);
  HONE_TRY(const auto stream, fields.Bool("stream"));
  request.stream = stream.value_or(false);
  HONE_TRY(const Json* stream_options, fields.Object("stream_options"));
  if (stream_options != nullptr) {
    RequestFields options(*stream_options, "stream_options.");
    HONE_TRY(const auto include, options.Bool("include_usage"));
    if (include.value_or(false) && !request.stream) {
      return BadField("stream_options", "stream_options: only with stream true");
    }
    request.include_usage = include.value_or(false);
  }
  HONE_TRY(const auto priority, fields.Integer("priority", -100, 100));
  request.priority = static_cast<int>(priority.value_or(0));
  HONE_TRY(const auto user, fields.String("user"));
  request.user = user.value_or("");
  return request;
}

ApiResult<void> RefuseUnsupported(RequestFields& fields) {
  for (const char* name : {"functions", "function_call"}) {
    if (fields.Find(name) != nullptr) {
      return BadField(name, fmt::format("{}: not supported, use tools and tool_choice", name));
    }
  }
  for (const char* name : {"audio", "web_search_options", "prediction", "suffix", "best_of"}) {
    const Json* value = fields.Find(name);
    if (value == nullptr || *value == Json(1) || *value == Json("")) continue;
    return BadField(name, fmt::format("{}: not supported", name));
  }
  const Json* modalities = fields.Find("modalities");
  if (modalities != nullptr && *modalities != Json::array({"text"})) {
    return BadField("modalities", "modalities: only [\"text\"] is supported");
  }
  return {};
}

}  // namespace hone
