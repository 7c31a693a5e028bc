#include "language/decoding/session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "language/decoding/generation_fixture.h"

namespace hone {
namespace {

using testing::RandomModelPath;
using testing::SomePrompt;

Session Open(const SessionOptions& options = {}) {
  auto session = Session::Load(RandomModelPath(), {}, options);
  EXPECT_TRUE(session) << session.error().message;
  return std::move(*session);
}

std::vector<TokenId> Ids(const Answer& answer) {
  std::vector<TokenId> ids;
  for (const ChosenToken& token : answer.tokens) ids.push_back(token.id);
  return ids;
}

Answer Generate(Session& session, const std::vector<TokenId>& prompt, const GenerateOptions& options) {
  auto answer = session.Generate({prompt, 0}, {}, options);
  EXPECT_TRUE(answer) << answer.error().message;
  return answer ? *answer : Answer{};
}

TEST(Session, GivesTheSameTokensWithAReusedPrefixAsCold) {
  GenerateOptions options;
  options.max_tokens = 10;
  std::vector<TokenId> prompt = SomePrompt(40, 3);
  Session warm = Open();
  const Answer first = Generate(warm, prompt, options);
  EXPECT_EQ(first.reused_tokens, 0);
  for (const TokenId id : Ids(first)) prompt.push_back(id);
  prompt.push_back(7);
  const Answer second = Generate(warm, prompt, options);
  EXPECT_EQ(second.reused_tokens, 49) << "the prompt and all of the answer that was run";
  Session cold = Open();
  EXPECT_EQ(Ids(second), Ids(Generate(cold, prompt, options)));
  // A prompt that departs early keeps only what it shares.
  prompt[20] = 99;
  const Answer third = Generate(warm, prompt, options);
  EXPECT_EQ(third.reused_tokens, 20);
  EXPECT_EQ(Ids(third), Ids(Generate(cold, prompt, options)));
}

TEST(Session, RunsTheLastTokenOfAPromptThatItKnowsWhole) {
  Session session = Open();
  GenerateOptions options;
  options.max_tokens = 4;
  const Answer first = Generate(session, SomePrompt(20, 3), options);
  const Answer again = Generate(session, SomePrompt(20, 3), options);
  EXPECT_EQ(again.reused_tokens, 19);
  EXPECT_EQ(Ids(again), Ids(first));
}

TEST(Session, CountsTheReusedPartOfAPromptForTheRepetitionPenalty) {
  GenerateOptions options;
  options.max_tokens = 20;
  options.sampling.repetition_penalty = 1.8;
  Session warm = Open();
  (void)Generate(warm, SomePrompt(30, 3), options);
  const Answer reused = Generate(warm, SomePrompt(30, 3), options);
  ASSERT_GT(reused.reused_tokens, 0);
  Session cold = Open();
  EXPECT_EQ(Ids(reused), Ids(Generate(cold, SomePrompt(30, 3), options)));
}

TEST(Session, RepeatsASampledAnswerFromTheSeedThatItReports) {
  Session session = Open();
  GenerateOptions options;
  options.max_tokens = 20;
  options.sampling.temperature = 1.0;
  const Answer first = Generate(session, SomePrompt(10, 1), options);
  const Answer other = Generate(session, SomePrompt(10, 1), options);
  EXPECT_NE(first.seed, other.seed);
  EXPECT_NE(Ids(first), Ids(other));
  options.sampling.seed = first.seed;
  EXPECT_EQ(Ids(Generate(session, SomePrompt(10, 1), options)), Ids(first));
}

TEST(Session, ReportsTheLargestLogitsOfEveryPromptToken) {
  Session session = Open();
  GenerateOptions options;
  options.max_tokens = 2;
  (void)Generate(session, SomePrompt(30, 1), options);
  options.top = 4;
  options.prompt_top = true;
  const Answer answer = Generate(session, SomePrompt(30, 1), options);
  ASSERT_EQ(answer.prompt_top.size(), 30u) << "a prompt that was cached is run again";
  for (const auto& row : answer.prompt_top) ASSERT_EQ(row.size(), 4u);
  EXPECT_EQ(answer.prompt_top.back().front().id, answer.tokens.front().id);
  EXPECT_EQ(answer.tokens.front().top.front().id, answer.tokens.front().id);
}

TEST(Session, AnswersAChatByTheModelsTemplate) {
  Session session = Open();
  GenerateOptions options;
  options.max_tokens = 5;
  const ChatMessage message{"user", "hello"};
  const auto answer = session.Chat({&message, 1}, options);
  ASSERT_TRUE(answer) << answer.error().message;
  const TokenId bos = session.model().tokenizer().special().bos;
  EXPECT_EQ(answer->prompt.front(), bos);
  EXPECT_EQ(std::count(answer->prompt.begin(), answer->prompt.end(), bos), 1);
  EXPECT_NE(session.model().tokenizer().Decode(answer->prompt, true).find("<|im_start|>user\nhello<|im_end|>"),
            std::string::npos);
  const auto& ends = session.ends();
  const TokenId end_of_turn = session.model().tokenizer().Encode("<|im_end|>", {}).tokens.front();
  EXPECT_TRUE(std::binary_search(ends.begin(), ends.end(), end_of_turn));
}

// A LongRoPE model whose original context is 16 tokens.
TEST(Session, NeverMixesTheTwoFactorSetsOfLongRope) {
  const std::string path = HONE_SOURCE_DIR "/tests/golden/models/phi3-long.gguf";
  const auto open = [&](int64_t chunk) {
    auto session = Session::Load(path, {}, {.mode = NumericMode::kExact, .chunk = chunk});
    EXPECT_TRUE(session) << session.error().message;
    return std::move(*session);
  };
  GenerateOptions options;
  options.max_tokens = 14;
  options.top = 5;
  std::vector<TokenId> prompt = {5, 9, 3, 22, 17, 31, 8, 40, 2, 11};
  Session walking = open(64);
  const Answer answer = Generate(walking, prompt, options);
  ASSERT_EQ(answer.tokens.size(), 14u);
  // Each token equals the first that a cold session gives to the text before it, on both sides of the border.
  GenerateOptions one = options;
  one.max_tokens = 1;
  for (const ChosenToken& token : answer.tokens) {
    for (const int64_t chunk : {1, 5, 64}) {
      Session cold = open(chunk);
      const Answer next = Generate(cold, prompt, one);
      EXPECT_EQ(next.tokens.front().id, token.id) << "after " << prompt.size() << " tokens, chunk " << chunk;
      EXPECT_EQ(next.tokens.front().top.front().logit, token.top.front().logit) << prompt.size();
    }
    prompt.push_back(token.id);
  }
  // Back under the border the short factors return.
  prompt.resize(12);
  Session cold = open(64);
  EXPECT_EQ(Ids(Generate(walking, prompt, options)), Ids(Generate(cold, prompt, options)));
}

TEST(Session, EndsByItsOwnContext) {
  Session session = Open({.context = 16});
  const Answer answer = Generate(session, SomePrompt(10, 1), {});
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.tokens.size(), 6u);
  EXPECT_FALSE(session.Generate({SomePrompt(17, 1), 0}, {}, {}));
}

TEST(Session, GoesOnAfterARefusal) {
  Session session = Open();
  GenerateOptions options;
  options.max_tokens = 5;
  const Answer before = Generate(session, SomePrompt(12, 2), options);
  EXPECT_FALSE(session.Generate({{1, 1 << 30}, 0}, {}, options));
  EXPECT_FALSE(session.Generate({}, {}, options));
  GenerateOptions banned = options;
  banned.stop = {""};
  EXPECT_FALSE(session.Generate({{1, 2}, 0}, {}, banned));
  EXPECT_EQ(Ids(Generate(session, SomePrompt(12, 2), options)), Ids(before));
}

TEST(Session, EndsAtOnceWhenItIsCancelledBeforeTheFirstStep) {
  auto engine = std::make_shared<Engine>(1);
  auto model = LoadModel(RandomModelPath(), *engine);
  ASSERT_TRUE(model);
  auto session = Session::Create(engine, *model);
  ASSERT_TRUE(session);
  std::atomic<bool> cancel{true};
  GenerateOptions options;
  options.cancel = &cancel;
  const auto answer = session->Generate({SomePrompt(5, 1), 0}, {}, options);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->finish, FinishReason::kCancelled);
  EXPECT_TRUE(answer->tokens.empty());
}

}  // namespace
}  // namespace hone
