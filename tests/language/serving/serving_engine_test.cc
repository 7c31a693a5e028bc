#include "language/serving/serving_engine.h"

#include <gtest/gtest.h>

#include "language/serving/serving_fixture.h"

namespace hone {
namespace {

using testing::ServedAnswer;
using testing::ServedRequest;
using testing::SomePrompt;
using testing::TinyServer;

const char* const kSchedules[] = {"prefill-first",  "chunked:16",   "chunked:100", "static:50,50",
                                  "static:100,100", "static:10,90", "semi-pd",     "disaggregated"};

// Greedy and sampled requests of different lengths; the later ones begin like earlier ones.
std::vector<ServedRequest> MixedRequests() {
  std::vector<ServedRequest> requests(12);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = SomePrompt(static_cast<int64_t>(3 + 17 * i), static_cast<TokenId>(i % 3));
    requests[i].max_tokens = static_cast<int64_t>(4 + 3 * (i % 5));
    if (i % 2 == 1) {
      requests[i].sampling.temperature = 1.0;
      requests[i].sampling.seed = 100 + i;
      requests[i].sampling.repetition_penalty = 1.1;
    }
  }
  return requests;
}

std::vector<std::vector<TokenId>> Alone(const std::vector<ServedRequest>& requests) {
  TinyServer server({.schedule = "prefill-first", .step_rows = 64, .prefix_cache = false});
  std::vector<std::vector<TokenId>> tokens;
  for (const ServedRequest& request : requests) tokens.push_back(server.AskAll({request})[0].tokens);
  return tokens;
}

TEST(ServingEngine, GivesTheSameTokensUnderEverySchedule) {
  const auto requests = MixedRequests();
  const auto alone = Alone(requests);
  for (size_t i = 0; i < requests.size(); ++i) {
    ASSERT_EQ(static_cast<int64_t>(alone[i].size()), requests[i].max_tokens);
  }
  for (const char* schedule : kSchedules) {
    for (const int64_t batch : {3, 64}) {
      TinyServer server({.schedule = schedule, .step_rows = 64, .batch = batch});
      const auto answers = server.AskAll(requests);
      for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(answers[i].tokens, alone[i]) << schedule << ", answer " << i << " " << answers[i].error;
        EXPECT_EQ(answers[i].finish, FinishReason::kLength);
      }
    }
  }
}

TEST(ServingEngine, GivesTheSameTokensAfterPrefixHits) {
  const auto requests = MixedRequests();
  const auto alone = Alone(requests);
  TinyServer server({.schedule = "semi-pd", .step_rows = 64});
  server.AskAll(requests);
  const auto again = server.AskAll(requests);
  int64_t reused = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(again[i].tokens, alone[i]) << "answer " << i;
    const auto length = static_cast<int64_t>(requests[i].prompt.size());
    EXPECT_EQ(again[i].reused, std::min(length - 1, length / 32 * 32)) << "all but the prompt's tail";
    reused += again[i].reused;
  }
  EXPECT_GT(reused, 500);
}

// Bytes of cache entries for 32 tokens.
uint64_t BlockBytes() {
  static const uint64_t block = [] {
    const testing::TinyEngine engine;
    const KvCache cache = engine.model->MakeCache(engine.pool, NumericMode::kFast);
    std::vector<uint64_t> sizes;
    for (int i = 0; i < cache.layers(); ++i) cache.layer(i).PagesFor(32, sizes);
    uint64_t bytes = 0;
    for (const uint64_t size : sizes) bytes += size;
    return bytes;
  }();
  return block;
}

TEST(ServingEngine, GivesTheSameTokensWhenAnswersArePreempted) {
  const auto requests = MixedRequests();
  const auto alone = Alone(requests);
  for (const char* schedule : kSchedules) {
    // Room for about two of the longest answers, for all twelve wanted at once.
    const bool halves = std::string(schedule) == "disaggregated";
    for (const bool prefix_cache : {false, true}) {
      TinyServer server({.schedule = schedule, .step_rows = 64, .prefix_cache = prefix_cache},
                        BlockBytes() * (halves ? 20 : 9));
      const auto answers = server.AskAll(requests);
      for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(answers[i].tokens, alone[i]) << schedule << ", answer " << i << " " << answers[i].error;
      }
      EXPECT_LE(server.serving->executor().kv_used(), BlockBytes() * 20);
    }
  }
}

TEST(ServingEngine, GivesTheSameTokensWhenPreemptedAnswersAreSwapped) {
  const auto requests = MixedRequests();
  const auto alone = Alone(requests);
  for (const char* schedule : kSchedules) {
    const bool halves = std::string(schedule) == "disaggregated";
    // Room for every copy, and for one or two of them.
    for (const uint64_t swap : {uint64_t{64} << 20, BlockBytes() * 6}) {
      TinyServer server({.schedule = schedule, .step_rows = 64, .prefix_cache = false, .swap_bytes = swap},
                        BlockBytes() * (halves ? 20 : 9));
      const auto answers = server.AskAll(requests);
      for (size_t i = 0; i < requests.size(); ++i) {
        EXPECT_EQ(answers[i].tokens, alone[i]) << schedule << ", answer " << i << " " << answers[i].error;
      }
      const ModelExecutor& executor = server.serving->executor();
      EXPECT_LE(executor.swap().peak(), swap);
      EXPECT_EQ(executor.swap().used(), 0u) << "no copy outlives its answer";
      if (server.serving->state().preemptions > 0) {
        EXPECT_GT(executor.swapped(), 0) << schedule;
      }
    }
  }
}

TEST(ServingEngine, EndsOnlyTheAnswerThatWouldNotFitAlone) {
  TinyServer server({.schedule = "static:100,100", .step_rows = 64}, BlockBytes() * 4);
  const auto answers = server.AskAll({{.prompt = SomePrompt(5, 1)},
                                      {.prompt = SomePrompt(150, 2), .max_tokens = 100},
                                      {.prompt = SomePrompt(9, 3)}});
  EXPECT_EQ(answers[0].finish, FinishReason::kLength);
  EXPECT_EQ(answers[2].finish, FinishReason::kLength);
  EXPECT_EQ(answers[1].end, JobEnd::kTooLarge);
  EXPECT_NE(answers[1].error.find("do not fit"), std::string::npos) << answers[1].error;
}

TEST(ServingEngine, GivesEveryPageBack) {
  for (const char* schedule : kSchedules) {
    TinyServer server({.schedule = schedule, .step_rows = 64});
    server.AskAll(MixedRequests());
    ASSERT_TRUE(server.serving->idle());
    EXPECT_GT(server.serving->executor().kv_used(), 0u) << "prefixes are kept";
    while (server.serving->executor().prefixes().EvictOne()) {
    }
    EXPECT_EQ(server.serving->executor().kv_used(), 0u) << schedule;
    EXPECT_EQ(server.serving->executor().prefixes().nodes(), 0);
  }
}

TEST(ServingEngine, CancelsWhereverAnAnswerStands) {
  for (const char* schedule : {"chunked:16", "semi-pd"}) {
    TinyServer server({.schedule = schedule, .step_rows = 16, .batch = 2});
    std::vector<int64_t> ids;
    size_t index = 0;
    for (int i = 0; i < 6; ++i) {
      ids.push_back(server.Ask({.prompt = SomePrompt(150 + i, 1), .max_tokens = 100}, index));
    }
    for (const int64_t id : ids) server.serving->Cancel(static_cast<JobId>(id));
    ASSERT_TRUE(server.Wait());
    for (const auto& answer : server.answers) {
      EXPECT_EQ(answer->finish, FinishReason::kCancelled);
      EXPECT_EQ(answer->end, JobEnd::kCancelled);
    }
    EXPECT_TRUE(server.serving->idle());
    const auto next = server.AskAll({{.prompt = SomePrompt(5, 1)}});
    EXPECT_EQ(next[0].finish, FinishReason::kLength) << "the server goes on";
  }
}

TEST(ServingEngine, RefusesMoreThanTheQueueHolds) {
  TinyServer server({.schedule = "prefill-first", .step_rows = 16, .batch = 1, .max_waiting = 2});
  int refused = 0;
  size_t index = 0;
  for (int i = 0; i < 8; ++i) {
    if (server.Ask({.prompt = SomePrompt(200, 1), .max_tokens = 50}, index) < 0) {
      ++refused;
      const std::lock_guard lock(server.mutex);
      server.answers[index]->done = true;
    }
  }
  EXPECT_GE(refused, 4);
  ASSERT_TRUE(server.Wait());
  EXPECT_EQ(server.serving->state().refused, refused);
}

TEST(ServingEngine, ReadsAPromptOnceForAnswersThatShareIt) {
  TinyServer server({.schedule = "semi-pd", .step_rows = 64});
  size_t index = 0;
  const int64_t first = server.Ask({.prompt = SomePrompt(160, 1)}, index);
  for (int i = 0; i < 3; ++i) {
    ModelJob job;
    job.prompt = SomePrompt(160, 1);
    job.rules.max_tokens = 4;
    job.strategy = PlainStrategy({.temperature = 1.0, .seed = 7 + i}, {});
    server.answers.push_back(std::make_unique<ServedAnswer>());
    ServedAnswer* answer = server.answers.back().get();
    job.ended = [&server, answer](const ModelJob::Ended& ended) {
      const std::lock_guard lock(server.mutex);
      answer->reused = ended.reused;
      answer->done = true;
      server.changed.notify_all();
    };
    JobRequest order;
    order.after = static_cast<JobId>(first);
    ASSERT_TRUE(server.serving->Submit(std::move(job), order));
  }
  ASSERT_TRUE(server.Wait());
  for (size_t i = 1; i < server.answers.size(); ++i) EXPECT_EQ(server.answers[i]->reused, 159);
}

}  // namespace
}  // namespace hone
