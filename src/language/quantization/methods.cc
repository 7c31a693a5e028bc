#include "language/quantization/methods.h"

#define XXH_INLINE_ALL
#include <fmt/ranges.h>
#include <xxhash.h>

#include <algorithm>
#include <array>

#include "language/models/runner.h"
#include "language/quantization/column_scales.h"
#include "language/quantization/gptq.h"

namespace hone {
namespace {

constexpr std::array kMethods = {
    MethodInfo{QuantizeMethod::kRtn, "rtn", "rounds to the grid of a block's extreme values", false},
    MethodInfo{QuantizeMethod::kSearch, "search", "takes the grid of least error among some twenty", false},
    MethodInfo{QuantizeMethod::kImportance, "importance",
               "weighs that error by what a text multiplies columns with", true},
    MethodInfo{QuantizeMethod::kGptq, "gptq", "makes up for what a column loses in those after it", true},
    MethodInfo{QuantizeMethod::kAwq, "awq", "scales up the columns that matter, and their inputs down", true},
    MethodInfo{QuantizeMethod::kSmoothQuant, "smoothquant", "shares outliers between activations and weights",
               true},
};

// Second moments, factored, of the layer that a matrix lies in.
class GptqMatrices final : public MatrixQuantizer {
 public:
  explicit GptqMatrices(Calibrator& calibrator)
      : layers_(*calibrator.runner, *calibrator.engine, calibrator.windows, calibrator.options) {}

  Result<bool> Prepare(const SourceTensor& tensor, DType type, ComputeShare& share) override {
    const auto input = InputOfMatrix(tensor.name);
    if (!input || tensor.shape.size() != 2 || Info(type).elements == 1) return false;
    const std::pair key(input->layer, input->input);
    if (key == prepared_) return true;
    HONE_TRY(const LayerMoments* moments, Layer(input->layer));
    const InputMoments& of_input = (*moments)[static_cast<size_t>(input->input)];
    if (static_cast<int64_t>(of_input.squares.size()) != tensor.columns())
      return Failed("{}: second moments of {} columns, expected {}", tensor.name, of_input.squares.size(),
                    tensor.columns());
    importance_ = of_input.MeanSquares();
    HONE_TRY(factor_, InverseFactor(share, of_input.second, tensor.columns()));
    prepared_ = key;
    return true;
  }

  void Quantize(DType type, const float* x, int64_t rows, int64_t columns, std::byte* out) const override {
    QuantizeRowsGptq(type, x, rows, columns, importance_, factor_, out);
  }

 private:
  Result<const LayerMoments*> Layer(int layer) {
    if (layer != layer_) {
      HONE_TRY(moments_, layers_.Moments(layer));
      layer_ = layer;
    }
    return moments_;
  }

  LayerByLayer layers_;
  const LayerMoments* moments_ = nullptr;
  int layer_ = -1;
  std::pair<int, LayerInput> prepared_{-1, LayerInput::kMixer};
  std::vector<float> importance_;
  std::vector<float> factor_;
};

class Prepared final : public PreparedMethod {
 public:
  const ModelSource& source() const override { return scaled ? *scaled : *original; }
  const QuantizeOptions& options() const override { return quantize; }
  const Importance& importance() const override { return columns; }
  int64_t calibration_tokens() const override { return tokens; }

  std::unique_ptr<ModelSource> original;
  std::unique_ptr<ModelSource> scaled;
  QuantizeOptions quantize;
  Importance columns;
  int64_t tokens = 0;
  Calibrator calibrator;
  std::unique_ptr<GptqMatrices> gptq;
};

std::vector<std::string> Names(const ModelSource& source) {
  std::vector<std::string> names;
  for (const SourceTensor& tensor : source.tensors()) {
    if (tensor.shape.size() == 2) names.push_back(tensor.name);
  }
  return names;
}

// The means of the columns after their inputs were divided by the scales.
void ScaleImportance(const ModelScales& scales, Importance& importance) {
  for (auto& [name, means] : importance) {
    const auto found = scales.find(name);
    if (found == scales.end()) continue;
    const std::vector<float>& columns = found->second.columns;
    for (size_t j = 0; j < columns.size(); ++j) means[j] /= columns[j] * columns[j];
  }
}

Result<void> UseMoments(QuantizeMethod method, Prepared& prepared) {
  Calibrator& calibrator = prepared.calibrator;
  HONE_TRY(const std::vector<LayerMoments> moments,
           CollectMoments(*calibrator.runner, *calibrator.engine, calibrator.windows, calibrator.options));
  prepared.columns = ImportanceOf(moments, Names(*prepared.original));
  const auto share = calibrator.engine->pool.MakeShare();
  ModelScales scales;
  if (method == QuantizeMethod::kAwq) {
    HONE_TRY(const QuantizePlan plan, PlanQuantization(*prepared.original, prepared.quantize));
    HONE_TRY(scales, AwqScales(*prepared.original, plan.choices, moments, *share));
  } else if (method == QuantizeMethod::kSmoothQuant) {
    HONE_TRY(scales, SmoothScales(*prepared.original, moments, *share));
  }
  ScaleImportance(scales, prepared.columns);
  if (!scales.empty()) prepared.scaled = ScaleSource(*prepared.original, std::move(scales));
  prepared.quantize.importance = &prepared.columns;
  prepared.quantize.importance_comes = false;
  return {};
}

}  // namespace

Result<Calibrator> OpenCalibrator(const std::string& path, const CalibrationSettings& settings) {
  Calibrator calibrator;
  calibrator.engine = std::make_unique<Engine>(settings.threads > 0 ? settings.threads : DefaultThreads());
  LoadOptions load;
  load.progress = true;
  HONE_TRY(calibrator.model, LoadModel(path, *calibrator.engine, load));
  RunnerOptions options;
  options.mode = NumericMode::kExact;
  options.max_rows = settings.window;
  HONE_TRY(calibrator.runner, Runner::Create(calibrator.model, *calibrator.engine, options));
  const int64_t window = std::min(settings.window, calibrator.runner->options().max_rows);
  HONE_TRY(calibrator.windows, CutCalibrationText(*calibrator.model, settings.text, settings.text_name,
                                                  window, settings.windows));
  calibrator.options.progress = settings.progress;
  calibrator.options.cancel = settings.cancel;
  return calibrator;
}

std::span<const MethodInfo> QuantizeMethods() { return kMethods; }

Result<MethodInfo> FindQuantizeMethod(std::string_view name) {
  std::vector<std::string_view> names;
  for (const MethodInfo& method : kMethods) {
    if (method.name == name) return method;
    names.push_back(method.name);
  }
  return WrongUsage("quantize: --method: \"{}\", expected one of {}", name, fmt::join(names, " "));
}

Result<std::unique_ptr<PreparedMethod>> PrepareMethod(QuantizeMethod method, const std::string& path,
                                                      std::unique_ptr<ModelSource> source,
                                                      QuantizeOptions options,
                                                      CalibrationSettings calibration) {
  const MethodInfo& info = *std::ranges::find(kMethods, method, &MethodInfo::method);
  const bool text = !calibration.text_name.empty();
  const bool given = options.importance != nullptr;
  if (given && (text || method != QuantizeMethod::kImportance))
    return WrongUsage("quantize: --importance: taken by --method importance without --text alone");
  if (info.needs_text && !text && !given)
    return WrongUsage("quantize: --method {} calibrates on a text (--text FILE)", info.name);
  if (!info.needs_text && text) return WrongUsage("quantize: --text: --method {} reads no text", info.name);
  auto prepared = std::make_unique<Prepared>();
  options.method = std::string(info.name);
  options.rounding = method == QuantizeMethod::kRtn ? Rounding::kNearest : Rounding::kSearch;
  options.key += fmt::format("|{:016x}|{}|{}", XXH3_64bits(calibration.text.data(), calibration.text.size()),
                             calibration.window, calibration.windows);
  prepared->quantize = std::move(options);
  prepared->original = std::move(source);
  if (!text) return prepared;
  // What cannot be written is refused before the text is read.
  prepared->quantize.importance_comes = method != QuantizeMethod::kGptq;
  HONE_TRY(const QuantizePlan plan, PlanQuantization(*prepared->original, prepared->quantize));
  HONE_TRY(prepared->calibrator, OpenCalibrator(path, calibration));
  for (const CalibrationWindow& window : prepared->calibrator.windows)
    prepared->tokens += static_cast<int64_t>(window.tokens.size());
  if (method == QuantizeMethod::kGptq) {
    prepared->gptq = std::make_unique<GptqMatrices>(prepared->calibrator);
    prepared->quantize.matrices = prepared->gptq.get();
    return prepared;
  }
  HONE_CHECK_OK(UseMoments(method, *prepared));
  return prepared;
}

}  // namespace hone
