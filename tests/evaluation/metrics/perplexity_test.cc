#include "evaluation/metrics/perplexity.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "evaluation/metrics/model_speed.h"
#include "language/decoding/chat_prompt.h"
#include "language/decoding/generation_fixture.h"

namespace hone {
namespace {

using testing::TinyEngine;

const std::string& Text() {
  static const std::string text = [] {
    std::string words;
    for (int i = 0; i < 60; ++i) words += "line " + std::to_string(i * 7919) + " of <|im_end|> text.\n";
    return words;
  }();
  return text;
}

// -log softmax(logits of token i)[token i + 1] for i >= context / 2, each chunk read token by token.
std::vector<double> NegativeLogLikelihoods(TinyEngine& engine, int64_t context, int64_t chunks) {
  const Tokenizer& tokenizer = engine.model->tokenizer();
  const std::vector<TokenId> tokens = EncodePrompt(tokenizer, Text()).tokens;
  std::vector<double> values;
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    std::vector<TokenId> part(tokens.begin() + chunk * context, tokens.begin() + (chunk + 1) * context);
    part.front() = tokenizer.special().bos;
    auto sequence = engine.MakeSequence(part);
    for (int64_t i = 0; i + 1 < context; ++i) {
      Batch batch;
      AppendRows(*sequence, i, i + 1, true, false, batch);
      EXPECT_TRUE(engine.runner->Run(batch, [&](int64_t, std::span<float> logits) {
        double sum = 0.0;
        for (const float logit : logits) sum += std::exp(static_cast<double>(logit));
        if (i >= context / 2) values.push_back(std::log(sum) - logits[static_cast<size_t>(part[static_cast<size_t>(i) + 1])]);
      }));
    }
  }
  return values;
}

TEST(Perplexity, ScoresTheSecondHalfOfEachChunkBehindABos) {
  TinyEngine engine(64);
  const std::vector<double> values = NegativeLogLikelihoods(engine, 32, 3);
  double sum = 0.0, squares = 0.0;
  for (const double value : values) sum += value, squares += value * value;
  const auto count = static_cast<double>(values.size());
  const double mean = sum / count;
  const auto result = MeasurePerplexity(*engine.runner, engine.pool, Text(), "text", {.context = 32, .chunks = 3});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->chunks, 3);
  EXPECT_EQ(result->tokens, 3 * (32 - 16 - 1));
  EXPECT_TRUE(result->bos);
  // The kernels' exponential is good to some 1e-6.
  EXPECT_NEAR(std::log(result->perplexity), mean, 1e-4);
  const double error = result->perplexity * std::sqrt((squares / count - mean * mean) / (count - 1));
  EXPECT_NEAR(result->standard_error, error, 1e-3 * error);
}

TEST(Perplexity, DoesNotDependOnHowChunksAreBatched) {
  std::vector<double> values;
  for (const int64_t rows : {7, 16, 32, 100, 256}) {
    TinyEngine engine(rows);
    const auto result = MeasurePerplexity(*engine.runner, engine.pool, Text(), "text", {.context = 32, .chunks = 5});
    ASSERT_TRUE(result) << result.error().message;
    values.push_back(result->perplexity);
  }
  // Equal bits a row; only the order in which the rows' values are added differs.
  for (const double value : values) EXPECT_NEAR(value, values.front(), 1e-9 * value);
}

TEST(Divergence, OfAModelFromItselfIsNothing) {
  TinyEngine first(64), second(64);
  const auto result = MeasureDivergence({*first.runner, first.pool}, {*second.runner, second.pool}, Text(),
                                        "text", {.context = 32, .chunks = 2});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_EQ(result->log_loss.mean, 0.0);
  EXPECT_EQ(result->kullback_leibler.mean, 0.0);
  EXPECT_EQ(result->same_top, 1.0);
  EXPECT_EQ(result->reference.perplexity, result->other.perplexity);
}

TEST(Divergence, IsThatOfTheTwoDistributions) {
  TinyEngine exact(64, NumericMode::kExact), fast(64, NumericMode::kFast);
  const PerplexityOptions options{.context = 32, .chunks = 3};
  const auto result =
      MeasureDivergence({*exact.runner, exact.pool}, {*fast.runner, fast.pool}, Text(), "text", options);
  ASSERT_TRUE(result) << result.error().message;
  const auto alone = MeasurePerplexity(*exact.runner, exact.pool, Text(), "text", options);
  ASSERT_TRUE(alone);
  EXPECT_NEAR(result->reference.perplexity, alone->perplexity, 1e-6 * alone->perplexity);
  EXPECT_EQ(result->other.tokens, alone->tokens);
  EXPECT_NEAR(result->log_loss.mean, std::log(result->other.perplexity / result->reference.perplexity), 1e-6);
  EXPECT_GT(result->kullback_leibler.mean, 0.0);
  EXPECT_GE(result->kullback_leibler_99, result->kullback_leibler.mean);
  EXPECT_LE(result->same_top, 1.0);
}

TEST(Perplexity, RefusesATextUnderOneChunkWithTheTokensItNeeds) {
  TinyEngine engine;
  const auto result = MeasurePerplexity(*engine.runner, engine.pool, "a", "short.txt", {.context = 128});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kBadInput);
  EXPECT_EQ(result.error().message, "short.txt: tokens: found 2, expected at least 128 for one chunk");
}

TEST(Perplexity, RefusesAContextBeyondTheModels) {
  TinyEngine engine;
  EXPECT_FALSE(MeasurePerplexity(*engine.runner, engine.pool, Text(), "text", {.context = 1 << 20}));
  EXPECT_FALSE(MeasurePerplexity(*engine.runner, engine.pool, Text(), "text", {.context = 2}));
}

TEST(Perplexity, StopsWhenItIsCancelled) {
  TinyEngine engine(32);
  std::atomic<bool> cancel{false};
  PerplexityOptions options{.context = 32};
  options.progress = [&](int64_t chunks, int64_t) { cancel = chunks >= 2; };
  options.cancel = &cancel;
  const auto result = MeasurePerplexity(*engine.runner, engine.pool, Text(), "text", options);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().kind, ErrorKind::kInterrupted);
}

TEST(ModelSpeed, CountsEverySequenceOfABatch) {
  TinyEngine engine(64);
  int64_t passes = 0;
  SpeedOptions options{.prefill = 50, .decode = 10, .batch = 3, .context = 20, .repeat = 2};
  options.progress = [&](int64_t done, int64_t total) {
    passes = done;
    EXPECT_EQ(total, 3);
  };
  const int64_t before = engine.runner->counters().rows;
  const auto speed = MeasureSpeed(*engine.runner, engine.pool, options);
  ASSERT_TRUE(speed) << speed.error().message;
  EXPECT_EQ(passes, 3);
  // The context of 20 once, then each pass 50 rows of prefill and 10 of decoding, for three sequences.
  EXPECT_EQ(engine.runner->counters().rows - before, 3 * (20 + 3 * (50 + 10)));
  EXPECT_GT(speed->prefill.median, 0.0);
  EXPECT_LE(speed->decode.minimum, speed->decode.median);
  EXPECT_LE(speed->decode.median, speed->decode.maximum);
  EXPECT_EQ(engine.engine->accounts.kv.used(), 0u) << "every page is given back";
}

TEST(ModelSpeed, RefusesMoreTokensThanTheContextHolds) {
  TinyEngine engine(64);
  EXPECT_FALSE(MeasureSpeed(*engine.runner, engine.pool, {.prefill = 1 << 20}));
  EXPECT_FALSE(MeasureSpeed(*engine.runner, engine.pool, {.batch = 0}));
}

struct Reference {
  const char* file;
  double perplexity;  // llama.cpp, first 40 chunks of 512 tokens of wikitext-2's test text
};

class RealPerplexity : public ::testing::TestWithParam<Reference> {};

TEST_P(RealPerplexity, AgreesWithLlamaCppWithinAFifthOfAPercent) {
  const char* folder = std::getenv("HONE_TEST_MODELS");
  if (folder == nullptr || std::getenv("HONE_SLOW_TESTS") == nullptr) {
    GTEST_SKIP() << "takes minutes: set HONE_TEST_MODELS to the folder of the real models and HONE_SLOW_TESTS";
  }
  const std::string path = std::string(folder) + "/" + GetParam().file;
  std::ifstream file(HONE_SOURCE_DIR "/../shared/data/wikitext-2/test.txt", std::ios::binary);
  if (!file || !std::ifstream(path)) GTEST_SKIP() << "no ../shared or no " << GetParam().file;
  std::ostringstream text;
  text << file.rdbuf();
  auto session = Session::Load(path);
  ASSERT_TRUE(session) << session.error().message;
  const auto result = MeasurePerplexity(session->runner(), session->pool(), text.str(), "test.txt", {.chunks = 40});
  ASSERT_TRUE(result) << result.error().message;
  EXPECT_NEAR(result->perplexity, GetParam().perplexity, 0.002 * GetParam().perplexity);
}

INSTANTIATE_TEST_SUITE_P(Models, RealPerplexity,
                         ::testing::Values(Reference{"SmolLM2-135M-Instruct.Q4_1.gguf", 19.0292},
                                           Reference{"gemma-3-270m-q4_k_m.gguf", 14.6938}));

}  // namespace
}  // namespace hone
