#include "evaluation/reproduce/serving_trial.h"

#include <gtest/gtest.h>

#include "core/formats/gguf/random_model.h"
#include "scratch_folder.h"

namespace hone {
namespace {

TEST(RecordedLoad, HasAzuresConversationsAndCode) {
  TrafficOptions options{.rate = 2.0, .requests = 600, .most_prompt = 100000, .most_answer = 100000};
  const auto conversation = RecordedLoad("azure_conv.csv", options);
  const auto code = RecordedLoad("azure_code.csv", options);
  ASSERT_TRUE(conversation && code);
  EXPECT_EQ(conversation->size(), 600u);
  EXPECT_EQ((*conversation)[0].prompt_tokens, 374);
  EXPECT_EQ((*conversation)[0].answer_tokens, 44);
  EXPECT_NEAR(conversation->back().at, 300.0, 1e-6) << "scaled to two requests a second";
  const auto answers = [](const std::vector<LoadRequest>& load) {
    int64_t sum = 0;
    for (const LoadRequest& request : load) sum += request.answer_tokens;
    return sum;
  };
  EXPECT_GT(answers(*conversation), 3 * answers(*code)) << "code has short answers";
  options.length_scale = 0.125;
  const auto eighth = RecordedLoad("azure_conv.csv", options);
  ASSERT_TRUE(eighth);
  EXPECT_EQ((*eighth)[0].prompt_tokens, 47);
  EXPECT_FALSE(RecordedLoad("none.csv", options));
}

class TrialTest : public ::testing::Test {
 protected:
  TrialTest() : context_({.models = {folder_.Path("tiny.gguf")}, .threads = 2}) {
    EXPECT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 1, folder_.Path("tiny.gguf")));
  }
  ScratchFolder folder_;
  ExperimentContext context_;
};

TEST_F(TrialTest, ServesTheSameTokensUnderEveryScheduleWhileSharesMove) {
  const auto trial = ServingTrial::Create(context_, folder_.Path("tiny.gguf"));
  ASSERT_TRUE(trial) << trial.error().message;
  TrafficOptions traffic{.rate = 1000.0, .requests = 30, .prompt_median = 40, .answer_median = 10};
  traffic.most_prompt = 100;
  traffic.most_answer = 20;
  const auto load = MakeLoad(traffic);
  std::vector<uint64_t> expected;
  for (const char* schedule :
       {"prefill-first", "chunked:16", "static:100,100", "static:50,50", "semi-pd", "disaggregated"}) {
    const auto run = (*trial)->Play(schedule, load, traffic, 0.005);
    ASSERT_TRUE(run) << run.error().message;
    for (size_t i = 0; i < load.size(); ++i) {
      EXPECT_TRUE(run->served[i].done);
      if (expected.size() < load.size()) expected.push_back(run->served[i].tokens_hash);
      EXPECT_EQ(run->served[i].tokens_hash, expected[i]) << schedule;
    }
    EXPECT_GE(run->state.most_running, 2);
  }
  EXPECT_NE(expected[0], expected[1]);
}

TEST_F(TrialTest, SetsObjectivesByRuleAndFindsTheHighestRate) {
  const auto trial = ServingTrial::Create(context_, folder_.Path("tiny.gguf"));
  ASSERT_TRUE(trial) << trial.error().message;
  TrafficOptions traffic{.requests = 200, .prompt_median = 40, .answer_median = 10, .most_prompt = 100};
  const auto load = MakeLoad(traffic);
  ASSERT_TRUE((*trial)->Calibrate(load));
  EXPECT_DOUBLE_EQ((*trial)->objectives().ttft_seconds, 10.0 * (*trial)->alone_ttft());
  EXPECT_DOUBLE_EQ((*trial)->objectives().tpot_seconds, 4.0 * (*trial)->alone_tpot());
  EXPECT_GT((*trial)->alone_tpot(), 0.0);
  EXPECT_GT((*trial)->costs().paired, 0.0);
  const auto of_rate = [&](double rate) -> Result<std::vector<LoadRequest>> {
    TrafficOptions at = traffic;
    at.rate = rate;
    return MakeLoad(at);
  };
  const auto rate = HighestRate(**trial, "semi-pd", of_rate, 0.5);
  ASSERT_TRUE(rate) << rate.error().message;
  EXPECT_GT(*rate, 0.0);
  const auto above = (*trial)->Summarized((*trial)->Simulate("semi-pd", *of_rate(4.0 * *rate)));
  ASSERT_TRUE(above);
  EXPECT_LT(above->attainment, 0.9);
}

}  // namespace
}  // namespace hone
