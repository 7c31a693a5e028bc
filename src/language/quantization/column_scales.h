// Moving magnitude between what a matrix is multiplied with and the matrix: x W^T = (x / s) (W diag(s))^T,
// where the division by s is folded into whatever made x, so that the model computes the same and every
// engine runs it.
//
// AWQ (Lin et al., arXiv 2306.00978): s_j = (mean |x_j|)^alpha protects the columns that matter from
// rounding; alpha is the one of a line search that loses least. SmoothQuant (Xiao et al., arXiv 2211.10438),
// equation 4: s_j = max|x_j|^alpha / max|w_j|^(1 - alpha) makes activations as easy to round as weights.
// Cost: a calibration pass. Composes with every type and with GPTQ.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/base/compute_share.h"
#include "core/base/result.h"
#include "language/calibration/input_moments.h"
#include "language/conversion/model_source.h"
#include "language/quantization/type_mix.h"

namespace hone {

// By tensor: what its columns, its rows (or a vector's values) are multiplied with.
struct TensorScales {
  std::vector<float> columns;  // empty: 1
  std::vector<float> rows;     // empty: 1
};
using ModelScales = std::map<std::string, TensorScales>;

struct AwqOptions {
  int steps = 20;             // of the line search, alpha = 0, 1 / steps, ..., 1
  int64_t sample_rows = 128;  // of each matrix in that search
};

// For each layer the inputs of query, key and value, of gate and up, and of down; `choices` says in which
// type each tensor of the source will be stored. The chosen alpha is never worse than 0 on the sampled rows,
// with errors weighted by the moments.
Result<ModelScales> AwqScales(const ModelSource& source, const std::vector<TypeChoice>& choices,
                              const std::vector<LayerMoments>& moments, ComputeShare& share,
                              const AwqOptions& options = {});

// For the inputs of query, key and value, and of gate and up.
Result<ModelScales> SmoothScales(const ModelSource& source, const std::vector<LayerMoments>& moments,
                                 ComputeShare& share, float alpha = 0.5f);

// The source with scales multiplied in; it lives as long as `source`.
std::unique_ptr<ModelSource> ScaleSource(const ModelSource& source, ModelScales scales);

}  // namespace hone
