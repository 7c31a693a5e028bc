// Scores beside those that lm-evaluation-harness gave for the same model and task (tests/golden/lm_eval).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "evaluation/runner/task_score.h"
#include "language/models/model_fixture.h"

namespace hone {
namespace {

std::string Golden(const std::string& name) {
  return std::string(HONE_SOURCE_DIR) + "/tests/golden/lm_eval/" + name;
}

// The harness adds float32 log-softmaxes of another library's products: some 1e-5 a token.
void ExpectTheHarnesssScores(const std::string& model, const std::string& golden_name) {
  std::ifstream file(Golden(golden_name));
  ASSERT_TRUE(file) << golden_name;
  const auto golden = nlohmann::json::parse(file);
  testing::TestEngine engine(model);  // float activations, keys and values
  const auto task = ReadTaskFile(Golden("general.jsonl"));
  ASSERT_TRUE(task) << task.error().message;
  const Reader reader{*engine.runner, engine.pool, {}};
  const auto score = RunTask(reader, *task);
  ASSERT_TRUE(score) << score.error().message;
  EXPECT_DOUBLE_EQ(score->score, golden["acc"].get<double>());
  EXPECT_DOUBLE_EQ(score->normalized, golden["acc_norm"].get<double>());
  std::vector<LikelihoodRequest> requests;
  std::vector<double> expected;
  for (size_t i = 0; i < task->items.size(); ++i) {
    for (size_t c = 0; c < task->items[i].choices.size(); ++c) {
      const auto request =
          EncodeRequest(engine.model->tokenizer(), task->items[i].context, task->items[i].choices[c]);
      ASSERT_TRUE(request);
      requests.push_back(*request);
      expected.push_back(golden["log_probabilities"][i][c].get<double>());
    }
  }
  const auto results = ScoreLikelihoods(reader, requests);
  ASSERT_TRUE(results) << results.error().message;
  for (size_t i = 0; i < expected.size(); ++i)
    EXPECT_NEAR((*results)[i].log_probability, expected[i], 2e-3) << i;
}

TEST(HarnessParity, HoldsOnATinyModelWhoseContextOneItemOverflows) {
  ExpectTheHarnesssScores(testing::TinyModel("llama.gguf"), "tiny.json");
}

TEST(HarnessParity, HoldsOnSmolLm2) {
  const std::string path = testing::RealModel("smol-f16.gguf");
  if (path.empty()) GTEST_SKIP() << "no HONE_TEST_MODELS";
  ExpectTheHarnesssScores(path, "smollm2-135m.json");
}

}  // namespace
}  // namespace hone
