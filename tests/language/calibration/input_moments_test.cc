#include "language/calibration/input_moments.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>

#include "core/base/random.h"
#include "core/formats/gguf/gguf_file.h"
#include "core/formats/gguf/random_model.h"
#include "language/calibration/gram.h"
#include "scratch_folder.h"

namespace hone {
namespace {

constexpr int64_t kWindow = 24;

class InputMomentsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(WriteRandomModel("llama-tiny", DType::kF32, 7, path_));
    Open();
  }
  void Open() {
    auto model = LoadModel(path_, engine_);
    ASSERT_TRUE(model) << model.error().message;
    RunnerOptions options;
    options.mode = NumericMode::kExact;
    options.max_rows = 64;
    runner_ = std::move(*Runner::Create(*model, engine_, options));
  }
  std::vector<CalibrationWindow> Windows(int64_t count) const {
    std::vector<CalibrationWindow> windows;
    for (int64_t w = 0; w < count; ++w) {
      CalibrationWindow window;
      window.first_token = w * kWindow;
      for (int64_t i = 0; i < kWindow; ++i)
        window.tokens.push_back(
            static_cast<TokenId>(RandomWord(5, static_cast<uint64_t>(w * kWindow + i), 1) % 256));
      windows.push_back(std::move(window));
    }
    return windows;
  }

  ScratchFolder folder_;
  std::string path_ = folder_.Path("model.gguf");
  Engine engine_{2};
  std::unique_ptr<Runner> runner_;
};

TEST(GramSums, EqualsTheSumOverRows) {
  for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{5, 48}, {33, 100}, {64, 16}}) {
    std::vector<float> x(static_cast<size_t>(rows * columns)), weights(static_cast<size_t>(rows));
    for (size_t i = 0; i < x.size(); ++i) x[i] = RandomUniform(1, i, 0) - 0.5f;
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 3);
    ComputePool pool(2);
    const auto share = pool.MakeShare();
    std::vector<float> sums(static_cast<size_t>(columns * columns), 1.0f);
    GramSums gram;
    gram.Add(*share, {x.data(), rows, columns}, weights, {sums.data(), columns, columns});
    for (int64_t a = 0; a < columns; ++a) {
      for (int64_t b = 0; b < columns; ++b) {
        double expected = 1.0;
        for (int64_t r = 0; r < rows; ++r)
          expected += static_cast<double>(weights[static_cast<size_t>(r)]) *
                      x[static_cast<size_t>(r * columns + a)] * x[static_cast<size_t>(r * columns + b)];
        ASSERT_NEAR(sums[static_cast<size_t>(a * columns + b)], expected, 1e-4) << a << " " << b;
      }
    }
  }
}

TEST(InputOfMatrix, KnowsEveryMatrixOfALayer) {
  EXPECT_EQ(InputOfMatrix("blk.12.attn_k.weight")->layer, 12);
  EXPECT_EQ(InputOfMatrix("blk.12.attn_k.weight")->input, LayerInput::kMixer);
  EXPECT_EQ(InputOfMatrix("blk.0.attn_output")->input, LayerInput::kAttended);
  EXPECT_EQ(InputOfMatrix("blk.0.ffn_up.weight")->input, LayerInput::kMlp);
  EXPECT_EQ(InputOfMatrix("blk.0.ffn_down.weight")->input, LayerInput::kDown);
  EXPECT_FALSE(InputOfMatrix("output.weight"));
  EXPECT_FALSE(InputOfMatrix("blk.0.attn_norm.weight"));
  EXPECT_FALSE(InputOfMatrix("blk.x.attn_q.weight"));
}

TEST_F(InputMomentsTest, TheWholePassAndLayerByLayerAgree) {
  const auto windows = Windows(5);
  const auto whole = CollectMoments(*runner_, engine_, windows);
  ASSERT_TRUE(whole) << whole.error().message;
  ASSERT_EQ(whole->size(), 2u);
  LayerByLayer layers(*runner_, engine_, windows);
  for (const int layer : {0, 1, 0}) {
    const auto moments = layers.Moments(layer);
    ASSERT_TRUE(moments) << moments.error().message;
    for (size_t input = 0; input < kLayerInputs; ++input) {
      const InputMoments& one = (**moments)[input];
      const InputMoments& all = (*whole)[static_cast<size_t>(layer)][input];
      ASSERT_EQ(one.squares.size(), all.squares.size());
      EXPECT_EQ(one.rows, 5.0 * kWindow);
      const size_t columns = one.squares.size();
      ASSERT_EQ(one.second.size(), columns * columns);
      for (size_t j = 0; j < columns; ++j) {
        ASSERT_NEAR(one.squares[j], all.squares[j], 1e-5 * all.squares[j] + 1e-9) << layer << " " << input;
        ASSERT_NEAR(one.second[j * columns + j], one.squares[j], 1e-4 * one.squares[j] + 1e-7);
        ASSERT_NEAR(one.second[j], one.second[j * columns],
                    1e-4 * std::sqrt(one.squares[0] * one.squares[j]) + 1e-6);
        ASSERT_GE(one.squares[j] * (1 + 1e-5), one.largest[j] * one.largest[j]);
      }
    }
  }
  EXPECT_FALSE(layers.Moments(2));
}

TEST_F(InputMomentsTest, TagsWeighRows) {
  auto windows = Windows(4);
  for (CalibrationWindow& window : windows) {
    window.tags.assign(window.tokens.size(), RowTag::kPrompt);
    for (size_t i = 10; i < window.tags.size(); ++i) window.tags[i] = RowTag::kAnswer;
  }
  MomentOptions prompts, answers;
  prompts.tags = {1, 0, 0, 0};
  answers.tags = {0, 3, 0, 0};
  const auto of_prompts = CollectMoments(*runner_, engine_, windows, prompts);
  const auto of_answers = CollectMoments(*runner_, engine_, windows, answers);
  const auto of_all = CollectMoments(*runner_, engine_, windows);
  ASSERT_TRUE(of_prompts && of_answers && of_all);
  const auto& p = (*of_prompts)[1][2];
  const auto& a = (*of_answers)[1][2];
  const auto& all = (*of_all)[1][2];
  EXPECT_EQ(p.rows, 40.0);
  EXPECT_EQ(a.rows, 3.0 * 4 * 14);
  for (size_t j = 0; j < all.squares.size(); ++j) {
    ASSERT_NEAR(p.squares[j] + a.squares[j] / 3.0, all.squares[j], 1e-4 * all.squares[j]);
    ASSERT_EQ(std::max(p.largest[j], a.largest[j]), all.largest[j]);
  }
}

TEST_F(InputMomentsTest, NamesTheFirstValueThatIsNotFinite) {
  const uint64_t offset = GgufFile::Open(path_)->FindTensor("blk.1.ffn_norm.weight")->offset;
  runner_.reset();
  {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(offset + 4 * 17));
    const float bad = NAN;
    file.write(reinterpret_cast<const char*>(&bad), sizeof bad);
  }
  Open();
  const auto windows = Windows(5);
  const auto whole = CollectMoments(*runner_, engine_, std::span(windows).subspan(2));
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().message,
            path_ + ": blk.1: the MLP's input is not finite (NaN or infinity) at token 48 of the text");
}

TEST_F(InputMomentsTest, ATextThatIsTooShortIsRefusedWithItsSize) {
  const auto windows = CutCalibrationText(runner_->model(), "too short", "notes.txt", 64, 8);
  ASSERT_FALSE(windows);
  EXPECT_EQ(windows.error().kind, ErrorKind::kBadInput);
  EXPECT_NE(windows.error().message.find("notes.txt: text: "), std::string::npos);
  EXPECT_NE(windows.error().message.find("expected at least 256"), std::string::npos)
      << windows.error().message;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "words of a text, number " + std::to_string(i) + ". ";
  const auto cut = CutCalibrationText(runner_->model(), text, "notes.txt", 64, 6);
  ASSERT_TRUE(cut) << cut.error().message;
  ASSERT_EQ(cut->size(), 6u);
  EXPECT_GT(cut->back().first_token, cut->front().first_token + 64 * 5);
}

}  // namespace
}  // namespace hone
