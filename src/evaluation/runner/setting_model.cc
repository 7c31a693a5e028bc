#include "evaluation/runner/setting_model.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "language/conversion/model_source.h"
#include "language/kvcache/kv_store.h"
#include "language/models/mixed_plan.h"
#include "language/models/plan_use.h"
#include "language/quantization/quantize_model.h"

namespace hone {

SettingModel::SettingModel(const SettingSource& source, const EvalSetting& setting)
    : engine_(source.threads > 0 ? source.threads : DefaultThreads()),
      pool_(PagePool::Create(engine_.accounts.kv)),
      setting_(setting) {}

Result<std::unique_ptr<SettingModel>> SettingModel::Load(const SettingSource& source,
                                                         const EvalSetting& setting) {
  std::unique_ptr<SettingModel> loaded(new SettingModel(source, setting));
  HONE_CHECK_OK(loaded->LoadWeights(source));
  return loaded;
}

Result<void> SettingModel::LoadWeights(const SettingSource& source) {
  HONE_TRY(const Plan plan, ReadPlans(setting_.plans));
  std::string path = source.model;
  const bool copied = setting_.weights != 16;
  if (copied) {
    HONE_TRY(path, Quantize(source));
  }
  LoadOptions load;
  load.plan = &plan;
  auto loaded = LoadModel(path, engine_, load);
  if (copied) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
  HONE_TRY(model_, std::move(loaded));
  RunnerOptions options;
  options.mode = setting_.activations == 16 ? NumericMode::kExact : NumericMode::kFast;
  if (setting_.activations != 16 && std::ranges::none_of(model_->weights(), [](const WeightInfo& weight) {
        const WeightFormat* format = FindWeightFormat(weight.type);
        return format != nullptr && format->form(NumericMode::kFast) == ActivationForm::kInt8;
      })) {
    return Failed("setting {}: {} has float weights, which no kernel multiplies with 8-bit activations",
                  setting_.name, source.model);
  }
  HONE_CHECK_OK(UsePlan(plan, *model_, options));
  HONE_TRY(runner_, Runner::Create(model_, engine_, options));
  weight_bytes_ = engine_.accounts.weights.used();
  return CountBits(plan);
}

Result<std::string> SettingModel::Quantize(const SettingSource& source) {
  const std::string to = source.folder + "/" + setting_.name + ".gguf";
  HONE_TRY(const auto from, OpenModelSource(source.model, source.folder + "/vocabulary.gguf"));
  QuantizeOptions options;
  HONE_TRY(options.mix, FindTypeMix(setting_.type_mix()));
  options.allow_requantize = true;
  const auto share = engine_.pool.MakeShare();
  HONE_CHECK_OK(QuantizeModel(*from, options, to, *share));
  return to;
}

Result<void> SettingModel::CountBits(const Plan& plan) {
  std::set<std::string, std::less<>> mixed;
  if (const auto part = plan.parts.find(std::string(kMixedPart)); part != plan.parts.end()) {
    HONE_TRY(const MixedTensors tensors, ReadMixedPart(part->second));
    for (const auto& [name, tensor] : tensors) mixed.insert(name);
  }
  double bytes = 0.0;
  double weights = 0.0;
  for (const WeightInfo& weight : model_->weights()) {
    const bool from_plan = mixed.contains(weight.name + ".weight");
    bytes +=
        static_cast<double>(from_plan ? weight.bytes
                                      : static_cast<uint64_t>(weight.rows) *
                                            static_cast<uint64_t>(RowBytes(weight.type, weight.columns)));
    weights += static_cast<double>(weight.rows * weight.columns);
  }
  bits_per_weight_ = 8.0 * bytes / weights;
  return {};
}

double SettingModel::kv_bytes_per_token() const {
  return static_cast<double>(model_->config().KvBytesPerToken(1)) * setting_.kv / 8.0;
}

KvCache SettingModel::MakeCache() const {
  const ModelConfig& config = model_->config();
  std::vector<std::unique_ptr<KvStore>> layers;
  for (const int window : config.window) {
    const TileFormat format = setting_.kv == 32 ? TileFormat::kF32 : TileFormat::kF16;
    layers.push_back(MakePagedStore({config.kv_heads, config.head_dim, window}, format));
  }
  return KvCache(pool_, std::move(layers));
}

}  // namespace hone
