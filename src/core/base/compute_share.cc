#include "core/base/compute_share.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <climits>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "core/base/processors.h"

namespace hone {
namespace {

using Clock = std::chrono::steady_clock;

// How long a thread that waits polls before it sleeps in the kernel: first with the pause instruction alone,
// then giving the processor to whoever else wants it. Waking a sleeping thread takes 20 to 30 us on a virtual
// machine; the serial stretches between the parallel loops of a decode step are shorter than the sum of both.
constexpr auto kPausing = std::chrono::microseconds(15);
constexpr auto kPolling = std::chrono::microseconds(60);
// A share may run ahead of the others by this much (nanoseconds of one thread) before its caller stands back.
constexpr double kSlack = 1'000'000;
// Between two of its loops a share still counts as at work for this long: a worker that went over to another
// share meanwhile would sit on the processor that its caller needs a moment later.
constexpr int64_t kLinger = 300'000;
// What a share did not use it may catch up with, as far as another ran ahead by this much (nanoseconds of one
// thread).
constexpr double kMostCredit = 4'000'000;
constexpr double kLeastWeight = 1e-6;

void Pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

int64_t Nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

// Processor time, so that a share does not pay for what other processes took.
int64_t ThreadNanoseconds() {
  timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

using Word = std::atomic<uint32_t>;
static_assert(sizeof(Word) == 4 && Word::is_always_lock_free);

void SleepWhile(Word& word, uint32_t value) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void Wake(Word& word, int count) {
  syscall(SYS_futex, reinterpret_cast<uint32_t*>(&word), FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

// Polls until done() for at most kPolling; whether it came true.
template <class Done>
bool Poll(Done done) {
  for (int i = 0; i < 64; ++i) {
    if (done()) return true;
    Pause();
  }
  const auto start = Clock::now();
  while (true) {
    for (int i = 0; i < 16; ++i) {
      if (done()) return true;
      Pause();
    }
    const auto waited = Clock::now() - start;
    if (waited > kPolling) return done();
    if (waited > kPausing) sched_yield();
  }
}

// The job of one share. A slot lives as long as the pool, so a worker that comes late reads valid memory.
//
// The protocol: the caller fills in the job and opens it. A worker counts itself among the visitors, then
// looks whether the job is open, and only then touches it. The caller claims tasks like everybody; when none
// is left it closes the job and waits until no visitor is inside. All of these are sequentially consistent,
// so either the worker sees the job closed or the caller sees the visitor.
struct alignas(64) Slot {
  Word open{0};
  Word visitors{0};
  Word caller_sleeps{0};
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> tasks{0};
  FunctionRef<void(int64_t)>* body = nullptr;

  // Virtual time: nanoseconds of processors received, divided by the weight. Kept only while several shares
  // have work.
  alignas(64) std::atomic<int64_t> time{0};
  std::atomic<int64_t> task_nanoseconds{
      20'000};  // moving average: what a claimed task is charged before it has run
  std::atomic<double> weight{1.0};
  std::atomic<int64_t> closed_at{0};  // when its last loop ended
  bool taken = false;                 // under State::slots_mutex
  Slot* following = nullptr;

  bool HasTasks() const {
    return open.load(std::memory_order_acquire) != 0 &&
           next.load(std::memory_order_relaxed) < tasks.load(std::memory_order_relaxed);
  }

  bool IsAtWork(int64_t now) const {
    return open.load(std::memory_order_relaxed) != 0 ||
           now - closed_at.load(std::memory_order_relaxed) < kLinger;
  }

  int64_t Claim() { return next.fetch_add(1, std::memory_order_relaxed); }

  bool Enter() {
    visitors.fetch_add(1);
    if (open.load() != 0) return true;
    Leave();
    return false;
  }
  void Leave() {
    visitors.fetch_sub(1);
    if (caller_sleeps.load() != 0) Wake(visitors, INT_MAX);
  }
};

}  // namespace

struct ComputePool::State {
  int threads = 1;

  // Polled by idle workers, so written as seldom as possible. Also the word they sleep on.
  alignas(64) Word signal{0};
  std::atomic<int32_t> open_jobs{0};
  std::atomic<int32_t> sleepers{0};
  std::atomic<bool> stop{false};

  // Only while several shares have work.
  alignas(64) std::atomic<int32_t> standing_back{0};  // callers that wait because their share is ahead
  std::atomic<int32_t> dividing_workers{0};

  std::atomic<Slot*> first_slot{nullptr};
  std::mutex slots_mutex;
  std::vector<std::unique_ptr<Slot>> slots;
  std::vector<std::thread> workers;

  bool pinned = false;
  cpu_set_t worker_processors;

  void StartWorkers();
  void PinWorkers(const std::vector<int>& processors);
  void Work();
  bool RunSome();
  Slot* LeastServed();
  int OthersAtWork(const Slot* mine) const;
  void LimitCredit(Slot& mine) const;
  bool IsAhead(const Slot& mine);
  void RunCharged(Slot& slot, int64_t task);
  void Announce(int useful_threads);
  void StandBack(const Slot& mine);
  void LeaveWorkersProcessor();
  void RunAsCaller(Slot& slot, int64_t tasks, FunctionRef<void(int64_t)> body);
  Slot* TakeSlot(double weight);
};

// Wakes or, where they poll already, alerts the workers.
void ComputePool::State::Announce(int useful_threads) {
  if (useful_threads <= 0) return;
  signal.fetch_add(1);
  if (sleepers.load() > 0) Wake(signal, useful_threads);
}

Slot* ComputePool::State::LeastServed() {
  Slot* least = nullptr;
  int64_t least_time = 0;
  for (Slot* slot = first_slot.load(std::memory_order_acquire); slot != nullptr; slot = slot->following) {
    if (!slot->HasTasks()) continue;
    const int64_t time = slot->time.load(std::memory_order_relaxed);
    if (least == nullptr || time < least_time) {
      least = slot;
      least_time = time;
    }
  }
  return least;
}

int ComputePool::State::OthersAtWork(const Slot* mine) const {
  const Slot* first = first_slot.load(std::memory_order_acquire);
  if (first == mine && first->following == nullptr) return 0;
  const int64_t now = Nanoseconds();
  int count = 0;
  for (const Slot* slot = first; slot != nullptr; slot = slot->following) {
    count += slot != mine && slot->IsAtWork(now) ? 1 : 0;
  }
  return count;
}

// A share that comes back from idleness, or could not use what it had, starts next to the others.
void ComputePool::State::LimitCredit(Slot& mine) const {
  const int64_t now = Nanoseconds();
  const bool idle = !mine.IsAtWork(now);
  int64_t floor = INT64_MAX;
  for (const Slot* slot = first_slot.load(std::memory_order_acquire); slot != nullptr;
       slot = slot->following) {
    if (slot == &mine || !slot->IsAtWork(now)) continue;
    const double credit = idle ? 0.0 : kMostCredit / slot->weight.load(std::memory_order_relaxed);
    floor = std::min(floor, slot->time.load(std::memory_order_relaxed) - static_cast<int64_t>(credit));
  }
  if (floor != INT64_MAX && mine.time.load(std::memory_order_relaxed) < floor) {
    mine.time.store(floor, std::memory_order_relaxed);
  }
}

// Shares of one weight are left to the kernel, which divides processors evenly between their callers:
// standing back would only cost.
bool ComputePool::State::IsAhead(const Slot& mine) {
  const double weight = mine.weight.load(std::memory_order_relaxed);
  const double slack = kSlack / weight;
  const int64_t limit = mine.time.load(std::memory_order_relaxed) - static_cast<int64_t>(slack);
  for (Slot* slot = first_slot.load(std::memory_order_acquire); slot != nullptr; slot = slot->following) {
    if (slot == &mine || !slot->HasTasks() || slot->weight.load(std::memory_order_relaxed) == weight)
      continue;
    if (slot->time.load(std::memory_order_relaxed) < limit) return true;
  }
  return false;
}

void ComputePool::State::RunCharged(Slot& slot, int64_t task) {
  const double weight = slot.weight.load(std::memory_order_relaxed);
  const int64_t expected = slot.task_nanoseconds.load(std::memory_order_relaxed);
  slot.time.fetch_add(static_cast<int64_t>(static_cast<double>(expected) / weight),
                      std::memory_order_relaxed);
  const int64_t start = ThreadNanoseconds();
  (*slot.body)(task);
  const int64_t spent = ThreadNanoseconds() - start;
  slot.time.fetch_add(static_cast<int64_t>(static_cast<double>(spent - expected) / weight),
                      std::memory_order_relaxed);
  slot.task_nanoseconds.store(expected + (spent - expected) / 8, std::memory_order_relaxed);
}

// A worker's visit: all tasks of the only job there is, or one task of the share that had least. False where
// there was nothing to do.
bool ComputePool::State::RunSome() {
  Slot* slot = LeastServed();
  if (slot == nullptr) return false;
  if (const int at_work = OthersAtWork(nullptr); at_work > 1) {
    // The callers are threads too: together no more than the pool's threads run.
    const int callers = at_work - standing_back.load();
    if (dividing_workers.fetch_add(1) >= threads - callers) {
      dividing_workers.fetch_sub(1);
      return false;
    }
    if (slot->Enter()) {
      const int64_t task = slot->Claim();
      if (task < slot->tasks.load(std::memory_order_relaxed)) RunCharged(*slot, task);
      slot->Leave();
    }
    dividing_workers.fetch_sub(1);
    return true;
  }
  if (!slot->Enter()) return true;
  const int64_t tasks = slot->tasks.load(std::memory_order_relaxed);
  for (int64_t task = slot->Claim(); task < tasks; task = slot->Claim()) {
    (*slot->body)(task);
    if (open_jobs.load(std::memory_order_relaxed) > 1) break;
  }
  slot->Leave();
  return true;
}

void ComputePool::State::Work() {
  while (true) {
    const uint32_t seen = signal.load();
    if (stop.load()) return;
    if (RunSome()) continue;
    if (Poll([&] { return signal.load(std::memory_order_acquire) != seen; })) continue;
    sleepers.fetch_add(1);
    SleepWhile(signal, seen);
    sleepers.fetch_sub(1);
  }
}

// Where the kernel has put the caller on a worker's own processor while another one is free, that worker
// would wait for a scheduler tick (4 ms): move away from it, and leave the caller's affinity as it was.
void ComputePool::State::LeaveWorkersProcessor() {
  const int here = sched_getcpu();
  if (here < 0 || here >= CPU_SETSIZE || !CPU_ISSET(here, &worker_processors)) return;
  thread_local Clock::time_point last_move;
  const auto now = Clock::now();
  if (now - last_move < std::chrono::milliseconds(2)) return;
  last_move = now;
  cpu_set_t before;
  if (sched_getaffinity(0, sizeof(before), &before) != 0) return;
  cpu_set_t elsewhere;
  CPU_ZERO(&elsewhere);
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &before) && !CPU_ISSET(i, &worker_processors)) CPU_SET(i, &elsewhere);
  }
  if (CPU_COUNT(&elsewhere) == 0) return;
  if (sched_setaffinity(0, sizeof(elsewhere), &elsewhere) == 0) sched_setaffinity(0, sizeof(before), &before);
}

void ComputePool::State::StandBack(const Slot& mine) {
  standing_back.fetch_add(1);
  Announce(1);
  while (!Poll([&] { return !IsAhead(mine); })) std::this_thread::sleep_for(std::chrono::microseconds(50));
  standing_back.fetch_sub(1);
}

void ComputePool::State::RunAsCaller(Slot& slot, int64_t tasks, FunctionRef<void(int64_t)> body) {
  slot.body = &body;
  slot.tasks.store(tasks, std::memory_order_relaxed);
  slot.next.store(0, std::memory_order_relaxed);
  open_jobs.fetch_add(1);
  const int others = OthersAtWork(&slot);
  if (others > 0) LimitCredit(slot);
  slot.open.store(1);
  const int free_threads = threads - 1 - others;
  if (pinned && others == 0) LeaveWorkersProcessor();
  Announce(static_cast<int>(std::min<int64_t>(tasks - 1, free_threads)));

  while (true) {
    const bool dividing = others > 0 || open_jobs.load(std::memory_order_relaxed) > 1;
    if (dividing && IsAhead(slot)) StandBack(slot);
    const int64_t task = slot.Claim();
    if (task >= tasks) break;
    if (dividing) {
      RunCharged(slot, task);
    } else {
      body(task);
    }
  }

  slot.open.store(0);
  while (!Poll([&] { return slot.visitors.load() == 0; })) {
    slot.caller_sleeps.store(1);
    if (const uint32_t inside = slot.visitors.load(); inside != 0) SleepWhile(slot.visitors, inside);
    slot.caller_sleeps.store(0);
  }
  slot.closed_at.store(Nanoseconds(), std::memory_order_relaxed);
  const int still_open = open_jobs.fetch_sub(1) - 1;
  if (still_open > 0) Announce(threads - still_open - 1);
}

void ComputePool::State::PinWorkers(const std::vector<int>& processors) {
  const char* choice = std::getenv("HONE_PIN");
  if (choice != nullptr && std::string_view(choice) == "0") return;
  const std::vector<int> cores = OneProcessorPerCore(processors);
  const std::vector<int>& places = static_cast<int>(cores.size()) >= threads ? cores : processors;
  // A pool that takes half the machine or less is left to the kernel: two such pools, or two processes, would
  // else be pinned to the same processors while others stand idle.
  if (static_cast<int>(places.size()) < threads || static_cast<int>(places.size()) >= 2 * threads) return;
  CPU_ZERO(&worker_processors);
  for (size_t i = 0; i < workers.size(); ++i) {
    const int processor = places[i + 1];  // the first is left to the caller
    if (processor >= CPU_SETSIZE) return;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    if (pthread_setaffinity_np(workers[i].native_handle(), sizeof(one), &one) != 0) return;
    CPU_SET(processor, &worker_processors);
  }
  pinned = true;
}

void ComputePool::State::StartWorkers() {
  workers.reserve(threads - 1);
  for (int i = 1; i < threads; ++i) workers.emplace_back([this] { Work(); });
  if (threads > 1) PinWorkers(AllowedProcessors());
}

Slot* ComputePool::State::TakeSlot(double weight) {
  const std::lock_guard lock(slots_mutex);
  Slot* slot = nullptr;
  for (const auto& candidate : slots) {
    if (!candidate->taken) slot = candidate.get();
  }
  if (slot == nullptr) {
    slots.push_back(std::make_unique<Slot>());
    slot = slots.back().get();
    slot->following = first_slot.load(std::memory_order_relaxed);
    first_slot.store(slot, std::memory_order_release);
  }
  slot->taken = true;
  slot->weight.store(std::max(weight, kLeastWeight), std::memory_order_relaxed);
  return slot;
}

namespace {

class PoolShare final : public ComputeShare {
 public:
  PoolShare(ComputePool::State& state, double weight) : state_(state), slot_(*state.TakeSlot(weight)) {}
  ~PoolShare() override {
    const std::lock_guard lock(state_.slots_mutex);
    slot_.taken = false;
  }

  int threads() const override { return state_.threads; }
  void SetWeight(double weight) override {
    slot_.weight.store(std::max(weight, kLeastWeight), std::memory_order_relaxed);
  }
  void ParallelFor(int64_t tasks, FunctionRef<void(int64_t)> body) override {
    if (tasks > 0) state_.RunAsCaller(slot_, tasks, body);
  }

 private:
  ComputePool::State& state_;
  Slot& slot_;
};

}  // namespace

ComputePool::ComputePool(int threads) : state_(std::make_unique<State>()) {
  state_->threads = std::max(1, threads);
  state_->StartWorkers();
}

ComputePool::~ComputePool() {
  state_->stop.store(true);
  state_->signal.fetch_add(1);
  Wake(state_->signal, INT_MAX);
  for (std::thread& worker : state_->workers) worker.join();
}

int ComputePool::threads() const { return state_->threads; }

std::unique_ptr<ComputeShare> ComputePool::MakeShare(double weight) {
  return std::make_unique<PoolShare>(*state_, weight);
}

}  // namespace hone
