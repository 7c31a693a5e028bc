#include "language/decoding/constraints/combine.h"

#include "constraint_fixture.h"

namespace hone {
namespace {

using testing::Reader;

Constraint Of(const Result<Constraint>& constraint) {
  EXPECT_TRUE(constraint);
  return *constraint;
}

Constraint Digits() { return Of(CompileRegex("[0-9]{1,3}")); }

TEST(EitherConstraint, TakesWhatEitherTakes) {
  const Reader reader(EitherConstraint(Digits(), Of(CompileGbnf("root ::= \"yes\" | \"no\""))));
  EXPECT_TRUE(reader.Accepts("12"));
  EXPECT_TRUE(reader.Accepts("no"));
  EXPECT_FALSE(reader.MayBegin("1no"));
  EXPECT_FALSE(reader.MayBegin("1234"));
}

TEST(EitherConstraint, KeepsLongRepetitionsAsTheyWere) {
  const auto text = Of(CompileJsonSchema(R"({"type": "string", "maxLength": 5})"));
  const Reader reader(EitherConstraint(text, Digits()));
  EXPECT_TRUE(reader.Accepts("\"abcde\""));
  EXPECT_FALSE(reader.MayBegin("\"abcdef"));
  const auto both = Of(EitherConstraint(text, Digits()));
  EXPECT_EQ(both.grammar->character_sets().size(), text.grammar->character_sets().size());
}

TEST(AfterThinking, HoldsBehindTheFirstClosingTag) {
  const Reader opened(AfterThinking(Digits(), ThinkingStart::kOpened, nullptr));
  EXPECT_TRUE(opened.Accepts("</think>7"));
  EXPECT_TRUE(opened.Accepts("Let me see: 3 < 4, \xC3\xA9.\n</think>\n\n42"));
  EXPECT_TRUE(opened.Accepts("a </thin b <</think</ <</think>42"));
  EXPECT_FALSE(opened.Accepts("42")) << "that is still a thought";
  EXPECT_FALSE(opened.MayBegin("so</think>no"));
  EXPECT_FALSE(opened.MayBegin("so</think>1</think>2")) << "the first tag counts";
  EXPECT_FALSE(opened.MayBegin("so</think>\n\n\n1"));
}

TEST(AfterThinking, LeavesThinkingToTheModelWhereThePromptDoesNotOpenIt) {
  const Reader maybe(AfterThinking(Digits(), ThinkingStart::kMaybe, nullptr));
  EXPECT_TRUE(maybe.Accepts("42"));
  EXPECT_TRUE(maybe.Accepts("<think>\nhm</think>42"));
  EXPECT_FALSE(maybe.MayBegin("hm"));
}

TEST(AfterThinking, UsesControlTokensWhereTheVocabularyHasThem) {
  const TokenTable table(std::make_shared<testing::ListTokenizer>(
      std::vector<std::string>{"a", "1"}, std::vector<std::string>{"<end>", "<think>", "</think>"}));
  const Reader reader(AfterThinking(Digits(), ThinkingStart::kOpened, &table));
  EXPECT_TRUE(reader.Accepts("a </think> is text here" + ControlTokenText("</think>") + "1"));
  EXPECT_FALSE(reader.Accepts("a</think>1"));
}

TEST(AfterThinking, LeavesAConstraintWithTriggersAlone) {
  Constraint constraint = Digits();
  constraint.triggers = {{"<tool_call>"}};
  const auto same = AfterThinking(constraint, ThinkingStart::kOpened, nullptr);
  ASSERT_TRUE(same);
  EXPECT_EQ(same->grammar, constraint.grammar);
}

}  // namespace
}  // namespace hone
