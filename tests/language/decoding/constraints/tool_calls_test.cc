#include <nlohmann/json.hpp>

#include "constraint_fixture.h"
#include "language/decoding/constraints/tool_calls.h"

namespace hone {
namespace {

using testing::Reader;

std::vector<ToolDeclaration> Tools() {
  static const auto kWeather =
      nlohmann::ordered_json::parse(R"({"type": "object", "properties": {"city": {"type": "string"},
             "days": {"type": "integer", "minimum": 1}}, "required": ["city"], "additionalProperties": false})");
  return {{"weather", &kWeather}, {"now", nullptr}};
}

Result<Constraint> Compile(const ToolCallOptions& options) {
  const auto tools = Tools();
  HONE_TRY(const auto constraint, ToolCallGrammar(tools, options, nullptr));
  return constraint.value();
}

TEST(ToolCalls, RequiredHermesCallsFollowTheToolsSchemas) {
  const Reader reader(Compile({.syntax = ToolSyntax::kHermes, .choice = ToolChoice::kRequired}));
  const std::string call =
      "<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"city\": \"Ulm\", \"days\": 2}}\n</tool_call>";
  const std::string other = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  EXPECT_TRUE(reader.Accepts(call));
  EXPECT_TRUE(reader.Accepts(call + "\n" + other));
  EXPECT_FALSE(reader.MayBegin("Hello"));
  EXPECT_FALSE(reader.MayBegin("<tool_call>\n{\"name\": \"rain"));
  EXPECT_FALSE(reader.MayBegin("<tool_call>\n{\"name\": \"weather\", \"arguments\": {\"days\""));
}

TEST(ToolCalls, OneCallWhereCallsAreNotParallel) {
  const std::string call = "<tool_call>\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>";
  const Reader reader(
      Compile({.syntax = ToolSyntax::kHermes, .choice = ToolChoice::kRequired, .parallel = false}));
  EXPECT_TRUE(reader.Accepts(call));
  EXPECT_FALSE(reader.MayBegin(call + "\n"));
  const Reader mistral(
      Compile({.syntax = ToolSyntax::kMistral, .choice = ToolChoice::kRequired, .parallel = false}));
  EXPECT_TRUE(mistral.Accepts(R"([TOOL_CALLS][{"name": "now", "arguments": {}}])"));
  EXPECT_FALSE(mistral.MayBegin(R"([TOOL_CALLS][{"name": "now", "arguments": {}},)"));
}

TEST(ToolCalls, NamedCallsNameTheOneTool) {
  const Reader reader(Compile({.syntax = ToolSyntax::kPlainJson,
                               .choice = ToolChoice::kNamed,
                               .name = "weather",
                               .parallel = false}));
  EXPECT_TRUE(reader.Accepts(R"({"name": "weather", "arguments": {"city": "Bonn"}})"));
  EXPECT_FALSE(reader.MayBegin(R"({"name": "now")"));
  const auto tools = Tools();
  const auto refused = ToolCallGrammar(tools, {.choice = ToolChoice::kNamed, .name = "rain"}, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "tool_choice: found \"rain\", expected one of the declared tools");
}

TEST(ToolCalls, AutoWaitsForTheSyntaxesTrigger) {
  const auto hermes = Compile({.syntax = ToolSyntax::kHermes});
  ASSERT_TRUE(hermes);
  ASSERT_EQ(hermes->triggers.size(), 2u);
  EXPECT_EQ(hermes->triggers[0].text, "<tool_call>");
  EXPECT_TRUE(Reader(hermes).Accepts("\n{\"name\": \"now\", \"arguments\": {}}\n</tool_call>"));
  EXPECT_EQ(hermes->triggers[1].text, kBareCall);
  EXPECT_TRUE(hermes->triggers[1].only_at_start);
  EXPECT_FALSE(hermes->triggers[1].consumed);
  EXPECT_TRUE(Reader(hermes).Accepts("{\"name\": \"now\", \"arguments\": {}}")) << "without its marker";
  const auto llama = Compile({.syntax = ToolSyntax::kLlama3});
  ASSERT_EQ(llama->triggers.size(), 2u);
  EXPECT_TRUE(llama->triggers[1].only_at_start);
  EXPECT_TRUE(Reader(llama).Accepts(R"({"name": "now", "parameters": {"any": 1}})"));
  const auto tools = Tools();
  const auto none = ToolCallGrammar(tools, {.choice = ToolChoice::kNone}, nullptr);
  ASSERT_TRUE(none);
  EXPECT_FALSE(none->has_value());
}

TEST(ToolCalls, UsesControlTokensWhereTheVocabularyHasThem) {
  auto words = std::make_shared<testing::ListTokenizer>(std::vector<std::string>{"[", "]", "{}", "a"},
                                                        std::vector<std::string>{"<end>", "[TOOL_CALLS]"});
  const TokenTable table(words);
  const auto tools = Tools();
  const auto constraint =
      ToolCallGrammar(tools, {.syntax = ToolSyntax::kMistral, .choice = ToolChoice::kRequired}, &table);
  ASSERT_TRUE(constraint);
  const Reader reader{Result<Constraint>(**constraint)};
  EXPECT_FALSE(reader.MayBegin("["));
  EXPECT_TRUE(reader.Accepts(ControlTokenText("[TOOL_CALLS]") + R"([{"name": "now", "arguments": {}}])"));
}

TEST(ToolCalls, NamesTheToolWhoseSchemaIsBad) {
  auto tools = Tools();
  const auto bad = nlohmann::ordered_json::parse(R"({"properties": {"x": {"not": {}}}})");
  tools.push_back({"broken", &bad});
  const auto refused = ToolCallGrammar(tools, {}, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message,
            "tool \"broken\": JSON schema: #/properties/x/not: this keyword cannot be enforced by a grammar");
  const auto string = nlohmann::ordered_json::parse(R"({"type": "string"})");
  tools.back().parameters = &string;
  const auto no_object = ToolCallGrammar(tools, {}, nullptr);
  ASSERT_FALSE(no_object);
  EXPECT_NE(no_object.error().message.find("tool \"broken\""), std::string::npos);
  tools.back() = tools.front();
  EXPECT_NE(ToolCallGrammar(tools, {}, nullptr).error().message.find("declared twice"), std::string::npos);
}

}  // namespace
}  // namespace hone
