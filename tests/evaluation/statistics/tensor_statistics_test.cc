#include "evaluation/statistics/tensor_statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/random.h"
#include "core/formats/gguf/random_model.h"
#include "language/models/model_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

TEST(PowerSums, GiveDeviationAndKurtosis) {
  PowerSums two;  // -1 and 1: kurtosis 1
  two.Add(std::vector<float>{-1.0f, 1.0f, -1.0f, 1.0f});
  EXPECT_DOUBLE_EQ(two.deviation(), 1.0);
  EXPECT_DOUBLE_EQ(two.kurtosis(), 1.0);
  PowerSums outlier;  // 99 zeros and a 10: mean 0.1, variance 0.99, fourth moment 96.0597
  outlier.Add(std::vector<float>(99, 0.0f));
  outlier.Add(std::vector<float>{10.0f});
  EXPECT_NEAR(outlier.deviation(), std::sqrt(0.99), 1e-9);
  EXPECT_NEAR(outlier.kurtosis(), 96.0597 / (0.99 * 0.99), 1e-6);
  EXPECT_EQ(outlier.largest, 10.0);
  PowerSums flat;
  flat.Add(std::vector<float>(8, 2.5f));
  EXPECT_EQ(flat.kurtosis(), 0.0);
}

TEST(PowerSums, AreNearThreeForTheSumOfManyDraws) {
  PowerSums sums;
  std::vector<float> x(20000, 0.0f);
  for (size_t i = 0; i < x.size(); ++i) {
    for (uint32_t j = 0; j < 12; ++j) x[i] += RandomUniform(1, i, j) - 0.5f;
  }
  sums.Add(x);
  EXPECT_NEAR(sums.deviation(), 1.0, 0.03);
  EXPECT_NEAR(sums.kurtosis(), 2.9, 0.15);  // 3 - 1.2 / 12
}

TEST(TensorStatistics, CoverEveryMatrixAndLayerOfAModel) {
  const ScratchFolder folder;
  const std::string path = folder.Path("tiny.gguf");
  ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 3, path));
  const auto source = OpenModelSource(path);
  ASSERT_TRUE(source);
  testing::TestEngine engine(path);
  const auto share = engine.engine.pool.MakeShare();
  const auto weights = WeightStatistics(**source, *share);
  ASSERT_TRUE(weights) << weights.error().message;
  const auto layers = engine.model->config().layers;
  int64_t in_layers = 0;
  for (const TensorStatistics& one : *weights) {
    in_layers += one.layer >= 0 ? 1 : 0;
    EXPECT_GT(one.sums.deviation(), 0.0) << one.kind;
    EXPECT_NEAR(one.sums.kurtosis(), 3.0, 1.0) << one.kind;  // nearly Gaussian
  }
  EXPECT_EQ(in_layers, 7 * layers);

  std::vector<CalibrationWindow> windows(2);
  windows[0].tokens = testing::SomeTokens(20, 500, 1);
  windows[1].tokens = testing::SomeTokens(30, 500, 2);
  const auto activations = ActivationStatistics(*engine.runner, engine.engine, windows);
  ASSERT_TRUE(activations) << activations.error().message;
  EXPECT_EQ(activations->size(), static_cast<size_t>(6 * layers));
  const auto width = static_cast<double>(engine.model->config().width);
  EXPECT_EQ(activations->front().sums.count, 50.0 * width);
  // What an RMS norm with weights near 1 gives.
  EXPECT_NEAR(activations->front().sums.deviation(), 1.0, 0.3);

  std::vector<TensorStatistics> all = *weights;
  all.insert(all.end(), activations->begin(), activations->end());
  const auto json = nlohmann::json::parse(StatisticsJson(all));
  EXPECT_EQ(json["tensors"].size(), all.size());
  const std::string text = StatisticsText(all, false);
  EXPECT_NE(text.find("input of down"), std::string::npos);
  EXPECT_LT(std::ranges::count(text, '\n'), std::ranges::count(StatisticsText(all, true), '\n'));
}

}  // namespace
}  // namespace hone
