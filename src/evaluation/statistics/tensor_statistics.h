// How far the numbers of a model reach: maxima, deviations and kurtosis of weights, activations, keys and
// values, by tensor and layer. A tensor with outliers (a large kurtosis E[(x - mean)^4] / deviation^4; 3 for
// a normal distribution) loses most when few bits have to span it ("Evaluating Quantized Large Language
// Models", arXiv 2402.18158).
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "language/calibration/input_moments.h"
#include "language/conversion/model_source.h"
#include "language/models/runner.h"

namespace hone {

// Sums of the first four powers; sums of parts add up.
struct PowerSums {
  double count = 0.0;
  double first = 0.0, second = 0.0, third = 0.0, fourth = 0.0;
  double largest = 0.0;  // magnitude

  void Add(std::span<const float> x);
  void Add(const PowerSums& other);
  double mean() const { return first / count; }
  double deviation() const;  // 0 of no values
  double kurtosis() const;   // 0 where all values are equal
};

enum class TensorGroup : uint8_t { kWeights, kActivations, kCache };
std::string_view Name(TensorGroup group);

struct TensorStatistics {
  TensorGroup group = TensorGroup::kWeights;
  std::string kind;  // "attn_q.weight", "mixer input", "key"
  int layer = -1;    // -1: outside of the layers
  PowerSums sums;
};

// Every matrix of the model, in the order of the file.
Result<std::vector<TensorStatistics>> WeightStatistics(const ModelSource& source, ComputeShare& share);

// What the matrices are multiplied with (all but the head), and keys (after the rotation) and values, over
// the rows of the windows.
Result<std::vector<TensorStatistics>> ActivationStatistics(Runner& runner, Engine& engine,
                                                           std::span<const CalibrationWindow> windows,
                                                           const MomentOptions& options = {});

// For people: a line a kind (over all layers, with the layer of the maximum) or, with `layers`, a line a
// tensor; and one JSON object with every tensor.
std::string StatisticsText(const std::vector<TensorStatistics>& statistics, bool layers);
std::string StatisticsJson(const std::vector<TensorStatistics>& statistics);

}  // namespace hone
