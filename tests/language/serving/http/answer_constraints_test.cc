#include "language/serving/http/answer_constraints.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>
#include <random>

#include "language/decoding/constraints/constraint_fixture.h"
#include "language/serving/http/tool_call_parser.h"

namespace hone {
namespace {

using Json = nlohmann::ordered_json;

ToolRequest Tools(ToolChoice choice, bool parallel) {
  ToolRequest tools;
  tools.list = std::make_shared<const Json>(Json::parse(
      R"([{"type": "function", "function": {"name": "roll", "parameters": {"type": "object",
      "properties": {"sides": {"enum": [4, 6]}}, "required": ["sides"], "additionalProperties": false}}},
      {"type": "function", "function": {"name": "stop", "parameters": {"type": "object", "maxProperties": 0}}}])"));
  tools.names = {"roll", "stop"};
  tools.choice = choice;
  tools.parallel = parallel;
  return tools;
}

// An answer that begins with `begin` and goes on with any tokens that are allowed, up to an end token; empty
// where `begin` itself is not allowed or no end has come.
std::string RandomAnswer(TokenMasks& masks, const Tokenizer& tokenizer, const std::string& begin, int seed) {
  std::mt19937 random(static_cast<unsigned>(seed));
  const auto lock = masks.Lock();
  ConstraintState state = masks.Start();
  std::string text;
  const auto take = [&](TokenId id) {
    std::vector<float> logits(static_cast<size_t>(tokenizer.vocabulary_size()), 0.0f);
    masks.Apply(state, logits);
    if (std::isinf(logits[static_cast<size_t>(id)])) return false;
    state = masks.Advance(state, id);
    text += tokenizer.TokenBytes(id);
    return true;
  };
  for (const TokenId id : tokenizer.Encode(begin, {}).tokens) {
    if (!take(id)) return "";
  }
  for (int length = 0; length < 400; ++length) {
    std::vector<float> logits(static_cast<size_t>(tokenizer.vocabulary_size()), 0.0f);
    masks.Apply(state, logits);
    std::vector<TokenId> allowed;
    for (TokenId id = 0; id < tokenizer.vocabulary_size(); ++id) {
      if (!std::isinf(logits[static_cast<size_t>(id)])) allowed.push_back(id);
    }
    if (allowed.empty()) return "";
    const TokenId id = allowed[random() % allowed.size()];
    if (id == tokenizer.special().ends.front()) return text;
    state = masks.Advance(state, id);
    text += tokenizer.TokenBytes(id);
  }
  return "";
}

struct Begun {
  ToolSyntax syntax;
  const char* text;
};

TEST(AnswerConstraints, HoldACallThatWasBegunToItsSchema) {
  const auto tokenizer = testing::ByteVocabulary();
  const std::vector<Begun> cases{
      {ToolSyntax::kHermes, "Sure.\n<tool_call>"}, {ToolSyntax::kHermes, "{\"name\""},
      {ToolSyntax::kLlama3, "<|python_tag|>"},     {ToolSyntax::kLlama3, "{\"name\""},
      {ToolSyntax::kMistral, "[TOOL_CALLS]"},      {ToolSyntax::kMistral, "[{\"name\""},
      {ToolSyntax::kPlainJson, "{\"name\""}};
  for (const Begun& begun : cases) {
    AnswerConstraints constraints(tokenizer, begun.syntax);
    const auto masks = constraints.Masks(std::nullopt, Tools(ToolChoice::kAuto, false), std::nullopt,
                                         tokenizer->special().ends);
    ASSERT_TRUE(masks) << masks.error().message;
    int ended = 0;
    for (int seed = 0; seed < 20; ++seed) {
      const std::string text = RandomAnswer(**masks, *tokenizer, begun.text, seed);
      if (text.empty()) continue;
      ++ended;
      ToolCallParser parser("x", {"roll", "stop"});
      std::string left;
      std::vector<ToolCallPiece> pieces;
      parser.Feed(text, left, pieces);
      parser.Finish(left, pieces);
      ASSERT_FALSE(pieces.empty()) << text;
      std::string arguments;
      for (const ToolCallPiece& piece : pieces) arguments += piece.arguments;
      const Json json = Json::parse(arguments, nullptr, false);
      ASSERT_TRUE(json.is_object()) << text;
      if (pieces[0].name == "roll") {
        EXPECT_TRUE(json["sides"] == 4 || json["sides"] == 6) << text;
      } else {
        EXPECT_EQ(pieces[0].name, "stop");
        EXPECT_TRUE(json.empty()) << text;
      }
    }
    EXPECT_GT(ended, 10) << begun.text;
    const std::string wrong = std::string(begun.text).find("name") == std::string::npos
                                  ? std::string(begun.text) + "no"
                                  : std::string(begun.text) + ": \"other";
    EXPECT_EQ(RandomAnswer(**masks, *tokenizer, wrong, 1), "") << wrong;
    EXPECT_NE(RandomAnswer(**masks, *tokenizer, "The answer: {\"name", 1), "")
        << "text stays free where it is no call";
  }
}

TEST(AnswerConstraints, ServeTheNextRequestThatAsksForTheSame) {
  const auto tokenizer = testing::ByteVocabulary();
  AnswerConstraints constraints(tokenizer, ToolSyntax::kHermes);
  const auto& ends = tokenizer->special().ends;
  const std::optional<AnswerFormat> format = AnswerFormat{AnswerFormat::Kind::kRegex, "[0-9]+", "regex"};
  const auto first = constraints.Masks(format, {}, std::nullopt, ends);
  const auto second = constraints.Masks(format, {}, std::nullopt, ends);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  const auto thinking = constraints.Masks(format, {}, ThinkingStart::kOpened, ends);
  ASSERT_TRUE(thinking);
  EXPECT_NE(*first, *thinking);
  const auto with_tools = constraints.Masks(format, Tools(ToolChoice::kAuto, true), std::nullopt, ends);
  ASSERT_TRUE(with_tools);
  EXPECT_NE(*first, *with_tools);
  const auto one = constraints.Masks(std::nullopt, Tools(ToolChoice::kRequired, true), std::nullopt, ends);
  const auto other = constraints.Masks(std::nullopt, Tools(ToolChoice::kRequired, false), std::nullopt, ends);
  ASSERT_TRUE(one && other);
  EXPECT_NE(*one, *other);
  EXPECT_EQ(*constraints.Masks(std::nullopt, {}, std::nullopt, ends), nullptr) << "free";
}

}  // namespace
}  // namespace hone
