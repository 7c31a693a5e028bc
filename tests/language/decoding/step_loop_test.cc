#include "language/decoding/step_loop.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/kernels/elementwise.h"
#include "language/decoding/generation_fixture.h"

namespace hone {
namespace {

using testing::Request;
using testing::SomePrompt;
using testing::TinyEngine;

// Greedy and sampled requests of different lengths.
std::vector<Request> MixedRequests() {
  std::vector<Request> requests(5);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = SomePrompt(static_cast<int64_t>(3 + 29 * i), static_cast<TokenId>(i));
    requests[i].rules.max_tokens = static_cast<int64_t>(5 + 4 * i);
    if (i % 2 == 1) {
      requests[i].sampling.temperature = 1.0;
      requests[i].sampling.seed = 100 + i;
      requests[i].sampling.repetition_penalty = 1.1;
    }
  }
  return requests;
}

std::vector<std::vector<TokenId>> RunTogether(TinyEngine& engine, const StepLoopOptions& options) {
  std::vector<Request> requests = MixedRequests();
  StepLoop loop(options);
  for (Request& request : requests) EXPECT_TRUE(request.Start(engine, loop));
  loop.Run();
  std::vector<std::vector<TokenId>> tokens;
  for (const Request& request : requests) {
    EXPECT_EQ(request.generation->finish(), FinishReason::kLength);
    tokens.push_back(request.Tokens());
  }
  return tokens;
}

TEST(StepLoop, GivesEachAnswerTheSameTokensAloneInABatchAndInAnyChunks) {
  TinyEngine engine;
  std::vector<std::vector<TokenId>> alone;
  for (Request& request : MixedRequests()) {
    StepLoop loop({.rows = 64, .chunk = 64});
    ASSERT_TRUE(request.Start(engine, loop));
    loop.Run();
    EXPECT_EQ(static_cast<int64_t>(request.Tokens().size()), request.rules.max_tokens);
    alone.push_back(request.Tokens());
  }
  EXPECT_EQ(RunTogether(engine, {.rows = 64, .chunk = 64}), alone);
  EXPECT_EQ(RunTogether(engine, {.rows = 64, .chunk = 7}), alone);
  EXPECT_EQ(RunTogether(engine, {.rows = 64, .chunk = 1}), alone);
  EXPECT_EQ(RunTogether(engine, {.rows = 3, .chunk = 3}), alone)
      << "fewer rows than answers: they take turns";
}

TEST(StepLoop, LetsFinishedAnswersLeaveWhileOthersGoOn) {
  TinyEngine engine;
  std::vector<Request> requests = MixedRequests();
  StepLoop loop({.rows = 64, .chunk = 64});
  for (Request& request : requests) ASSERT_TRUE(request.Start(engine, loop));
  int64_t largest_drop = 0;
  for (int64_t before = loop.live(); !loop.idle(); before = loop.live()) {
    loop.Step();
    largest_drop = std::max(largest_drop, before - loop.live());
  }
  EXPECT_LT(largest_drop, static_cast<int64_t>(requests.size()));
}

TEST(StepLoop, EndsOnlyTheAnswerThatFails) {
  TinyEngine engine;
  const auto vocabulary = static_cast<TokenId>(engine.model->config().vocabulary);
  Request good;
  good.prompt = SomePrompt(5, 1);
  Request expected = Request{.prompt = good.prompt};
  Request bad;
  bad.prompt = SomePrompt(9, 2);
  for (TokenId id = 0; id < vocabulary; ++id) bad.sampling.logit_bias.emplace_back(id, -100.0f);
  Request outside;
  outside.prompt = {1, vocabulary, 2};
  StepLoop loop({.rows = 64, .chunk = 64});
  for (Request* request : {&bad, &good, &outside}) ASSERT_TRUE(request->Start(engine, loop));
  loop.Run();
  EXPECT_EQ(bad.generation->finish(), FinishReason::kFailed);
  EXPECT_NE(bad.generation->error().message.find("no token is allowed"), std::string::npos);
  EXPECT_EQ(outside.generation->finish(), FinishReason::kFailed);
  EXPECT_EQ(good.generation->finish(), FinishReason::kLength);
  StepLoop alone({.rows = 64, .chunk = 64});
  ASSERT_TRUE(expected.Start(engine, alone));
  alone.Run();
  EXPECT_EQ(good.Tokens(), expected.Tokens());
}

// Bytes of pages that hold the whole answer to `request`.
uint64_t PagesOf(TinyEngine& engine, const Request& request) {
  Request alone{.prompt = request.prompt};
  alone.rules = request.rules;
  StepLoop loop({.rows = 64, .chunk = 64});
  EXPECT_TRUE(alone.Start(engine, loop));
  const uint64_t before = engine.pool->used();
  loop.Run();
  return engine.pool->used() - before;
}

// Steps until all have ended; who has ended gives its pages back, as a server does.
void RunAndGiveBack(StepLoop& loop, std::vector<Request>& requests) {
  for (int steps = 0; !loop.idle(); ++steps) {
    ASSERT_LT(steps, 2000) << "the loop makes no progress";
    loop.Step();
    for (Request& request : requests) {
      if (!request.generation->finished() || !request.sequence) continue;
      ASSERT_TRUE(request.sequence->cache.TruncateToPosition(0));
    }
  }
}

TEST(StepLoop, EndsOnlyTheAnswerThatWouldNotFitAlone) {
  TinyEngine engine;
  std::vector<Request> requests(2);
  requests[0].prompt = SomePrompt(4, 1);
  requests[1].prompt = SomePrompt(240, 3);
  StepLoop first({.rows = 64, .chunk = 64});
  Request expected{.prompt = requests[0].prompt};
  ASSERT_TRUE(expected.Start(engine, first));
  first.Run();
  engine.pool = PagePool::Create(engine.engine->accounts.kv, PagesOf(engine, requests[1]) / 2);
  StepLoop loop({.rows = 64, .chunk = 64});
  for (Request& request : requests) ASSERT_TRUE(request.Start(engine, loop));
  RunAndGiveBack(loop, requests);
  EXPECT_EQ(requests[1].generation->finish(), FinishReason::kFailed);
  EXPECT_NE(requests[1].generation->error().message.find("KV"), std::string::npos)
      << requests[1].generation->error().message;
  EXPECT_EQ(requests[0].generation->finish(), FinishReason::kLength);
  EXPECT_EQ(requests[0].Tokens(), expected.Tokens());
}

TEST(StepLoop, LetsAnswersWaitForPagesThatOthersGiveBack) {
  TinyEngine engine;
  std::vector<std::vector<TokenId>> alone;
  uint64_t largest = 0;
  for (Request& request : MixedRequests()) {
    StepLoop loop({.rows = 64, .chunk = 64});
    ASSERT_TRUE(request.Start(engine, loop));
    loop.Run();
    alone.push_back(request.Tokens());
    request.sequence.reset();
    largest = std::max(largest, PagesOf(engine, request));
  }
  // Room for any one of them, not for all: they must take turns, and some must give up what they hold.
  engine.pool = PagePool::Create(engine.engine->accounts.kv, largest);
  for (const int64_t chunk : {64, 16, 5}) {
    std::vector<Request> requests = MixedRequests();
    StepLoop loop({.rows = 64, .chunk = chunk});
    for (Request& request : requests) ASSERT_TRUE(request.Start(engine, loop));
    RunAndGiveBack(loop, requests);
    for (size_t i = 0; i < requests.size(); ++i) {
      EXPECT_EQ(requests[i].generation->finish(), FinishReason::kLength)
          << requests[i].generation->error().message;
      EXPECT_EQ(requests[i].Tokens(), alone[i]) << "answer " << i << ", chunks of " << chunk;
    }
  }
}

TEST(StepLoop, ReportsEachPromptTokenOnceWhereRowsAreReadAgain) {
  TinyEngine engine;
  std::vector<Request> requests(2);
  requests[0].prompt = SomePrompt(200, 1);
  requests[1].prompt = SomePrompt(190, 2);
  requests[1].decoding = {.top = 1, .prompt_top = true};
  engine.pool = PagePool::Create(engine.engine->accounts.kv, PagesOf(engine, requests[0]));
  StepLoop loop({.rows = 32, .chunk = 16});
  for (Request& request : requests) ASSERT_TRUE(request.Start(engine, loop));
  RunAndGiveBack(loop, requests);
  for (const Request& request : requests) EXPECT_EQ(request.generation->finish(), FinishReason::kLength);
  EXPECT_GT(requests[1].generation->times().prompt_rows, 190) << "nothing was read twice: a vain test";
  const auto& decoding = static_cast<PlainDecoding&>(requests[1].generation->strategy());
  EXPECT_EQ(decoding.prompt_top().size(), 190u);
}

TEST(StepLoop, CancelsAnAnswerThatGaveItsPagesUp) {
  TinyEngine engine;
  std::vector<Request> requests(2);
  requests[0].prompt = SomePrompt(200, 1);
  requests[1].prompt = SomePrompt(190, 2);
  engine.pool = PagePool::Create(engine.engine->accounts.kv, PagesOf(engine, requests[0]));
  StepLoop loop({.rows = 32, .chunk = 16});
  for (Request& request : requests) ASSERT_TRUE(request.Start(engine, loop));
  int64_t most = 0;
  while (requests[1].sequence->cached >= most) {
    ASSERT_FALSE(loop.idle());
    most = requests[1].sequence->cached;
    loop.Step();
  }
  requests[1].generation->Cancel();
  RunAndGiveBack(loop, requests);
  EXPECT_EQ(requests[1].generation->finish(), FinishReason::kCancelled);
  EXPECT_EQ(requests[0].generation->finish(), FinishReason::kLength);
}

TEST(StepLoop, CancelsBeforeTheNextStep) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(5, 1);
  StepLoop loop({.rows = 64, .chunk = 64});
  request.listener.token = [&](const ChosenToken&) {
    if (request.generation->tokens().size() == 3) request.generation->Cancel();
  };
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(request.generation->finish(), FinishReason::kCancelled);
  EXPECT_EQ(request.generation->tokens().size(), 3u);
}

TEST(StepLoop, CancelsInsideALongPrompt) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(100, 1);
  request.listener.prompt = [&](int64_t done, int64_t total) {
    EXPECT_EQ(total, 100);
    if (done == 20) request.generation->Cancel();
  };
  StepLoop loop({.rows = 10, .chunk = 10});
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(request.generation->finish(), FinishReason::kCancelled);
  EXPECT_EQ(request.sequence->cached, 20);
}

TEST(StepLoop, EndsWithLengthWhenTheContextIsFull) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(10, 1);
  request.rules = {.max_tokens = -1, .context = 17};
  StepLoop loop({.rows = 64, .chunk = 64});
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(request.generation->finish(), FinishReason::kLength);
  EXPECT_EQ(request.generation->tokens().size(), 7u);
  EXPECT_EQ(request.sequence->tokens.size(), 17u) << "nothing was shifted out";
}

TEST(StepLoop, ReadsThePromptAndChoosesNothingForABudgetOfZero) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(10, 1);
  request.rules.max_tokens = 0;
  request.decoding = {.top = 3, .prompt_top = true};
  StepLoop loop({.rows = 4, .chunk = 4});
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(request.generation->finish(), FinishReason::kLength);
  EXPECT_TRUE(request.generation->tokens().empty());
  EXPECT_EQ(request.sequence->tokens, request.prompt);
  const auto& decoding = static_cast<PlainDecoding&>(request.generation->strategy());
  ASSERT_EQ(decoding.prompt_top().size(), 10u);
  EXPECT_EQ(decoding.prompt_top().front().size(), 3u);
}

TEST(Generation, RefusesAPromptThatDoesNotFit) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(18, 1);
  request.rules.context = 17;
  StepLoop loop({});
  const auto started = request.Start(engine, loop);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().message, "prompt: found 18 tokens, expected at most 17, the size of the context");
}

TEST(Generation, StopsAtAnEndTokenAndGoesPastItWhenAsked) {
  TinyEngine engine;
  Request free;
  free.prompt = SomePrompt(5, 1);
  StepLoop loop({.rows = 64, .chunk = 64});
  ASSERT_TRUE(free.Start(engine, loop));
  loop.Run();
  const TokenId end = free.Tokens()[4];

  Request stopped{.prompt = free.prompt};
  stopped.rules.ends = {end};
  Request ignoring{.prompt = free.prompt};
  ignoring.rules.ends = {end};
  ignoring.rules.ignore_ends = true;
  ASSERT_TRUE(stopped.Start(engine, loop));
  ASSERT_TRUE(ignoring.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(stopped.generation->finish(), FinishReason::kStop);
  EXPECT_EQ(stopped.generation->tokens().back().id, end);
  EXPECT_EQ(ignoring.Tokens(), free.Tokens());
}

TEST(Generation, SendsWholeCharactersThatJoinToTheText) {
  TinyEngine engine;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Request request;
    request.prompt = SomePrompt(5, 1);
    request.rules.max_tokens = 40;
    request.sampling.temperature = 2.0;  // byte tokens of all kinds: broken and cut characters among them
    request.sampling.seed = seed;
    std::string joined;
    request.listener.text = [&](std::string_view piece) {
      EXPECT_FALSE(piece.empty());
      EXPECT_NE(static_cast<unsigned char>(piece.front()) & 0xC0, 0x80)
          << "a piece begins inside a character";
      joined += piece;
    };
    StepLoop loop({.rows = 64, .chunk = 64});
    ASSERT_TRUE(request.Start(engine, loop));
    loop.Run();
    EXPECT_EQ(joined, request.generation->text());
    Decoder decoder(engine.model->tokenizer(), false, true);
    std::string expected;
    for (const TokenId id : request.Tokens()) expected += decoder.Push(id);
    EXPECT_EQ(joined, expected + decoder.Finish());
  }
}

TEST(Generation, CutsTheTextAtAStopStringOverTokenBorders) {
  TinyEngine engine;
  Request free;
  free.prompt = SomePrompt(5, 1);
  free.rules.max_tokens = 30;
  free.sampling.temperature = 1.0;
  for (TokenId id = 128; id < 256; ++id) free.sampling.logit_bias.emplace_back(id, -100.0f);
  const SamplingOptions sampling = free.sampling;
  StepLoop loop({.rows = 64, .chunk = 64});
  ASSERT_TRUE(free.Start(engine, loop));
  loop.Run();
  const std::string text = free.generation->text();
  ASSERT_GT(text.size(), 12u);
  // From the middle of one piece to the middle of a later one, whatever the tokens are.
  const std::string stop = text.substr(5, 7);
  Request request{.prompt = free.prompt, .sampling = sampling};
  request.rules = {.max_tokens = 30, .context = 256, .stop = {stop}};
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  EXPECT_EQ(request.generation->text(), text.substr(0, text.find(stop)));
  EXPECT_EQ(request.generation->finish(), FinishReason::kStop);
  EXPECT_EQ(request.generation->stop_string(), stop);
}

TEST(Generation, ReportsLogProbabilitiesOfTheRawLogits) {
  TinyEngine engine;
  Request request;
  request.prompt = SomePrompt(5, 1);
  request.rules.max_tokens = 1;
  request.sampling = {.temperature = 0.3, .top_p = 0.5, .repetition_penalty = 1.5};
  request.decoding = {.top = 5, .log_probabilities = true};
  StepLoop loop({.rows = 64, .chunk = 64});
  ASSERT_TRUE(request.Start(engine, loop));
  loop.Run();
  std::vector<float> raw;
  auto sequence = engine.MakeSequence(request.prompt);
  Batch batch;
  AppendRows(*sequence, 0, 5, true, false, batch);
  ASSERT_TRUE(engine.runner->Run(
      batch, [&](int64_t, std::span<float> logits) { raw.assign(logits.begin(), logits.end()); }));
  const ChosenToken& token = request.generation->tokens().front();
  EXPECT_NEAR(*token.log_probability, LogProbability(raw, token.id), 1e-5);
  ASSERT_EQ(token.top.size(), 5u);
  EXPECT_EQ(token.top[0].id, static_cast<TokenId>(ArgMax(raw)));
  EXPECT_EQ(token.top[0].logit, raw[static_cast<size_t>(ArgMax(raw))]);
}

}  // namespace
}  // namespace hone
