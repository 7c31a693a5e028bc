// Ways to run the tasks of a parallel loop that a result must not depend on.
#pragma once

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/base/compute_share.h"

namespace hone::test {

// On the caller, in rising or falling order, claiming `threads` threads.
class SerialShare final : public ComputeShare {
 public:
  explicit SerialShare(int threads = 1, bool backwards = false) : threads_(threads), backwards_(backwards) {}
  int threads() const override { return threads_; }
  void SetWeight(double) override {}
  void ParallelFor(int64_t tasks, FunctionRef<void(int64_t)> body) override {
    ++loops;
    for (int64_t i = 0; i < tasks; ++i) body(backwards_ ? tasks - 1 - i : i);
  }
  int loops = 0;

 private:
  int threads_;
  bool backwards_;
};

// On new threads, each taking the next task.
class ThreadShare final : public ComputeShare {
 public:
  explicit ThreadShare(int threads) : threads_(threads) {}
  int threads() const override { return threads_; }
  void SetWeight(double) override {}
  void ParallelFor(int64_t tasks, FunctionRef<void(int64_t)> body) override {
    std::atomic<int64_t> next{0};
    std::vector<std::thread> workers;
    for (int t = 0; t < threads_; ++t) {
      workers.emplace_back([&] {
        for (int64_t task = next++; task < tasks; task = next++) body(task);
      });
    }
    for (std::thread& worker : workers) worker.join();
  }

 private:
  int threads_;
};

}  // namespace hone::test
