// Weights of 2, 4 and 16 bits from a plan in the place of a file's (core/kernels/mixed_matrix.h). The part
// acts at load: a matrix that it holds is never packed from the file.
//
//   tensors NAME.groups I8 [groups of 16 rows, bytes], NAME.bands I8 [columns / 16], 1: 4 bits; NAME as in
//   GGUF files
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "core/formats/plan/plan.h"
#include "core/kernels/mixed_matrix.h"

namespace hone {

class Model;
struct RunnerOptions;

inline constexpr std::string_view kMixedPart = "mixed-weights";

struct MixedTensor {
  MixedLayout layout;
  int64_t groups = 0;
  std::span<const std::byte> bytes;  // of the plan
};
// By the name of the weight, "blk.0.attn_q.weight".
using MixedTensors = std::map<std::string, MixedTensor, std::less<>>;

// Adds a matrix; `groups` holds layout.bytes() for each 16 rows.
void AddMixedTensor(const std::string& name, const MixedLayout& layout, std::span<const std::byte> groups,
                    PlanPart& part);
// What the part holds; it must outlive the result. A tensor that does not fit the layout is refused by its
// name.
Result<MixedTensors> ReadMixedPart(const PlanPart& part);

// The runner has nothing to do; refused where the model was loaded without the part.
Result<void> UseMixedPart(const PlanPart& part, const Model& model, RunnerOptions& options);

}  // namespace hone
