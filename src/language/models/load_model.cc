#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/formats/safetensors/json_file.h"
#include "language/models/families.h"
#include "language/models/mixed_plan.h"
#include "language/models/model_hash.h"
#include "language/models/weight_loader.h"

namespace hone {
namespace {

constexpr Family kFamilies[] = {
    {"llama", LoadLlama},   {"qwen2", LoadQwen2}, {"qwen3", LoadQwen3},
    {"gemma3", LoadGemma3}, {"phi3", LoadPhi3},
};

Result<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return BadInput(path, "file", "cannot be read");
  return std::string(std::istreambuf_iterator<char>(file), {});
}

struct Opened {
  ModelConfig config;
  std::unique_ptr<WeightSource> weights;
  std::shared_ptr<const Tokenizer> tokenizer;
};

Result<Opened> OpenGguf(const std::string& path) {
  Opened opened;
  HONE_TRY(GgufFile file, GgufFile::Open(path));
  HONE_TRY(opened.config, ReadConfig(file));
  HONE_TRY(opened.tokenizer, Tokenizer::FromGguf(file));
  opened.weights = std::make_unique<GgufWeights>(std::move(file));
  return opened;
}

Result<Opened> OpenFolder(const std::string& path) {
  Opened opened;
  HONE_TRY(const nlohmann::ordered_json json, ReadJsonObject(path + "/config.json"));
  HONE_TRY(opened.config, ReadConfig(json, path + "/config.json"));
  HONE_TRY(opened.tokenizer, Tokenizer::FromFolder(path));
  HONE_TRY(SafetensorsFolder folder, SafetensorsFolder::Open(path));
  opened.weights = std::make_unique<FolderWeights>(std::move(folder), path, opened.config.family,
                                                   opened.config.tied_embeddings);
  return opened;
}

// Stretches the rotation where a context beyond the model's own is asked for, or another scaling than the
// file's.
Result<void> StretchContext(const std::string& path, const LoadOptions& options, ModelConfig& config) {
  if (options.context < 0)
    return WrongUsage("context: {}, expected 0 (the model's own) or more", options.context);
  RopeScaling& scaling = config.rope_scaling;
  const bool beyond = options.context > config.context;
  if (!beyond && options.rope_scaling.empty()) return {};
  if (scaling.kind == RopeScalingKind::kLongRope || scaling.kind == RopeScalingKind::kLlama3) {
    return WrongUsage(
        "{}: context: {} asked for, but its rotation is made for {} tokens and cannot be stretched", path,
        options.context, config.context);
  }
  const std::string kind = options.rope_scaling.empty() ? "yarn" : options.rope_scaling;
  if (kind != "yarn" && kind != "linear")
    return WrongUsage("rope scaling: \"{}\", expected linear or yarn", kind);
  const int64_t original = scaling.original_context > 0 ? scaling.original_context : config.context;
  const int64_t context = std::max(options.context, config.context);
  scaling = RopeScaling{};
  scaling.kind = kind == "yarn" ? RopeScalingKind::kYarn : RopeScalingKind::kLinear;
  scaling.factor = static_cast<double>(context) / static_cast<double>(original);
  scaling.original_context = original;
  config.context = context;
  return {};
}

// See Model::score_bound.
std::vector<float> ScoreBounds(const ModelConfig& config, const RopeTables& rope, std::vector<float> norms) {
  double magnitude = rope.local.magnitude;
  for (const RopeFrequencies& global : rope.global) magnitude = std::max(magnitude, global.magnitude);
  const double factor = config.attention_scale * config.head_dim * magnitude * magnitude;
  for (float& bound : norms) bound = static_cast<float>(factor * bound);
  return norms;
}

// The matrices that a plan gives, made for exactly these weights.
Result<MixedTensors> PlannedWeights(const std::string& path, const Plan* plan) {
  if (plan == nullptr || !plan->parts.contains(std::string(kMixedPart))) return MixedTensors{};
  const PlanPart& part = plan->parts.at(std::string(kMixedPart));
  HONE_CHECK_OK(CheckFits(kMixedPart, part, [&](PlanKey key) -> Result<std::string> {
    if (key == PlanKey::kWeights) return WeightsHash(path);
    return BadInput(part.source.empty() ? "plan" : part.source, fmt::format("parts.{}.made_for", kMixedPart),
                    "found {}, expected weights alone", Name(key));
  }));
  return ReadMixedPart(part);
}

}  // namespace

std::span<const Family> Families() { return kFamilies; }

class ModelBuilder {
 public:
  static Result<std::shared_ptr<const Model>> Build(const std::string& path, Opened opened, Engine& engine,
                                                    const LoadOptions& options) {
    const ModelConfig& config = opened.config;
    if (opened.tokenizer->vocabulary_size() > config.vocabulary) {
      return BadInput(path, "tokenizer", "{} tokens, but the embedding has {} rows",
                      opened.tokenizer->vocabulary_size(), config.vocabulary);
    }
    HONE_TRY(RopeTables rope, MakeRopeTables(config, path));
    const std::unique_ptr<ComputeShare> share = engine.pool.MakeShare();
    HONE_TRY(const MixedTensors mixed, PlannedWeights(path, options.plan));
    WeightLoader loader(*opened.weights, engine.accounts.weights, *share, options.progress, mixed);
    const uint64_t used_before = engine.accounts.weights.used();
    const auto* family = std::find_if(std::begin(kFamilies), std::end(kFamilies),
                                      [&](const Family& f) { return f.name == config.family; });
    HONE_TRY(Linear embedding, loader.Matrix("token_embd", config.vocabulary, config.width));
    const uint64_t embedding_bytes = engine.accounts.weights.used() - used_before;
    Linear head = embedding;
    if (!config.tied_embeddings) {
      HONE_TRY(head, loader.Matrix("output", config.vocabulary, config.width));
    }
    HONE_TRY(auto output_norm,
             loader.Vector("output_norm.weight", config.width, opened.weights->norm_offset()));
    HONE_TRY(std::unique_ptr<Model> model, family->load(config, loader));
    HONE_CHECK_OK(loader.CheckAllUsed());
    if (!mixed.empty()) model->loaded_parts_ = {kMixedPart};
    model->formats_ = loader.TakeFormats();
    model->embedding_ = std::move(embedding);
    model->head_ = std::move(head);
    model->output_norm_ = std::move(output_norm);
    model->storage_ = loader.TakeStorage();
    model->weights_ = loader.TakeWeights();
    model->score_bounds_ = ScoreBounds(config, rope, loader.TakeHeadNorms());
    if (!config.tied_embeddings) model->weights_.front().op = Operator::kEmbedding;
    model->weight_bytes_ = engine.accounts.weights.used() - used_before;
    model->weight_bytes_per_token_ = model->weight_bytes_ - (config.tied_embeddings ? 0 : embedding_bytes);
    model->path_ = path;
    model->rope_ = std::move(rope);
    model->config_ = std::move(opened.config);
    model->tokenizer_ = std::move(opened.tokenizer);
    if (options.chat_template_file.empty()) {
      model->chat_template_ = std::string(model->tokenizer_->chat_template());
    } else {
      HONE_TRY(model->chat_template_, ReadText(options.chat_template_file));
    }
    return std::shared_ptr<const Model>(std::move(model));
  }
};

Result<std::shared_ptr<const Model>> LoadModel(const std::string& path, Engine& engine,
                                               const LoadOptions& options) {
  const bool folder = std::filesystem::is_directory(path);
  HONE_TRY(Opened opened, folder ? OpenFolder(path) : OpenGguf(path));
  HONE_CHECK_OK(StretchContext(path, options, opened.config));
  return ModelBuilder::Build(path, std::move(opened), engine, options);
}

}  // namespace hone
