#include "evaluation/explain/explanation.h"

#include <algorithm>

#include "evaluation/metrics/machine_probe.h"
#include "evaluation/metrics/model_speed.h"

namespace hone {
namespace {

StageCost MakeStage(std::string name, const Model& model, NumericMode mode, const StepShape& shape,
                    const OperatorTimes& times, int repeat, const MachineLimits& limits) {
  StageCost stage;
  stage.name = std::move(name);
  stage.shape = shape;
  stage.tokens = shape.sequences * shape.rows;
  stage.wall_seconds = times.wall_seconds / repeat;
  const WorkByOperator work = CountWork(model, mode, shape);
  for (const Operator op : AllOperators()) {
    OperatorCost cost = Predict(op, work[static_cast<size_t>(op)], limits);
    cost.measured_seconds = times.of(op) / repeat;
    stage.costs.push_back(cost);
  }
  std::stable_sort(stage.costs.begin(), stage.costs.end(), [](const OperatorCost& a, const OperatorCost& b) {
    return a.measured_seconds > b.measured_seconds;
  });
  return stage;
}

}  // namespace

OperatorCost Predict(Operator op, const OperatorWork& work, const MachineLimits& limits) {
  OperatorCost cost;
  cost.op = op;
  cost.work = work;
  cost.memory_seconds = (work.weight_bytes + work.kv_bytes) / limits.memory_bandwidth +
                        work.activation_bytes / limits.cache_bandwidth;
  cost.compute_seconds =
      work.float_operations / limits.float_operations + work.byte_operations / limits.byte_operations;
  return cost;
}

bool LimitsAreQuiet(const Explanation& explanation) {
  constexpr double kFreeEnough = 0.9;
  return explanation.limits.free_cores >= kFreeEnough * explanation.threads;
}

double OperatorCost::predicted_seconds() const { return std::max(memory_seconds, compute_seconds); }

double StageCost::predicted_seconds() const {
  double sum = 0.0;
  for (const OperatorCost& cost : costs) sum += cost.predicted_seconds();
  return sum;
}

double StageCost::measured_seconds() const {
  double sum = 0.0;
  for (const OperatorCost& cost : costs) sum += cost.measured_seconds;
  return sum;
}

Result<std::vector<StageCost>> MeasureStages(Runner& runner, const std::shared_ptr<PagePool>& pool,
                                             const MachineLimits& limits, const ExplainOptions& options) {
  OperatorTimes prefill_times, decode_times;
  SpeedOptions speed;
  speed.prefill = options.prefill;
  speed.decode = options.decode;
  speed.batch = options.batch;
  speed.context = options.context;
  speed.repeat = options.repeat;
  speed.progress = options.progress;
  speed.prefill_times = &prefill_times;
  speed.decode_times = &decode_times;
  HONE_CHECK_OK(MeasureSpeed(runner, pool, speed));
  const Model& model = runner.model();
  const NumericMode mode = runner.options().mode;
  std::vector<StageCost> stages;
  if (options.decode > 0) {
    const StepShape shape{options.batch, std::max<int64_t>(options.context, 1), options.decode,
                          options.batch};
    stages.push_back(MakeStage("decode", model, mode, shape, decode_times, options.repeat, limits));
  }
  if (options.prefill > 0) {
    const StepShape shape{options.batch, options.context, options.prefill, runner.options().max_rows};
    stages.push_back(MakeStage("prefill", model, mode, shape, prefill_times, options.repeat, limits));
  }
  return stages;
}

}  // namespace hone
