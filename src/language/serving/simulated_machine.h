// A machine in virtual time: clock and executor of a dispatcher, with a table of costs in the place of a
// model. Discrete events, one thread, the same answer every time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "language/serving/dispatcher.h"
#include "language/serving/step_costs.h"

namespace hone {

struct SimulatedJob {
  int64_t prompt_tokens = 0;
  int64_t answer_tokens = 0;  // that it will really have, at least 1
  int64_t shared_tokens = 0;  // of the prompt, found in the prefix cache
};

class SimulatedMachine : public Clock, public StepExecutor {
 public:
  // `pool_tokens`: cache entries that the pool holds, by lane where `separate_pools`.
  SimulatedMachine(StepCosts costs, int64_t pool_tokens, bool separate_pools = false)
      : costs_(std::move(costs)), pool_tokens_(pool_tokens), separate_pools_(separate_pools) {}

  void Attach(Dispatcher& dispatcher) { dispatcher_ = &dispatcher; }
  void Add(JobId id, const SimulatedJob& job);
  // Calls `event` when virtual time has come to `time`; events of one time in the order of their adding.
  void At(double time, std::function<void()> event);
  // Until nothing is left to happen, or virtual time has come to `until`.
  void Run(double until = 1e18);

  // Called for every job that ends.
  std::function<void(const Job&, JobEnd)> ended;

  double Now() const override { return now_; }
  void Start(Step step) override;
  int64_t Admit(const Job& job) override;
  void Preempt(const Job& job) override;
  void End(const Job& job, JobEnd end) override;
  int64_t RoomTokens(int lane) const override;
  void SetShares(const Shares& shares) override { shares_ = shares; }

  int64_t used_tokens(int lane = 0) const { return used_[static_cast<size_t>(lane)]; }
  double busy_seconds(int lane) const { return busy_[static_cast<size_t>(lane)]; }

 private:
  static constexpr int64_t kBlock = 32;  // entries of one page
  struct Live {
    SimulatedJob job;
    int64_t cached = 0;
    int64_t answered = 0;
    int64_t held = 0;  // entries of its pages
    int pool = 0;
  };
  struct Lane {
    std::optional<StepReport> report;  // of the step under way
    double left = 0.0;                 // seconds that it would still take alone
    double started = 0.0;
  };
  double Speed(int lane) const;
  bool Grow(Live& job, int64_t tokens);
  void Drop(Live& job);
  ItemReport RunItem(const StepItem& item, int lane, StepLoad& load);

  StepCosts costs_;
  int64_t pool_tokens_;
  bool separate_pools_;
  Dispatcher* dispatcher_ = nullptr;
  double now_ = 0.0;
  Shares shares_;
  std::array<Lane, 2> lanes_;
  std::array<int64_t, 2> used_{};
  std::array<double, 2> busy_{};
  std::unordered_map<JobId, Live> live_;
  std::multimap<double, std::function<void()>> events_;
};

}  // namespace hone
