#include "training/language/lm_training_torch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/tensor/dtype.h"
#include "language/models/llama_torch.h"
#include "language/models/model_fixture.h"
#include "scratch_folder.h"
#include "training/language/adamw_torch.h"
#include "training/language/checkpoint.h"
#include "training/language/export.h"

namespace hone {
namespace {

std::string SomeText() {
  std::string text;
  for (int i = 0; i < 700; ++i) {
    text += "The " + std::string(i % 3 == 0 ? "red" : "blue") + " stone number " +
            std::to_string(i * 7 % 100) + " sharpens the " + (i % 2 == 0 ? "knife" : "scythe") + ".\n";
  }
  return text;
}

LanguageModelRecipe TinyRecipe(const std::string& text) {
  LanguageModelRecipe recipe;
  recipe.texts = {{text, 1.0}};
  recipe.vocabulary = 288;
  recipe.layers = 2;
  recipe.width = 64;
  recipe.heads = 2;
  recipe.kv_heads = 1;
  recipe.feed_forward = 96;
  recipe.steps = 12;
  recipe.batch_tokens = 256;
  recipe.rows = 64;
  recipe.lengths = {{0.5, 32}, {1.0, 64}};
  recipe.warmup = 3;
  return recipe;
}

TrainingRun RunIn(const std::string& folder) {
  TrainingRun run{.folder = folder};
  run.say = [](const std::string&) {};
  return run;
}

std::vector<double> Losses(const LossLog& log) {
  std::vector<double> losses;
  for (const LossLine& line : log.lines()) losses.push_back(line.loss);
  return losses;
}

class Trained : public ::testing::Test {
 protected:
  ScratchFolder folder_;
  std::string text_ = folder_.Write("text.txt", SomeText());

  LossLog Train(TrainingRun run) {
    auto log = TrainLanguageModel(run);
    EXPECT_TRUE(log) << log.error().message;
    return log ? std::move(*log) : LossLog();
  }
};

TEST_F(Trained, LearnsARegularText) {
  TrainingRun run = RunIn(folder_.Path("run"));
  run.recipe = TinyRecipe(text_);
  run.recipe->steps = 60;
  const std::vector<double> losses = Losses(Train(run));
  ASSERT_EQ(losses.size(), 60u);
  EXPECT_NEAR(losses.front(), std::log(288.0), 0.1);  // knows nothing
  EXPECT_LT(losses.back(), 0.6 * losses.front());
}

TEST_F(Trained, GoesOnBitForBitAfterBeingStoppedTwice) {
  TrainingRun whole = RunIn(folder_.Path("whole"));
  whole.recipe = TinyRecipe(text_);
  const std::vector<double> expected = Losses(Train(whole));
  TrainingRun parts = RunIn(folder_.Path("parts"));
  parts.recipe = TinyRecipe(text_);
  parts.stop_after = 5;  // within the first length
  Train(parts);
  parts.recipe.reset();
  parts.stop_after = 4;  // beyond it
  Train(parts);
  parts.stop_after = -1;
  const std::vector<double> found = Losses(Train(parts));
  EXPECT_EQ(found, expected);
  const auto a = LoadCheckpoint(folder_.Path("whole"));
  const auto b = LoadCheckpoint(folder_.Path("parts"));
  ASSERT_TRUE(a && b);
  ASSERT_EQ(a->tensors.size(), b->tensors.size());
  for (size_t i = 0; i < a->tensors.size(); ++i)
    EXPECT_EQ(a->tensors[i].values, b->tensors[i].values) << a->tensors[i].name;
}

TEST_F(Trained, GivesTheSameBitsForAnyThreads) {
  std::vector<std::vector<double>> losses;
  for (const int threads : {1, 3}) {
    TrainingRun run = RunIn(folder_.Path("threads" + std::to_string(threads)));
    run.recipe = TinyRecipe(text_);
    run.recipe->steps = 4;
    run.threads = threads;
    losses.push_back(Losses(Train(run)));
  }
  EXPECT_EQ(losses[0], losses[1]);
}

TEST_F(Trained, RefusesAFolderWithAnotherRecipe) {
  TrainingRun run = RunIn(folder_.Path("run"));
  run.recipe = TinyRecipe(text_);
  run.stop_after = 1;
  Train(run);
  run.recipe->learning_rate *= 2.0;
  const auto log = TrainLanguageModel(run);
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().kind, ErrorKind::kUsage);
}

// Logits of the engine, exact mode, for one sequence.
std::vector<std::vector<float>> EngineLogits(const std::string& path, const std::vector<TokenId>& tokens) {
  testing::TestEngine engine(path);
  if (!engine.model) return {};
  return engine.AllLogits(tokens);
}

// One forward pass of the libtorch twin beside the engine's, on the weights of a run, through both export
// formats.
TEST_F(Trained, HasTheEnginesLogits) {
  TrainingRun run = RunIn(folder_.Path("run"));
  run.recipe = TinyRecipe(text_);
  run.recipe->steps = 30;
  Train(run);
  const auto checkpoint = LoadCheckpoint(run.folder);
  ASSERT_TRUE(checkpoint);
  LlamaTorch twin(run.recipe->Config(), 1);
  torch::NoGradGuard no_gradient;
  for (const auto& [name, weight] : twin.parameters()) {
    for (const LoadedValues& loaded : checkpoint->tensors) {
      if (loaded.name == name)
        weight.copy_(torch::from_blob(const_cast<float*>(loaded.values.data()), weight.sizes()));
    }
  }
  std::vector<TokenId> tokens;
  for (int i = 0; i < 48; ++i) tokens.push_back((i * i * 31 + 5) % 288);
  const auto input = torch::tensor(std::vector<int64_t>(tokens.begin(), tokens.end())).unsqueeze(0);
  const auto expected = twin.Logits(input).squeeze(0).contiguous();
  ASSERT_TRUE(ExportHuggingFace(*run.recipe, checkpoint->tensors, run.folder, folder_.Path("hf")));
  ASSERT_TRUE(
      ExportGguf(*run.recipe, checkpoint->tensors, run.folder, DType::kF32, folder_.Path("model.gguf")));
  for (const std::string& path : {folder_.Path("hf"), folder_.Path("model.gguf")}) {
    const auto logits = EngineLogits(path, tokens);
    ASSERT_EQ(logits.size(), tokens.size());
    double worst = 0.0;
    for (size_t i = 0; i < logits.size(); ++i) {
      for (size_t j = 0; j < logits[i].size(); ++j)
        worst = std::max(worst,
                         std::abs(static_cast<double>(logits[i][j]) -
                                  expected[static_cast<int64_t>(i)][static_cast<int64_t>(j)].item<double>()));
    }
    EXPECT_LT(worst, 1e-4) << path;
  }
}

TEST(LlamaTorch, HasTheDerivativeThatFiniteDifferencesGive) {
  LanguageModelRecipe recipe = TinyRecipe("");
  LlamaTorch model(recipe.Config(), 3);
  const auto tokens = torch::randint(0, 288, {2, 16}, torch::kInt64);
  const auto next = torch::randint(0, 288, {2, 16}, torch::kInt64);
  model.Loss(tokens, next).backward();
  for (const size_t which :
       {size_t{0}, size_t{1}, size_t{2}, size_t{6}, size_t{9}, model.parameters().size() - 1}) {
    const auto& [name, weight] = model.parameters()[which];
    const auto direction = (weight.grad() / weight.grad().norm()).clone();
    const double along = weight.grad().norm().item<double>();
    torch::NoGradGuard no_gradient;
    constexpr double kStep = 5e-3;  // the loss carries some 1e-6 of rounding: smaller steps drown in it
    weight.add_(direction, kStep);
    const double above = model.Loss(tokens, next).item<double>();
    weight.add_(direction, -2.0 * kStep);
    const double below = model.Loss(tokens, next).item<double>();
    weight.add_(direction, kStep);
    EXPECT_NEAR((above - below) / (2.0 * kStep), along, 0.02 * along + 1e-3) << name;
  }
}

TEST(AdamW, DoesWhatItsFormulaSays) {
  auto weight = torch::tensor({{1.0f, -2.0f}});
  weight.set_requires_grad(true);
  AdamWTorch optimizer({{"w", weight}},
                       {.beta1 = 0.9, .beta2 = 0.99, .epsilon = 0.0, .weight_decay = 0.1, .clip = 1.0});
  double w = 1.0;
  double m = 0.0;
  double v = 0.0;
  for (int64_t step = 0; step < 3; ++step) {
    weight.mutable_grad() = torch::tensor({{3.0f, 4.0f}});  // norm 5, clipped to 1
    EXPECT_NEAR(optimizer.Step(step, 0.01), 5.0, 1e-6);
    const double g = 3.0 / 5.0;
    m = 0.9 * m + 0.1 * g;
    v = 0.99 * v + 0.01 * g * g;
    const double t = static_cast<double>(step) + 1.0;
    w = w * (1.0 - 0.01 * 0.1) -
        0.01 * (m / (1.0 - std::pow(0.9, t))) / std::sqrt(v / (1.0 - std::pow(0.99, t)));
    EXPECT_NEAR(weight[0][0].item<double>(), w, 1e-6);
  }
}

}  // namespace
}  // namespace hone
