// Selectors and the softmax with a fixed phi reach every family through the runner; no model file knows them.
#include <cmath>

#include "language/kvcache/selectors.h"
#include "model_fixture.h"

namespace hone::testing {
namespace {

constexpr TokenId kVocabulary = 288;

class Selection : public ::testing::TestWithParam<const char*> {
 protected:
  TestEngine engine_{TinyModel(GetParam())};
  int layers() const { return engine_.model->config().layers; }
  int kv_heads() const { return engine_.model->config().kv_heads; }

  std::shared_ptr<KvSelector> SinksAndWindow(int32_t sinks, int32_t window) const {
    return MakeSinkWindowSelector(
        std::vector(static_cast<size_t>(layers()),
                    std::vector(static_cast<size_t>(kv_heads()), SinkWindow{sinks, window})));
  }
  // Logits of every row, fed in chunks.
  std::vector<std::vector<float>> Logits(const std::vector<TokenId>& tokens,
                                         std::shared_ptr<KvSelector> selector, int64_t chunk) {
    Sequence sequence = engine_.MakeSequence(tokens);
    sequence.selector = std::move(selector);
    std::vector<std::vector<float>> logits;
    for (int64_t begin = 0; begin < sequence.prompt_tokens; begin += chunk) {
      Batch batch;
      AppendRows(sequence, begin, std::min(sequence.prompt_tokens, begin + chunk), false, true, batch);
      for (auto& row : engine_.Run(batch)) logits.push_back(std::move(row));
    }
    return logits;
  }
};

TEST_P(Selection, OfEverythingEqualsDenseInEveryBit) {
  const auto tokens = SomeTokens(130, kVocabulary);
  EXPECT_EQ(Logits(tokens, SinksAndWindow(0, 130), 64), engine_.AllLogits(tokens));
}

TEST_P(Selection, OfSinksAndWindowEqualsTheMaskThatSaysTheSame) {
  const auto tokens = SomeTokens(130, kVocabulary);
  constexpr int64_t kSinks = 4;
  constexpr int64_t kWindow = 30;
  Sequence sequence = engine_.MakeSequence(tokens);
  Batch masked;
  AppendRows(sequence, 0, 130, false, true, masked);
  SequenceRows& rows = masked.sequences[0];
  rows.mask.assign(static_cast<size_t>(130 * rows.mask_words()), 0);
  for (int64_t i = 0; i < 130; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      if (j < kSinks || j > i - kWindow)
        rows.mask[static_cast<size_t>(i * rows.mask_words() + j / 64)] |= uint64_t{1} << (j % 64);
    }
  }
  // A mask among new rows takes the place of a layer's own window, a selection only narrows it.
  for (const int window : engine_.model->config().window) {
    if (window > 0) GTEST_SKIP() << "the family has sliding windows";
  }
  const auto expected = engine_.Run(masked);
  for (const int64_t chunk : {130, 33, 1})
    EXPECT_EQ(Logits(tokens, SinksAndWindow(kSinks, kWindow), chunk), expected) << chunk;
  EXPECT_NE(expected, engine_.AllLogits(tokens));
}

TEST_P(Selection, CountsTheTilesThatItLeaves) {
  const auto tokens = SomeTokens(400, kVocabulary);
  const auto tiles = [&] { return engine_.runner->counters().AllLayers().tiles_executed; };
  const int64_t start = tiles();
  engine_.AllLogits(tokens);
  const int64_t dense = tiles() - start;
  Logits(tokens, SinksAndWindow(1, 32), 512);
  const int64_t selected = tiles() - start - dense;
  int64_t expected = 0;
  for (const int own_window : engine_.model->config().window) {
    for (int64_t row = 0; row < 400; ++row) {
      std::vector<bool> seen(13, false);
      for (int64_t entry = 0; entry <= row; ++entry) {
        const bool visible = own_window == 0 || entry > row - own_window;
        if (visible && (entry == 0 || entry > row - 32))
          seen[static_cast<size_t>(entry / kTileEntries)] = true;
      }
      expected += engine_.model->config().heads * std::count(seen.begin(), seen.end(), true);
    }
  }
  EXPECT_EQ(selected, expected);
  EXPECT_LT(selected, dense);
}

TEST_P(Selection, OfOneHeadLeavesTheOthersAlone) {
  if (kv_heads() < 2) GTEST_SKIP() << "one KV head";
  const auto tokens = SomeTokens(100, kVocabulary);
  std::vector<std::vector<SinkWindow>> rules(static_cast<size_t>(layers()),
                                             std::vector<SinkWindow>(static_cast<size_t>(kv_heads())));
  const auto dense = engine_.AllLogits(tokens);
  EXPECT_EQ(Logits(tokens, MakeSinkWindowSelector(rules), 100), dense);
  rules[0][1] = {1, 16};
  const auto selected = Logits(tokens, MakeSinkWindowSelector(rules), 100);
  // Rows that see no more than the window are as they were.
  for (size_t row = 0; row < 16; ++row) EXPECT_EQ(selected[row], dense[row]) << row;
  EXPECT_NE(selected[60], dense[60]);
}

TEST_P(Selection, FixedPhiGivesTheLogitsOfTheRunningMaximum) {
  const auto tokens = SomeTokens(130, kVocabulary);
  const auto running = engine_.AllLogits(tokens);
  const ModelConfig& config = engine_.model->config();
  RunnerOptions options = engine_.runner->options();
  options.softmax.assign(
      static_cast<size_t>(config.layers),
      std::vector(static_cast<size_t>(config.kv_heads), SoftmaxScale{.fixed = true, .phi = 2.0f}));
  auto fixed = Runner::Create(engine_.model, engine_.engine, options);
  ASSERT_TRUE(fixed);
  engine_.runner = std::move(*fixed);
  const auto logits = engine_.AllLogits(tokens);
  for (size_t row = 0; row < logits.size(); ++row) {
    for (size_t i = 0; i < logits[row].size(); ++i) EXPECT_NEAR(logits[row][i], running[row][i], 1e-4f);
  }
  EXPECT_EQ(engine_.AllLogits(tokens, 7), logits);  // whatever the chunks
  const AttentionCounters counters = engine_.runner->counters().AllLayers();
  EXPECT_EQ(counters.rows_checked, 2 * 130 * int64_t{config.heads} * config.layers);
  EXPECT_EQ(counters.rows_recomputed, 0);
}

TEST_P(Selection, RowsBeyondTheRangeHaveTheBitsOfTheRunningMaximum) {
  const auto tokens = SomeTokens(130, kVocabulary);
  const auto running = engine_.AllLogits(tokens);
  const ModelConfig& config = engine_.model->config();
  RunnerOptions options = engine_.runner->options();
  options.softmax.assign(
      static_cast<size_t>(config.layers),
      std::vector(static_cast<size_t>(config.kv_heads), SoftmaxScale{.fixed = true, .phi = -1000.0f}));
  auto fixed = Runner::Create(engine_.model, engine_.engine, options);
  ASSERT_TRUE(fixed);
  engine_.runner = std::move(*fixed);
  EXPECT_EQ(engine_.AllLogits(tokens), running);
  const AttentionCounters counters = engine_.runner->counters().AllLayers();
  EXPECT_EQ(counters.rows_recomputed, 130 * int64_t{config.heads} * config.layers);
}

TEST_P(Selection, ScalesOfAnotherShapeAreRefused) {
  RunnerOptions options = engine_.runner->options();
  options.softmax.resize(static_cast<size_t>(layers()) + 1);
  const auto layers_wrong = Runner::Create(engine_.model, engine_.engine, options);
  ASSERT_FALSE(layers_wrong);
  EXPECT_NE(layers_wrong.error().message.find("layers"), std::string::npos);
  options.softmax.assign(static_cast<size_t>(layers()), std::vector<SoftmaxScale>(99));
  const auto heads_wrong = Runner::Create(engine_.model, engine_.engine, options);
  ASSERT_FALSE(heads_wrong);
  EXPECT_NE(heads_wrong.error().message.find("99 KV heads"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Families, Selection, ::testing::Values("llama.gguf", "gemma3.gguf"),
                         [](const auto& info) { return std::string(info.param).substr(0, 5); });

}  // namespace
}  // namespace hone::testing
