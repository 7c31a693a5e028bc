#include "training/language/recipe.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "core/base/output_file.h"
#include "core/formats/safetensors/json_file.h"

namespace hone {

using Json = nlohmann::ordered_json;

namespace {

// Calls visit(name, member) for every plain field of a recipe: the one list that reading and writing share.
template <class Recipe, class Visit>
void ForEachField(Recipe& recipe, const Visit& visit) {
  visit("retrieval_share", recipe.retrieval_share);
  visit("held_out", recipe.held_out);
  visit("held_out_tokens", recipe.held_out_tokens);
  visit("vocabulary", recipe.vocabulary);
  visit("layers", recipe.layers);
  visit("width", recipe.width);
  visit("heads", recipe.heads);
  visit("kv_heads", recipe.kv_heads);
  visit("feed_forward", recipe.feed_forward);
  visit("rope_base", recipe.rope_base);
  visit("steps", recipe.steps);
  visit("batch_tokens", recipe.batch_tokens);
  visit("rows", recipe.rows);
  visit("learning_rate", recipe.learning_rate);
  visit("final_rate", recipe.final_rate);
  visit("warmup", recipe.warmup);
  visit("beta1", recipe.beta1);
  visit("beta2", recipe.beta2);
  visit("weight_decay", recipe.weight_decay);
  visit("clip", recipe.clip);
  visit("seed", recipe.seed);
}

Result<void> CheckShape(const LanguageModelRecipe& r) {
  const auto need = [](bool holds, const char* field, auto found, const char* expected) -> Result<void> {
    if (!holds) return WrongUsage("{}: {}, expected {}", field, found, expected);
    return {};
  };
  HONE_CHECK_OK(
      need(r.vocabulary > 258 && r.vocabulary <= 65536, "vocabulary", r.vocabulary, "259 to 65536"));
  HONE_CHECK_OK(need(r.layers >= 1 && r.layers <= 256, "layers", r.layers, "1 to 256"));
  HONE_CHECK_OK(need(r.heads >= 1 && r.width % r.heads == 0, "heads", r.heads, "a divisor of the width"));
  const int head = r.width / r.heads;  // what the engine's attention takes
  HONE_CHECK_OK(need(head % 8 == 0 && head >= 32 && head <= 256, "width", r.width,
                     "a multiple of 8 from 32 to 256 a head"));
  HONE_CHECK_OK(
      need(r.kv_heads >= 1 && r.heads % r.kv_heads == 0, "kv_heads", r.kv_heads, "a divisor of the heads"));
  return need(r.feed_forward >= 32 && r.feed_forward % 32 == 0, "feed_forward", r.feed_forward,
              "a multiple of 32");
}

Result<void> CheckSchedule(const LanguageModelRecipe& r) {
  if (r.steps < 1) return WrongUsage("steps: {}, expected at least 1", r.steps);
  if (r.warmup < 0 || r.warmup >= r.steps)
    return WrongUsage("warmup: {}, expected 0 to {}", r.warmup, r.steps - 1);
  for (const double rate : {r.learning_rate, r.clip}) {
    if (!(rate > 0.0) || !std::isfinite(rate))
      return WrongUsage("learning_rate, clip: {}, expected above 0", rate);
  }
  for (const double share : {r.final_rate, r.beta1, r.beta2, r.weight_decay, r.retrieval_share}) {
    if (!(share >= 0.0 && share <= 1.0))
      return WrongUsage("final_rate, beta1, beta2, weight_decay, retrieval_share: {}, expected 0 to 1",
                        share);
  }
  if (r.retrieval_share == 1.0) return WrongUsage("retrieval_share: 1, expected below 1");
  double before = 0.0;
  for (const LengthPhase& phase : r.lengths) {
    if (!(phase.until > before && phase.until <= 1.0))
      return WrongUsage("lengths: {}, expected shares of the steps that rise to 1", phase.until);
    before = phase.until;
    if (phase.length < 8 || r.batch_tokens % phase.length != 0)
      return WrongUsage("lengths: {}, expected a divisor of batch_tokens ({}), at least 8", phase.length,
                        r.batch_tokens);
    if (r.rows % phase.length != 0 || r.batch_tokens % r.rows != 0)
      return WrongUsage("rows: {}, expected a multiple of {} that divides {}", r.rows, phase.length,
                        r.batch_tokens);
  }
  if (before != 1.0) return WrongUsage("lengths: the last ends at {}, expected 1", before);
  return {};
}

}  // namespace

int64_t LanguageModelRecipe::context() const {
  int64_t longest = 0;
  for (const LengthPhase& phase : lengths) longest = std::max(longest, phase.length);
  return longest;
}

int64_t LanguageModelRecipe::LengthAt(int64_t step) const {
  for (const LengthPhase& phase : lengths) {
    if (static_cast<double>(step) < phase.until * static_cast<double>(steps)) return phase.length;
  }
  return lengths.back().length;
}

double LanguageModelRecipe::RateAt(int64_t step) const {
  if (step < warmup) return learning_rate * static_cast<double>(step + 1) / static_cast<double>(warmup);
  const double done =
      static_cast<double>(step - warmup) / static_cast<double>(std::max<int64_t>(1, steps - warmup));
  const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * std::min(1.0, done)));
  return learning_rate * (final_rate + (1.0 - final_rate) * cosine);
}

ModelConfig LanguageModelRecipe::Config() const {
  ModelConfig config;
  config.family = "llama";
  config.name = "hone house model";
  config.layers = layers;
  config.width = width;
  config.heads = heads;
  config.kv_heads = kv_heads;
  config.head_dim = width / heads;
  config.feed_forward = feed_forward;
  config.vocabulary = vocabulary;
  config.context = context();
  config.norm_epsilon = 1e-5f;
  config.rope_base = rope_base;
  config.rope_dimensions = config.head_dim;
  config.window.assign(static_cast<size_t>(layers), 0);
  config.attention_scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  config.tied_embeddings = true;
  return config;
}

Result<void> CheckRecipe(const LanguageModelRecipe& recipe) {
  HONE_CHECK_OK(CheckShape(recipe));
  return CheckSchedule(recipe);
}

std::string RecipeJson(const LanguageModelRecipe& recipe) {
  Json json;
  json["texts"] = Json::array();
  for (const TextShare& text : recipe.texts)
    json["texts"].push_back({{"path", text.path}, {"share", text.share}});
  json["lengths"] = Json::array();
  for (const LengthPhase& phase : recipe.lengths)
    json["lengths"].push_back({{"until", phase.until}, {"length", phase.length}});
  ForEachField(recipe, [&](const char* name, const auto& value) { json[name] = value; });
  return json.dump(2) + "\n";
}

Result<void> WriteRecipe(const LanguageModelRecipe& recipe, const std::string& path) {
  HONE_TRY(OutputFile file, OutputFile::Create(path));
  const std::string text = RecipeJson(recipe);
  HONE_CHECK_OK(file.Write(std::as_bytes(std::span(text))));
  return file.Commit();
}

Result<LanguageModelRecipe> ReadRecipe(const std::string& path) {
  HONE_TRY(const Json json, ReadJsonObject(path));
  LanguageModelRecipe recipe;
  std::string wrong;
  const auto take = [&](const char* name, auto& value) {
    using Value = std::remove_reference_t<decltype(value)>;
    const auto found = json.find(name);
    constexpr bool kText = std::is_same_v<Value, std::string>;
    if (found == json.end() || (kText ? !found->is_string() : !found->is_number())) {
      wrong = name;
      return;
    }
    value = found->template get<Value>();
  };
  ForEachField(recipe, take);
  recipe.lengths.clear();
  for (const char* list : {"texts", "lengths"}) {
    const auto found = json.find(list);
    if (found == json.end() || !found->is_array()) {
      wrong = list;
      continue;
    }
    for (const Json& entry : *found) {
      const auto number = [&](const char* name) {
        return entry.is_object() ? entry.value(name, -1.0) : -1.0;
      };
      if (std::string_view(list) == "texts") {
        if (!entry.is_object() || !entry.contains("path") || !entry["path"].is_string())
          wrong = list;
        else
          recipe.texts.push_back({entry["path"].get<std::string>(), number("share")});
      } else {
        recipe.lengths.push_back({number("until"), static_cast<int64_t>(number("length"))});
      }
    }
  }
  if (!wrong.empty())
    return BadInput(path, wrong, "absent or of another kind, expected what `hone train lm` wrote");
  if (const auto checked = CheckRecipe(recipe); !checked)
    return BadInput(path, "recipe", "{}", checked.error().message);
  return recipe;
}

}  // namespace hone
