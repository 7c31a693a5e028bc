#include "evaluation/runner/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/formats/gguf/random_model.h"
#include "core/kernels/elementwise.h"
#include "evaluation/runner/advice.h"
#include "evaluation/runner/dialogue.h"
#include "evaluation/runner/pareto.h"
#include "language/models/model_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

class OnATinyModel : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = folder_.Path("tiny.gguf");
    ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 5, path_));
  }
  ScratchFolder folder_;
  std::string path_;
};

TEST_F(OnATinyModel, LikelihoodsAreSumsOfTheLogits) {
  testing::TestEngine engine(path_);
  std::vector<LikelihoodRequest> requests = {
      {{1, 2, 3}, {4, 5}}, {{1, 2, 3}, {6}}, {{1, 2, 3}, {4, 7, 8}}, {{9}, {10, 11}}};
  const auto results = ScoreLikelihoods(Reader{*engine.runner, engine.pool, {}}, requests);
  ASSERT_TRUE(results) << results.error().message;
  for (size_t i = 0; i < requests.size(); ++i) {
    std::vector<TokenId> tokens = requests[i].context;
    tokens.insert(tokens.end(), requests[i].continuation.begin(), requests[i].continuation.end());
    const auto logits = engine.AllLogits(tokens);
    double expected = 0.0;
    bool greedy = true;
    for (size_t j = requests[i].context.size(); j < tokens.size(); ++j) {
      const auto& row = logits[j - 1];
      expected += row[static_cast<size_t>(tokens[j])] - LogSumExp(row);
      greedy = greedy && std::ranges::max_element(row) - row.begin() == tokens[j];
    }
    EXPECT_EQ((*results)[i].log_probability, expected) << i;  // batch invariance: the very bits
    EXPECT_EQ((*results)[i].greedy, greedy) << i;
    EXPECT_EQ((*results)[i].tokens, static_cast<int64_t>(requests[i].continuation.size()));
  }
}

TEST_F(OnATinyModel, TooLongContextsLoseTheirLeftEndAndTooLongContinuationsAreCounted) {
  testing::TestEngine engine(path_);  // a context of 256
  const std::vector<TokenId> tokens = testing::SomeTokens(400, 500);
  const std::vector<TokenId> next = {7, 8};
  LikelihoodRequest whole{tokens, next};
  LikelihoodRequest cut{{tokens.end() - 255, tokens.end()},
                        next};  // 255 + 2 = the limit and the token never read
  LikelihoodRequest hopeless{{1}, tokens};
  const auto results = ScoreLikelihoods(Reader{*engine.runner, engine.pool, {}}, {whole, cut, hopeless});
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_TRUE((*results)[0].shortened);
  EXPECT_FALSE((*results)[1].shortened);
  EXPECT_EQ((*results)[0].log_probability, (*results)[1].log_probability);
  EXPECT_TRUE((*results)[2].skipped);
}

TEST_F(OnATinyModel, SpacesAtTheEndOfTheContextMoveToTheContinuation) {
  testing::TestEngine engine(path_);
  const Tokenizer& tokenizer = engine.model->tokenizer();
  const auto spaced = EncodeRequest(tokenizer, "a stone ", "wet");
  const auto plain = EncodeRequest(tokenizer, "a stone", " wet");
  ASSERT_TRUE(spaced && plain);
  EXPECT_EQ(spaced->context, plain->context);
  EXPECT_EQ(spaced->continuation, plain->continuation);
  const auto empty = EncodeRequest(tokenizer, "", "wet");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->context, std::vector<TokenId>{tokenizer.special().bos});
}

TEST_F(OnATinyModel, QuantizedSettingsAreMeasuredBesideTheReference) {
  EvaluationOptions options{.source = {path_, folder_.path(), 2}};
  for (const char* name : {"w16", "w8", "w2"}) options.settings.push_back(*ParseSetting(name));
  EvalTask task{.name = "t", .definition = "d"};
  for (int i = 0; i < 12; ++i)
    task.items.push_back({"", {"the stone and the knife number " + std::to_string(i)}});
  options.tasks = {task};
  const auto results = Evaluate(options);
  ASSERT_TRUE(results) << results.error().message;
  EXPECT_NEAR((*results)[0].bits_per_weight, 32.0, 0.01);
  EXPECT_NEAR((*results)[1].bits_per_weight, 8.5, 0.1);
  EXPECT_LT((*results)[2].bits_per_weight, 5.0);
  const double w8 = std::abs((*results)[1].scores[0].score - (*results)[0].scores[0].score);
  const double w2 = std::abs((*results)[2].scores[0].score - (*results)[0].scores[0].score);
  EXPECT_LT(w8, 0.02);
  EXPECT_GT(w2, w8);
  const auto json = nlohmann::json::parse(EvaluationJson(*results, options.tasks));
  EXPECT_EQ(json["settings"][2]["type_mix"], "Q2_K");
  EXPECT_EQ(json["settings"][1]["tasks"][0]["difference"]["to"], "w16");
}

TEST_F(OnATinyModel, DialoguesAreAnsweredGreedilyAndJudgedByTheReference) {
  testing::TestEngine engine(path_);
  const auto task = MakeDialogueTask({.name = "d", .text = R"({"turns": ["Who is it?", "And why?"]})"});
  ASSERT_TRUE(task) << task.error().message;
  const Reader reader{*engine.runner, engine.pool, {}};
  const auto answers = AnswerDialogues(reader, *task, {});
  ASSERT_TRUE(answers) << answers.error().message;
  ASSERT_EQ(answers->size(), 2u);
  for (const LikelihoodRequest& answer : *answers) {
    std::vector<TokenId> tokens = answer.context;
    tokens.insert(tokens.end(), answer.continuation.begin(), answer.continuation.end());
    const auto logits = engine.AllLogits(tokens);
    for (size_t i = answer.context.size(); i < tokens.size(); ++i)
      EXPECT_EQ(std::ranges::max_element(logits[i - 1]) - logits[i - 1].begin(), tokens[i]);
  }
  EXPECT_GT((*answers)[1].context.size(), (*answers)[0].context.size());
  const auto score = RunTask(reader, *task);
  ASSERT_TRUE(score) << score.error().message;
  EXPECT_EQ(score->items, 2);
  EXPECT_GT(score->score, 0.0);
}

TEST(RepetitionRate, CountsRunsOfFourThatWereThereBefore) {
  EXPECT_EQ(RepetitionRate(std::vector<TokenId>{1, 2, 3, 4}), 0.0);
  EXPECT_EQ(RepetitionRate(std::vector<TokenId>{1, 2, 3, 4, 5, 6, 7}), 0.0);
  EXPECT_NEAR(RepetitionRate(std::vector<TokenId>{7, 7, 7, 7, 7, 7}), 2.0 / 3.0, 1e-12);
}

TEST(ParetoFront, KeepsWhatNothingBeats) {
  std::vector<ParetoPoint> points = {
      {"w16", 100, 3.0}, {"w8", 50, 3.0}, {"w4", 30, 3.2}, {"bad", 40, 3.3}, {"w2", 20, 9.0}};
  MarkFront(points, /*lower_is_better=*/true);
  std::vector<std::string> front;
  for (const ParetoPoint& point : points)
    if (point.on_front) front.push_back(point.name);
  EXPECT_EQ(front, (std::vector<std::string>{"w8", "w4", "w2"}));
  MarkFront(points, /*lower_is_better=*/false);
  EXPECT_TRUE(points[4].on_front);
  EXPECT_FALSE(points[0].on_front);
}

TEST_F(OnATinyModel, APictureOfTheFrontIsDrawn) {
  if (std::system("gnuplot --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no gnuplot";
  std::vector<SettingResult> results(2);
  for (size_t i = 0; i < 2; ++i) {
    results[i].setting.name = i == 0 ? "w16" : "w4";
    results[i].weight_bytes = 1000000 * (2 - i);
    results[i].scores = {{.task = "t", .score = 3.0 + static_cast<double>(i), .interval = {2.5, 4.5}}};
  }
  const auto drawn = DrawFronts(results, {{.name = "t"}}, 1024, "tiny", folder_.Path("front"));
  ASSERT_TRUE(drawn) << drawn.error().message;
  EXPECT_GT(std::filesystem::file_size(folder_.Path("front.svg")), 1000u);
  EXPECT_GT(std::filesystem::file_size(folder_.Path("front.png")), 1000u);
}

TEST(TaskScore, MeasuresCalibrationByBins) {
  // Ten answers at confidence 0.95 of which half are right: 0.45 wrong; ten at 0.55 of which six are: 0.05.
  std::vector<ItemScore> items;
  for (int i = 0; i < 10; ++i) items.push_back({.value = i < 5 ? 1.0 : 0.0, .confidence = 0.95});
  for (int i = 0; i < 10; ++i) items.push_back({.value = i < 6 ? 1.0 : 0.0, .confidence = 0.55});
  EXPECT_NEAR(CalibrationError(items), 0.5 * 0.45 + 0.5 * 0.05, 1e-9);
}

TEST(PairedDifference, SeesASmallShiftThatSingleIntervalsDoNot) {
  TaskScore a;
  TaskScore b;
  for (int i = 0; i < 200; ++i) {
    const double hardness = (i * 37 % 100) / 10.0;
    a.by_item.push_back({.value = hardness});
    b.by_item.push_back({.value = hardness + 0.05 + 0.01 * (i % 3)});
  }
  const Interval paired = PairedDifference(a, b);
  EXPECT_GT(paired.low, 0.055);
  EXPECT_LT(paired.high, 0.065);
  const Interval alone = ScoreInterval(a.by_item);
  EXPECT_GT(alone.high - alone.low, 0.5);
}

TEST(PairedDifference, CoversZeroForTheSameScores) {
  TaskScore a;
  for (int i = 0; i < 50; ++i) a.by_item.push_back({.value = static_cast<double>(i % 2)});
  const Interval paired = PairedDifference(a, a);
  EXPECT_EQ(paired.low, 0.0);
  EXPECT_EQ(paired.high, 0.0);
}

TEST(EvalSetting, IsReadByItsParts) {
  const auto setting = ParseSetting("w4a8kv32");
  ASSERT_TRUE(setting);
  EXPECT_EQ(setting->weights, 4);
  EXPECT_EQ(setting->activations, 8);
  EXPECT_EQ(setting->kv, 32);
  EXPECT_EQ(setting->type_mix(), "Q4_K_S");
  EXPECT_EQ(ParseSetting("w16")->kv, 16);
}

TEST(EvalSetting, NamesGroupsAndTokens) {
  const auto setting = ParseSetting("w3g64a8tkv4g32", /*simulate=*/true);
  ASSERT_TRUE(setting) << setting.error().message;
  EXPECT_EQ(setting->weights, 3);
  EXPECT_EQ(setting->group, 64);
  EXPECT_TRUE(setting->by_token);
  EXPECT_EQ(setting->kv, 4);
  EXPECT_EQ(setting->kv_group, 32);
  EXPECT_TRUE(ParseSetting("a4", true)->by_token);
  EXPECT_FALSE(ParseSetting("w4a8")->by_token);
  EXPECT_TRUE(ParseSetting("w4g64"));
}

TEST(EvalSetting, IsRefusedWhereNoKernelRunsIt) {
  for (const char* name : {"w4a4", "kv3", "w7", "w3g64", "w4g48", "a8t", "kv1"})
    EXPECT_EQ(ParseSetting(name).error().kind, ErrorKind::kFailed) << name;
  for (const char* name : {"8bit", "", "w4g64x", "w1g64"})
    EXPECT_EQ(ParseSetting(name).error().kind, ErrorKind::kUsage) << name;
  for (const char* name : {"w4a4", "kv3", "w7g64", "w3g64", "a8t"})
    EXPECT_TRUE(ParseSetting(name, true)) << name;
}

TEST(Advice, TakesTheBestThatFitsAndTheSmallestThatIsNotToldApart) {
  MeasuredFront front{.task = "t", .unit = "nats a token", .lower_is_better = true, .context = 1024};
  front.points = {
      {"w16", 300e6, 3.00}, {"w8", 150e6, 3.00}, {"w5", 110e6, 3.01}, {"w4", 90e6, 3.40}, {"w2", 50e6, 9.00}};
  MarkFront(front.points, true);
  EXPECT_EQ(Advise(front, 1e9)->choice.name, "w8");  // the same score on less
  EXPECT_EQ(Advise(front, 95e6)->choice.name, "w4");
  // Item by item: w5 is better as often as worse, w4 is always worse.
  for (const double shift : {0.0, 0.0, 0.01, 0.4, 6.0}) {
    TaskScore& score = front.scores.emplace_back();
    for (int i = 0; i < 100; ++i)
      score.by_item.push_back(
          {.value = 3.0 + i % 10 + shift + (shift == 0.01 ? (i % 2 == 0 ? 0.3 : -0.3) : 0.0)});
  }
  const auto advice = Advise(front, 200e6);
  ASSERT_TRUE(advice);
  EXPECT_EQ(advice->choice.name, "w5");
  EXPECT_NE(advice->reason.find("w8 reaches 3.0000 on 150 MB: not told apart"), std::string::npos)
      << advice->reason;
  const auto none = Advise(front, 10e6);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("w2"), std::string::npos);
}

}  // namespace
}  // namespace hone
