// One model under one load and many schedules: in real time, and in virtual time with step costs measured
// here.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "evaluation/reproduce/experiment.h"
#include "language/serving/serving_load.h"

namespace hone {

struct TrialRun {
  std::vector<ServedRequestTimes> served;
  DispatcherState state;  // at its end
  double seconds = 0.0;
};

class ServingTrial {
 public:
  // Loads the model; `kv_bytes` 0: no limit.
  static Result<std::unique_ptr<ServingTrial>> Create(ExperimentContext& context, const std::string& model,
                                                      uint64_t kv_bytes = 0);

  // Step costs, and the objectives by the dossier's rule: 10 times the time to first token and 4 times the
  // time per token of one request alone that is as long as the load's median. Both before any run.
  Result<void> Calibrate(std::span<const LoadRequest> load);

  // In real time. `shuffle_seconds` > 0: the shares change at random that often.
  Result<TrialRun> Play(const std::string& schedule, std::span<const LoadRequest> load,
                        const TrafficOptions& traffic = {}, double shuffle_seconds = 0.0);
  // In virtual time.
  Result<TrialRun> Simulate(const std::string& schedule, std::span<const LoadRequest> load,
                            const TrafficOptions& traffic = {}, int64_t pool_tokens = int64_t{1} << 30) const;
  Result<LoadSummary> Summarized(const Result<TrialRun>& run) const;

  // Of keys and values of one sequence of that many tokens.
  uint64_t CacheBytes(int64_t tokens) const;

  const StepCosts& costs() const { return costs_; }
  const ServiceObjectives& objectives() const { return objectives_; }
  double alone_ttft() const { return alone_ttft_; }
  double alone_tpot() const { return alone_tpot_; }
  const std::shared_ptr<const Model>& model() const { return model_; }
  Engine& engine() { return *engine_; }

 private:
  explicit ServingTrial(ExperimentContext& context) : context_(context) {}
  ExperimentContext& context_;
  std::shared_ptr<Engine> engine_;
  std::shared_ptr<const Model> model_;
  StepCosts costs_;
  ServiceObjectives objectives_;
  double alone_ttft_ = 0.0;
  double alone_tpot_ = 0.0;
};

// Requests of a recorded trace of traces/ ("azure_conv.csv"), see ParseTrace.
Result<std::vector<LoadRequest>> RecordedLoad(std::string_view trace, const TrafficOptions& options);

// The highest rate at which `schedule` keeps both objectives for 90 % of the load in virtual time, up to 5 %;
// `load` makes the requests of a rate.
using LoadOfRate = std::function<Result<std::vector<LoadRequest>>(double rate)>;
Result<double> HighestRate(const ServingTrial& trial, const std::string& schedule, const LoadOfRate& load,
                           double from);

}  // namespace hone
