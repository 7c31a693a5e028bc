// ServingEngine: a model with its scheduler, dispatcher and executor, together: what a server submits to.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/formats/plan/plan.h"
#include "language/serving/dispatcher.h"
#include "language/serving/model_executor.h"
#include "language/serving/prefix_cache_file.h"

namespace hone {

class TokenMasks;

class SteadyClock : public Clock {
 public:
  SteadyClock();
  double Now() const override;  // seconds since it was made

 private:
  double start_;
};

struct ServingOptions {
  std::string schedule = "semi-pd";
  ServiceObjectives objectives;
  int64_t context = 0;  // tokens of one prompt and answer together; 0: the model's limit
  NumericMode mode = NumericMode::kFast;
  int64_t step_rows = 512;
  int64_t batch = 64;         // answers that are written at once
  int64_t max_waiting = 256;  // requests in the queue
  bool prefix_cache = true;
  uint64_t swap_bytes = 0;  // for copies of preempted answers' keys and values; 0: they are recomputed
  Plan plan;                // refused where it does not fit
};

// Thread-safe.
class ServingEngine {
 public:
  static Result<std::unique_ptr<ServingEngine>> Create(std::shared_ptr<Engine> engine,
                                                       std::shared_ptr<const Model> model,
                                                       const ServingOptions& options);
  ~ServingEngine();

  // Takes over what a file kept of an earlier engine's prefix cache, before the first job; writes it, when
  // nothing runs. See prefix_cache_file.h.
  Result<PrefixFileCounts> LoadPrefixes(const std::string& path);
  Result<PrefixFileCounts> SavePrefixes(const std::string& path);

  // Ids rise. An error is the request's fault.
  Result<std::variant<JobId, Refusal>> Submit(ModelJob job, JobRequest request);
  // `after`: see JobRequest; kNoJob: none.
  void Cancel(JobId id) { dispatcher_->Cancel(id); }
  void CancelAll() { dispatcher_->CancelAll(); }
  bool idle() const { return dispatcher_->idle(); }
  DispatcherState state() const { return dispatcher_->state(); }
  std::vector<JobProgress> running(size_t most) const { return dispatcher_->running(most); }

  const Model& model() const { return *model_; }
  const std::shared_ptr<const Model>& shared_model() const { return model_; }
  ModelExecutor& executor() { return *executor_; }
  const ServingOptions& options() const { return options_; }
  std::string schedule() const { return scheduler_->name(); }
  int64_t context() const { return options_.context; }
  double now() const { return clock_.Now(); }

 private:
  ServingEngine() = default;
  Result<void> FindMadeFor();

  ServingOptions options_;
  std::shared_ptr<Engine> engine_;
  std::string plan_;      // what of the plan is in use, as text
  std::string made_for_;  // worked out when a prefix cache is first loaded or saved
  std::shared_ptr<const Model> model_;
  SteadyClock clock_;
  std::unique_ptr<Scheduler> scheduler_;
  std::unique_ptr<ModelExecutor> executor_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::atomic<JobId> next_{1};
};

// Answers a prompt with plain decoding. `masks`: what the answer must look like; null: free.
std::function<Result<std::unique_ptr<DecodingStrategy>>(Runner&, Sequence&)> PlainStrategy(
    const SamplingOptions& sampling, const PlainDecodingOptions& decoding,
    std::shared_ptr<TokenMasks> masks = nullptr);

}  // namespace hone
