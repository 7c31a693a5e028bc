#include "language/quantization/mixed_model.h"

#include <map>
#include <vector>

#include "language/models/mixed_plan.h"
#include "language/models/model_hash.h"
#include "language/quantization/gptq.h"

namespace hone {

Result<void> VisitCalibratedMatrices(
    const std::string& path, const CalibrationSettings& calibration,
    const std::function<Result<void>(ComputeShare& share, const CalibratedMatrix& matrix)>& visit) {
  HONE_TRY(const std::unique_ptr<ModelSource> source, OpenModelSource(path));
  HONE_TRY(Calibrator calibrator, OpenCalibrator(path, calibration));
  // The matrices of each layer, in the order of the file.
  std::map<int, std::vector<size_t>> layers;
  for (size_t i = 0; i < source->tensors().size(); ++i) {
    const SourceTensor& tensor = source->tensors()[i];
    const auto input = InputOfMatrix(tensor.name);
    if (input && tensor.shape.size() == 2) layers[input->layer].push_back(i);
  }
  const std::unique_ptr<ComputeShare> share = calibrator.engine->pool.MakeShare();
  LayerByLayer moments(*calibrator.runner, *calibrator.engine, calibrator.windows, calibrator.options);
  for (const auto& [layer, matrices] : layers) {
    HONE_TRY(const LayerMoments* of_layer, moments.Moments(layer));
    std::map<LayerInput, std::pair<std::vector<float>, std::vector<float>>> prepared;
    for (const size_t i : matrices) {
      const SourceTensor& tensor = source->tensors()[i];
      const LayerInput input = InputOfMatrix(tensor.name)->input;
      const InputMoments& of_input = (*of_layer)[static_cast<size_t>(input)];
      auto& [importance, factor] = prepared[input];
      if (factor.empty()) {
        importance = of_input.MeanSquares();
        HONE_TRY(factor, InverseFactor(*share, of_input.second, tensor.columns()));
      }
      std::vector<float> values(static_cast<size_t>(tensor.rows() * tensor.columns()));
      source->ReadRows(i, 0, tensor.rows(), values.data());
      HONE_CHECK_OK(
          visit(*share, {tensor.name, {values.data(), tensor.rows(), tensor.columns()}, importance, factor}));
      source->Drop(i, 0, tensor.rows());
    }
  }
  return {};
}

Result<MixedOptions> OptionsForBits(double bits, MixedOptions options) {
  constexpr double kTwo = 2.0 + 16.0 / 48.0 + (16.0 + 16.0 / 3.0) / 256.0, kFour = 5.25;
  const double with_outliers = kTwo + 32.0 * options.outlier_share;
  if (!(bits >= kTwo && bits <= kFour))
    return WrongUsage("mixed weights: {} bits, expected {:.2f} to {}", bits, kTwo, kFour);
  if (bits < with_outliers) {
    options.outlier_share = 0.0;
    options.four_bit_share = (bits - kTwo) / (kFour - kTwo);
  } else {
    options.four_bit_share = (bits - with_outliers) / (kFour - with_outliers);
  }
  return options;
}

Result<MixedPlan> QuantizeModelMixed(const std::string& path, const CalibrationSettings& calibration,
                                     const MixedOptions& options) {
  MixedPlan model;
  PlanPart part;
  part.acts = PlanStage::kLoad;
  HONE_TRY(part.made_for[PlanKey::kWeights], WeightsHash(path));
  HONE_CHECK_OK(VisitCalibratedMatrices(
      path, calibration, [&](ComputeShare& share, const CalibratedMatrix& matrix) -> Result<void> {
        if (matrix.values.columns % 32 != 0) return {};
        HONE_TRY(const MixedWeights mixed,
                 QuantizeMixed(share, matrix.values, matrix.importance, matrix.inverse_factor, options));
        AddMixedTensor(matrix.name, mixed.layout, mixed.groups, part);
        ++model.matrices;
        model.weights += static_cast<uint64_t>(matrix.values.rows * matrix.values.columns);
        model.bytes += mixed.groups.size() + static_cast<uint64_t>(matrix.values.columns / kBandColumns);
        return {};
      }));
  if (model.matrices == 0) return BadInput(path, "tensors", "no matrix whose columns are a multiple of 32");
  model.plan.parts.emplace(std::string(kMixedPart), std::move(part));
  return model;
}

}  // namespace hone
