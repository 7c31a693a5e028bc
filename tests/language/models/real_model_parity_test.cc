// The real models against float32 reference results (../shared/golden/models: transformers on dequantized
// weights).
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/kernels/elementwise.h"
#include "model_fixture.h"

namespace hone::testing {
namespace {

struct RealModelCase {
  const char* file;
  const char* golden;
};

class RealModelParity : public ::testing::TestWithParam<RealModelCase> {
 protected:
  void SetUp() override {
    std::ifstream golden(std::string(HONE_SOURCE_DIR) + "/../shared/golden/models/" + GetParam().golden);
    if (!golden) GTEST_SKIP() << "skipped: no ../shared";
    path_ = RealModel(GetParam().file);
    if (path_.empty()) GTEST_SKIP() << "skipped: no " << GetParam().file << "; hone pull fetches it";
    golden_ = nlohmann::json::parse(golden);
  }

  std::string path_;
  nlohmann::json golden_;
};

TEST_P(RealModelParity, ExactLogitsAgreeWithinFiveThousandths) {
  TestEngine engine(path_, NumericMode::kExact);
  ASSERT_NE(engine.runner, nullptr);
  for (const auto& entry : golden_["entries"]) {
    const auto tokens = entry["tokens"].get<std::vector<TokenId>>();
    const auto logits = engine.AllLogits(tokens);
    ASSERT_EQ(logits.size(), tokens.size());
    for (size_t i = 0; i < logits.size(); ++i) {
      for (size_t k = 0; k < entry["top_ids"][i].size(); ++k) {
        EXPECT_NEAR(logits[i][entry["top_ids"][i][k].get<size_t>()], entry["top_logits"][i][k].get<float>(),
                    5e-3f)
            << entry["text"] << " at " << i;
      }
      EXPECT_NEAR(LogSumExp(logits[i]), entry["log_sum_exp"][i].get<double>(), 5e-3);
    }
  }
}

// Feeds the reference's own greedy tokens, so that one close call does not hide the rest.
void ExpectGreedy(TestEngine& engine, const nlohmann::json& entry, float margin) {
  auto tokens = entry["tokens"].get<std::vector<TokenId>>();
  const auto greedy = entry["greedy"].get<std::vector<TokenId>>();
  const size_t prompt = tokens.size();
  tokens.insert(tokens.end(), greedy.begin(), greedy.end() - 1);
  const auto logits = engine.AllLogits(tokens);
  for (size_t i = 0; i < greedy.size(); ++i) {
    if (entry["greedy_margin"][i].get<float>() <= margin) continue;
    EXPECT_EQ(ArgMax(logits[prompt - 1 + i]), greedy[i]) << entry["text"] << " token " << i;
  }
}

TEST_P(RealModelParity, ExactGreedyTokensAreTheReferences) {
  TestEngine engine(path_, NumericMode::kExact);
  ASSERT_NE(engine.runner, nullptr);
  for (const auto& entry : golden_["entries"]) ExpectGreedy(engine, entry, 0.02f);
}

TEST_P(RealModelParity, FastGreedyTokensAgreeWhereTheMarginIsClear) {
  TestEngine engine(path_, NumericMode::kFast);
  ASSERT_NE(engine.runner, nullptr);
  for (const auto& entry : golden_["entries"]) ExpectGreedy(engine, entry, 0.5f);
}

TEST_P(RealModelParity, TokenizerGivesTheReferenceIds) {
  TestEngine engine(path_, NumericMode::kFast);
  ASSERT_NE(engine.runner, nullptr);
  for (const auto& entry : golden_["entries"]) {
    auto tokens = engine.model->tokenizer().Encode(entry["text"].get<std::string>(), {}).tokens;
    if (engine.model->tokenizer().special().add_bos)
      tokens.insert(tokens.begin(), engine.model->tokenizer().special().bos);
    EXPECT_EQ(tokens, entry["tokens"].get<std::vector<TokenId>>()) << entry["text"];
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, RealModelParity,
    ::testing::Values(RealModelCase{"SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2-135m-instruct-q4_1.json"},
                      RealModelCase{"gemma-3-270m-q4_k_m.gguf", "gemma-3-270m-q4_k_m.json"}),
    [](const auto& info) { return info.index == 0 ? "SmolLM2" : "Gemma3"; });

}  // namespace
}  // namespace hone::testing
