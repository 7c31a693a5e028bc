// Where work runs. A ComputePool owns threads; a ComputeShare is a weighted claim on them. All parallel work of hone is
// submitted to a share, never to a global pool, in tasks of at most half a millisecond, so that two phases of a server can
// divide the machine and the division can move at a task boundary.
#pragma once

#include <cstdint>
#include <memory>

#include "core/base/function_ref.h"

namespace hone {

class ComputeShare;

// min(affinity mask, cgroup v1/v2 quota rounded down, physical cores), at least 1.
int DefaultThreads();

class ComputePool {
 public:
  // `threads` counts the caller of ParallelFor: a pool of 1 starts none.
  explicit ComputePool(int threads = DefaultThreads());
  ~ComputePool();
  ComputePool(const ComputePool&) = delete;
  ComputePool& operator=(const ComputePool&) = delete;

  int threads() const;
  // A claim on the pool: while several shares have work, each gets threads in proportion to its weight (> 0); a share
  // alone gets all of them. The pool outlives its shares.
  std::unique_ptr<ComputeShare> MakeShare(double weight = 1.0);

  struct State;  // the threads and the queue, in compute_share.cc

 private:
  std::unique_ptr<State> state_;
};

// One job at a time: ParallelFor is called from one thread at once, and not from inside a task of the same share.
class ComputeShare {
 public:
  virtual ~ComputeShare() = default;
  virtual int threads() const = 0;
  virtual void SetWeight(double weight) = 0;
  // Runs body(0) .. body(tasks - 1), each once, on any of the pool's threads and the caller, and returns when all are
  // done. What a task computes must not depend on the thread or the order.
  virtual void ParallelFor(int64_t tasks, FunctionRef<void(int64_t task)> body) = 0;
};

}  // namespace hone
