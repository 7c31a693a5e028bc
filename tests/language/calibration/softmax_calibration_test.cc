#include "language/calibration/softmax_calibration.h"

#include <cmath>
#include <random>

#include "../models/model_fixture.h"
#include "language/models/plan_use.h"
#include "language/models/softmax_plan.h"
#include "scratch_folder.h"

namespace hone::testing {
namespace {

constexpr TokenId kVocabulary = 288;

TEST(ScoreHistogram, GivesQuantilesWithinABinAndExactExtremes) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal(2.0f, 10.0f);
  std::vector<float> scores(100000);
  for (float& score : scores) score = normal(random);
  ScoreHistogram histogram;
  histogram.Add(std::span<const float>(scores).first(40000));
  ScoreHistogram rest;
  rest.Add(std::span<const float>(scores).subspan(40000));
  histogram.Add(rest);
  std::sort(scores.begin(), scores.end());
  EXPECT_EQ(histogram.count(), 100000);
  EXPECT_EQ(histogram.smallest(), scores.front());
  EXPECT_EQ(histogram.largest(), scores.back());
  for (const double q : {0.00005, 0.01, 0.3}) {
    const auto below = static_cast<size_t>(q * 100000);
    EXPECT_LE(histogram.LowerQuantile(q), scores[below]);
    EXPECT_GE(histogram.LowerQuantile(q), scores[below] - 0.126f);
    EXPECT_GE(histogram.UpperQuantile(q), scores[99999 - below]);
    EXPECT_LE(histogram.UpperQuantile(q), scores[99999 - below] + 0.126f);
  }
}

TEST(ScoreHistogram, KeepsWhatLiesBeyondItsBins) {
  ScoreHistogram histogram;
  const std::vector<float> scores = {-900.0f, 0.0f, 0.0f, 700.0f};
  histogram.Add(scores);
  EXPECT_EQ(histogram.LowerQuantile(0.0), -900.0f);
  EXPECT_EQ(histogram.UpperQuantile(0.0), 700.0f);
  EXPECT_NEAR(histogram.LowerQuantile(0.25), 0.0f, 0.126f);
}

// Query and key of every layer, to count the scores once more.
class Recorder : public Observer {
 public:
  bool Wants(Tensor tensor, int) const override { return tensor == Tensor::kQuery || tensor == Tensor::kKey; }
  void Observe(Tensor tensor, int, std::span<const int64_t>, MatrixView<const float> values) override {
    auto& to = (tensor == Tensor::kQuery ? query : key).emplace_back();
    for (int64_t row = 0; row < values.rows; ++row)
      to.insert(to.end(), values.row(row), values.row(row) + values.columns);
  }
  std::vector<std::vector<float>> query, key;
};

class SoftmaxCalibrated : public ::testing::TestWithParam<const char*> {
 protected:
  SoftmaxCalibration Calibrate(int64_t window) {
    const auto tokens = SomeTokens(200, kVocabulary);
    windows_ = *CalibrationWindows(*engine_.model, tokens, window, 100);
    return *CalibrateSoftmax(*engine_.runner, engine_.engine, windows_);
  }
  TestEngine engine_{TinyModel(GetParam())};
  std::vector<std::vector<TokenId>> windows_;
};

TEST_P(SoftmaxCalibrated, CountsEveryVisibleScoreOnce) {
  const SoftmaxCalibration calibration = Calibrate(60);
  ASSERT_EQ(windows_.size(), 3u);
  EXPECT_EQ(calibration.tokens, 180);
  const ModelConfig& config = engine_.model->config();
  Recorder recorder;
  Observer* observers[] = {&recorder};
  for (const auto& window : windows_) {
    Sequence sequence = engine_.MakeSequence(window);
    Batch batch;
    AppendRows(sequence, 0, 60, false, false, batch);
    engine_.Run(batch, {.head = false, .observers = observers});
  }
  const int group = config.heads / config.kv_heads;
  for (int layer = 0; layer < config.layers; ++layer) {
    for (int kv_head = 0; kv_head < config.kv_heads; ++kv_head) {
      double smallest = INFINITY, largest = -INFINITY;
      int64_t count = 0;
      for (size_t w = 0; w < windows_.size(); ++w) {
        const size_t at = w * static_cast<size_t>(config.layers) + static_cast<size_t>(layer);
        const int own_window = config.window[static_cast<size_t>(layer)];
        for (int row = 0; row < 60; ++row) {
          for (int entry = own_window > 0 ? std::max(0, row - own_window + 1) : 0; entry <= row; ++entry) {
            for (int g = 0; g < group; ++g) {
              double score = 0.0;
              for (int d = 0; d < config.head_dim; ++d) {
                score += static_cast<double>(recorder.query[at][static_cast<size_t>(
                             (row * config.heads + kv_head * group + g) * config.head_dim + d)]) *
                         recorder.key[at][static_cast<size_t>(
                             (entry * config.kv_heads + kv_head) * config.head_dim + d)];
              }
              smallest = std::min(smallest, config.attention_scale * score);
              largest = std::max(largest, config.attention_scale * score);
              ++count;
            }
          }
        }
      }
      const ScoreRange& range = calibration.range(layer, kv_head);
      EXPECT_EQ(range.scores, count);
      EXPECT_NEAR(range.smallest, smallest, 1e-4);
      EXPECT_NEAR(range.largest, largest, 1e-4);
      EXPECT_LE(range.smallest, range.low);
      EXPECT_GE(range.largest, range.high);
    }
  }
}

TEST_P(SoftmaxCalibrated, NormedHeadsBoundEveryScore) {
  const SoftmaxCalibration calibration = Calibrate(60);
  const bool normed = std::string(GetParam()) != "llama.gguf";
  for (int layer = 0; layer < calibration.layers; ++layer) {
    const auto bound = engine_.model->score_bound(layer);
    ASSERT_EQ(bound.has_value(), normed);
    if (!normed) continue;
    const ScoreRange range = calibration.LayerRange(layer);
    EXPECT_LE(range.largest, *bound);
    EXPECT_GE(range.smallest, -*bound);
    EXPECT_LT(*bound, 1e3f);
  }
}

TEST_P(SoftmaxCalibrated, PlanReachesTheRunnerAndLeavesTheLogits) {
  const ScratchFolder folder;
  const SoftmaxCalibration calibration = Calibrate(60);
  Plan plan;
  plan.parts["softmax"] = SoftmaxPart(calibration, *engine_.model);
  ASSERT_TRUE(WritePlan(plan, folder.path()));
  const auto read = ReadPlan(folder.path());
  ASSERT_TRUE(read) << read.error().message;
  RunnerOptions options = engine_.runner->options();
  const auto used = UsePlan(*read, *engine_.model, options);
  ASSERT_TRUE(used) << used.error().message;
  const ModelConfig& config = engine_.model->config();
  ASSERT_EQ(static_cast<int>(options.softmax.size()), config.layers);
  for (int layer = 0; layer < config.layers; ++layer) {
    for (int head = 0; head < config.kv_heads; ++head) {
      const SoftmaxScale& scale = options.softmax[static_cast<size_t>(layer)][static_cast<size_t>(head)];
      EXPECT_TRUE(scale.fixed);
      EXPECT_FALSE(scale.strict);
      EXPECT_EQ(scale.phi, calibration.range(layer, head).phi());
      EXPECT_EQ(scale.below, -60.0f);
      EXPECT_NEAR(scale.above, 80.0 - std::log(static_cast<double>(config.context)), 1e-4);
    }
  }
  const auto tokens = SomeTokens(100, kVocabulary, 7);
  const auto running = engine_.AllLogits(tokens);
  engine_.runner = *Runner::Create(engine_.model, engine_.engine, options);
  const auto fixed = engine_.AllLogits(tokens);
  for (size_t row = 0; row < running.size(); ++row) {
    for (size_t i = 0; i < running[row].size(); ++i) EXPECT_NEAR(fixed[row][i], running[row][i], 1e-4f);
  }
  EXPECT_EQ(engine_.runner->counters().AllLayers().rows_recomputed, 0);
  EXPECT_GT(engine_.runner->counters().AllLayers().rows_checked, 0);
}

INSTANTIATE_TEST_SUITE_P(Families, SoftmaxCalibrated,
                         ::testing::Values("llama.gguf", "gemma3.gguf", "qwen3.gguf"),
                         [](const auto& info) { return std::string(info.param).substr(0, 5); });

TEST(SoftmaxPlan, OfABadFieldIsRefusedByName) {
  TestEngine engine(TinyModel("llama.gguf"));
  const auto windows = *CalibrationWindows(*engine.model, SomeTokens(40, kVocabulary), 20, 2);
  const SoftmaxCalibration calibration = *CalibrateSoftmax(*engine.runner, engine.engine, windows);
  const auto message = [&](const std::string& settings) {
    PlanPart part = SoftmaxPart(calibration, *engine.model);
    part.settings = settings;
    part.source = "plan.json";
    RunnerOptions options;
    const auto used = UseSoftmaxPart(part, *engine.model, options);
    return used ? std::string("taken") : used.error().message;
  };
  EXPECT_EQ(message(R"({"guard": "relaxed", "below": -60, "above": 70})"), "taken");
  EXPECT_EQ(message(R"({"guard": "loose", "below": -60, "above": 70})"),
            "plan.json: parts.softmax.settings.guard: expected \"strict\" or \"relaxed\"");
  EXPECT_EQ(message(R"({"guard": "strict", "below": 3, "above": 70})"),
            "plan.json: parts.softmax.settings.below: found 3, expected a number below 0");
  EXPECT_EQ(message(R"({"guard": "strict", "below": -3})"),
            "plan.json: parts.softmax.settings.above: found nothing, expected a number above 0 and below 88");
}

TEST(CalibrationWindows, AreSpreadOverTheTextAndRefuseAShortOne) {
  TestEngine engine(TinyModel("llama.gguf"));
  const auto tokens = SomeTokens(100, kVocabulary);
  const auto windows = *CalibrationWindows(*engine.model, tokens, 20, 2);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0][5], tokens[5]);
  EXPECT_EQ(windows[1][5], tokens[45]);  // window 2 of 5
  const auto refused = CalibrationWindows(*engine.model, std::span(tokens).first(10), 20, 2);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "calibration: a text of 10 tokens, expected at least 20 for one window");
}

}  // namespace
}  // namespace hone::testing
