// The loop that drives decoding: each step batches what any number of answers propose, whatever their
// strategies, and those that are done leave (continuous batching: Yu et al., Orca, OSDI 2022).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "language/decoding/generation.h"

namespace hone {

struct StepLoopOptions {
  int64_t rows = 512;   // of one step, all answers together; at most the runners' max_rows
  int64_t chunk = 512;  // prompt tokens that one answer reads in one step
};

// Used by one thread. What an answer becomes does not depend on the others, the chunk or the order.
class StepLoop {
 public:
  explicit StepLoop(const StepLoopOptions& options) : options_(options) {}

  void Add(std::shared_ptr<Generation> generation) { live_.push_back(std::move(generation)); }
  bool idle() const { return live_.empty(); }
  int64_t live() const { return static_cast<int64_t>(live_.size()); }

  // One forward pass for each kind of target. Answers that decode are served before those that read their
  // prompt. An error ends the answer that it belongs to (see Generation::error), never another.
  void Step();
  // Steps until every answer has finished.
  void Run() {
    while (!idle()) Step();
  }

 private:
  struct Part {
    Generation* generation;
    Proposal proposal;
  };
  std::vector<Part> Propose();
  void RunGroup(std::span<Part*> parts);
  void DropFinished();

  StepLoopOptions options_;
  std::vector<std::shared_ptr<Generation>> live_;  // who waits longest stands first
};

}  // namespace hone
