// What the engine refuses, and that nothing is lost when it does.
#include <cmath>

#include "model_fixture.h"

namespace hone::testing {
namespace {

std::string Refusal(TestEngine& engine, const Batch& batch) {
  const auto status = engine.runner->Run(batch, [](int64_t, std::span<float>) {});
  return status ? "" : status.error().message;
}

TEST(Refusal, NamesATokenOutsideTheVocabulary) {
  TestEngine engine(TinyModel("llama.gguf"));
  Sequence sequence = engine.MakeSequence({3, 288});
  Batch batch;
  AppendRows(sequence, 0, 2, true, false, batch);
  EXPECT_EQ(Refusal(engine, batch), "batch: token 288, expected 0 to 287");
}

TEST(Refusal, NamesTheLayerOfANaNAndLeavesTheCacheAsItWas) {
  TestEngine engine(TinyModel("llama.gguf"));
  Sequence sequence = engine.MakeSequence({3, 4, 5});
  Batch good;
  AppendRows(sequence, 0, 2, true, false, good);
  engine.Run(good);
  Batch bad;
  AppendRows(sequence, 2, 3, true, false, bad);
  std::vector<float> embedding(static_cast<size_t>(engine.model->config().width), 1.0f);
  embedding[7] = NAN;
  bad.rows[0].embedding = embedding.data();
  EXPECT_NE(Refusal(engine, bad).find("token_embd: a value that is not finite"), std::string::npos);
  EXPECT_EQ(sequence.cache.entries(), 2);
  Batch again;
  AppendRows(sequence, 2, 3, true, false, again);
  EXPECT_EQ(engine.Run(again)[0], engine.AllLogits({3, 4, 5})[2]);
}

TEST(Refusal, LowLimitOfAnyAccountIsACleanError) {
  Engine no_weights(1, {.weights = 1000});
  const auto model = LoadModel(TinyModel("llama.gguf"), no_weights);
  ASSERT_FALSE(model);
  EXPECT_NE(model.error().message.find("memory: weights: "), std::string::npos) << model.error().message;
  EXPECT_EQ(no_weights.accounts.weights.used(), 0u);

  Engine no_scratch(1, {.scratch = 1000});
  const auto loaded = LoadModel(TinyModel("llama.gguf"), no_scratch);
  ASSERT_TRUE(loaded);
  const auto runner = Runner::Create(*loaded, no_scratch, {});
  ASSERT_FALSE(runner);
  EXPECT_NE(runner.error().message.find("memory: scratch: "), std::string::npos) << runner.error().message;

  TestEngine engine(TinyModel("llama.gguf"));
  Sequence sequence{
      engine.model->MakeCache(PagePool::Create(engine.engine.accounts.kv, 4096), NumericMode::kExact),
      {1, 2, 3},
      3,
      0,
      0,
      false};
  Batch batch;
  AppendRows(sequence, 0, 3, true, false, batch);
  EXPECT_NE(Refusal(engine, batch).find("4096"), std::string::npos);
  EXPECT_EQ(sequence.cache.entries(), 0);
}

TEST(Refusal, ContextBeyondTheModelsIsStretchedOnlyWhenAskedFor) {
  Engine engine(1);
  const auto plain = LoadModel(TinyModel("llama.gguf"), engine);
  const auto stretched = LoadModel(TinyModel("llama.gguf"), engine, {.context = 1024});
  const auto linear = LoadModel(TinyModel("llama.gguf"), engine, {.context = 512, .rope_scaling = "linear"});
  ASSERT_TRUE(plain && stretched && linear);
  EXPECT_EQ((*plain)->config().context, 256);
  EXPECT_EQ((*stretched)->config().context, 1024);
  EXPECT_EQ((*stretched)->config().rope_scaling.kind, RopeScalingKind::kYarn);
  EXPECT_DOUBLE_EQ((*stretched)->config().rope_scaling.factor, 4.0);
  EXPECT_EQ((*linear)->config().rope_scaling.kind, RopeScalingKind::kLinear);
  const auto refused = LoadModel(TinyModel("phi3-long.gguf"), engine, {.context = 1024});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kUsage);
}

TEST(Refusal, RunnerOnADeviceWithoutKernelsIsRefused) {
  Engine engine(1);
  auto model = LoadModel(TinyModel("llama.gguf"), engine);
  ASSERT_TRUE(model);
  RunnerOptions options;
  options.device = "abacus";
  const auto runner = Runner::Create(std::move(*model), engine, options);
  ASSERT_FALSE(runner);
  EXPECT_EQ(runner.error().kind, ErrorKind::kUsage);
  EXPECT_NE(runner.error().message.find("device: abacus, expected cpu"), std::string::npos);
}

TEST(Refusal, BatchBeyondTheRunnersRowsIsRefused) {
  TestEngine engine(TinyModel("llama.gguf"), NumericMode::kFast, 2, 8);
  Sequence sequence = engine.MakeSequence(SomeTokens(9, 288));
  Batch batch;
  AppendRows(sequence, 0, 9, true, false, batch);
  EXPECT_EQ(Refusal(engine, batch), "batch: 9 rows, expected at most 8");
}

TEST(Refusal, MissingFileIsNamed) {
  Engine engine(1);
  const auto model = LoadModel("no-such-file.gguf", engine);
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(model.error().message.find("no-such-file.gguf"), std::string::npos);
}

}  // namespace
}  // namespace hone::testing
