// Answers that must have a form: schemas, grammars, expressions, calls of tools.
#include <gtest/gtest.h>

#include <regex>

#include "language/serving/http/api_fixture.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::ApiWorldOptions;
using testing::Json;
using testing::Messages;

const std::string kChat = "/v1/chat/completions";

Json Person() {
  return Json::parse(R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 8},
      "age": {"type": "integer", "minimum": 0, "maximum": 120}, "sort": {"enum": ["a", null, 3]}},
      "required": ["name", "age", "sort"], "additionalProperties": false})");
}

Json Question(Json format = nullptr) {
  Json body{{"messages", Messages("hi")}, {"max_tokens", 200}, {"temperature", 1.3}, {"seed", 7}};
  if (!format.is_null()) body["response_format"] = std::move(format);
  return body;
}

Json SchemaFormat(Json schema) {
  return {{"type", "json_schema"},
          {"json_schema", {{"name", "x"}, {"strict", true}, {"schema", std::move(schema)}}}};
}

// The content of an answer that ended by itself.
std::string Content(const Json& reply) {
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop") << reply;
  return reply["choices"][0]["message"].value("content", "");
}

void ExpectPerson(const std::string& text) {
  const Json value = Json::parse(text, nullptr, false);
  ASSERT_TRUE(value.is_object()) << text;
  ASSERT_EQ(value.size(), 3u) << text;
  EXPECT_EQ(value.items().begin().key(), "name") << "keys come in the schema's order";
  EXPECT_TRUE(value["name"].is_string());
  EXPECT_LE(value["age"].get<int>(), 120);
  EXPECT_TRUE(value["sort"] == "a" || value["sort"] == 3 || value["sort"].is_null());
  EXPECT_EQ(text.back(), '}') << "nothing follows the value";
}

TEST(StructuredOutput, FollowsASchemaInEveryAnswer) {
  ApiWorld world;
  Json body = Question(SchemaFormat(Person()));
  body["n"] = 6;
  const Json reply = world.Ask(kChat, body);
  ASSERT_EQ(reply["choices"].size(), 6u);
  for (const Json& choice : reply["choices"]) {
    EXPECT_EQ(choice["finish_reason"], "stop");
    ExpectPerson(choice["message"]["content"]);
  }
  const std::string first = reply["choices"][0]["message"]["content"];
  EXPECT_EQ(Content(world.Ask(kChat, Question(SchemaFormat(Person())))), first) << "the same seed, alone";
}

TEST(StructuredOutput, StreamsTheSameText) {
  ApiWorld world;
  const Json body = Question(SchemaFormat(Person()));
  std::string joined;
  const auto events = world.Stream(kChat, body);
  for (const Json& event : events) joined += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(joined, Content(world.Ask(kChat, body)));
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "stop");
}

TEST(StructuredOutput, IsTheSameUnderEverySchedule) {
  std::set<std::string> texts;
  for (const char* schedule : {"prefill-first", "chunked:16", "static:50,50", "semi-pd", "disaggregated"}) {
    ApiWorld world({.serving = {.schedule = schedule, .step_rows = 64}});
    texts.insert(Content(world.Ask(kChat, Question(SchemaFormat(Person())))));
  }
  EXPECT_EQ(texts.size(), 1u);
}

TEST(StructuredOutput, TakesGrammarsExpressionsAndChoicesUnderTheirUsualNames) {
  ApiWorld world;
  const std::vector<std::pair<const char*, Json>> forms{
      {"regex", "(ab|cd){3}-[0-9]{2}"},
      {"guided_regex", "(ab|cd){3}-[0-9]{2}"},
      {"grammar", "root ::= (\"ab\" | \"cd\"){3} \"-\" [0-9] [0-9]  # ten bytes"},
      {"guided_grammar", "root ::= w w w \"-\" [0-9]{2}\nw ::= \"ab\" | \"cd\""}};
  for (const auto& [name, form] : forms) {
    Json body = Question();
    body[name] = form;
    const auto response = world.Post(kChat, body);
    ASSERT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.header("X-Ignored-Parameters"), "");
    const std::string text = Content(Json::parse(response.body));
    EXPECT_TRUE(std::regex_match(text, std::regex("(ab|cd){3}-[0-9]{2}"))) << text;
    body.erase("messages");
    body["prompt"] = "x";
    const Json reply = world.Ask("/v1/completions", body);
    EXPECT_TRUE(
        std::regex_match(reply["choices"][0]["text"].get<std::string>(), std::regex("(ab|cd){3}-[0-9]{2}")));
  }
  Json body = Question();
  body["guided_choice"] = Json::array({"left \"x\"", "right\\\n"});
  const std::string text = Content(world.Ask(kChat, body));
  EXPECT_TRUE(text == "left \"x\"" || text == "right\\\n") << text;
  body["guided_json"] = Person();
  EXPECT_EQ(world.Refused(kChat, body, 400)["param"], "guided_choice") << "two forms at once";
  body.erase("guided_choice");
  ExpectPerson(Content(world.Ask(kChat, body)));
}

TEST(StructuredOutput, GivesAnyObjectWhereOnlyJsonIsAskedFor) {
  ApiWorld world;
  Json body = Question({{"type", "json_object"}, {"schema", {{"type", "object"}, {"maxProperties", 0}}}});
  EXPECT_EQ(Json::parse(Content(world.Ask(kChat, body))), Json::object());
  body = Question({{"type", "json_object"}});
  const Json choice = world.Ask(kChat, body)["choices"][0];
  const std::string text = choice["message"]["content"];
  EXPECT_EQ(text[0], '{');
  if (choice["finish_reason"] == "stop") {
    EXPECT_TRUE(Json::parse(text, nullptr, false).is_object()) << text;
  }
  EXPECT_EQ(world.Post(kChat, Question({{"type", "text"}})).status, 200);
}

TEST(StructuredOutput, ServesTheResponsesApi) {
  ApiWorld world;
  Json body{{"input", "hi"}, {"seed", 7}, {"max_output_tokens", 200}};
  body["text"]["format"] = {{"type", "json_schema"}, {"name", "p"}, {"strict", true}, {"schema", Person()}};
  const Json reply = world.Ask("/v1/responses", body);
  EXPECT_EQ(reply["status"], "completed");
  ExpectPerson(reply["output"][0]["content"][0]["text"]);
  body["text"]["format"]["schema"]["not"] = Json::object();
  const Json error = world.Refused("/v1/responses", body, 400);
  EXPECT_EQ(error["param"], "text.format.schema");
}

TEST(StructuredOutput, NamesPlaceAndKeywordOfWhatDoesNotCompile) {
  ApiWorld world;
  Json schema = Person();
  schema["properties"]["name"]["not"] = {{"const", "x"}};
  const Json error = world.Refused(kChat, Question(SchemaFormat(schema)), 400);
  EXPECT_EQ(error["param"], "response_format.json_schema.schema");
  const std::string text = error["message"];
  EXPECT_NE(text.find("#/properties/name/not"), std::string::npos) << text;

  const std::string deep = std::string(30000, '(') + "a" + std::string(30000, ')');
  std::string nested = "{}";
  for (int i = 0; i < 3000; ++i) nested = "{\"items\": " + nested + "}";
  const std::vector<std::pair<const char*, std::string>> wrong{{"regex", "a(?=b)"},
                                                               {"regex", "*a"},
                                                               {"regex", deep},
                                                               {"regex", "[z-a]"},
                                                               {"grammar", "root ::= other"},
                                                               {"grammar", "root ::= *"},
                                                               {"grammar", "root ::= " + deep},
                                                               {"grammar", "root ::= root \"a\""},
                                                               {"json_schema", "{\"type\": "},
                                                               {"json_schema", nested},
                                                               {"json_schema", "{\"type\": \"strnig\"}"}};
  for (const auto& [name, form] : wrong) {
    Json body = Question();
    body[name] = form;
    const Json refused = world.Refused(kChat, body, 400);
    EXPECT_EQ(refused["param"], name) << form.substr(0, 40);
    EXPECT_TRUE(refused["message"].get<std::string>().starts_with(name)) << refused;
  }
  for (const Json& format : {Json{{"type", "yaml"}}, Json::object(), Json{{"type", "json_schema"}},
                             Json{{"type", "json_schema"}, {"json_schema", {{"name", "x"}}}}, SchemaFormat(5),
                             SchemaFormat(false)}) {
    const Json refused = world.Refused(kChat, Question(format), 400);
    EXPECT_TRUE(refused["param"].get<std::string>().starts_with("response_format")) << format;
  }
  Json body = Question(SchemaFormat(Person()));
  body["ignore_eos"] = true;
  EXPECT_EQ(world.Refused(kChat, body, 400)["param"], "ignore_eos");
}

TEST(StructuredOutput, ThinksBeforeItAnswersInForm) {
  ApiWorld world({.thinks = true});
  for (const bool opened : {true, false}) {
    Json body = Question();
    body["regex"] = "[0-9]{3}";
    body["temperature"] = 0.5;
    body["chat_template_kwargs"] = {{"enable_thinking", opened}};
    // The random model would think until the context is full: help it to an end.
    body["logit_bias"] = {{"60", 12}, {"47", 12}};
    const Json choice = world.Ask(kChat, body)["choices"][0];
    const std::string text = choice["message"]["content"];
    if (choice["finish_reason"] == "stop") {
      EXPECT_TRUE(std::regex_match(text, std::regex("[0-9]{3}"))) << text;
    } else {
      EXPECT_TRUE(choice["message"].contains("reasoning_content"));
      EXPECT_EQ(text, "");
    }
  }
}

Json Tool(const std::string& name, Json parameters) {
  return {{"type", "function"}, {"function", {{"name", name}, {"parameters", std::move(parameters)}}}};
}

Json Tools() {
  return Json::array({Tool("look_up", Person()), Tool("roll", Json::parse(R"({"type": "object", "properties":
                          {"sides": {"enum": [4, 6, 20]}}, "required": ["sides"],
                          "additionalProperties": false})"))});
}

// How templates of each family speak of tools.
const std::vector<std::string>& Syntaxes() {
  static const std::vector<std::string> syntaxes{"<tool_call>", "[TOOL_CALLS]", "<|python_tag|>", " ", ""};
  return syntaxes;
}

void ExpectCall(const Json& call) {
  EXPECT_EQ(call["type"], "function");
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("call_"));
  const std::string arguments = call["function"]["arguments"];
  if (call["function"]["name"] == "look_up") {
    ExpectPerson(arguments);
  } else {
    EXPECT_EQ(call["function"]["name"], "roll");
    const int sides = Json::parse(arguments)["sides"];
    EXPECT_TRUE(sides == 4 || sides == 6 || sides == 20) << arguments;
  }
}

TEST(ToolChoice, RequiredBringsACallOfADeclaredTool) {
  for (const std::string& syntax : Syntaxes()) {
    ApiWorld world({.tools = syntax, .context = 1024});
    for (int seed = 0; seed < 4; ++seed) {
      Json body = Question();
      body["tools"] = Tools();
      body["tool_choice"] = "required";
      body["parallel_tool_calls"] = false;
      body["seed"] = seed;
      const Json choice = world.Ask(kChat, body)["choices"][0];
      EXPECT_EQ(choice["finish_reason"], "tool_calls") << syntax << choice;
      EXPECT_TRUE(choice["message"]["content"].is_null()) << syntax << choice;
      ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u) << syntax << choice;
      ExpectCall(choice["message"]["tool_calls"][0]);
    }
  }
}

TEST(ToolChoice, ANamedFunctionIsCalledAndNoOther) {
  for (const std::string& syntax : Syntaxes()) {
    ApiWorld world({.tools = syntax, .context = 1024});
    for (int seed = 0; seed < 3; ++seed) {
      Json body = Question();
      body["tools"] = Tools();
      body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "roll"}}}};
      body["parallel_tool_calls"] = false;
      body["seed"] = seed;
      const Json choice = world.Ask(kChat, body)["choices"][0];
      ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u) << syntax << choice;
      EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "roll");
      EXPECT_EQ(choice["finish_reason"], "tool_calls");
    }
  }
}

TEST(ToolChoice, SeveralCallsComeOnlyWhereTheyMay) {
  ApiWorld world({.tools = "<tool_call>", .context = 1024});
  size_t most = 0;
  for (int seed = 0; seed < 12; ++seed) {
    Json body = Question();
    body["tools"] = Json::array({Tools()[1]});
    body["max_tokens"] = 600;
    body["tool_choice"] = "required";
    body["seed"] = seed;
    body["temperature"] = 3.0;
    const Json choice = world.Ask(kChat, body)["choices"][0];
    if (choice["finish_reason"] != "tool_calls") continue;  // the limit came first
    for (const Json& call : choice["message"]["tool_calls"]) ExpectCall(call);
    most = std::max(most, choice["message"]["tool_calls"].size());
  }
  EXPECT_GT(most, 1u);
}

TEST(ToolChoice, NoneShowsNoToolsAndFindsNoCalls) {
  ApiWorld world({.tools = "<tool_call>", .context = 1024});
  Json body = Question();
  body["regex"] = R"(\{"name": "roll", "arguments": \{"sides": 4\}\})";
  const Json plain = world.Ask(kChat, body);
  body["tools"] = Tools();
  body["tool_choice"] = "none";
  const Json reply = world.Ask(kChat, body);
  EXPECT_EQ(reply["usage"]["prompt_tokens"], plain["usage"]["prompt_tokens"]);
  EXPECT_FALSE(reply["choices"][0]["message"].contains("tool_calls"));
  EXPECT_EQ(reply["choices"][0]["finish_reason"], "stop");
}

TEST(ToolChoice, AutoIsFreeToAnswerInText) {
  ApiWorld world({.tools = "<tool_call>", .context = 1024});
  Json body = Question();
  body["tools"] = Tools();
  body["max_tokens"] = 30;
  const Json choice = world.Ask(kChat, body)["choices"][0];
  EXPECT_FALSE(choice["message"].contains("tool_calls"));
  EXPECT_FALSE(choice["message"]["content"].get<std::string>().empty());
}

TEST(ToolChoice, StreamsArgumentsInPiecesThatJoinToJson) {
  for (const std::string& syntax : Syntaxes()) {
    ApiWorld world({.tools = syntax, .context = 1024});
    Json body = Question();
    body["tools"] = Tools();
    body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "look_up"}}}};
    body["parallel_tool_calls"] = false;
    const Json whole = world.Ask(kChat, body)["choices"][0]["message"]["tool_calls"][0];
    std::string arguments;
    int ids = 0, names = 0, pieces = 0;
    const auto events = world.Stream(kChat, body);
    ASSERT_FALSE(events.empty());
    for (const Json& event : events) {
      const Json& delta = event["choices"][0]["delta"];
      EXPECT_EQ(delta.value("content", ""), "");
      if (!delta.contains("tool_calls")) continue;
      for (const Json& call : delta["tool_calls"]) {
        EXPECT_EQ(call["index"], 0);
        ids += call.contains("id") ? 1 : 0;
        names += call["function"].contains("name") ? 1 : 0;
        pieces += call["function"].value("arguments", "").empty() ? 0 : 1;
        arguments += call["function"].value("arguments", "");
      }
    }
    EXPECT_EQ(ids, 1);
    EXPECT_EQ(names, 1);
    EXPECT_GT(pieces, 3) << "the arguments are streamed";
    EXPECT_EQ(arguments, whole["function"]["arguments"]);
    EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "tool_calls");
  }
}

TEST(ToolChoice, NamesTheToolWhoseSchemaIsBad) {
  ApiWorld world({.context = 1024});
  Json body = Question();
  body["tools"] = Tools();
  body["tools"].push_back(Tool("broken", {{"type", "object"}, {"properties", {{"x", {{"not", 1}}}}}}));
  const Json error = world.Refused(kChat, body, 400);
  EXPECT_EQ(error["param"], "tools");
  const std::string text = error["message"];
  EXPECT_NE(text.find("\"broken\""), std::string::npos) << text;
  EXPECT_NE(text.find("#/properties/x/not"), std::string::npos) << text;
  body["tool_choice"] = "none";
  EXPECT_EQ(world.Post(kChat, body).status, 200);
}

TEST(ToolChoice, RefusesWhatIsNoChoice) {
  ApiWorld world({.context = 1024});
  Json body = Question();
  for (const Json& choice : {Json("required"), Json{{"type", "function"}, {"function", {{"name", "x"}}}}}) {
    body["tool_choice"] = choice;
    EXPECT_EQ(world.Refused(kChat, body, 400)["param"], "tool_choice") << "there are no tools";
  }
  body["tools"] = Tools();
  for (const Json& choice : {Json("sometimes"), Json(3), Json{{"type", "function"}}, Json{{"type", "custom"}},
                             Json{{"type", "function"}, {"function", {{"name", "other"}}}}}) {
    body["tool_choice"] = choice;
    EXPECT_EQ(world.Refused(kChat, body, 400)["param"], "tool_choice") << choice;
  }
  body["tools"].push_back(Tools()[0]);
  body["tool_choice"] = "auto";
  EXPECT_NE(world.Refused(kChat, body, 400)["message"].get<std::string>().find("twice"), std::string::npos);
}

TEST(ToolChoice, TellsAModelWhoseTemplateShowsNoToolsOfThem) {
  ApiWorld world({.context = 1024});
  Json body = Question();
  body["max_tokens"] = 1;
  const int plain = world.Ask(kChat, body)["usage"]["prompt_tokens"];
  body["tools"] = Json::array({Tool("roll", {{"type", "object"}})});
  EXPECT_GT(world.Ask(kChat, body)["usage"]["prompt_tokens"].get<int>(), plain + 50);
}

TEST(ToolChoice, AnAnswerBesideToolsHasTheFormThatWasAskedFor) {
  ApiWorld world({.tools = "<tool_call>", .context = 1024});
  for (int seed = 0; seed < 4; ++seed) {
    Json body = Question(SchemaFormat(Person()));
    body["tools"] = Tools();
    body["parallel_tool_calls"] = false;
    body["seed"] = seed;
    const Json choice = world.Ask(kChat, body)["choices"][0];
    if (choice["finish_reason"] == "tool_calls") {
      ExpectCall(choice["message"]["tool_calls"][0]);
    } else {
      EXPECT_EQ(choice["finish_reason"], "stop");
      ExpectPerson(choice["message"]["content"]);
    }
  }
}

}  // namespace
}  // namespace hone
