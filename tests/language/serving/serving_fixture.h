// A small model behind a serving engine, and requests with what came of them.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "language/decoding/generation_fixture.h"
#include "language/serving/serving_engine.h"

namespace hone::testing {

struct ServedRequest {
  std::vector<TokenId> prompt;
  SamplingOptions sampling;
  PlainDecodingOptions decoding;
  int64_t max_tokens = 12;
  bool reuse_prefix = true;
  std::string tenant;
  int priority = 0;
};

struct ServedAnswer {
  std::vector<TokenId> tokens;
  std::string text;
  FinishReason finish = FinishReason::kFailed;
  JobEnd end = JobEnd::kDone;
  std::string error;
  int64_t reused = 0;
  int preemptions = 0;
  JobTimes times;
  bool done = false;
};

// An engine, with the means to wait for answers.
class TinyServer {
 public:
  explicit TinyServer(const ServingOptions& options, uint64_t kv_limit = MemoryAccount::kUnlimited,
                      const std::string& path = RandomModelPath(), int threads = 2) {
    MemoryLimits limits;
    limits.kv = kv_limit;
    auto engine = std::make_shared<Engine>(threads, limits);
    engine_ = engine;
    auto model = LoadModel(path, *engine);
    EXPECT_TRUE(model) << model.error().message;
    auto created = ServingEngine::Create(engine, *model, options);
    EXPECT_TRUE(created) << created.error().message;
    serving = std::move(*created);
  }

  // -1: refused.
  int64_t Ask(const ServedRequest& request, size_t& index) {
    {
      const std::lock_guard lock(mutex);
      index = answers.size();
      answers.push_back(std::make_unique<ServedAnswer>());
    }
    ServedAnswer* answer = answers[index].get();
    ModelJob job;
    job.prompt = request.prompt;
    job.rules.max_tokens = request.max_tokens;
    job.reuse_prefix = request.reuse_prefix;
    SamplingOptions sampling = request.sampling;
    if (!sampling.seed) sampling.seed = 5;
    job.strategy = PlainStrategy(sampling, request.decoding);
    job.ended = [this, answer](const ModelJob::Ended& ended) {
      const std::lock_guard lock(mutex);
      for (const ChosenToken& token : ended.generation.tokens()) answer->tokens.push_back(token.id);
      answer->text = ended.generation.text();
      answer->finish = ended.generation.finish();
      answer->error = ended.generation.error().message;
      answer->end = ended.end;
      answer->reused = ended.reused;
      answer->preemptions = ended.preemptions;
      answer->times = ended.times;
      EXPECT_FALSE(answer->done) << "ended twice";
      answer->done = true;
      changed.notify_all();
    };
    JobRequest order;
    order.tenant = request.tenant;
    order.priority = request.priority;
    auto submitted = serving->Submit(std::move(job), order);
    EXPECT_TRUE(submitted) << submitted.error().message;
    if (!std::holds_alternative<JobId>(*submitted)) return -1;
    return static_cast<int64_t>(std::get<JobId>(*submitted));
  }

  bool Wait(double seconds = 60.0) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::duration<double>(seconds), [&] {
      for (const auto& answer : answers) {
        if (!answer->done) return false;
      }
      return true;
    });
  }

  std::vector<ServedAnswer> AskAll(const std::vector<ServedRequest>& requests) {
    std::vector<size_t> indices(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) EXPECT_GE(Ask(requests[i], indices[i]), 0);
    EXPECT_TRUE(Wait());
    std::vector<ServedAnswer> result;
    for (const size_t index : indices) result.push_back(*answers[index]);
    return result;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<ServedAnswer>> answers;
  std::shared_ptr<Engine> engine_;
  std::unique_ptr<ServingEngine> serving;
};

}  // namespace hone::testing
