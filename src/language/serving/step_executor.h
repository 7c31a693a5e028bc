// What runs the steps that a scheduler plans: a model on this machine, or a table of costs in virtual time.
#pragma once

#include <cstdint>
#include <vector>

#include "language/serving/job.h"

namespace hone {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual double Now() const = 0;  // seconds, never falling
};

// Percent of the machine's compute units for each phase; above 100 together they are contended for.
struct Shares {
  double prefill = 100.0;
  double decode = 100.0;
  bool operator==(const Shares&) const = default;
};

struct StepItem {
  JobId job = kNoJob;
  int64_t rows = 0;  // at most
};

struct Step {
  int lane = 0;
  std::vector<StepItem> items;

  int64_t rows() const {
    int64_t sum = 0;
    for (const StepItem& item : items) sum += item.rows;
    return sum;
  }
};

struct ItemReport {
  JobId job = kNoJob;
  int64_t rows = 0;         // that were run
  int64_t tokens = 0;       // that were settled on
  int64_t cached = 0;       // tokens whose cache entries are there afterwards
  int64_t wanted = 0;       // rows that the answer's strategy would run next
  bool no_pages = false;    // nothing was run: the pool has no pages for its rows
  bool lost_pages = false;  // its entries are gone again: what was read could not be handed to its next lane
  bool ended = false;       // the answer is complete, or failed
};

struct StepReport {
  int lane = 0;
  double seconds = 0.0;
  std::vector<ItemReport> items;
};

// The dispatcher calls all of these under its lock: they come back at once (Start begins a step, it does not
// wait for it) and do not call the dispatcher, except that a step's end is told to Dispatcher::Finished from
// a thread of the executor.
class StepExecutor {
 public:
  virtual ~StepExecutor() = default;

  // Begins a step on a lane that is idle.
  virtual void Start(Step step) = 0;
  // The job may run from here on. Returns how many tokens of its prompt, at most all but one, are cached
  // already because an earlier prompt began with the same tokens.
  virtual int64_t Admit(const Job& job) = 0;
  // Gives the job's pages back; it will be admitted again.
  virtual void Preempt(const Job& job) = 0;
  // The job is gone, never to be named again.
  virtual void End(const Job& job, JobEnd end) = 0;
  // How many more tokens of cache entries the lane's pool could take now, unused prefixes counted as room.
  virtual int64_t RoomTokens(int lane) const = 0;
  virtual void SetShares(const Shares& shares) = 0;
};

}  // namespace hone
