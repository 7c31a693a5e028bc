#include "language/serving/fair_queue.h"

#include <algorithm>

namespace hone {

FairQueue::Tenant& FairQueue::Enter(const std::string& name) {
  Tenant& tenant = tenants_[name];
  if (tenant.waiting == 0) tenant.served = std::max(tenant.served, level_);
  ++tenant.waiting;
  ++size_;
  return tenant;
}

void FairQueue::Push(Job* job) {
  Enter(job->tenant);
  lines_[job->priority][job->tenant].push_back(job);
}

void FairQueue::PushFront(Job* job) {
  Enter(job->tenant);
  lines_[job->priority][job->tenant].push_front(job);
}

Job* FairQueue::Next() const {
  if (lines_.empty()) return nullptr;
  Job* next = nullptr;
  double least = 0.0;
  for (const auto& [tenant, jobs] : lines_.begin()->second) {
    const double served = tenants_.at(tenant).served;
    // Equally served tenants go by arrival, so that one tenant or many without history is first come, first
    // served.
    const bool before = next == nullptr || served < least ||
                        (served == least && jobs.front()->times.arrival < next->times.arrival);
    if (!before) continue;
    next = jobs.front();
    least = served;
  }
  return next;
}

void FairQueue::Remove(const Job* job) {
  const auto line = lines_.find(job->priority);
  if (line == lines_.end()) return;
  const auto jobs = line->second.find(job->tenant);
  if (jobs == line->second.end()) return;
  const auto at = std::find(jobs->second.begin(), jobs->second.end(), job);
  if (at == jobs->second.end()) return;
  jobs->second.erase(at);
  --tenants_.at(job->tenant).waiting;
  --size_;
  if (jobs->second.empty()) line->second.erase(jobs);
  if (line->second.empty()) lines_.erase(line);
}

void FairQueue::Charge(const std::string& name, double cost) {
  Tenant& tenant = tenants_[name];
  if (tenant.waiting > 0) level_ = std::max(level_, tenant.served);
  tenant.served = std::max(tenant.served, level_) + cost;
  // Whoever waits for nothing and is level with the others would enter at that level anyway.
  std::erase_if(tenants_, [&](const auto& entry) {
    return entry.second.waiting == 0 && entry.second.served <= level_;
  });
}

}  // namespace hone
