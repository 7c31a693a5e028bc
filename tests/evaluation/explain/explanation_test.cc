#include "evaluation/explain/explanation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/formats/gguf/random_model.h"
#include "scratch_folder.h"

namespace hone {
namespace {

class Explained : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<ScratchFolder>();
    ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kQ4_0, 1, folder_->Path("tiny.gguf")));
    engine_ = std::make_unique<Engine>(1);
    model_ = *LoadModel(folder_->Path("tiny.gguf"), *engine_);
  }
  static void TearDownTestSuite() {
    model_.reset();
    engine_.reset();
    folder_.reset();
  }
  static double Sum(const WorkByOperator& work, double OperatorWork::*what) {
    double sum = 0.0;
    for (const OperatorWork& one : work) sum += one.*what;
    return sum;
  }
  static constexpr MachineLimits kLimits{20e9, 100e9, 100e9, 300e9, 1.0};
  inline static std::unique_ptr<ScratchFolder> folder_;
  inline static std::unique_ptr<Engine> engine_;
  inline static std::shared_ptr<const Model> model_;
};

// The survey's count of a decoded token: the bytes are those of the weights and
// of the entries behind it, the operations two for each weight and four for
// each entry, head and dimension.
TEST_F(Explained, ADecodedTokenReadsEveryWeightOnceAndEveryEntry) {
  const ModelConfig& config = model_->config();
  const WorkByOperator work = CountWork(*model_, NumericMode::kExact, {1, 99, 1, 1});
  double norms = 0.0, products = 0.0;
  for (const WeightInfo& weight : model_->weights()) {
    if (weight.op == Operator::kNorm) norms += static_cast<double>(weight.bytes);
    if (weight.op != Operator::kNorm && weight.op != Operator::kEmbedding)
      products += 2.0 * static_cast<double>(weight.rows * weight.columns);
  }
  const double embedding = work[static_cast<size_t>(Operator::kEmbedding)].weight_bytes;
  EXPECT_DOUBLE_EQ(Sum(work, &OperatorWork::weight_bytes),
                   static_cast<double>(model_->weight_bytes_per_token()) + norms + embedding);
  const double entry = 2.0 * config.kv_heads * config.head_dim * 4.0 * config.layers;
  EXPECT_DOUBLE_EQ(work[static_cast<size_t>(Operator::kAttention)].kv_bytes, 100 * entry);
  EXPECT_DOUBLE_EQ(work[static_cast<size_t>(Operator::kKvAppend)].kv_bytes, entry);
  EXPECT_DOUBLE_EQ(work[static_cast<size_t>(Operator::kAttention)].float_operations,
                   4.0 * 100 * config.heads * config.head_dim * config.layers);
  double counted = 0.0;
  for (const Operator op :
       {Operator::kQueryKeyValue, Operator::kOutput, Operator::kGateUp, Operator::kDown, Operator::kHead})
    counted += work[static_cast<size_t>(op)].float_operations;
  EXPECT_DOUBLE_EQ(counted, products);
  EXPECT_EQ(Sum(work, &OperatorWork::byte_operations), 0.0) << "exact mode multiplies floats";
}

TEST_F(Explained, FastModeMultipliesBytesAndHalvesTheCache) {
  const WorkByOperator exact = CountWork(*model_, NumericMode::kExact, {1, 99, 1, 1});
  const WorkByOperator fast = CountWork(*model_, NumericMode::kFast, {1, 99, 1, 1});
  EXPECT_DOUBLE_EQ(Sum(fast, &OperatorWork::kv_bytes), Sum(exact, &OperatorWork::kv_bytes) / 2);
  const auto gate_up = static_cast<size_t>(Operator::kGateUp);
  EXPECT_DOUBLE_EQ(fast[gate_up].byte_operations, exact[gate_up].float_operations);
  const auto query = static_cast<size_t>(Operator::kQueryKeyValue);
  EXPECT_DOUBLE_EQ(fast[query].byte_operations, 2 * exact[query].float_operations) << "15-bit activations";
}

TEST_F(Explained, StepsReadTheWeightsAgainAndSequencesShareThem) {
  const auto down = static_cast<size_t>(Operator::kDown);
  const double once = CountWork(*model_, NumericMode::kFast, {1, 0, 1, 1})[down].weight_bytes;
  EXPECT_DOUBLE_EQ(CountWork(*model_, NumericMode::kFast, {1, 0, 8, 1})[down].weight_bytes, 8 * once);
  EXPECT_DOUBLE_EQ(CountWork(*model_, NumericMode::kFast, {1, 0, 8, 8})[down].weight_bytes, once);
  EXPECT_DOUBLE_EQ(CountWork(*model_, NumericMode::kFast, {4, 0, 1, 4})[down].weight_bytes, once);
  EXPECT_DOUBLE_EQ(CountWork(*model_, NumericMode::kFast, {4, 0, 3, 4})[down].weight_bytes, 3 * once);
  // Rows see what stands before them: 1 + 2 + 3 + 4 entries, whatever the
  // steps.
  const auto attention = static_cast<size_t>(Operator::kAttention);
  EXPECT_DOUBLE_EQ(CountWork(*model_, NumericMode::kFast, {1, 0, 4, 4})[attention].float_operations,
                   CountWork(*model_, NumericMode::kFast, {1, 0, 4, 1})[attention].float_operations);
}

TEST_F(Explained, PredictsTheSlowerOfMemoryAndArithmetic) {
  OperatorWork work;
  work.weight_bytes = 20e6;     // 1 ms
  work.byte_operations = 60e6;  // 0.2 ms
  OperatorCost cost = Predict(Operator::kDown, work, kLimits);
  EXPECT_TRUE(cost.memory_bound());
  EXPECT_DOUBLE_EQ(cost.predicted_seconds(), 1e-3);
  work.byte_operations = 600e6;   // 2 ms
  work.float_operations = 100e6;  // and 1 ms
  cost = Predict(Operator::kDown, work, kLimits);
  EXPECT_FALSE(cost.memory_bound());
  EXPECT_DOUBLE_EQ(cost.predicted_seconds(), 3e-3);
}

class Shown : public Explained {
 protected:
  void SetUp() override {
    auto runner = Runner::Create(model_, *engine_);
    ASSERT_TRUE(runner);
    ExplainOptions options;
    options.context = 16;
    options.prefill = 32;
    options.decode = 4;
    options.repeat = 1;
    auto stages = MeasureStages(**runner, PagePool::Create(engine_->accounts.kv), kLimits, options);
    ASSERT_TRUE(stages) << stages.error().message;
    explanation_ = {model_->path(), "a processor (avx2)", "fast", 1, kLimits, std::move(*stages)};
  }
  Explanation explanation_;
};

TEST_F(Shown, HasBothStagesWithEveryOperatorByFallingTime) {
  ASSERT_EQ(explanation_.stages.size(), 2u);
  for (const StageCost& stage : explanation_.stages) {
    EXPECT_EQ(stage.costs.size(), kOperators);
    EXPECT_TRUE(std::is_sorted(stage.costs.begin(), stage.costs.end(), [](const auto& a, const auto& b) {
      return a.measured_seconds > b.measured_seconds;
    }));
    EXPECT_GT(stage.wall_seconds, 0.0);
    EXPECT_LE(stage.measured_seconds(), stage.wall_seconds);
  }
  EXPECT_EQ(explanation_.stages[0].tokens, 4);
  EXPECT_EQ(explanation_.stages[1].tokens, 32);
}

TEST_F(Shown, TellsTheTopCostsAndWhatLowersThem) {
  const std::string text = ExplanationText(explanation_);
  for (const std::string part : {"decode, one token behind 16 others", "prefill, 32 tokens behind 16 others",
                                 "Where the time of decode goes", "tiny.gguf", "gate up"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(text.find("not to be relied on"), std::string::npos);
  explanation_.limits.free_cores = 0.5;
  EXPECT_NE(ExplanationText(explanation_).find("not to be relied on"), std::string::npos);
}

TEST_F(Shown, IsOneJsonObject) {
  const auto json = nlohmann::json::parse(ExplanationJson(explanation_));
  ASSERT_EQ(json["stages"].size(), 2u);
  const auto& decode = json["stages"][0];
  EXPECT_EQ(decode["stage"], "decode");
  double sum = 0.0;
  for (const auto& cost : decode["operators"]) sum += cost["measured_seconds"].get<double>();
  EXPECT_NEAR(sum, decode["wall_seconds"].get<double>() * (1 - decode["unaccounted"].get<double>()), 1e-9);
}

TEST_F(Shown, IsAPictureWithEveryOperatorInItsLegend) {
  const std::string svg = ExplanationPicture(explanation_);
  EXPECT_TRUE(svg.starts_with("<svg"));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(svg.find("nan"), std::string::npos);
  EXPECT_EQ(svg.find("inf'"), std::string::npos);
  for (const Operator op : AllOperators()) EXPECT_NE(svg.find(std::string(Name(op))), std::string::npos);
  EXPECT_NE(svg.find("tiny.gguf"), std::string::npos);
}

}  // namespace
}  // namespace hone
