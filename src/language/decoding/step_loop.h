// The loop that drives decoding: each step batches what any number of answers propose, whatever their
// strategies, and those that are done leave (continuous batching: Yu et al., Orca, OSDI 2022).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "language/decoding/generation.h"
#include "language/decoding/step_batch.h"

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
  bool idle() const { return live() == 0; }
  int64_t live() const { return static_cast<int64_t>(live_.size() + paused_.size()); }

  // One forward pass for each kind of target. Answers that decode are served before those that read their
  // prompt. An error ends the answer that it belongs to (see Generation::error), never another.
  //
  // An answer whose rows find no pages in the pool waits for those that others give back. Where every answer
  // waits, the one with the fewest cached rows gives its pages up and reads them again after another has
  // left; its tokens stay the same. An answer fails for want of pages only where it is alone with them.
  void Step();
  // Steps until every answer has finished.
  void Run() {
    while (!idle()) Step();
  }

 private:
  using Answers = std::vector<std::shared_ptr<Generation>>;
  void EndCancelled();
  StepBatch Propose();
  // Keeps the answers for whose rows there are pages; with none kept, frees pages or fails one answer.
  void ReservePages(StepBatch& batch);
  void FreePages(Error error);
  void DropFinished();

  StepLoopOptions options_;
  Answers live_;    // who waits longest stands first
  Answers paused_;  // those that gave their pages up, until an answer leaves
};

}  // namespace hone
