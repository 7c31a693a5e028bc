// The part "softmax" of a plan: a fixed number in the place of the running maximum, by layer and KV head.
//
//   settings {"guard": "relaxed" | "strict", "below": -60, "above": 71, "context": 8192, "tokens": 16384,
//   "window": 512} tensors  phi [layers, kv_heads]; smallest, largest, low, high: what it was chosen from
#pragma once

#include <string_view>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"

namespace hone {

class Model;
struct RunnerOptions;

inline constexpr std::string_view kSoftmaxPart = "softmax";
inline constexpr std::string_view kSoftmaxPhi = "phi";

// Fills options.softmax.
Result<void> UseSoftmaxPart(const PlanPart& part, const Model& model, RunnerOptions& options);

}  // namespace hone
