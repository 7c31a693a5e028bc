// Each seam of the engine with one small user: what forty techniques will stand on.
#include <cmath>

#include "core/formats/gguf/gguf_file.h"
#include "model_fixture.h"

namespace hone::testing {
namespace {

constexpr TokenId kVocabulary = 288;

class Seams : public ::testing::Test {
 protected:
  TestEngine engine_{TinyModel("llama.gguf")};
};

// A hook that drops the rows of given positions after one layer's mixer.
class DropAfter : public RowHook {
 public:
  DropAfter(int layer, std::vector<int32_t> positions) : layer_(layer), positions_(std::move(positions)) {}
  void After(Seam seam, int layer, ActiveRows& rows) override {
    if (seam != Seam::kLayer || layer != layer_) return;
    for (int64_t i = 0; i < rows.count(); ++i) {
      const int32_t position = rows.batch().rows[static_cast<size_t>(rows.batch_row(i))].position[0];
      if (std::find(positions_.begin(), positions_.end(), position) != positions_.end()) rows.Drop(i);
    }
  }

 private:
  int layer_;
  std::vector<int32_t> positions_;
};

TEST_F(Seams, DroppedRowsLeaveNoEntryInLaterLayersAndNoLogits) {
  Sequence sequence = engine_.MakeSequence(SomeTokens(10, kVocabulary));
  Batch batch;
  AppendRows(sequence, 0, 10, false, true, batch);
  DropAfter drop(0, {2, 3, 7});
  RowHook* hooks[] = {&drop};
  const auto logits = engine_.Run(batch, {.hooks = hooks});
  EXPECT_EQ(logits.size(), 7u);
  EXPECT_EQ(sequence.cache.layer(0).entries(), 10);
  EXPECT_EQ(sequence.cache.layer(1).entries(), 7);
  std::vector<int32_t> positions;
  for (const EntryRun& run : sequence.cache.layer(1).runs()) {
    for (int32_t i = 0; i < run.count; ++i) positions.push_back(run.first_position + i);
  }
  EXPECT_EQ(positions, (std::vector<int32_t>{0, 1, 4, 5, 6, 8, 9}));
  // Rows before the first dropped one never saw it: their logits are those of a plain run.
  const auto plain = engine_.AllLogits(sequence.tokens);
  EXPECT_EQ(logits[0], plain[0]);
  EXPECT_EQ(logits[1], plain[1]);
  EXPECT_NE(logits[2], plain[4]);
}

// Early exit: a row goes to the head after one layer.
class FinishAfter : public RowHook {
 public:
  FinishAfter(int layer, int32_t position) : layer_(layer), position_(position) {}
  void After(Seam seam, int layer, ActiveRows& rows) override {
    if (seam != Seam::kLayer || layer != layer_) return;
    for (int64_t i = 0; i < rows.count(); ++i) {
      if (rows.batch().rows[static_cast<size_t>(rows.batch_row(i))].position[0] == position_) rows.Finish(i);
    }
  }

 private:
  int layer_;
  int32_t position_;
};

TEST_F(Seams, FinishedRowGivesTheLogitsOfTheShorterModel) {
  Sequence sequence = engine_.MakeSequence(SomeTokens(6, kVocabulary));
  Batch batch;
  AppendRows(sequence, 0, 6, false, true, batch);
  FinishAfter finish(0, 5);
  RowHook* hooks[] = {&finish};
  const auto logits = engine_.Run(batch, {.hooks = hooks});
  ASSERT_EQ(logits.size(), 6u);
  EXPECT_EQ(sequence.cache.layer(1).entries(), 5);

  Sequence shorter = engine_.MakeSequence(sequence.tokens);
  Batch again;
  AppendRows(shorter, 0, 6, false, true, again);
  const auto one_layer = engine_.Run(again, {.last_layer = 1});
  EXPECT_EQ(logits[5], one_layer[5]);
  EXPECT_EQ(logits[4], engine_.AllLogits(sequence.tokens)[4]);
}

class Recorder : public Observer {
 public:
  bool Wants(Tensor tensor, int) const override {
    return tensor == Tensor::kMixerInput || tensor == Tensor::kHidden;
  }
  void Observe(Tensor tensor, int layer, std::span<const int64_t> batch_rows,
               MatrixView<const float> values) override {
    if (tensor == Tensor::kHidden) {
      hidden.emplace_back(values.row(0), values.row(0) + values.columns);
      return;
    }
    layers.push_back(layer);
    rows.push_back(static_cast<int64_t>(batch_rows.size()));
    columns = values.columns;
    double squares = 0.0;
    for (int64_t c = 0; c < values.columns; ++c)
      squares += static_cast<double>(values.row(0)[c]) * values.row(0)[c];
    mean_square.push_back(squares / static_cast<double>(values.columns));
  }
  std::vector<int> layers;
  std::vector<int64_t> rows;
  int64_t columns = 0;
  std::vector<double> mean_square;
  std::vector<std::vector<float>> hidden;
};

TEST_F(Seams, ObserverReadsEveryMixerInput) {
  Sequence sequence = engine_.MakeSequence(SomeTokens(5, kVocabulary));
  Batch batch;
  AppendRows(sequence, 0, 5, true, false, batch);
  Recorder recorder;
  Observer* observers[] = {&recorder};
  const auto logits = engine_.Run(batch, {.observers = observers});
  EXPECT_EQ(recorder.layers, (std::vector<int>{0, 1}));
  EXPECT_EQ(recorder.rows, (std::vector<int64_t>{5, 5}));
  EXPECT_EQ(recorder.columns, engine_.model->config().width);
  for (const double value : recorder.mean_square) {
    EXPECT_GT(value, 0.3);  // an RMS norm's output, times weights around 1
    EXPECT_LT(value, 3.0);
  }
  EXPECT_EQ(logits[0], engine_.AllLogits(sequence.tokens)[4]);
}

TEST_F(Seams, RunFromAMiddleLayerGoesOnFromTheHiddenState) {
  const auto tokens = SomeTokens(1, kVocabulary);
  Sequence sequence = engine_.MakeSequence(tokens);
  Batch first;
  AppendRows(sequence, 0, 1, true, false, first);
  Recorder recorder;
  Observer* observers[] = {&recorder};
  EXPECT_TRUE(engine_.Run(first, {.last_layer = 1, .head = false, .observers = observers}).empty());
  Batch second = first;
  second.rows[0].embedding = recorder.hidden[0].data();
  const auto logits = engine_.Run(second, {.first_layer = 1});
  ASSERT_EQ(logits.size(), 1u);
  EXPECT_EQ(logits[0], engine_.AllLogits(tokens)[0]);
}

TEST_F(Seams, DraftTreeUnderAMaskEqualsItsBranchesOneByOne) {
  const auto tokens = SomeTokens(9, kVocabulary);
  Sequence sequence = engine_.MakeSequence(tokens);
  Batch prompt;
  AppendRows(sequence, 0, 5, false, false, prompt);
  engine_.Run(prompt);
  // Two branches after the prompt: 5 -> 6 and 7 -> 8, in one batch.
  Batch tree;
  AppendRows(sequence, 5, 9, false, true, tree);
  tree.rows[2].position.fill(5);
  tree.rows[3].position.fill(6);
  tree.sequences[0].mask = {0b0001, 0b0011, 0b0100, 0b1100};
  const auto logits = engine_.Run(tree);

  std::vector<TokenId> left(tokens.begin(), tokens.begin() + 7);
  std::vector<TokenId> right(tokens.begin(), tokens.begin() + 5);
  right.insert(right.end(), tokens.begin() + 7, tokens.end());
  const auto left_logits = engine_.AllLogits(left);
  const auto right_logits = engine_.AllLogits(right);
  EXPECT_EQ(logits[0], left_logits[5]);
  EXPECT_EQ(logits[1], left_logits[6]);
  // The right branch's entries lie two further on, so the softmax adds them up in other lanes.
  for (size_t i = 0; i < logits[3].size(); ++i) {
    EXPECT_NEAR(logits[2][i], right_logits[5][i], 1e-5f);
    EXPECT_NEAR(logits[3][i], right_logits[6][i], 1e-5f);
  }
}

TEST_F(Seams, BidirectionalSpanSeesItsEnd) {
  const auto tokens = SomeTokens(6, kVocabulary);
  Sequence causal = engine_.MakeSequence(tokens);
  Sequence both = engine_.MakeSequence(tokens);
  Batch batch;
  AppendRows(causal, 0, 6, false, true, batch);
  AppendRows(both, 0, 6, false, true, batch);
  batch.sequences[1].views = {{0, SegmentRule::kAll, 0}};
  const auto logits = engine_.Run(batch);
  EXPECT_NE(logits[0], logits[6]);
  // The last row sees all six either way, but over keys that have seen more themselves in the second layer.
  EXPECT_NE(logits[5], logits[11]);

  // A mask of ones says the same as the rule.
  Sequence masked = engine_.MakeSequence(tokens);
  Batch explicit_mask;
  AppendRows(masked, 0, 6, false, true, explicit_mask);
  explicit_mask.sequences[0].mask.assign(6, 0b111111);
  const auto masked_logits = engine_.Run(explicit_mask);
  for (size_t i = 0; i < 6; ++i) EXPECT_EQ(masked_logits[i], logits[6 + i]);
}

TEST_F(Seams, RulesOfCachedSegmentsDecideWhatIsSeen) {
  const auto tokens = SomeTokens(8, kVocabulary);
  // Segment 1 is hidden from the last row: as if its four entries had never been there.
  Sequence hidden = engine_.MakeSequence(tokens);
  Batch batch;
  AppendRows(hidden, 0, 8, true, false, batch);
  for (size_t i = 2; i < 6; ++i) batch.rows[i].segment = 1;
  batch.sequences[0].views = {{1, SegmentRule::kNone, 0}};
  const auto without = engine_.Run(batch);

  std::vector<TokenId> shorter = {tokens[0], tokens[1], tokens[6], tokens[7]};
  Sequence plain = engine_.MakeSequence(shorter);
  Batch short_batch;
  AppendRows(plain, 0, 4, true, false, short_batch);
  short_batch.rows[2].position.fill(6);
  short_batch.rows[3].position.fill(7);
  const auto expected = engine_.Run(short_batch);
  for (size_t i = 0; i < without[0].size(); ++i) EXPECT_NEAR(without[0][i], expected[0][i], 1e-5f);
}

TEST_F(Seams, KeyBiasOfMinusInfinityHidesAKey) {
  const auto tokens = SomeTokens(4, kVocabulary);
  Sequence sequence = engine_.MakeSequence(tokens);
  Batch batch;
  AppendRows(sequence, 0, 4, true, false, batch);
  batch.sequences[0].key_bias = {0.0f, -INFINITY, 0.0f, 0.0f};
  const auto biased = engine_.Run(batch);
  Sequence other = engine_.MakeSequence(tokens);
  Batch masked;
  AppendRows(other, 0, 4, true, false, masked);
  masked.sequences[0].mask = {0b0001, 0b0001, 0b0101, 0b1101};
  const auto expected = engine_.Run(masked);
  for (size_t i = 0; i < biased[0].size(); ++i) EXPECT_NEAR(biased[0][i], expected[0][i], 1e-5f);
}

TEST_F(Seams, EmbeddingRowEqualsItsToken) {
  const auto tokens = SomeTokens(3, kVocabulary);
  auto file = GgufFile::Open(TinyModel("llama.gguf"));
  ASSERT_TRUE(file);
  const FileTensor& table = *file->FindTensor("token_embd.weight");
  std::vector<float> embedding(static_cast<size_t>(table.columns()));
  const WeightFormat& format = *FindWeightFormat(table.type);
  std::vector<std::byte> group(static_cast<size_t>(format.GroupBytes(table.columns())));
  const int64_t row_bytes = RowBytes(table.type, table.columns());
  format.PackGroup(table.bytes().data() + tokens[1] * row_bytes, 1, table.columns(), group.data());
  format.ReadRow({&format, 1, table.columns(), group.data()}, 0, embedding);

  Sequence sequence = engine_.MakeSequence(tokens);
  Batch batch;
  AppendRows(sequence, 0, 3, false, true, batch);
  batch.rows[1].token = kNoToken;
  batch.rows[1].embedding = embedding.data();
  EXPECT_EQ(engine_.Run(batch), engine_.AllLogits(tokens));
}

TEST_F(Seams, LogitsOfChosenIdsHaveTheBitsOfTheWholeHead) {
  Sequence sequence = engine_.MakeSequence(SomeTokens(4, kVocabulary));
  Batch batch;
  AppendRows(sequence, 0, 4, false, true, batch);
  batch.logit_ids = {287, 0, 17, 16};
  const auto chosen = engine_.Run(batch);
  const auto all = engine_.AllLogits(sequence.tokens);
  ASSERT_EQ(chosen.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    for (size_t k = 0; k < 4; ++k) EXPECT_EQ(chosen[i][k], all[i][static_cast<size_t>(batch.logit_ids[k])]);
  }
}

}  // namespace
}  // namespace hone::testing
