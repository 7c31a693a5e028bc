// A row's result depends on the row and what it sees, never on its neighbours: equality in every bit.
#include <thread>

#include "model_fixture.h"

namespace hone::testing {
namespace {

constexpr TokenId kVocabulary = 288;

struct InvarianceCase {
  const char* model;
  NumericMode mode;
};

class BatchInvariance : public ::testing::TestWithParam<InvarianceCase> {
 protected:
  std::string path() const { return TinyModel(GetParam().model); }
};

TEST_P(BatchInvariance, ChunksOfThePromptLeaveEveryBit) {
  TestEngine engine(path(), GetParam().mode);
  const auto tokens = SomeTokens(150, kVocabulary);
  const auto whole = engine.AllLogits(tokens);
  for (const int64_t chunk : {1, 7, 64}) EXPECT_EQ(engine.AllLogits(tokens, chunk), whole) << chunk;
}

TEST_P(BatchInvariance, ThreadsLeaveEveryBit) {
  const auto tokens = SomeTokens(100, kVocabulary);
  TestEngine one(path(), GetParam().mode, 1);
  const auto expected = one.AllLogits(tokens);
  for (const int threads : {2, 3}) {
    TestEngine engine(path(), GetParam().mode, threads);
    EXPECT_EQ(engine.AllLogits(tokens), expected) << threads;
  }
}

TEST_P(BatchInvariance, NeighboursLeaveEveryBit) {
  TestEngine engine(path(), GetParam().mode);
  std::vector<std::vector<std::vector<float>>> alone;
  std::vector<std::vector<TokenId>> prompts;
  for (uint32_t s = 0; s < 16; ++s) {
    prompts.push_back(SomeTokens(3 + 3 * s, kVocabulary, s + 1));
    alone.push_back(engine.AllLogits(prompts.back()));
  }
  for (const size_t size : {size_t{2}, size_t{5}, size_t{16}}) {
    std::vector<Sequence> sequences;
    for (size_t s = 0; s < size; ++s) sequences.push_back(engine.MakeSequence(prompts[s]));
    // Prompts all but their last token in one batch, then one decode step of all.
    Batch prefill, decode;
    for (Sequence& sequence : sequences)
      AppendRows(sequence, 0, sequence.prompt_tokens - 1, true, false, prefill);
    const auto prefill_logits = engine.Run(prefill);
    for (Sequence& sequence : sequences)
      AppendRows(sequence, sequence.prompt_tokens - 1, sequence.prompt_tokens, true, false, decode);
    const auto decode_logits = engine.Run(decode);
    for (size_t s = 0; s < size; ++s) {
      EXPECT_EQ(prefill_logits[s], alone[s][prompts[s].size() - 2]) << size << " " << s;
      EXPECT_EQ(decode_logits[s], alone[s].back()) << size << " " << s;
    }
  }
}

TEST_P(BatchInvariance, SharedPrefixAndRepeatedTailLeaveEveryBit) {
  TestEngine engine(path(), GetParam().mode);
  const auto tokens = SomeTokens(90, kVocabulary);
  const auto expected = engine.AllLogits(tokens);
  Sequence sequence = engine.MakeSequence(tokens);
  Batch prefix;
  AppendRows(sequence, 0, 70, false, false, prefix);
  engine.Run(prefix);
  auto fork = sequence.cache.Fork();
  ASSERT_TRUE(fork) << fork.error().message;
  Sequence forked{std::move(*fork), tokens, 90, 70, 0, false};
  for (Sequence* s : {&sequence, &forked}) {
    Batch tail;
    AppendRows(*s, 70, 90, true, false, tail);
    EXPECT_EQ(engine.Run(tail)[0], expected.back());
    ASSERT_TRUE(s->cache.TruncateToPosition(80));
    Batch again;
    AppendRows(*s, 80, 90, true, false, again);
    EXPECT_EQ(engine.Run(again)[0], expected.back());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, BatchInvariance,
                         ::testing::Values(InvarianceCase{"llama.gguf", NumericMode::kExact},
                                           InvarianceCase{"gemma3.gguf", NumericMode::kExact},
                                           InvarianceCase{"gemma3.gguf", NumericMode::kFast},
                                           InvarianceCase{"qwen2-yarn.gguf", NumericMode::kFast}),
                         [](const auto& info) { return "Case" + std::to_string(info.index); });

TEST(Runners, TwoInTwoThreadsShareAModel) {
  TestEngine engine(TinyModel("llama.gguf"), NumericMode::kFast);
  const auto tokens = SomeTokens(40, kVocabulary);
  const auto expected = engine.AllLogits(tokens);
  std::vector<std::vector<std::vector<float>>> results(2);
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      auto runner = Runner::Create(engine.model, engine.engine, {.mode = NumericMode::kFast, .max_rows = 64});
      ASSERT_TRUE(runner);
      for (int repeat = 0; repeat < 5; ++repeat) {
        Sequence sequence = engine.MakeSequence(tokens);
        Batch batch;
        AppendRows(sequence, 0, 40, false, true, batch);
        results[t].clear();
        const auto status = (*runner)->Run(
            batch, [&](int64_t, std::span<float> row) { results[t].emplace_back(row.begin(), row.end()); });
        ASSERT_TRUE(status);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(results[0], expected);
  EXPECT_EQ(results[1], expected);
}

}  // namespace
}  // namespace hone::testing
