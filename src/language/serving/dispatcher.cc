#include "language/serving/dispatcher.h"

#include <algorithm>

namespace hone {
namespace {

// Tokens of room that admission leaves to every job that runs, so that it does not preempt at once what it
// admits.
constexpr int64_t kGrowth = 32;

}  // namespace

Dispatcher::Dispatcher(const Clock& clock, StepExecutor& executor, Scheduler& scheduler,
                       const DispatcherOptions& options)
    : clock_(clock),
      executor_(executor),
      scheduler_(scheduler),
      options_(options),
      busy_(static_cast<size_t>(scheduler.lanes()), 0) {
  state_.lanes.resize(busy_.size());
  state_.shares = scheduler_.shares();
  executor_.SetShares(state_.shares);
}

bool Dispatcher::IsSenior(const Job& a, const Job& b) {
  if (a.priority != b.priority) return a.priority > b.priority;
  return a.id < b.id;
}

std::optional<Refusal> Dispatcher::Submit(JobId id, const JobRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto waiting = queue_.size() + static_cast<int64_t>(held_back_.size());
  if (waiting >= options_.max_waiting) {
    ++state_.refused;
    // The time in which the queue would shrink by one job, as fast as work was done lately.
    const auto tokens = static_cast<double>(request.prompt_tokens + request.answer_tokens);
    const double seconds = tokens_per_second_ > 0.0 ? tokens / tokens_per_second_ : 1.0;
    return Refusal{std::clamp(seconds, 1.0, 60.0)};
  }
  auto job = std::make_unique<Job>();
  static_cast<JobRequest&>(*job) = request;
  job->id = id;
  job->times.arrival = clock_.Now();
  ++state_.submitted;
  if (ShareController* controller = scheduler_.controller()) controller->AddArrival();
  Job& entered = *job;
  jobs_.emplace(id, std::move(job));
  Enqueue(entered);
  Pump();
  return std::nullopt;
}

void Dispatcher::Enqueue(Job& job) {
  const auto predecessor = jobs_.find(job.after);
  if (predecessor != jobs_.end() && predecessor->second->answered == 0) {
    held_back_.emplace(job.after, &job);
  } else {
    queue_.Push(&job);
  }
}

void Dispatcher::Release(JobId predecessor) {
  const auto [begin, end] = held_back_.equal_range(predecessor);
  for (auto held = begin; held != end; ++held) queue_.Push(held->second);
  held_back_.erase(begin, end);
}

void Dispatcher::Cancel(JobId id) {
  const std::lock_guard lock(mutex_);
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) return;
  Job& job = *found->second;
  job.cancelled = true;
  if (job.in_step) return;
  End(job, JobEnd::kCancelled);
  Pump();
}

void Dispatcher::CancelAll() {
  const std::lock_guard lock(mutex_);
  Jobs idle;
  for (const auto& [id, job] : jobs_) {
    job->cancelled = true;
    if (!job->in_step) idle.push_back(job.get());
  }
  for (Job* job : idle) End(*job, JobEnd::kCancelled);
  Pump();
}

bool Dispatcher::idle() const {
  const std::lock_guard lock(mutex_);
  return jobs_.empty();
}

DispatcherState Dispatcher::state() const {
  const std::lock_guard lock(mutex_);
  DispatcherState state = state_;
  state.waiting = queue_.size() + static_cast<int64_t>(held_back_.size());
  for (const auto& [id, job] : running_) ++(job->phase == JobPhase::kDecode ? state.decode : state.prefill);
  if (const ShareController* controller = scheduler_.controller()) {
    state.share_moves = controller->moves();
    state.first_token_model = controller->first_token_model();
    state.token_model = controller->token_model();
  }
  return state;
}

std::vector<JobProgress> Dispatcher::running(size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<JobProgress> all;
  for (const auto& [id, job] : running_) {
    if (all.size() == most) break;
    all.push_back({job->phase, job->prompt_tokens, job->answer_tokens, job->cached, job->answered});
  }
  return all;
}

// Gives every idle lane a step, as far as there is work.
void Dispatcher::Pump() {
  for (int lane = 0; lane < scheduler_.lanes(); ++lane) {
    if (busy_[static_cast<size_t>(lane)] != 0) continue;
    if (lane == 0) Admit();
    StartStep(lane);
  }
}

bool Dispatcher::FitsNow(const Job& job) const {
  if (running_.empty()) return true;  // it is told if it does not fit alone
  int64_t promised = job.tokens() + kGrowth;
  for (const auto& [id, other] : running_) {
    const bool reads = other->phase == JobPhase::kPrefill;
    promised += kGrowth + (reads ? std::max<int64_t>(other->tokens() - other->cached, 0) : 0);
  }
  return promised <= executor_.RoomTokens(0);
}

// Takes jobs from the queue until the next step's prompt rows are full.
void Dispatcher::Admit() {
  int64_t pending = 0;
  for (const auto& [id, job] : running_) {
    if (job->phase == JobPhase::kPrefill && !job->in_step && !job->starved) pending += job->wanted;
  }
  if (owed_ != kNoJob) return;
  const double now = clock_.Now();
  while (pending < scheduler_.prefill_rows(options_.limits)) {
    Job* job = queue_.Next();
    if (job == nullptr) return;
    if (now > job->deadline) {
      End(*job, JobEnd::kLate);
      continue;
    }
    if (static_cast<int64_t>(running_.size()) >= options_.limits.batch || !FitsNow(*job)) return;
    queue_.Remove(job);
    job->phase = JobPhase::kPrefill;
    running_.emplace(job->id, job);
    state_.most_running = std::max(state_.most_running, static_cast<int64_t>(running_.size()));
    job->cached = executor_.Admit(*job);
    job->wanted = job->tokens() - job->cached;
    if (job->times.admitted < 0.0) {
      job->times.admitted = now;
      job->reused = job->cached;
      state_.prompt_tokens += job->prompt_tokens;
      state_.reused_tokens += job->cached;
    }
    pending += job->wanted;
  }
}

Dispatcher::Jobs Dispatcher::InOrder(JobPhase phase) const {
  Jobs jobs;
  for (const auto& [id, job] : running_) {
    if (job->phase == phase && !job->in_step && !job->starved) jobs.push_back(job);
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const Job* a, const Job* b) { return a->priority > b->priority; });
  return jobs;
}

void Dispatcher::StartStep(int lane) {
  const Jobs prefill = InOrder(JobPhase::kPrefill);
  const Jobs decode = InOrder(JobPhase::kDecode);
  if (prefill.empty() && decode.empty()) return;
  Step step;
  step.lane = lane;
  scheduler_.Plan({{prefill.data(), prefill.size()}, {decode.data(), decode.size()}}, options_.limits, step);
  if (step.items.empty()) return;
  for (const StepItem& item : step.items) jobs_.at(item.job)->in_step = true;
  busy_[static_cast<size_t>(lane)] = 1;
  executor_.Start(std::move(step));
}

void Dispatcher::Finished(const StepReport& report) {
  const std::lock_guard lock(mutex_);
  const double now = clock_.Now();
  busy_[static_cast<size_t>(report.lane)] = 0;
  int64_t rows = 0;
  for (const ItemReport& item : report.items) rows += item.rows;
  LaneState& lane = state_.lanes[static_cast<size_t>(report.lane)];
  ++lane.steps;
  lane.rows += rows;
  lane.busy_seconds += report.seconds;
  if (report.seconds > 0.0) {
    const double speed = static_cast<double>(rows) / report.seconds;
    tokens_per_second_ += (speed - tokens_per_second_) * (tokens_per_second_ > 0.0 ? 0.1 : 1.0);
  }
  std::vector<double> gaps;
  std::vector<JobId> starved;
  for (const ItemReport& item : report.items) {
    const double part = rows > 0 ? static_cast<double>(item.rows) / static_cast<double>(rows) : 0.0;
    Take(item, now, report.seconds * part, gaps);
  }
  for (const ItemReport& item : report.items) {
    Job& job = *jobs_.at(item.job);
    if (item.no_pages) {
      job.starved = true;
      starved.push_back(job.id);
    }
    Settle(job, item, now);
  }
  MakeRoom(std::move(starved));
  if (ShareController* controller = scheduler_.controller()) {
    if (!gaps.empty()) controller->AddGaps(gaps);
    if (controller->Update(now)) {
      state_.shares = controller->shares();
      executor_.SetShares(state_.shares);
    }
  }
  Pump();
}

void Dispatcher::Take(const ItemReport& item, double now, double seconds, std::vector<double>& gaps) {
  Job& job = *jobs_.at(item.job);
  job.in_step = false;
  if (item.no_pages) return;
  if (job.id == owed_) owed_ = kNoJob;
  job.cached = item.cached;
  job.wanted = item.wanted;
  const bool reads = job.phase == JobPhase::kPrefill;
  if (reads) job.busy_seconds += seconds;
  queue_.Charge(job.tenant, reads ? static_cast<double>(item.rows)
                                  : FairQueue::kAnswerCost * static_cast<double>(item.tokens));
  if (item.tokens == 0) return;
  job.phase = JobPhase::kDecode;
  job.answered += item.tokens;
  state_.answer_tokens += item.tokens;
  if (job.times.first_token < 0.0) {
    FirstToken(job, now);
  } else {
    const double gap = now - job.times.last_token;
    job.longest_gap = std::max(job.longest_gap, gap);
    gaps.push_back(gap / static_cast<double>(item.tokens));
  }
  job.times.last_token = now;
}

void Dispatcher::FirstToken(Job& job, double now) {
  job.times.first_token = now;
  if (ShareController* controller = scheduler_.controller()) {
    controller->AddFirstToken(now - job.times.arrival, job.busy_seconds);
  }
  Release(job.id);
}

// What was decided about the job while its step ran.
void Dispatcher::Settle(Job& job, const ItemReport& item, double now) {
  if (item.ended) {
    End(job, JobEnd::kDone);
  } else if (job.cancelled) {
    End(job, JobEnd::kCancelled);
  } else if (now > job.deadline) {
    End(job, JobEnd::kLate);
  } else if (job.preempt || item.lost_pages) {
    GiveUp(job);
  }
}

bool Dispatcher::SamePool(const Job& a, const Job& b) const {
  return !scheduler_.separate_pools() || a.phase == b.phase;
}

// The most junior job that holds pages of the same pool, null where nobody but `wanting` does.
Job* Dispatcher::Victim(const Job& wanting) const {
  Job* victim = nullptr;
  for (const auto& [id, job] : running_) {
    const bool holds = job->cached > 0 || job->in_step;
    if (job == &wanting || !holds || !SamePool(*job, wanting)) continue;
    if (victim == nullptr || IsSenior(*victim, *job)) victim = job;
  }
  return victim;
}

void Dispatcher::MakeRoom(std::vector<JobId> starved) {
  std::erase_if(starved, [&](JobId id) { return !jobs_.contains(id); });
  std::sort(starved.begin(), starved.end(),
            [&](JobId a, JobId b) { return IsSenior(*jobs_.at(a), *jobs_.at(b)); });
  for (const JobId id : starved) {
    const auto found = jobs_.find(id);
    if (found == jobs_.end() || !found->second->starved) continue;  // room was made, or it had to leave
    Job& job = *found->second;
    Job* victim = Victim(job);
    if (victim == nullptr) {
      End(job, JobEnd::kTooLarge);
    } else if (IsSenior(job, *victim)) {
      if (owed_ == kNoJob || IsSenior(job, *jobs_.at(owed_))) owed_ = job.id;
      if (victim->in_step) {
        victim->preempt = true;
      } else {
        GiveUp(*victim);
      }
    }
    // Else it is the most junior itself: others go on, and take what it holds if they need it.
  }
}

void Dispatcher::GiveUp(Job& job) {
  if (job.id == owed_) owed_ = kNoJob;
  if (job.speculative) return End(job, JobEnd::kLate);
  job.preempt = false;
  executor_.Preempt(job);
  ++job.preemptions;
  ++state_.preemptions;
  running_.erase(job.id);
  job.phase = JobPhase::kWaiting;
  job.cached = 0;
  queue_.PushFront(&job);
  for (const auto& [id, other] : running_) other->starved = false;
  job.starved = false;
}

void Dispatcher::End(Job& job, JobEnd end) {
  if (job.id == owed_) owed_ = kNoJob;
  queue_.Remove(&job);
  running_.erase(job.id);
  std::erase_if(held_back_, [&](const auto& held) { return held.second == &job; });
  ++state_.ended[static_cast<size_t>(end)];
  executor_.End(job, end);
  for (const auto& [id, other] : running_) other->starved = false;
  const JobId id = job.id;
  jobs_.erase(id);
  Release(id);
}

}  // namespace hone
