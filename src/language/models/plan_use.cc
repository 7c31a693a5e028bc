#include "language/models/plan_use.h"

#include <algorithm>
#include <vector>

#include "core/base/text_distance.h"
#include "language/models/matmul_plan.h"
#include "language/models/mixed_plan.h"
#include "language/models/model_hash.h"
#include "language/models/runner.h"
#include "language/models/softmax_plan.h"

namespace hone {
namespace {

const PlanUse* FindUse(std::string_view name, std::span<const PlanUse> uses) {
  const auto at =
      std::find_if(uses.begin(), uses.end(), [&](const PlanUse& use) { return use.name == name; });
  return at == uses.end() ? nullptr : &*at;
}

}  // namespace

// A line {name, summary, stage, function} for each kind of part; the function lies with its technique.
std::span<const PlanUse> PlanUses() {
  static constexpr PlanUse kUses[] = {
      {kMatmulPart, "which kernel multiplies each shape, and how the work is cut", PlanStage::kRunner,
       UseMatmulTable},
      {kSoftmaxPart, "a fixed number to subtract in each softmax, by layer and KV head (FlashDecoding++)",
       PlanStage::kRunner, UseSoftmaxPart},
      {kMixedPart, "weights of 2, 4 and 16 bits in one matrix, in the place of the file's", PlanStage::kLoad,
       UseMixedPart},
  };
  return kUses;
}

Result<void> CheckKnown(const Plan& plan, std::span<const PlanUse> uses) {
  for (const auto& [name, part] : plan.parts) {
    const std::string source = part.source.empty() ? "plan" : part.source;
    const PlanUse* use = FindUse(name, uses);
    if (use == nullptr) {
      std::vector<std::string_view> names;
      for (const PlanUse& known : uses) names.push_back(known.name);
      return BadInput(source, "parts." + name, "no technique of this program reads it{}",
                      Suggestion(name, names));
    }
    if (part.acts != use->acts)
      return BadInput(source, "parts." + name + ".acts", "found {}, expected {}", Name(part.acts),
                      Name(use->acts));
  }
  return {};
}

Result<void> UsePlan(const Plan& plan, const Model& model, RunnerOptions& options,
                     std::span<const PlanUse> uses) {
  HONE_CHECK_OK(CheckKnown(plan, uses));
  for (const auto& [name, part] : plan.parts) {
    HONE_CHECK_OK(CheckFits(name, part, [&](PlanKey key) { return CurrentKey(key, model); }));
    HONE_CHECK_OK(FindUse(name, uses)->use(part, model, options));
  }
  return {};
}

Result<Plan> ReadPlans(std::span<const std::string> folders, std::span<const PlanUse> uses) {
  Plan plan;
  for (const std::string& folder : folders) {
    HONE_TRY(Plan more, ReadPlan(folder));
    HONE_CHECK_OK(MergePlan(std::move(more), plan));
  }
  HONE_CHECK_OK(CheckKnown(plan, uses));
  return plan;
}

}  // namespace hone
