// Runs a scheduler's steps on a model: one thread and one runner a lane, one page pool (or one a lane), one
// prefix cache.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/base/memory_account.h"
#include "language/decoding/generation.h"
#include "language/decoding/plain_decoding.h"
#include "language/decoding/sampler.h"
#include "language/models/model.h"
#include "language/models/runner.h"
#include "language/models/sequence.h"
#include "language/serving/dispatcher.h"
#include "language/serving/prefix_cache.h"
#include "language/serving/step_executor.h"

namespace hone {

// What a request wants of the model, and who hears of it. Listeners are called from a lane's thread while
// its step runs, `ended` once and last, from any thread and with the dispatcher locked: neither may call
// back, or wait.
struct ModelJob {
  // How an answer ended. `generation` is where its tokens and text are.
  struct Ended {
    const Generation& generation;
    const DecodingStrategy& strategy;
    JobEnd end;
    int64_t reused = 0;  // prompt tokens that were cached
    int preemptions = 0;
    JobTimes times;
  };

  std::vector<TokenId> prompt;
  StopRules rules;
  GenerationListener listener;
  std::function<void(const Ended&)> ended;
  // Makes the strategy that answers. Runner and sequence outlive it.
  std::function<Result<std::unique_ptr<DecodingStrategy>>(Runner&, Sequence&)> strategy;
  // Take what earlier prompts left, and leave this one's. Not where every prompt row has to be run.
  bool reuse_prefix = true;
};

struct ModelExecutorOptions {
  NumericMode mode = NumericMode::kFast;
  int lanes = 1;
  bool separate_pools = false;  // each lane with half the pages and its own threads
  int64_t step_rows = 512;
  bool prefix_cache = true;
  uint64_t swap_bytes = 0;  // of copies of preempted answers' entries; what finds no room there is recomputed
  RunnerOptions runner;     // what a plan brought; mode, weight and max_rows are set here
};

class ModelExecutor : public StepExecutor {
 public:
  static Result<std::unique_ptr<ModelExecutor>> Create(std::shared_ptr<const Model> model, Engine& engine,
                                                       const ModelExecutorOptions& options);
  ~ModelExecutor() override;

  // Before the first step.
  void Attach(Dispatcher& dispatcher) { dispatcher_ = &dispatcher; }
  // What the job `id` is; before it is submitted. Fails on what Generation::Create and the strategy refuse.
  Result<void> Add(JobId id, ModelJob job);
  // A job that was added and then not taken.
  void Forget(JobId id);

  void Start(Step step) override;
  int64_t Admit(const Job& job) override;
  void Preempt(const Job& job) override;
  void End(const Job& job, JobEnd end) override;
  int64_t RoomTokens(int lane) const override;
  void SetShares(const Shares& shares) override;

  int64_t step_rows() const { return step_rows_; }
  uint64_t kv_used() const;
  uint64_t kv_limit() const;
  const MemoryAccount& swap() const { return swap_; }
  int64_t swapped() const { return swapped_.load(std::memory_order_relaxed); }  // preemptions by copying
  PrefixCache& prefixes() { return prefixes_; }
  // An empty cache in the pool that prefixes are kept in.
  KvCache MakeCache() const;
  const Model& model() const { return *model_; }

 private:
  struct Live;
  struct Lane;
  ModelExecutor(std::shared_ptr<const Model> model, Engine& engine, const ModelExecutorOptions& options);
  Result<void> Build();
  void Work(Lane& lane);
  StepReport Run(Lane& lane, const Step& step, const std::vector<std::shared_ptr<Live>>& live);
  bool HandOver(Lane& lane, Live& job);
  void Publish(Live& job);
  void Empty(Live& job);
  void SwapOut(Live& job);
  bool SwapIn(Live& job);
  uint64_t MadeBy(const Sequence& sequence) const;
  std::shared_ptr<Live> Find(JobId id) const;

  std::shared_ptr<const Model> model_;
  Engine& engine_;
  ModelExecutorOptions options_;
  Dispatcher* dispatcher_ = nullptr;
  int64_t step_rows_ = 0;
  uint64_t bytes_per_block_ = 1;  // of cache entries for PrefixCache::kBlock tokens
  PrefixCache prefixes_;
  MemoryAccount swap_;
  std::atomic<int64_t> swapped_{0};
  std::vector<std::unique_ptr<Lane>> lanes_;
  mutable std::mutex mutex_;  // guards live_
  std::unordered_map<JobId, std::shared_ptr<Live>> live_;
};

}  // namespace hone
