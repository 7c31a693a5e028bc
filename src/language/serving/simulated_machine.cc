#include "language/serving/simulated_machine.h"

#include <algorithm>

namespace hone {

void SimulatedMachine::Add(JobId id, const SimulatedJob& job) { live_[id].job = job; }

void SimulatedMachine::At(double time, std::function<void()> event) {
  events_.emplace(std::max(time, now_), std::move(event));
}

// The part of the machine's speed that a lane has: all of it alone, its share beside another (shares that add
// up to more than 100 are contended for), or half where the lanes have threads of their own.
double SimulatedMachine::Speed(int lane) const {
  if (separate_pools_) return 0.5;
  const Lane& other = lanes_[static_cast<size_t>(1 - lane)];
  if (!other.report) return 1.0;
  const double mine = lane == 0 ? shares_.prefill : shares_.decode;
  return costs_.paired * mine / (shares_.prefill + shares_.decode);
}

bool SimulatedMachine::Grow(Live& job, int64_t tokens) {
  const int64_t wanted = (tokens + kBlock - 1) / kBlock * kBlock;
  int64_t& used = used_[static_cast<size_t>(job.pool)];
  const int64_t limit = separate_pools_ ? pool_tokens_ / 2 : pool_tokens_;
  if (wanted <= job.held) return true;
  if (used + wanted - job.held > limit) return false;
  used += wanted - job.held;
  job.held = wanted;
  return true;
}

void SimulatedMachine::Drop(Live& job) {
  used_[static_cast<size_t>(job.pool)] -= job.held;
  job.held = job.cached = 0;
  job.pool = 0;
}

ItemReport SimulatedMachine::RunItem(const StepItem& item, int lane, StepLoad& load) {
  Live& job = live_.at(item.job);
  ItemReport report{.job = item.job};
  const int64_t tokens = job.job.prompt_tokens + job.answered;
  const int64_t rows = std::min(item.rows, tokens - job.cached);
  if (!Grow(job, job.cached + rows)) {
    report.no_pages = true;
    report.cached = job.cached;
    report.wanted = tokens - job.cached;
    return report;
  }
  load.rows += rows;
  const bool decodes = rows == 1 && job.answered > 0;
  load.decode_rows += decodes ? rows : 0;
  int64_t& context = decodes ? load.decode_context : load.prefill_context;
  context += rows * job.cached + rows * (rows + 1) / 2;
  job.cached += rows;
  report.rows = rows;
  if (job.cached == tokens) {
    report.tokens = 1;
    ++job.answered;
    report.ended = job.answered >= job.job.answer_tokens;
    if (separate_pools_ && lane == 0 && !report.ended) {
      const int64_t cached = job.cached;
      const int64_t answered = job.answered;
      Drop(job);
      job.pool = 1;
      job.answered = answered;
      if (Grow(job, cached)) {
        job.cached = cached;
      } else {
        job.pool = 0;
        report.lost_pages = true;
      }
    }
  }
  report.cached = job.cached;
  report.wanted = job.job.prompt_tokens + job.answered - job.cached;
  return report;
}

void SimulatedMachine::Start(Step step) {
  Lane& lane = lanes_[static_cast<size_t>(step.lane)];
  lane.report.emplace();
  lane.report->lane = step.lane;
  StepLoad load;
  for (const StepItem& item : step.items) lane.report->items.push_back(RunItem(item, step.lane, load));
  lane.left = costs_.Seconds(load);
  lane.started = now_;
}

void SimulatedMachine::Run(double until) {
  while (now_ < until) {
    double next = events_.empty() ? 1e18 : events_.begin()->first;
    int ending = -1;
    for (int i = 0; i < 2; ++i) {
      if (!lanes_[static_cast<size_t>(i)].report) continue;
      const double at = now_ + lanes_[static_cast<size_t>(i)].left / Speed(i);
      if (at < next) {
        next = at;
        ending = i;
      }
    }
    if (next >= 1e18) return;
    const double passed = std::min(next, until) - now_;
    std::array<double, 2> speeds{Speed(0), Speed(1)};
    for (size_t i = 0; i < 2; ++i) {
      if (!lanes_[i].report) continue;
      lanes_[i].left = std::max(0.0, lanes_[i].left - passed * speeds[i]);
      busy_[i] += passed;
    }
    now_ = std::min(next, until);
    if (next > until) return;
    if (ending >= 0) {
      Lane& lane = lanes_[static_cast<size_t>(ending)];
      StepReport report = std::move(*lane.report);
      lane.report.reset();
      report.seconds = now_ - lane.started;
      dispatcher_->Finished(report);
    } else {
      auto event = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      event();
    }
  }
}

int64_t SimulatedMachine::Admit(const Job& job) {
  Live& live = live_.at(job.id);
  const int64_t most = live.job.prompt_tokens + live.answered - 1;
  const int64_t shared = std::min(live.job.shared_tokens, most);
  if (shared <= 0 || !Grow(live, shared)) return 0;
  live.cached = shared;
  return shared;
}

void SimulatedMachine::Preempt(const Job& job) { Drop(live_.at(job.id)); }

void SimulatedMachine::End(const Job& job, JobEnd end) {
  const auto found = live_.find(job.id);
  if (found == live_.end()) return;
  Drop(found->second);
  live_.erase(found);
  if (ended) ended(job, end);
}

int64_t SimulatedMachine::RoomTokens(int lane) const {
  if (!separate_pools_) return pool_tokens_ - used_[0];
  const int64_t half = pool_tokens_ / 2;
  return lane == 0 ? std::min(half - used_[0], half - used_[1]) : half - used_[1];
}

}  // namespace hone
