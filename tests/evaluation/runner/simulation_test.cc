// Settings on packed forms beside the same settings on rounded floats.
#include <gtest/gtest.h>

#include <cmath>

#include "core/formats/gguf/random_model.h"
#include "evaluation/runner/setting_model.h"
#include "language/models/model_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

std::unique_ptr<SettingModel> Load(const std::string& path, const ScratchFolder& folder,
                                   const std::string& name, bool simulate) {
  const auto setting = ParseSetting(name, simulate);
  if (!setting) {
    ADD_FAILURE() << setting.error().message;
    return nullptr;
  }
  auto model = SettingModel::Load({path, folder.path(), 2}, *setting);
  if (!model) {
    ADD_FAILURE() << model.error().message;
    return nullptr;
  }
  return std::move(*model);
}

// [tokens][vocabulary]
std::vector<std::vector<float>> Logits(SettingModel& model, const std::vector<TokenId>& tokens,
                                       Observer* observer = nullptr) {
  Sequence sequence{.cache = model.MakeCache()};
  sequence.tokens = tokens;
  sequence.prompt_tokens = static_cast<int64_t>(tokens.size());
  Batch batch;
  AppendRows(sequence, 0, sequence.prompt_tokens, false, true, batch);
  std::vector<std::vector<float>> logits;
  const auto run = model.runner().Run(
      batch, [&](int64_t, std::span<float> row) { logits.emplace_back(row.begin(), row.end()); },
      {.observers = std::span(&observer, observer == nullptr ? 0 : 1)});
  if (!run) ADD_FAILURE() << run.error().message;
  return logits;
}

double LargestDifference(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double largest = a.size() == b.size() ? 0.0 : HUGE_VAL;
  for (size_t i = 0; i < a.size() && i < b.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j)
      largest = std::max(largest, static_cast<double>(std::abs(a[i][j] - b[i][j])));
  }
  return largest;
}

double MeanDifference(const std::vector<std::vector<float>>& a, const std::vector<std::vector<float>>& b) {
  double sum = 0.0;
  double count = 0.0;
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t j = 0; j < a[i].size(); ++j, count += 1.0) sum += std::abs(a[i][j] - b[i][j]);
  }
  return sum / count;
}

class SimulatedSetting : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = folder_.Path("tiny.gguf");
    ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 7, path_));
  }
  std::vector<std::vector<float>> Run(const std::string& name, bool simulate) {
    const auto model = Load(path_, folder_, name, simulate);
    return model ? Logits(*model, tokens_) : std::vector<std::vector<float>>{};
  }
  ScratchFolder folder_;
  std::string path_;
  std::vector<TokenId> tokens_ = testing::SomeTokens(40, 500);
};

TEST_F(SimulatedSetting, EqualsThePackedWeights) {
  const auto reference = Run("w16", false);
  for (const char* name : {"w4g32", "w4g64", "w5g32", "w4", "w8", "w2", "w3"}) {
    const auto packed = Run(name, false);
    const auto simulated = Run(name, true);
    EXPECT_LT(LargestDifference(packed, simulated), 1e-3) << name;
    EXPECT_GT(LargestDifference(packed, reference), 1e-2) << name;
  }
}

// Keeps what the first mixer gives to the residual stream.
class FirstMixer : public Observer {
 public:
  std::vector<std::vector<float>> rows;
  bool Wants(Tensor tensor, int layer) const override { return tensor == Tensor::kMixerOutput && layer == 0; }
  void Observe(Tensor, int, std::span<const int64_t>, MatrixView<const float> values) override {
    for (int64_t i = 0; i < values.rows; ++i)
      rows.emplace_back(values.row(i), values.row(i) + values.columns);
  }
};

// A float that differs in its last bit may be rounded to the neighbouring byte, and whatever follows differs
// by as much: the first products agree far better than the logits do.
TEST_F(SimulatedSetting, FollowsTheFastModesActivations) {
  for (const char* weights : {"w4g32", "w8"}) {
    const std::string names[] = {weights, std::string(weights) + "a8", std::string(weights) + "a8"};
    std::vector<std::vector<float>> first[3];
    std::vector<std::vector<float>> logits[3];
    for (int i = 0; i < 3; ++i) {
      const auto model = Load(path_, folder_, names[i], /*simulate=*/i == 2);
      ASSERT_TRUE(model);
      FirstMixer mixer;
      logits[i] = Logits(*model, tokens_, &mixer);
      first[i] = mixer.rows;
    }
    EXPECT_LT(MeanDifference(first[1], first[2]), 0.05 * MeanDifference(first[1], first[0])) << weights;
    EXPECT_LT(MeanDifference(logits[1], logits[2]), 0.9 * MeanDifference(logits[1], logits[0])) << weights;
  }
}

TEST_F(SimulatedSetting, LosesMoreWithFewerBits) {
  const auto reference = Run("w16", false);
  for (const auto& names :
       {std::vector<const char*>{"w8g64", "w4g64", "w3g64", "w2g64"},
        std::vector<const char*>{"a8t", "a4", "a2"}, std::vector<const char*>{"kv8", "kv4", "kv3", "kv2"}}) {
    double last = 0.0;
    for (const char* name : names) {
      const double lost = MeanDifference(Run(name, true), reference);
      EXPECT_GT(lost, 1.5 * last) << name;
      last = lost;
    }
  }
}

TEST_F(SimulatedSetting, CountsWhatItsFormWouldTake) {
  const auto packed = Load(path_, folder_, "w4g64", false);
  const auto simulated = Load(path_, folder_, "w4g64", true);
  ASSERT_TRUE(packed && simulated);
  // 4 bits, a scale and a zero point in 64 columns, beside 5 bits a weight of Q4_1; the embedding is F32 in
  // both.
  EXPECT_LT(simulated->bits_per_weight(), packed->bits_per_weight());
  EXPECT_GT(simulated->bits_per_weight(), 0.8 * packed->bits_per_weight());
  const auto kv4 = Load(path_, folder_, "kv4", true);
  const auto head_dim = static_cast<double>(kv4->model().config().head_dim);
  const auto kv16 = Load(path_, folder_, "w16", false);
  EXPECT_NEAR(kv4->kv_bytes_per_token() / kv16->kv_bytes_per_token(), (4.0 + 20.0 / head_dim) / 16.0, 1e-9);
}

TEST(SmolLm, PackedW4EqualsSimulation) {
  const std::string path = testing::RealModel("SmolLM2-135M-Instruct.Q4_1.gguf");
  if (path.empty()) GTEST_SKIP() << "no HONE_TEST_MODELS";
  const ScratchFolder folder;
  const std::vector<TokenId> tokens = testing::SomeTokens(24, 40000);
  const auto packed = Load(path, folder, "w4g64", false);
  ASSERT_TRUE(packed);
  const auto logits = Logits(*packed, tokens);
  const auto simulated = Load(path, folder, "w4g64", true);
  ASSERT_TRUE(simulated);
  EXPECT_LT(LargestDifference(logits, Logits(*simulated, tokens)), 1e-3);
}

}  // namespace
}  // namespace hone
