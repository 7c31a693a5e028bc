#include "training/language/recipe.h"

#include <gtest/gtest.h>

#include "scratch_folder.h"

namespace hone {
namespace {

TEST(Recipe, RaisesTheRateInALineAndLowersItAlongACosine) {
  LanguageModelRecipe recipe{.steps = 1100, .learning_rate = 0.01, .final_rate = 0.1, .warmup = 100};
  EXPECT_DOUBLE_EQ(recipe.RateAt(0), 0.0001);
  EXPECT_DOUBLE_EQ(recipe.RateAt(99), 0.01);
  EXPECT_DOUBLE_EQ(recipe.RateAt(100), 0.01);
  EXPECT_NEAR(recipe.RateAt(600), 0.01 * (0.1 + 0.9 * 0.5), 1e-12);
  EXPECT_NEAR(recipe.RateAt(1100), 0.001, 1e-12);
  for (int64_t step = 101; step < 1100; ++step) EXPECT_LT(recipe.RateAt(step), recipe.RateAt(step - 1));
}

TEST(Recipe, LengthensWindowsAtTheSharesOfTheSteps) {
  LanguageModelRecipe recipe{.steps = 100, .lengths = {{0.3, 128}, {1.0, 512}}};
  EXPECT_EQ(recipe.LengthAt(0), 128);
  EXPECT_EQ(recipe.LengthAt(29), 128);
  EXPECT_EQ(recipe.LengthAt(30), 512);
  EXPECT_EQ(recipe.LengthAt(99), 512);
  EXPECT_EQ(recipe.context(), 512);
}

TEST(Recipe, ComesBackFromItsFile) {
  ScratchFolder folder;
  LanguageModelRecipe recipe{.texts = {{"a.txt", 0.7}, {"b.jsonl", 2.0}},
                             .retrieval_share = 0.25,
                             .held_out = "c.txt",
                             .lengths = {{0.25, 256}, {1.0, 512}},
                             .learning_rate = 0.00123,
                             .seed = 99};
  ASSERT_TRUE(WriteRecipe(recipe, folder.Path("recipe.json")));
  const auto read = ReadRecipe(folder.Path("recipe.json"));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(RecipeJson(*read), RecipeJson(recipe));
  EXPECT_EQ(read->texts[1].path, "b.jsonl");
  EXPECT_EQ(read->lengths[0].length, 256);
}

TEST(Recipe, IsRefusedByTheFieldThatIsWrong) {
  const auto message = [](LanguageModelRecipe recipe) {
    const auto checked = CheckRecipe(recipe);
    return checked ? std::string() : checked.error().message;
  };
  EXPECT_EQ(message({}), "");
  EXPECT_EQ(message({.heads = 7}), "heads: 7, expected a divisor of the width");
  EXPECT_EQ(message({.kv_heads = 3}), "kv_heads: 3, expected a divisor of the heads");
  EXPECT_EQ(message({.warmup = 1000}), "warmup: 1000, expected 0 to 999");
  EXPECT_EQ(message({.lengths = {{0.5, 512}}}), "lengths: the last ends at 0.5, expected 1");
  EXPECT_EQ(message({.lengths = {{1.0, 500}}}),
            "lengths: 500, expected a divisor of batch_tokens (4096), at least 8");
}

TEST(Recipe, IsRefusedWhereItsFileLacksAField) {
  ScratchFolder folder;
  std::string text = RecipeJson({});
  text.replace(text.find("\"clip\""), 6, "\"clap\"");
  const auto read = ReadRecipe(folder.Write("recipe.json", text));
  ASSERT_FALSE(read);
  EXPECT_NE(read.error().message.find("recipe.json: clip: absent"), std::string::npos)
      << read.error().message;
}

}  // namespace
}  // namespace hone
