// Timers and weights by operator.
#include "language/models/operators.h"

#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "model_fixture.h"

namespace hone::testing {
namespace {

TEST(Operators, AreNamedAndListedOnce) {
  std::map<std::string_view, int> names;
  for (const Operator op : AllOperators()) ++names[Name(op)];
  EXPECT_EQ(names.size(), kOperators);
}

TEST(Operators, AreFoundByTheWeightTheyRead) {
  EXPECT_EQ(OperatorOfWeight("blk.3.attn_q"), Operator::kQueryKeyValue);
  EXPECT_EQ(OperatorOfWeight("blk.3.attn_qkv"), Operator::kQueryKeyValue);
  EXPECT_EQ(OperatorOfWeight("blk.3.attn_k.bias"), Operator::kQueryKeyValue);
  EXPECT_EQ(OperatorOfWeight("blk.3.attn_q_norm.weight"), Operator::kNorm);
  EXPECT_EQ(OperatorOfWeight("blk.3.attn_output"), Operator::kOutput);
  EXPECT_EQ(OperatorOfWeight("blk.11.ffn_up"), Operator::kGateUp);
  EXPECT_EQ(OperatorOfWeight("blk.11.ffn_down"), Operator::kDown);
  EXPECT_EQ(OperatorOfWeight("output"), Operator::kHead);
  EXPECT_EQ(OperatorOfWeight("output_norm.weight"), Operator::kNorm);
  EXPECT_EQ(OperatorOfWeight("token_embd"), Operator::kHead);
}

TEST(OperatorTimer, AddsItsLifeTimeAndNothingWithoutTimes) {
  OperatorTimes times;
  { const OperatorTimer timer(nullptr, Operator::kNorm); }
  EXPECT_EQ(times.sum(), 0.0);
  {
    const OperatorTimer timer(&times, Operator::kNorm);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_GE(times.of(Operator::kNorm), 0.002);
  EXPECT_EQ(times.calls[static_cast<size_t>(Operator::kNorm)], 1);
  EXPECT_EQ(times.sum(), times.of(Operator::kNorm));
}

// Every family passes through every operator, and the parts fill the step's wall time. The tiny models' steps
// last microseconds, in which the clock itself counts: the bound here is loose, `hone reproduce
// survey-breakdown` holds real models to 3 %.
TEST(OperatorTimes, CoverAStepOfEveryFamily) {
  for (const std::string name :
       {"llama.gguf", "qwen2.gguf", "qwen3.gguf", "gemma3.gguf", "phi3-short.gguf"}) {
    if (!std::filesystem::exists(TinyModel(name))) continue;
    TestEngine engine(TinyModel(name), NumericMode::kFast, 1);
    Sequence sequence = engine.MakeSequence(std::vector<TokenId>(96, 5));
    Batch batch;
    AppendRows(sequence, 0, 96, true, false, batch);
    OperatorTimes times;
    RunOptions options;
    options.times = &times;
    engine.Run(batch, options);
    EXPECT_EQ(times.steps, 1) << name;
    for (const Operator op : AllOperators())
      EXPECT_GT(times.calls[static_cast<size_t>(op)], 0) << name << ": " << Name(op);
    EXPECT_LE(times.sum(), times.wall_seconds) << name << ": timers overlap";
    EXPECT_GT(times.sum(), 0.75 * times.wall_seconds) << name;
  }
}

TEST(OperatorTimes, ChangeNoBit) {
  TestEngine engine(TinyModel("llama.gguf"));
  const std::vector<TokenId> tokens{3, 4, 5, 6};
  const auto logits = [&](OperatorTimes* times) {
    Sequence sequence = engine.MakeSequence(tokens);
    Batch batch;
    AppendRows(sequence, 0, 4, false, true, batch);
    RunOptions options;
    options.times = times;
    return engine.Run(batch, options);
  };
  OperatorTimes times;
  EXPECT_EQ(logits(&times), logits(nullptr));
}

TEST(Weights, ListEveryByteOfTheModelByOperator) {
  TestEngine engine(TinyModel("llama.gguf"));
  uint64_t matrices = 0;
  std::map<Operator, int> count;
  for (const WeightInfo& weight : engine.model->weights()) {
    if (weight.rows > 1) matrices += weight.bytes;
    ++count[weight.op];
  }
  EXPECT_EQ(matrices, engine.model->weight_bytes());
  const int layers = engine.model->config().layers;
  EXPECT_EQ(count[Operator::kQueryKeyValue], 3 * layers);
  EXPECT_EQ(count[Operator::kGateUp], 2 * layers);
  EXPECT_EQ(count[Operator::kDown], layers);
  EXPECT_EQ(count[Operator::kOutput], layers);
  EXPECT_EQ(count[Operator::kNorm], 2 * layers + 1);
  EXPECT_EQ(count[Operator::kHead], 1);
}

}  // namespace
}  // namespace hone::testing
