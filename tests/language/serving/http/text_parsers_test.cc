// The splitter of thinking and the parser of tool calls, over every way of cutting a text into pieces.
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "language/serving/http/reasoning_splitter.h"
#include "language/serving/http/tool_call_parser.h"

namespace hone {
namespace {

std::vector<std::string> Cut(const std::string& text) {
  std::vector<std::string> pieces;
  for (size_t at = 0; at < text.size();) {
    const auto size = static_cast<size_t>(*rc::gen::inRange(1, 9));
    pieces.push_back(text.substr(at, size));
    at += size;
  }
  return pieces;
}

struct Split {
  std::string reasoning;
  std::string answer;
  bool operator==(const Split&) const = default;
};

Split SplitAll(ReasoningSplitter::Start start, const std::vector<std::string>& pieces) {
  ReasoningSplitter splitter(start);
  Split split;
  for (const std::string& piece : pieces) splitter.Feed(piece, split.reasoning, split.answer);
  splitter.Finish(split.reasoning, split.answer);
  return split;
}

TEST(ReasoningSplitter, TellsThinkingFromTheAnswer) {
  using Start = ReasoningSplitter::Start;
  EXPECT_EQ(SplitAll(Start::kMaybe, {"<think>\nSo.\n</think>\n\nFour."}), (Split{"So.", "Four."}));
  EXPECT_EQ(SplitAll(Start::kInside, {"So.</think>Four."}), (Split{"So.", "Four."}));
  EXPECT_EQ(SplitAll(Start::kInside, {"So it"}), (Split{"So it", ""})) << "cut before the tag closed";
  EXPECT_EQ(SplitAll(Start::kMaybe, {"Four <think> no"}), (Split{"", "Four <think> no"}));
  EXPECT_EQ(SplitAll(Start::kNever, {"<think>x</think>"}), (Split{"", "<think>x</think>"}));
  EXPECT_EQ(SplitAll(Start::kMaybe, {"<thin"}), (Split{"", "<thin"}));
  EXPECT_EQ(SplitAll(Start::kMaybe, {"<think></think>\n\nHi\n"}), (Split{"", "Hi\n"}));
  EXPECT_EQ(SplitAll(Start::kInside, {"a </thin b</think> c"}), (Split{"a </thin b", "c"}));
}

RC_GTEST_PROP(ReasoningSplitter, GivesTheSameHoweverTheTextIsCut, ()) {
  const auto text =
      *rc::gen::element<std::string>("<think>\nSo.\n\n</think>\n\nFour.\n", "  <think>a <b> </think",
                                     "plain < text", "<think>x</think>y</think>z");
  for (const auto start : {ReasoningSplitter::Start::kMaybe, ReasoningSplitter::Start::kInside}) {
    RC_ASSERT(SplitAll(start, Cut(text)) == SplitAll(start, {text}));
  }
}

struct Parsed {
  std::string text;
  std::vector<ToolCallPiece> calls;  // joined
};

Parsed ParseAll(const std::vector<std::string>& pieces) {
  ToolCallParser parser("x", {"f", "g"});
  Parsed parsed;
  std::vector<ToolCallPiece> all;
  for (const std::string& piece : pieces) parser.Feed(piece, parsed.text, all);
  parser.Finish(parsed.text, all);
  for (const ToolCallPiece& piece : all) {
    if (!piece.name.empty()) {
      parsed.calls.push_back(piece);
    } else {
      parsed.calls.back().arguments += piece.arguments;
    }
  }
  return parsed;
}

struct Case {
  std::string text;
  std::string left;                                        // as content
  std::vector<std::pair<std::string, std::string>> calls;  // name, arguments
};

const std::vector<Case>& Cases() {
  static const std::vector<Case> cases{
      {"Just text.", "Just text.", {}},
      {"<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n</tool_call>", "", {{"f", "{\"a\": 1}"}}},
      {"Let me see.\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>", "Let me see.", {{"f", "{}"}}},
      {"<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"}<\\\"\"}}</tool_call>\n<tool_call>{\"name\": "
       "\"g\", "
       "\"arguments\": {}}</tool_call>",
       "",
       {{"f", "{\"s\": \"}<\\\"\"}"}, {"g", "{}"}}},
      {"<tool_call>[{\"name\": \"f\", \"arguments\": {\"a\": [1, 2]}}, {\"name\": \"g\", \"arguments\": "
       "{}}]</tool_call>",
       "",
       {{"f", "{\"a\": [1, 2]}"}, {"g", "{}"}}},
      {"[TOOL_CALLS][{\"name\": \"f\", \"arguments\": {\"b\": true}}]", "", {{"f", "{\"b\": true}"}}},
      {"<|python_tag|>{\"name\": \"f\", \"parameters\": {\"c\": null}}", "", {{"f", "{\"c\": null}"}}},
      {"{\"name\": \"g\", \"parameters\": {\"x\": 2}}", "", {{"g", "{\"x\": 2}"}}},
      {"[{\"name\": \"g\", \"arguments\": {}}, {\"name\": \"f\", \"arguments\": {}}]",
       "",
       {{"g", "{}"}, {"f", "{}"}}},
      {"{\"arguments\": {\"x\": 2}, \"name\": \"g\"}", "{\"arguments\": {\"x\": 2}, \"name\": \"g\"}", {}},
      {"So: {\"name\": \"g\", \"arguments\": {}}", "So: {\"name\": \"g\", \"arguments\": {}}", {}},
      {"{\"name\": \"unknown\", \"parameters\": {}}", "{\"name\": \"unknown\", \"parameters\": {}}", {}},
      {"{\"answer\": 4}", "{\"answer\": 4}", {}},
      {"a < b and <tool", "a < b and <tool", {}},
      {"<tool_call>not json", "<tool_call>not json", {}},
      {"<tool_call>{\"name\": \"f\"}</tool_call>", "", {{"f", "{}"}}},
  };
  return cases;
}

void Check(const Case& expected, const Parsed& parsed) {
  EXPECT_EQ(parsed.text, expected.left) << expected.text;
  ASSERT_EQ(parsed.calls.size(), expected.calls.size()) << expected.text;
  for (size_t i = 0; i < parsed.calls.size(); ++i) {
    EXPECT_EQ(parsed.calls[i].name, expected.calls[i].first);
    EXPECT_EQ(parsed.calls[i].arguments, expected.calls[i].second);
    EXPECT_EQ(parsed.calls[i].index, static_cast<int64_t>(i));
    EXPECT_FALSE(nlohmann::json::parse(parsed.calls[i].arguments, nullptr, false).is_discarded());
  }
}

TEST(ToolCallParser, FindsCallsInTheFormsThatModelsUse) {
  for (const Case& expected : Cases()) Check(expected, ParseAll({expected.text}));
}

RC_GTEST_PROP(ToolCallParser, FindsTheSameHoweverTheTextIsCut, ()) {
  for (const Case& expected : Cases()) Check(expected, ParseAll(Cut(expected.text)));
}

TEST(ToolCallParser, StreamsArguments) {
  ToolCallParser parser("x", {"f"});
  std::string text;
  std::vector<ToolCallPiece> pieces;
  parser.Feed("<tool_call>{\"name\": \"f\", \"arguments\": {\"long\": \"abc", text, pieces);
  ASSERT_EQ(pieces.size(), 2u) << "before the call is complete";
  EXPECT_EQ(pieces[0].name, "f");
  EXPECT_FALSE(pieces[0].id.empty());
  EXPECT_EQ(pieces[1].arguments, "{\"long\": \"abc");
}

}  // namespace
}  // namespace hone
