// Scheduler: which work runs next, on which share of the machine. A policy sees jobs, not models, so that the
// same object schedules a server and a simulation; language/serving/dispatcher.h drives it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "language/serving/share_controller.h"
#include "language/serving/step_executor.h"

namespace hone {

// What a lane may run now: admitted jobs that no step under way holds, each list in the order of service.
struct LaneWork {
  std::span<const Job* const> prefill;
  std::span<const Job* const> decode;
};

struct SchedulerLimits {
  int64_t step_rows = 512;  // of one step
  int64_t batch = 64;       // jobs that decode in one step, and jobs that hold pages
};

class Scheduler {
 public:
  virtual ~Scheduler() = default;

  virtual std::string name() const = 0;  // as --schedule takes it
  // Loops that run side by side, each on its share. With two, lane 0 reads prompts and lane 1 decodes.
  virtual int lanes() const { return 1; }
  // The two lanes have pools of their own: what lane 0 has read is copied before lane 1 goes on with it.
  virtual bool separate_pools() const { return false; }

  // Adds items to the step, whose lane is idle; none: the lane waits for a change.
  virtual void Plan(const LaneWork& work, const SchedulerLimits& limits, Step& step) const = 0;
  // Prompt rows that one step could take if nothing decoded: jobs are admitted until that many are pending.
  virtual int64_t prefill_rows(const SchedulerLimits& limits) const { return limits.step_rows; }

  virtual Shares shares() const { return {}; }
  // The controller that moves the shares; null: they are fixed.
  virtual ShareController* controller() { return nullptr; }
};

// "prefill-first": prompts before answers, whole steps of either kind, as they come.
// "chunked:N": every step takes all that decode and fills up to N rows with prompts (Agrawal et al.,
//   Sarathi-Serve, OSDI 2024).
// "static:X,Y": two loops over one pool and one set of weights, prefill with X % of the machine and decode
//   with Y % ("static:100,100" leaves the division to the system).
// "semi-pd": the same with the division moved by a controller.
// "disaggregated": two loops with a pool and threads each; what prefill has read is copied to decode.
// Another name, or a number out of range, is an error that lists these.
Result<std::unique_ptr<Scheduler>> MakeScheduler(std::string_view name, const ServiceObjectives& objectives);

}  // namespace hone
