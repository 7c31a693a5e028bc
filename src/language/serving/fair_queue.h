// The waiting jobs: by priority, and within one priority tenants take turns by tokens served, so that a
// tenant with a thousand requests does not delay the one with a single request.
// Source: Sheng et al., Fairness in Serving Large Language Models (OSDI 2024), the virtual token counter.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "language/serving/job.h"

namespace hone {

class FairQueue {
 public:
  // A tenant that had no work starts level with the one that was served last: no credit for idle time.
  void Push(Job* job);
  void PushFront(Job* job);  // before all of its tenant's: it was preempted
  // The next job; null if none waits.
  Job* Next() const;
  void Remove(const Job* job);
  // `cost` was spent on the tenant: prompt tokens, and answer tokens at kAnswerCost each.
  void Charge(const std::string& tenant, double cost);

  int64_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  static constexpr double kAnswerCost = 2.0;

 private:
  struct Tenant {
    double served = 0.0;
    int64_t waiting = 0;
  };
  using Line = std::map<std::string, std::deque<Job*>>;  // by tenant
  Tenant& Enter(const std::string& tenant);

  std::map<int, Line, std::greater<>> lines_;  // by priority
  std::map<std::string, Tenant> tenants_;
  double level_ = 0.0;  // what the tenant that was charged last had been served before
  int64_t size_ = 0;
};

}  // namespace hone
