// Who reads the parts of a plan. A part that acts in a runner becomes options of the runner.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/formats/plan/plan.h"

namespace hone {

class Model;
struct RunnerOptions;

// One kind of part that this program can use.
struct PlanUse {
  std::string_view name;     // of the part
  std::string_view summary;  // what it holds, one line
  PlanStage acts;
  // Takes over the part's settings and tensors, which have been found to fit `model`. Errors name
  // part.source and the field.
  Result<void> (*use)(const PlanPart& part, const Model& model, RunnerOptions& options);
};

// The explicit table: a technique whose calibration writes a part adds its line in plan_use.cc.
std::span<const PlanUse> PlanUses();

// Refuses a part that is not in `uses` or acts at another time than its use, by name.
Result<void> CheckKnown(const Plan& plan, std::span<const PlanUse> uses = PlanUses());

// Checks that every part is known and fits the model and this processor, and hands it to its use.
Result<void> UsePlan(const Plan& plan, const Model& model, RunnerOptions& options,
                     std::span<const PlanUse> uses = PlanUses());

// The plans of several folders as one; see ReadPlan, MergePlan and CheckKnown.
Result<Plan> ReadPlans(std::span<const std::string> folders, std::span<const PlanUse> uses = PlanUses());

}  // namespace hone
