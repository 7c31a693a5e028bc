#include "evaluation/tasks/eval_task.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "scratch_folder.h"

namespace hone {
namespace {

std::string Article() {
  std::string text = std::string(500, 'x') + "\n";
  for (int i = 0; i < 60; ++i) {
    text += fmt::format(
        "The {} smith of the {} village took the whetstone and sharpened every {} before the harvest .\n",
        i % 2 == 0 ? "old" : "young", i % 3 == 0 ? "upper" : "lower", i % 5 == 0 ? "scythe" : "sickle");
  }
  return text;
}

TEST(ClozeTask, AsksForTheLastWordAfterWhatComesBefore) {
  const std::string text = Article();
  const auto task = MakeClozeTask({.name = "a", .text = text, .items = 10});
  ASSERT_TRUE(task) << task.error().message;
  ASSERT_EQ(task->items.size(), 10u);
  for (const EvalItem& item : task->items) {
    EXPECT_EQ(item.choices, std::vector<std::string>{" harvest"});
    EXPECT_TRUE(item.context.ends_with("before the")) << item.context;
    EXPECT_NE(text.find(item.context + item.choices[0]), std::string::npos);
  }
}

TEST(ChoiceTask, PutsTheRightHalfAmongOthersOfLikeLength) {
  const std::string text = Article();
  const auto task = MakeChoiceTask({.name = "a", .text = text, .items = 12, .seed = 3});
  ASSERT_TRUE(task) << task.error().message;
  std::set<int> places;
  for (const EvalItem& item : task->items) {
    ASSERT_EQ(item.choices.size(), 4u);
    EXPECT_NE(text.find(item.context + item.choices[static_cast<size_t>(item.gold)]), std::string::npos);
    for (const std::string& choice : item.choices) EXPECT_NEAR(choice.size(), item.choices[0].size(), 8.0);
    places.insert(item.gold);
  }
  EXPECT_GT(places.size(), 1u);
}

TEST(ChoiceTask, IsRefusedForATextWithTooLittleInIt) {
  const auto task = MakeChoiceTask({.name = "short.txt", .text = "Too short. To ask."});
  ASSERT_FALSE(task);
  EXPECT_EQ(task.error().message, "short.txt: groups of four sentences: found 0, expected at least 4");
}

TEST(PerplexityTask, CutsWholeLines) {
  const std::string text = Article();
  const auto task = MakePerplexityTask({.name = "a", .text = text, .items = 100});
  ASSERT_TRUE(task) << task.error().message;
  for (const EvalItem& item : task->items) {
    EXPECT_EQ(item.context, "");
    EXPECT_EQ(item.choices[0].back(), '\n');
    EXPECT_NE(text.find(item.choices[0]), std::string::npos);
  }
}

TEST(ArithmeticTask, AsksForTheSolution) {
  std::string text;
  for (int i = 0; i < 5; ++i)
    text += fmt::format("{{\"question\": \"{} and 1?\", \"answer\": \"{}\"}}\n", i, i + 1);
  const auto task = MakeArithmeticTask({.name = "g", .text = text, .items = 5});
  ASSERT_TRUE(task) << task.error().message;
  ASSERT_EQ(task->items.size(), 5u);
  EXPECT_EQ(task->items[2].context, "2 and 1?");
  EXPECT_EQ(task->items[2].choices[0], "\n3");
  EXPECT_FALSE(MakeArithmeticTask({.name = "g", .text = "{}\n{}\n{}\n{}\n"}));
}

TEST(TaskFile, FillsItsTemplateAndChoices) {
  ScratchFolder folder;
  folder.Write(
      "q.task.json",
      R"({"doc_to_text": "Q: {{question}}\nA:", "doc_to_choice": "options", "doc_to_target": "label"})");
  const std::string path =
      folder.Write("q.jsonl", R"({"question": "Wet?", "options": ["yes", "no"], "label": 1})");
  const auto task = ReadTaskFile(path);
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(task->name, "q");
  EXPECT_EQ(task->kind, EvalKind::kChoice);
  ASSERT_EQ(task->items.size(), 1u);
  EXPECT_EQ(task->items[0].context, "Q: Wet?\nA:");
  EXPECT_EQ(task->items[0].choices, (std::vector<std::string>{" yes", " no"}));
  EXPECT_EQ(task->items[0].gold, 1);
}

TEST(TaskFile, NamesTheLineThatLacksAMember) {
  ScratchFolder folder;
  folder.Write("q.task.json",
               R"({"doc_to_text": "{{text}}", "doc_to_target": "{{next}}", "output_type": "loglikelihood"})");
  const auto task =
      ReadTaskFile(folder.Write("q.jsonl", "{\"text\": \"a\", \"next\": \"b\"}\n{\"text\": \"a\"}\n"));
  ASSERT_FALSE(task);
  EXPECT_NE(task.error().message.find("line 2: no member \"next\""), std::string::npos)
      << task.error().message;
  folder.Write("r.task.json", R"({"doc_to_text": "{{text | upper}}", "doc_to_target": "next"})");
  EXPECT_FALSE(ReadTaskFile(folder.Write("r.jsonl", "{\"text\": \"a\"}\n")));
}

}  // namespace
}  // namespace hone
