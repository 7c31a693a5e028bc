// One step: what several answers propose, run as one forward pass for each kind of target. Who takes part and
// with how many rows is the caller's choice (step_loop.h, language/serving).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/base/function_ref.h"
#include "language/decoding/generation.h"

namespace hone {

// Used by one thread, for one step. Answers outlive it.
class StepBatch {
 public:
  // `stand_in`: runs the rows of every strategy whose runner has the same model, in the place of that runner;
  // null: each strategy's own. So one strategy is served by loops with a scratch and a share of their own.
  explicit StepBatch(Runner* stand_in = nullptr) : stand_in_(stand_in) {}

  // Takes what the answer proposes for at most `max_rows` > 0 rows; returns how many rows that is, 0 where
  // its strategy waits for a step with more room. An error ends the answer, which then is finished.
  int64_t Add(Generation& generation, int64_t max_rows);

  // Reserves cache pages for every answer's rows. Those that find none are left out of the step; `refused`
  // hears of each, in order, and may free pages and return true to have the answer tried once more.
  void ReservePages(FunctionRef<bool(Generation&, const Error&)> refused);

  // Runs the rows and hands each answer its outputs. An error ends the answer that it belongs to, never
  // another.
  void Run();

  bool empty() const { return parts_.empty(); }
  int64_t size() const { return static_cast<int64_t>(parts_.size()); }

 private:
  struct Part {
    Generation* generation;
    Proposal proposal;
  };
  static void RunGroup(std::span<Part*> parts);

  Runner* stand_in_;
  std::vector<Part> parts_;
};

}  // namespace hone
