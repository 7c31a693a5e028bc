#include "evaluation/runner/setting_model.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "evaluation/simulation/rounded_weights.h"
#include "evaluation/simulation/rounding_store.h"
#include "language/conversion/model_source.h"
#include "language/kvcache/kv_store.h"
#include "language/models/mixed_plan.h"
#include "language/models/plan_use.h"
#include "language/quantization/float_copy.h"
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

namespace {

bool TakesBytes(DType type) {
  const WeightFormat* format = FindWeightFormat(type);
  return format != nullptr && format->form(NumericMode::kFast) == ActivationForm::kInt8;
}

// Whether the head of the file, the embedding where it has none of its own, is multiplied with bytes.
Result<bool> HeadTakesBytes(const std::string& path) {
  HONE_TRY(const auto source, OpenModelSource(path, path + ".vocabulary"));
  bool embedding = false;
  for (const SourceTensor& tensor : source->tensors()) {
    if (tensor.name == "output.weight") return TakesBytes(tensor.type);
    if (tensor.name == "token_embd.weight") embedding = TakesBytes(tensor.type);
  }
  return embedding;
}

}  // namespace

Result<void> SettingModel::LoadWeights(const SettingSource& source) {
  HONE_TRY(const Plan plan, ReadPlans(setting_.plans));
  std::string path = source.model;
  const bool copied = setting_.weights != 16 || setting_.group != 0;
  if (copied) {
    HONE_TRY(path, setting_.group != 0 ? WriteGroups(source) : WriteMix(source));
  } else if (setting_.simulate && setting_.activations == 8 && !setting_.by_token) {
    HONE_TRY(head_takes_bytes_, HeadTakesBytes(path));
  }
  LoadOptions load;
  load.plan = &plan;
  auto loaded = LoadModel(path, engine_, load);
  if (copied) {
    std::error_code ignored;
    std::filesystem::remove(path, ignored);
  }
  HONE_TRY(model_, std::move(loaded));
  if (weight_bytes_ == 0) HONE_CHECK_OK(CountBits(plan));
  return MakeRunner(source, plan);
}

Result<void> SettingModel::MakeRunner(const SettingSource& source, const Plan& plan) {
  RunnerOptions options;
  options.mode = NumericMode::kExact;
  if (setting_.activations != 16 && setting_.simulate) {
    HONE_TRY(const DeviceKernels* kernels, FindKernels(options.device));
    const auto rounding = setting_.by_token ? ActivationRounding::kToken : ActivationRounding::kBlocks;
    rounding_ = std::make_unique<RoundingKernels>(
        *kernels, ActivationSetting{rounding, setting_.activations, head_takes_bytes_});
    HONE_TRY(NamedKernels name, NamedKernels::Add(fmt::format("rounding {}", fmt::ptr(this)), *rounding_));
    rounding_name_.emplace(std::move(name));
    options.device = rounding_name_->name();
  } else if (setting_.activations != 16) {
    if (std::ranges::none_of(model_->weights(), [](const WeightInfo& w) { return TakesBytes(w.type); })) {
      return Failed(
          "setting {}: {} has float weights, which no kernel multiplies with 8-bit activations (--simulate "
          "runs "
          "it on rounded floats)",
          setting_.name, source.model);
    }
    options.mode = NumericMode::kFast;
  }
  HONE_CHECK_OK(UsePlan(plan, *model_, options));
  HONE_TRY(runner_, Runner::Create(model_, engine_, options));
  return {};
}

Result<std::string> SettingModel::WriteMix(const SettingSource& source) {
  const std::string to = source.folder + "/" + setting_.name + ".gguf";
  HONE_TRY(const auto from, OpenModelSource(source.model, source.folder + "/vocabulary.gguf"));
  QuantizeOptions options;
  HONE_TRY(options.mix, FindTypeMix(setting_.type_mix()));
  options.allow_requantize = true;
  const auto share = engine_.pool.MakeShare();
  HONE_TRY(const QuantizeReport report, QuantizeModel(*from, options, to, *share));
  if (!setting_.simulate) return to;
  HONE_TRY(head_takes_bytes_, HeadTakesBytes(to));
  weight_bytes_ = report.plan.bytes;
  bits_per_weight_ = report.plan.bits_per_weight();
  std::string floats = source.folder + "/" + setting_.name + "-floats.gguf";
  HONE_CHECK_OK(WriteFloatCopy(to, DType::kF32, floats));
  std::error_code ignored;
  std::filesystem::remove(to, ignored);
  return floats;
}

Result<std::string> SettingModel::WriteGroups(const SettingSource& source) {
  std::string to = source.folder + "/" + setting_.name + ".gguf";
  HONE_TRY(const auto from, OpenModelSource(source.model, source.folder + "/vocabulary.gguf"));
  DType type = DType::kF32;
  if (!setting_.simulate) {
    HONE_TRY(type, PackedTypeOf(setting_.weights, setting_.group));
  }
  const auto share = engine_.pool.MakeShare();
  HONE_TRY(const RoundedWeights rounded,
           WriteRoundedWeights(*from, setting_.weights, setting_.group, type, to, *share));
  if (!setting_.simulate) return to;
  HONE_TRY(head_takes_bytes_, HeadTakesBytes(to));
  double weights = 0.0;
  for (const SourceTensor& tensor : from->tensors()) {
    weights += static_cast<double>(tensor.rows() * tensor.columns());
    if (!IsLayerMatrix(tensor))
      weight_bytes_ += static_cast<uint64_t>(tensor.rows() * RowBytes(tensor.type, tensor.columns()));
  }
  weight_bytes_ += rounded.bytes;
  bits_per_weight_ = 8.0 * static_cast<double>(weight_bytes_) / weights;
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
  weight_bytes_ = engine_.accounts.weights.used();
  bits_per_weight_ = 8.0 * bytes / weights;
  return {};
}

int64_t SettingModel::kv_group() const {
  const auto head_dim = static_cast<int64_t>(model_->config().head_dim);
  return std::min<int64_t>(head_dim, setting_.kv_group > 0 ? setting_.kv_group : 128);
}

double SettingModel::kv_bytes_per_token() const {
  const auto values = static_cast<double>(model_->config().KvBytesPerToken(1));
  double bits = setting_.kv;
  if (setting_.kv < 16) bits += (16.0 + setting_.kv) / static_cast<double>(kv_group());
  return values * bits / 8.0;
}

KvCache SettingModel::MakeCache() const {
  const ModelConfig& config = model_->config();
  std::vector<std::unique_ptr<KvStore>> layers;
  for (const int window : config.window) {
    const TileFormat format = setting_.kv == 16 ? TileFormat::kF16 : TileFormat::kF32;
    auto store = MakePagedStore({config.kv_heads, config.head_dim, window}, format);
    if (setting_.kv < 16) store = MakeRoundingStore(std::move(store), setting_.kv, kv_group());
    layers.push_back(std::move(store));
  }
  return KvCache(pool_, std::move(layers));
}

}  // namespace hone
