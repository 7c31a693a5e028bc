// A whole model in 2, 4 and 16 bits: mixed_weights.h for each matrix of each layer, into a plan.
#pragma once

#include <functional>
#include <span>
#include <string>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"
#include "core/tensor/view.h"
#include "language/quantization/methods.h"
#include "language/quantization/mixed_weights.h"

namespace hone {

// A matrix of a layer with what a calibration text says of its inputs; see QuantizeMixed.
struct CalibratedMatrix {
  std::string name;  // "blk.0.attn_q.weight"
  MatrixView<const float> values;
  std::span<const float> importance;
  std::span<const float> inverse_factor;
};

// Calls `visit` for every matrix of every layer of the model at `path`, layer by layer; memory holds one
// layer's second moments and one matrix. The views live for the call. The text is calibrated on with float
// activations.
Result<void> VisitCalibratedMatrices(
    const std::string& path, const CalibrationSettings& calibration,
    const std::function<Result<void>(ComputeShare& share, const CalibratedMatrix& matrix)>& visit);

// The options that take `bits` a weight with the outliers that `options` has: 2.417 in 2-bit bands, 5.25 in
// 4-bit ones, 32 an outlier. Refused below 2.42 and above 5.25.
Result<MixedOptions> OptionsForBits(double bits, MixedOptions options = {});

struct MixedPlan {
  Plan plan;
  int64_t matrices = 0;
  uint64_t weights = 0;
  uint64_t bytes = 0;  // of the groups and bands in the plan
  double BitsPerWeight() const { return 8.0 * static_cast<double>(bytes) / static_cast<double>(weights); }
};

// Embedding and head stay as they are in the file.
Result<MixedPlan> QuantizeModelMixed(const std::string& path, const CalibrationSettings& calibration,
                                     const MixedOptions& options);

}  // namespace hone
