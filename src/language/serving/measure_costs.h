// What steps cost on this machine, and what two lanes get of it side by side: the tables of a simulation.
#pragma once

#include <memory>

#include "core/base/result.h"
#include "language/models/model.h"
#include "language/models/runner.h"
#include "language/serving/step_costs.h"
#include "language/serving/step_executor.h"

namespace hone {

// Steps of one row to `most_rows`, of answers and of prompts, the price of context, and of running side by
// side. Takes seconds.
Result<StepCosts> MeasureStepCosts(std::shared_ptr<const Model> model, Engine& engine, NumericMode mode,
                                   int64_t most_rows);

// Steps a second of each phase; 0 where it did not run.
struct PhaseRates {
  double prefill = 0.0;
  double decode = 0.0;
};

// A prompt lane and a decode lane over one model, each running the same step again and again.
class PhasePair {
 public:
  // A prefill step is `rows` rows of a prompt, a decode step one row of each of `sequences`, over `context`
  // entries.
  static Result<std::unique_ptr<PhasePair>> Create(std::shared_ptr<const Model> model, Engine& engine,
                                                   NumericMode mode, int64_t rows, int64_t sequences,
                                                   int64_t context);
  ~PhasePair();

  enum class Which : uint8_t { kPrefill, kDecode, kBoth };
  Result<PhaseRates> Run(Which which, const Shares& shares, double seconds);

 private:
  PhasePair();
  std::unique_ptr<class StepMeter> prefill_;
  std::unique_ptr<class StepMeter> decode_;
};

}  // namespace hone
