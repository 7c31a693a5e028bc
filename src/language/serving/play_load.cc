// A load in real time.
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "core/base/random.h"
#include "language/serving/percentile.h"
#include "language/serving/serving_load.h"

namespace hone {
namespace {

constexpr uint32_t kPromptToken = 110;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

class Player {
 public:
  Player(ServingEngine& engine, std::span<const LoadRequest> load, const TrafficOptions& options)
      : engine_(engine), load_(load), options_(options), served_(load.size()) {}

  Result<std::vector<ServedRequestTimes>> Play(const std::atomic<bool>* cancel) {
    const double start = Seconds();
    const bool closed = options_.arrivals == Arrivals::kClosed;
    std::unique_lock lock(mutex_);
    for (size_t i = 0; i < load_.size(); ++i) {
      const auto stop = [&] { return cancel != nullptr && cancel->load(); };
      if (closed) {
        while (open_ >= options_.clients && !stop()) changed_.wait_for(lock, std::chrono::milliseconds(100));
      } else {
        const double left = start + load_[i].at - Seconds();
        lock.unlock();
        if (left > 0.0) std::this_thread::sleep_for(std::chrono::duration<double>(left));
        lock.lock();
      }
      if (stop()) break;
      HONE_CHECK_OK(Submit(i, lock));
    }
    while (open_ > 0) {
      if (cancel != nullptr && cancel->load()) {
        lock.unlock();
        engine_.CancelAll();
        lock.lock();
      }
      changed_.wait_for(lock, std::chrono::milliseconds(100));
    }
    if (cancel != nullptr && cancel->load())
      return tl::unexpected(Error{ErrorKind::kInterrupted, "interrupted"});
    return std::move(served_);
  }

 private:
  Result<void> Submit(size_t i, std::unique_lock<std::mutex>& lock) {
    ModelJob job;
    const auto vocabulary = static_cast<uint64_t>(engine_.model().config().vocabulary);
    for (int64_t t = 0; t < load_[i].prompt_tokens; ++t) {
      const uint64_t position = i * 100000 + static_cast<uint64_t>(t);
      job.prompt.push_back(
          static_cast<TokenId>(RandomWord(options_.seed, position, kPromptToken) % vocabulary));
    }
    job.rules.max_tokens = load_[i].answer_tokens;
    job.rules.ignore_ends = true;
    SamplingOptions sampling;
    sampling.seed = options_.seed + i;
    job.strategy = PlainStrategy(sampling, {});
    job.listener.token = [this, i](const ChosenToken&) {
      const double now = Seconds();
      const std::lock_guard guard(gap_mutex_);
      double& last = last_token_[i];
      if (last > 0.0) longest_gap_[i] = std::max(longest_gap_[i], now - last);
      last = now;
    };
    job.ended = [this, i](const ModelJob::Ended& ended) {
      const std::lock_guard guard(mutex_);
      {
        const std::lock_guard gaps(gap_mutex_);
        served_[i].longest_gap = longest_gap_[i];
      }
      served_[i].done = ended.end == JobEnd::kDone && ended.generation.finish() == FinishReason::kLength;
      served_[i].answer_tokens = static_cast<int64_t>(ended.generation.tokens().size());
      served_[i].times = ended.times;
      uint64_t hash = 1469598103934665603u;  // FNV-1a
      for (const ChosenToken& token : ended.generation.tokens()) {
        hash = (hash ^ static_cast<uint64_t>(token.id)) * 1099511628211u;
      }
      served_[i].tokens_hash = hash;
      --open_;
      changed_.notify_all();
    };
    ++open_;
    served_[i].times.arrival = engine_.now();
    lock.unlock();
    JobRequest order;
    order.tenant = load_[i].tenant;
    auto submitted = engine_.Submit(std::move(job), order);
    lock.lock();
    if (!submitted || std::holds_alternative<Refusal>(*submitted)) --open_;
    if (!submitted) return tl::unexpected(submitted.error());
    return {};
  }

  ServingEngine& engine_;
  std::span<const LoadRequest> load_;
  const TrafficOptions& options_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  std::vector<ServedRequestTimes> served_;
  int64_t open_ = 0;
  std::mutex gap_mutex_;  // guards what follows
  std::vector<double> last_token_ = std::vector<double>(load_.size(), 0.0);
  std::vector<double> longest_gap_ = std::vector<double>(load_.size(), 0.0);
};

}  // namespace

Result<std::vector<ServedRequestTimes>> PlayLoad(ServingEngine& engine, std::span<const LoadRequest> load,
                                                 const TrafficOptions& options,
                                                 const std::atomic<bool>* cancel) {
  return Player(engine, load, options).Play(cancel);
}

}  // namespace hone
