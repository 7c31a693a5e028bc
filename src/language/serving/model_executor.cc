#include "language/serving/model_executor.h"

#include <algorithm>
#include <chrono>

#include "language/decoding/step_batch.h"

namespace hone {
namespace {

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

namespace {

// A preempted answer's entries, outside of the page pool.
struct SwappedEntries {
  SwappedEntries(MemoryAccount& account, std::string snapshot, int64_t cached, bool long_rope)
      : account(account), snapshot(std::move(snapshot)), cached(cached), long_rope(long_rope) {}
  ~SwappedEntries() { account.Release(snapshot.size()); }
  SwappedEntries(const SwappedEntries&) = delete;
  SwappedEntries& operator=(const SwappedEntries&) = delete;

  MemoryAccount& account;
  const std::string snapshot;  // its size is reserved
  const int64_t cached;
  const bool long_rope;
};

}  // namespace

struct ModelExecutor::Live {
  ModelJob job;
  std::unique_ptr<Sequence> sequence;
  std::unique_ptr<Generation> generation;
  PrefixCache::Pin pin;
  std::unique_ptr<SwappedEntries> swapped;
};

// A loop of its own: a thread, a runner with its scratch and share, and the pool it writes to.
struct ModelExecutor::Lane {
  int index = 0;
  std::unique_ptr<Engine> engine;  // its threads, where lanes share none
  std::shared_ptr<PagePool> pool;
  std::unique_ptr<Runner> runner;

  std::mutex mutex;  // guards what follows
  std::condition_variable changed;
  std::optional<Step> step;
  std::vector<std::shared_ptr<Live>> live;  // of the step's items
  bool stop = false;
  std::thread thread;
};

Result<std::unique_ptr<ModelExecutor>> ModelExecutor::Create(std::shared_ptr<const Model> model,
                                                             Engine& engine,
                                                             const ModelExecutorOptions& options) {
  std::unique_ptr<ModelExecutor> executor(new ModelExecutor(std::move(model), engine, options));
  HONE_CHECK_OK(executor->Build());
  return executor;
}

ModelExecutor::ModelExecutor(std::shared_ptr<const Model> model, Engine& engine,
                             const ModelExecutorOptions& options)
    : model_(std::move(model)),
      engine_(engine),
      options_(options),
      swap_("swap for preempted answers", options.swap_bytes) {}

Result<void> ModelExecutor::Build() {
  const uint64_t limit = engine_.accounts.kv.limit();
  const int threads = engine_.pool.threads();
  step_rows_ = options_.step_rows;
  std::shared_ptr<PagePool> shared;
  if (!options_.separate_pools) shared = PagePool::Create(engine_.accounts.kv, limit);
  for (int i = 0; i < options_.lanes; ++i) {
    auto lane = std::make_unique<Lane>();
    lane->index = i;
    lane->pool = shared;
    Engine* engine = &engine_;
    if (options_.separate_pools) {
      const int other = threads / options_.lanes;
      lane->engine = std::make_unique<Engine>(std::max(1, i == 0 ? threads - other : other));
      engine = lane->engine.get();
      const uint64_t part = limit == MemoryAccount::kUnlimited ? limit : limit / options_.lanes;
      lane->pool = PagePool::Create(engine_.accounts.kv, part);
    }
    RunnerOptions runner = options_.runner;
    runner.mode = options_.mode;
    runner.max_rows = options_.step_rows;
    HONE_TRY(lane->runner, Runner::Create(model_, *engine, runner));
    step_rows_ = std::min(step_rows_, lane->runner->options().max_rows);
    lanes_.push_back(std::move(lane));
  }
  const KvCache probe = MakeCache();
  std::vector<uint64_t> sizes;
  for (int i = 0; i < probe.layers(); ++i) probe.layer(i).PagesFor(PrefixCache::kBlock, sizes);
  bytes_per_block_ = 0;
  for (const uint64_t size : sizes) bytes_per_block_ += size;
  for (auto& lane : lanes_) {
    Lane* own = lane.get();
    lane->thread = std::thread([this, own] { Work(*own); });
  }
  return {};
}

ModelExecutor::~ModelExecutor() {
  for (auto& lane : lanes_) {
    const std::lock_guard lock(lane->mutex);
    lane->stop = true;
    lane->changed.notify_all();
  }
  for (auto& lane : lanes_) {
    if (lane->thread.joinable()) lane->thread.join();
  }
  live_.clear();  // swapped entries go back to swap_
  prefixes_.Clear();
}

Result<void> ModelExecutor::Add(JobId id, ModelJob job) {
  auto live = std::make_shared<Live>();
  const auto prompt = static_cast<int64_t>(job.prompt.size());
  live->sequence = std::make_unique<Sequence>(
      Sequence{.cache = MakeCache(), .tokens = job.prompt, .prompt_tokens = prompt});
  HONE_TRY(auto strategy, job.strategy(*lanes_[0]->runner, *live->sequence));
  HONE_TRY(live->generation,
           Generation::Create(std::move(strategy), job.rules, std::move(job.listener), model_->tokenizer()));
  live->job = std::move(job);
  const std::lock_guard lock(mutex_);
  live_[id] = std::move(live);
  return {};
}

void ModelExecutor::Forget(JobId id) {
  const std::lock_guard lock(mutex_);
  live_.erase(id);
}

std::shared_ptr<ModelExecutor::Live> ModelExecutor::Find(JobId id) const {
  const std::lock_guard lock(mutex_);
  return live_.at(id);
}

void ModelExecutor::Start(Step step) {
  Lane& lane = *lanes_[static_cast<size_t>(step.lane)];
  std::vector<std::shared_ptr<Live>> live;
  for (const StepItem& item : step.items) live.push_back(Find(item.job));
  const std::lock_guard lock(lane.mutex);
  lane.step = std::move(step);
  lane.live = std::move(live);
  lane.changed.notify_one();
}

void ModelExecutor::Work(Lane& lane) {
  while (true) {
    Step step;
    std::vector<std::shared_ptr<Live>> live;
    {
      std::unique_lock lock(lane.mutex);
      lane.changed.wait(lock, [&] { return lane.stop || lane.step.has_value(); });
      if (!lane.step) return;  // a step that was begun is reported
      step = std::move(*lane.step);
      lane.step.reset();
      live = std::move(lane.live);
    }
    const StepReport report = Run(lane, step, live);
    live.clear();
    dispatcher_->Finished(report);
  }
}

StepReport ModelExecutor::Run(Lane& lane, const Step& step, const std::vector<std::shared_ptr<Live>>& live) {
  const double begin = Seconds();
  StepReport report;
  report.lane = lane.index;
  StepBatch batch(lane.runner.get());
  std::vector<int64_t> tokens;  // of each answer before the step
  for (size_t i = 0; i < live.size(); ++i) {
    Generation& generation = *live[i]->generation;
    tokens.push_back(static_cast<int64_t>(generation.tokens().size()));
    ItemReport item{.job = step.items[i].job};
    item.rows = batch.Add(generation, step.items[i].rows);
    if (item.rows == 0 && !generation.finished() && step.items[i].rows >= step_rows_) {
      generation.Fail({ErrorKind::kFailed,
                       fmt::format("step: {} rows are too few for this decoding strategy", step_rows_)});
    }
    report.items.push_back(item);
  }
  batch.ReservePages([&](Generation& refused, const Error&) {
    if (prefixes_.EvictOne()) return true;
    const auto at = std::find_if(live.begin(), live.end(),
                                 [&](const auto& job) { return job->generation.get() == &refused; });
    ItemReport& item = report.items[static_cast<size_t>(at - live.begin())];
    item.no_pages = true;
    item.rows = 0;
    return false;
  });
  batch.Run();
  for (size_t i = 0; i < live.size(); ++i) {
    ItemReport& item = report.items[i];
    Generation& generation = *live[i]->generation;
    DecodingStrategy& strategy = generation.strategy();
    item.tokens = static_cast<int64_t>(generation.tokens().size()) - tokens[i];
    item.ended = generation.finished();
    if (item.no_pages && !item.ended) continue;
    const bool prompt_is_read = item.tokens > 0 && tokens[i] == 0;
    if (live[i]->job.reuse_prefix && (prompt_is_read || item.ended)) Publish(*live[i]);
    if (!item.ended && lanes_.size() > 1 && lane.index == 0 && item.tokens > 0) {
      item.lost_pages = !HandOver(*lanes_[1], *live[i]);
    }
    item.cached = strategy.sequence().cached;
    item.wanted = strategy.pending_rows();
  }
  report.seconds = Seconds() - begin;
  return report;
}

// Where lanes have pools of their own, copies the sequence's pages; false where the other pool has none left.
bool ModelExecutor::HandOver(Lane& lane, Live& job) {
  if (!options_.separate_pools) return true;
  KvCache copy = model_->MakeCache(lane.pool, options_.mode);
  const auto snapshot = job.sequence->cache.Snapshot();
  if (!snapshot || !copy.Restore(*snapshot)) {
    Empty(job);
    return false;
  }
  job.sequence->cache = std::move(copy);
  job.pin.Release();
  return true;
}

// Leaves what is cached for others. Where pools are separate only the prefill lane's entries can be shared,
// and they are: the hand-over follows.
void ModelExecutor::Publish(Live& job) {
  Sequence& sequence = *job.sequence;
  if (!options_.prefix_cache || sequence.selector != nullptr) return;
  if (&sequence.cache.pool() != lanes_[0]->pool.get()) return;
  const auto cached = static_cast<size_t>(sequence.cached);
  job.pin = prefixes_.Insert(std::span(sequence.tokens).first(cached), sequence.cache, MadeBy(sequence));
}

// What the entries of a sequence depend on besides its tokens; the model, the plan and the numeric mode are
// the executor's own.
uint64_t ModelExecutor::MadeBy(const Sequence& sequence) const { return sequence.long_rope ? 1 : 0; }

int64_t ModelExecutor::Admit(const Job& job) {
  const std::shared_ptr<Live> live = Find(job.id);
  Sequence& sequence = *live->sequence;
  if (SwapIn(*live)) return sequence.cached;
  if (!options_.prefix_cache || !live->job.reuse_prefix) return 0;
  // All but the last token: its row brings the next one.
  const int64_t most = static_cast<int64_t>(sequence.tokens.size()) - 1;
  for (const bool long_rope : {false, true}) {
    auto hit = prefixes_.Find(sequence.tokens, most, long_rope ? 1 : 0);
    if (!hit) continue;
    sequence.cache = std::move(hit->cache);
    sequence.cached = hit->tokens;
    sequence.long_rope = long_rope;
    live->pin = std::move(hit->pin);
    return hit->tokens;
  }
  return 0;
}

void ModelExecutor::Empty(Live& job) {
  job.sequence->cache = MakeCache();
  job.sequence->cached = 0;
  job.sequence->long_rope = false;
  job.pin.Release();
}

KvCache ModelExecutor::MakeCache() const { return model_->MakeCache(lanes_[0]->pool, options_.mode); }

void ModelExecutor::Preempt(const Job& job) {
  const std::shared_ptr<Live> live = Find(job.id);
  if (options_.swap_bytes > 0) SwapOut(*live);
  Empty(*live);
}

// Copies what is cached where there is room for it; else it will be read again. The pool's bytes bound the
// copy's from above.
void ModelExecutor::SwapOut(Live& job) {
  const Sequence& sequence = *job.sequence;
  job.swapped.reset();
  if (sequence.cached == 0 || sequence.selector != nullptr) return;
  auto snapshot = sequence.cache.Snapshot();
  if (!snapshot || !swap_.Reserve(snapshot->size())) return;
  job.swapped =
      std::make_unique<SwappedEntries>(swap_, std::move(*snapshot), sequence.cached, sequence.long_rope);
  swapped_.fetch_add(1, std::memory_order_relaxed);
}

// False where there is no copy, or no pages for it: then it is dropped.
bool ModelExecutor::SwapIn(Live& job) {
  const std::unique_ptr<SwappedEntries> swapped = std::move(job.swapped);
  if (!swapped) return false;
  Sequence& sequence = *job.sequence;
  while (true) {
    KvCache cache = MakeCache();
    if (cache.Restore(swapped->snapshot)) {
      sequence.cache = std::move(cache);
      break;
    }
    if (!prefixes_.EvictOne()) return false;
  }
  sequence.cached = swapped->cached;
  sequence.long_rope = swapped->long_rope;
  return true;
}

void ModelExecutor::End(const Job& job, JobEnd end) {
  const std::shared_ptr<Live> live = Find(job.id);
  Forget(job.id);
  Generation& generation = *live->generation;
  if (!generation.finished()) {
    if (end == JobEnd::kTooLarge) {
      generation.Fail({ErrorKind::kFailed,
                       fmt::format("KV cache: the {} tokens of prompt and answer so far do not fit: {} bytes "
                                   "for keys and values, all for this answer",
                                   job.tokens(), kv_limit())});
    } else if (end == JobEnd::kLate) {
      generation.Fail({ErrorKind::kFailed, "the answer was not ready by its deadline"});
    } else {
      generation.Finish(FinishReason::kCancelled);
    }
  }
  live->pin.Release();
  live->swapped.reset();
  live->sequence->cache = MakeCache();
  if (live->job.ended) {
    live->job.ended({generation, generation.strategy(), end, job.reused, job.preemptions, job.times});
  }
}

int64_t ModelExecutor::RoomTokens(int lane) const {
  const PagePool& pool = *lanes_[static_cast<size_t>(lane)]->pool;
  const int64_t evictable = prefixes_.evictable_tokens();
  const auto room = [&](const PagePool& of) {
    if (of.limit() == MemoryAccount::kUnlimited) return int64_t{1} << 40;
    const uint64_t free = of.limit() - std::min(of.limit(), of.used());
    return static_cast<int64_t>(free / bytes_per_block_) * PrefixCache::kBlock;
  };
  int64_t tokens = room(pool) + (lane == 0 ? evictable : 0);
  // What lane 0 reads will be copied.
  if (options_.separate_pools) tokens = std::min(tokens, room(*lanes_.back()->pool));
  return tokens;
}

void ModelExecutor::SetShares(const Shares& shares) {
  if (lanes_.size() < 2 || options_.separate_pools) return;
  lanes_[0]->runner->SetWeight(shares.prefill);
  lanes_[1]->runner->SetWeight(shares.decode);
}

uint64_t ModelExecutor::kv_used() const {
  uint64_t used = lanes_[0]->pool->used();
  if (options_.separate_pools) used += lanes_.back()->pool->used();
  return used;
}

uint64_t ModelExecutor::kv_limit() const { return engine_.accounts.kv.limit(); }

}  // namespace hone
