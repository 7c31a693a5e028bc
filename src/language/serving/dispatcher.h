// Dispatcher: the life of every job, from the queue to its end. It asks a scheduler what each idle lane runs
// next and has an executor run it (continuous batching: Yu et al., Orca, OSDI 2022).
//
// Pages: a job whose rows find none waits, and the most junior job that holds pages (lowest priority, then
// latest arrival) gives its own up, to read them again later, its tokens the same. The most senior job can
// take from all others, so there is always progress; a job that is alone and still finds none is ended with
// kTooLarge, and never another for its sake.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "language/serving/fair_queue.h"
#include "language/serving/scheduler.h"
#include "language/serving/step_executor.h"

namespace hone {

struct DispatcherOptions {
  SchedulerLimits limits;
  int64_t max_waiting = 256;  // jobs in the queue; more are refused
};

// Why a job was not taken, and when to ask again.
struct Refusal {
  double retry_after_seconds = 1.0;
};

struct LaneState {
  int64_t steps = 0;
  int64_t rows = 0;
  double busy_seconds = 0.0;
};

// A picture of the moment, for /metrics and simulations; counts since the start.
struct DispatcherState {
  int64_t waiting = 0;
  int64_t prefill = 0;
  int64_t decode = 0;
  int64_t submitted = 0;
  int64_t refused = 0;
  std::array<int64_t, 4> ended{};  // by JobEnd
  int64_t preemptions = 0;
  int64_t most_running = 0;   // jobs that held pages at once
  int64_t prompt_tokens = 0;  // of admitted jobs
  int64_t reused_tokens = 0;  // of them, from the prefix cache
  int64_t answer_tokens = 0;
  Shares shares;
  int64_t share_moves = 0;
  FirstTokenModel first_token_model;
  TokenModel token_model;
  std::vector<LaneState> lanes;
};

// How far a job that was admitted has come: lengths alone, nothing of what it says or who asked.
struct JobProgress {
  JobPhase phase = JobPhase::kPrefill;
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;  // at most
  int64_t cached = 0;
  int64_t answered = 0;
};

// Thread-safe. Clock, executor and scheduler outlive it; a scheduler is driven by one dispatcher.
class Dispatcher {
 public:
  Dispatcher(const Clock& clock, StepExecutor& executor, Scheduler& scheduler,
             const DispatcherOptions& options);

  // `id` is new and not kNoJob. A refusal leaves nothing behind.
  std::optional<Refusal> Submit(JobId id, const JobRequest& request);
  // The job ends at once, or with the step that holds it.
  void Cancel(JobId id);
  void CancelAll();
  // A step that the executor started is over.
  void Finished(const StepReport& report);

  bool idle() const;
  DispatcherState state() const;
  // At most `most`, by arrival.
  std::vector<JobProgress> running(size_t most) const;

 private:
  using Jobs = std::vector<Job*>;

  void Pump();
  void Admit();
  bool FitsNow(const Job& job) const;
  void StartStep(int lane);
  Jobs InOrder(JobPhase phase) const;
  void Take(const ItemReport& item, double now, double seconds, std::vector<double>& gaps);
  void FirstToken(Job& job, double now);
  void Settle(Job& job, const ItemReport& item, double now);
  void MakeRoom(std::vector<JobId> starved);
  Job* Victim(const Job& wanting) const;
  bool SamePool(const Job& a, const Job& b) const;
  void GiveUp(Job& victim);
  void Release(JobId predecessor);
  void End(Job& job, JobEnd end);
  void Enqueue(Job& job);
  static bool IsSenior(const Job& a, const Job& b);

  const Clock& clock_;
  StepExecutor& executor_;
  Scheduler& scheduler_;
  DispatcherOptions options_;

  mutable std::mutex mutex_;  // guards what follows and every call of executor and scheduler
  std::unordered_map<JobId, std::unique_ptr<Job>> jobs_;
  std::map<JobId, Job*> running_;         // admitted, not ended; by id, which rises with arrival
  std::multimap<JobId, Job*> held_back_;  // by the job they come after
  FairQueue queue_;
  std::vector<char> busy_;  // by lane
  DispatcherState state_;
  // For whom a junior job last gave its pages up: nobody is admitted before it has run with them. Else the
  // junior one could take them right back, by a prefix hit that holds what would be evicted.
  JobId owed_ = kNoJob;
  double tokens_per_second_ = 0.0;  // moving average over steps
};

}  // namespace hone
