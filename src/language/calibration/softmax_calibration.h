// Calibration of the fixed softmax maximum.
//
// FlashDecoding++ (arXiv 2311.01282), section 3: softmax does not depend on the number that is subtracted, so
// one number phi, found beforehand, can take the place of each row's maximum. Cost: one forward pass over
// some text. Composes with every tile format and selector: states merge the same way. Proven by `hone
// reproduce flashdecodingpp`.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"
#include "language/calibration/score_histogram.h"
#include "language/models/runner.h"

namespace hone {

// Scores of one layer and KV head, scaled, over the entries that rows see.
struct ScoreRange {
  float smallest = 0.0f;
  float largest = 0.0f;
  float low = 0.0f;   // the 0.005 % quantile
  float high = 0.0f;  // the 99.995 % quantile
  int64_t scores = 0;

  float phi() const { return 0.5f * (low + high); }
};

struct SoftmaxCalibration {
  int layers = 0;
  int kv_heads = 0;
  std::vector<ScoreRange> ranges;  // [layers, kv_heads]
  int64_t tokens = 0;
  int64_t longest_window = 0;

  const ScoreRange& range(int layer, int kv_head) const {
    return ranges[static_cast<size_t>(layer * kv_heads + kv_head)];
  }
  // Over a layer's heads.
  ScoreRange LayerRange(int layer) const;
};

struct CalibrationOptions {
  std::function<void(int64_t windows, int64_t total)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

// Runs each window of tokens from an empty cache and counts its causal scores. A window longer than the
// runner's largest batch is an error.
Result<SoftmaxCalibration> CalibrateSoftmax(Runner& runner, Engine& engine,
                                            std::span<const std::vector<TokenId>> windows,
                                            const CalibrationOptions& options = {});

// Up to `count` windows of `size` tokens, evenly spread over a text's tokens, each begun as the tokenizer
// says.
Result<std::vector<std::vector<TokenId>>> CalibrationWindows(const Model& model,
                                                             std::span<const TokenId> tokens, int64_t size,
                                                             int64_t count);

// The scale of every layer and KV head for texts of up to `context` tokens: phi from the quantiles, above =
// 80 - ln(context), below = -60. [layers][kv_heads]
std::vector<std::vector<SoftmaxScale>> SoftmaxScales(const SoftmaxCalibration& calibration, int64_t context,
                                                     bool strict = false);

// The part "softmax" of a plan; `UseSoftmaxPart` (language/models/softmax_plan.h) reads it.
PlanPart SoftmaxPart(const SoftmaxCalibration& calibration, const Model& model, bool strict = false);

}  // namespace hone
