// The part "kernels" of a plan: the matmul table that `hone tune kernels` measured, for one processor and CPU
// target.
//   settings: {"cells": [{"format": "Q4_0", "activations": "int8", "threads": 2, "rows": N, "columns": K,
//                         "activation_rows": M, "kernel": "flat", "rows_per_task": 64}, ...]}
#pragma once

#include "core/base/result.h"
#include "core/formats/plan/plan.h"
#include "core/kernels/matmul_table.h"

namespace hone {

class Model;
struct RunnerOptions;

inline constexpr std::string_view kMatmulPart = "kernels";

PlanPart MatmulTablePart(const MatmulTable& table);
// Errors name the plan's file and the cell.
Result<MatmulTable> ReadMatmulTable(const PlanPart& part);
Result<void> UseMatmulTable(const PlanPart& part, const Model& model, RunnerOptions& options);

}  // namespace hone
