// A plan: what calibration or search learned, in one folder. plan.json is for people and programs, numbers in
// bulk lie in tensors.safetensors beside it (absent where no part has tensors).
//
//   {"version": 1,
//    "tensors_hash": "...",                           of tensors.safetensors, where there is one
//    "parts": {"softmax": {"acts": "runner",          or "load"
//                          "made_for": {"architecture": "3f0c..."},
//                          "settings": {...}}}}       what the part's reader understands
//
// A part is what one technique reads. It says what it was made for: a part found on an F16 file whose hash of
// the architecture matches fits the Q4 file too. tensors.safetensors calls a tensor PART.NAME.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/function_ref.h"
#include "core/base/result.h"
#include "core/tensor/dtype.h"

namespace hone {

// What must be the same where a part is used.
enum class PlanKey : uint8_t {
  kArchitecture,  // the model's shape and rotation
  kTokenizer,     // its vocabulary
  kWeights,       // every byte of its weights
  kProcessor,     // the processor that was measured
};
std::string_view Name(PlanKey key);

enum class PlanStage : uint8_t { kLoad, kRunner };
std::string_view Name(PlanStage stage);

struct PlanTensor {
  DType type = DType::kF32;
  std::vector<int64_t> shape;  // row-major
  std::vector<std::byte> bytes;

  static PlanTensor FromFloats(std::span<const float> values, std::vector<int64_t> shape);
};

struct PlanPart {
  std::map<PlanKey, std::string> made_for;  // at least one
  PlanStage acts = PlanStage::kRunner;
  std::string settings = "{}";  // a JSON object as text
  std::map<std::string, PlanTensor> tensors;
  std::string source;  // the plan.json that it was read from, for messages; empty: made here

  // The values of an F32 tensor; refused where it is absent or has another shape or type.
  Result<std::vector<float>> Floats(std::string_view name, std::span<const int64_t> shape) const;
};

struct Plan {
  std::map<std::string, PlanPart> parts;
};

// Everything about the folder is checked: version, fields, that a part says what it was made for, that the
// tensors are those that plan.json was written with and belong to its parts. Unknown fields are refused.
// Errors are one line that names the file and the field.
Result<Plan> ReadPlan(const std::string& folder);
// The same from the paths of its two files; the second is opened only where the first speaks of tensors.
Result<Plan> ReadPlanFiles(const std::string& json_path, const std::string& tensors_path);

// Creates the folder where it is absent and replaces a plan that it holds. Each file appears whole, the
// tensors first; should the second write fail, ReadPlan sees that the two do not belong together. Part names
// are lower-case words joined by hyphens.
Result<void> WritePlan(const Plan& plan, const std::string& folder);

// Adds the parts of `more` to `plan`. A part that both have is refused with both sources.
Result<void> MergePlan(Plan more, Plan& plan);

// Whether a part may be used: every key that it was made for equals what `current` gives. `current` is asked
// only for those (hashing the weights reads the whole file).
Result<void> CheckFits(std::string_view name, const PlanPart& part,
                       FunctionRef<Result<std::string>(PlanKey)> current);

}  // namespace hone
