#include <gtest/gtest.h>

#include "language/serving/http/api_fixture.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::Json;
using testing::Messages;

const std::string kPath = "/v1/chat/completions";

Json Question(int64_t max_tokens = 12) {
  return {{"model", "tiny"}, {"messages", Messages("hi")}, {"max_tokens", max_tokens}, {"temperature", 0}};
}

TEST(ChatCompletions, AnswersInTheFormThatClientsExpect) {
  ApiWorld world;
  const Json json = world.Ask(kPath, Question());
  EXPECT_EQ(json["object"], "chat.completion");
  EXPECT_EQ(json["model"], "tiny");
  EXPECT_TRUE(json["id"].get<std::string>().starts_with("chatcmpl-"));
  ASSERT_EQ(json["choices"].size(), 1u);
  const Json& choice = json["choices"][0];
  EXPECT_EQ(choice["message"]["role"], "assistant");
  EXPECT_TRUE(choice["message"]["content"].is_string());
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_TRUE(choice["logprobs"].is_null());
  EXPECT_EQ(json["usage"]["completion_tokens"], 12);
  EXPECT_EQ(json["usage"]["total_tokens"],
            json["usage"]["prompt_tokens"].get<int>() + json["usage"]["completion_tokens"].get<int>());
  EXPECT_TRUE(json["seed"].is_number());
}

TEST(ChatCompletions, StreamsTheSameText) {
  ApiWorld world;
  const std::string whole = world.Ask(kPath, Question())["choices"][0]["message"]["content"];
  const std::vector<Json> events = world.Stream(kPath, Question());
  std::string joined;
  ASSERT_GE(events.size(), 3u);
  for (size_t i = 0; i < events.size(); ++i) {
    const Json& choice = events[i]["choices"][0];
    EXPECT_EQ(events[i]["object"], "chat.completion.chunk");
    EXPECT_EQ(events[i]["id"], events[0]["id"]);
    EXPECT_EQ(choice["delta"].contains("role"), i == 0) << "the role comes in the first delta only";
    EXPECT_EQ(choice["finish_reason"].is_null(), i + 1 < events.size());
    EXPECT_FALSE(events[i].contains("usage")) << "usage comes only when it was asked for";
    joined += choice["delta"].value("content", "");
  }
  EXPECT_EQ(events.back()["choices"][0]["finish_reason"], "length");
  EXPECT_TRUE(events.back()["choices"][0]["delta"].empty());
  EXPECT_EQ(joined, whole);
}

TEST(ChatCompletions, SendsUsageInAChunkWithoutChoicesWhenAsked) {
  ApiWorld world;
  Json body = Question();
  body["stream_options"] = {{"include_usage", true}};
  const std::vector<Json> events = world.Stream(kPath, body);
  EXPECT_TRUE(events.back()["choices"].empty());
  EXPECT_EQ(events.back()["usage"]["completion_tokens"], 12);
  int with_usage = 0;
  for (const Json& event : events) with_usage += event.contains("usage") ? 1 : 0;
  EXPECT_EQ(with_usage, 1);
  EXPECT_EQ(world.Refused(kPath, body, 400)["param"], "stream_options") << "without stream";
}

TEST(ChatCompletions, TakesNullLikeAbsentForEveryField) {
  ApiWorld world;
  Json body = Question();
  const std::string plain = world.Ask(kPath, body)["choices"][0]["message"]["content"];
  for (const char* name : {"top_p",
                           "top_k",
                           "min_p",
                           "typical_p",
                           "repetition_penalty",
                           "presence_penalty",
                           "frequency_penalty",
                           "logit_bias",
                           "seed",
                           "n",
                           "stop",
                           "ignore_eos",
                           "stream",
                           "stream_options",
                           "priority",
                           "user",
                           "max_completion_tokens",
                           "logprobs",
                           "top_logprobs",
                           "response_format",
                           "tools",
                           "tool_choice",
                           "parallel_tool_calls",
                           "chat_template_kwargs",
                           "add_generation_prompt",
                           "continue_final_message",
                           "functions",
                           "audio",
                           "modalities",
                           "metadata",
                           "store",
                           "service_tier"}) {
    body[name] = nullptr;
  }
  const auto response = world.Post(kPath, body);
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(Json::parse(response.body)["choices"][0]["message"]["content"], plain);
  EXPECT_EQ(response.header("X-Ignored-Parameters"), "");
}

TEST(ChatCompletions, NamesTheFieldThatIsWrong) {
  ApiWorld world;
  const std::vector<std::pair<const char*, Json>> wrong{{"temperature", -1},
                                                        {"temperature", "warm"},
                                                        {"top_p", 1.5},
                                                        {"n", 0},
                                                        {"n", 1.5},
                                                        {"max_tokens", -5},
                                                        {"stop", 5},
                                                        {"stop", Json::array({1})},
                                                        {"stop", ""},
                                                        {"logit_bias", {{"x", 1}}},
                                                        {"stream", "yes"},
                                                        {"seed", "one"},
                                                        {"messages", "hello"},
                                                        {"messages", Json::array()},
                                                        {"tools", 5},
                                                        {"tools", Json::array({1})},
                                                        {"top_logprobs", 5},
                                                        {"functions", Json::array()},
                                                        {"audio", {{"voice", "x"}}},
                                                        {"modalities", Json::array({"audio"})},
                                                        {"chat_template_kwargs", 3}};
  for (const auto& [name, value] : wrong) {
    Json body = Question();
    body[name] = value;
    const Json error = world.Refused(kPath, body, 400);
    EXPECT_EQ(error["type"], "invalid_request_error");
    const std::string text = error["message"];
    EXPECT_NE(text.find(name), std::string::npos) << name << ": " << text;
  }
}

TEST(ChatCompletions, ListsWhatItIgnores) {
  ApiWorld world;
  Json body = Question();
  body["metadata"] = {{"a", "b"}};
  body["some_new_field"] = 3;
  const auto response = world.Post(kPath, body);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("X-Ignored-Parameters"), "metadata, some_new_field");
}

TEST(ChatCompletions, GivesDifferentButRepeatableChoices) {
  ApiWorld world;
  Json body = Question(16);
  body["temperature"] = 1.5;
  body["n"] = 4;
  body["seed"] = 11;
  const Json first = world.Ask(kPath, body);
  const Json again = world.Ask(kPath, body);
  ASSERT_EQ(first["choices"].size(), 4u);
  std::set<std::string> texts;
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(first["choices"][i]["index"], i);
    EXPECT_EQ(first["choices"][i]["message"], again["choices"][i]["message"]);
    texts.insert(first["choices"][i]["message"]["content"]);
  }
  EXPECT_EQ(texts.size(), 4u);
  EXPECT_EQ(first["usage"]["completion_tokens"], 64);
  EXPECT_LT(first["usage"]["prompt_tokens"].get<int>(), 40) << "the shared prompt counts once";
  EXPECT_EQ(first["seed"], 11);
}

TEST(ChatCompletions, ReportsTheSeedThatItDrew) {
  ApiWorld world;
  Json body = Question(24);
  body["temperature"] = 1.5;
  const Json first = world.Ask(kPath, body);
  const Json second = world.Ask(kPath, body);
  EXPECT_NE(first["seed"], second["seed"]);
  EXPECT_NE(first["choices"][0]["message"], second["choices"][0]["message"]);
  body["seed"] = first["seed"];
  EXPECT_EQ(world.Ask(kPath, body)["choices"][0]["message"], first["choices"][0]["message"]);
}

TEST(ChatCompletions, TakesBothNamesOfTheLimit) {
  ApiWorld world;
  Json body = Question();
  body.erase("max_tokens");
  body["max_completion_tokens"] = 3;
  EXPECT_EQ(world.Ask(kPath, body)["usage"]["completion_tokens"], 3);
  body["max_tokens"] = 3;
  EXPECT_EQ(world.Ask(kPath, body)["usage"]["completion_tokens"], 3);
  body["max_tokens"] = 4;
  world.Refused(kPath, body, 400);
}

TEST(ChatCompletions, StopsBeforeAStopString) {
  ApiWorld world;
  Json body = Question(40);
  body["temperature"] = 1.0;
  body["seed"] = 3;
  for (int id = 128; id < 256; ++id) body["logit_bias"][std::to_string(id)] = -100;
  const std::string free = world.Ask(kPath, body)["choices"][0]["message"]["content"];
  ASSERT_GT(free.size(), 12u);
  const std::string stop = free.substr(6, 3);
  body["stop"] = stop;
  const Json choice = world.Ask(kPath, body)["choices"][0];
  EXPECT_EQ(choice["message"]["content"], free.substr(0, free.find(stop)));
  EXPECT_EQ(choice["finish_reason"], "stop");
  std::string joined;
  for (const Json& event : world.Stream(kPath, body))
    joined += event["choices"][0]["delta"].value("content", "");
  EXPECT_EQ(joined, free.substr(0, free.find(stop)));
}

TEST(ChatCompletions, GivesLogProbabilitiesOfRawLogits) {
  ApiWorld world;
  Json body = Question(5);
  body["logprobs"] = true;
  body["top_logprobs"] = 3;
  const Json cold = world.Ask(kPath, body)["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(cold.size(), 5u);
  for (const Json& entry : cold) {
    ASSERT_EQ(entry["top_logprobs"].size(), 3u);
    EXPECT_LE(entry["logprob"].get<double>(), 0.0);
    EXPECT_NEAR(entry["logprob"].get<double>(), entry["top_logprobs"][0]["logprob"].get<double>(), 1e-6)
        << "greedy takes the most likely";
    EXPECT_TRUE(entry["bytes"].is_array());
  }
  body["temperature"] = 0.01;
  body["seed"] = 1;
  const Json warm = world.Ask(kPath, body)["choices"][0]["logprobs"]["content"];
  EXPECT_NEAR(warm[0]["top_logprobs"][0]["logprob"].get<double>(),
              cold[0]["top_logprobs"][0]["logprob"].get<double>(), 1e-5);
  size_t streamed = 0;
  for (const Json& event : world.Stream(kPath, body)) {
    const Json& scores = event["choices"][0]["logprobs"];
    if (scores.is_object()) streamed += scores["content"].size();
  }
  EXPECT_EQ(streamed, 5u);
}

TEST(ChatCompletions, RefusesAPromptThatDoesNotFitWithBothCounts) {
  ApiWorld world;
  Json body = Question();
  body["messages"] = Messages(std::string(400, 'x'));
  const Json error = world.Refused(kPath, body, 400);
  EXPECT_EQ(error["code"], "context_length_exceeded");
  const std::string text = error["message"];
  EXPECT_NE(text.find("256"), std::string::npos) << text;
}

TEST(ChatCompletions, EndsWithLengthWhenTheContextIsFull) {
  ApiWorld world;
  Json body = Question();
  body.erase("max_tokens");
  body["ignore_eos"] = true;
  const Json json = world.Ask(kPath, body);
  EXPECT_EQ(json["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(json["usage"]["total_tokens"], 256);
}

TEST(ChatCompletions, ReportsCachedTokensOfARepeatedPrompt) {
  ApiWorld world;
  Json body = Question();
  body["messages"] = Messages(std::string(100, 'y'));
  const Json first = world.Ask(kPath, body);
  EXPECT_EQ(first["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  const Json second = world.Ask(kPath, body);
  const int prompt = second["usage"]["prompt_tokens"];
  EXPECT_GE(second["usage"]["prompt_tokens_details"]["cached_tokens"].get<int>(), prompt - 32);
  EXPECT_EQ(first["choices"][0]["message"], second["choices"][0]["message"]);
}

TEST(ChatCompletions, PassesArgumentsToTheTemplateAndContinuesTheLastMessage) {
  ApiWorld world;
  Json body = Question();
  const int plain = world.Ask(kPath, body)["usage"]["prompt_tokens"];
  body["chat_template_kwargs"] = {{"shout", true}};
  EXPECT_GT(world.Ask(kPath, body)["usage"]["prompt_tokens"].get<int>(), plain);
  body.erase("chat_template_kwargs");
  body["messages"].push_back({{"role", "assistant"}, {"content", "The answer"}});
  body["continue_final_message"] = true;
  EXPECT_EQ(world.Post(kPath, body).status, 200);
  body["add_generation_prompt"] = true;
  EXPECT_EQ(world.Refused(kPath, body, 400)["param"], "continue_final_message");
}

TEST(ChatCompletions, TakesContentAsParts) {
  ApiWorld world;
  Json body = Question();
  body["messages"][0]["content"] = Json::array({{{"type", "text"}, {"text", "hi"}}});
  EXPECT_EQ(world.Ask(kPath, body)["choices"][0], world.Ask(kPath, Question())["choices"][0]);
  body["messages"][0]["content"][0]["type"] = "image_url";
  const std::string text = world.Refused(kPath, body, 400)["message"];
  EXPECT_NE(text.find("image_url"), std::string::npos);
}

TEST(ChatCompletions, SaysThatAModelWithoutATemplateHasNone) {
  ApiWorld world({.chat = false});
  const std::string text = world.Refused(kPath, Question(), 400)["message"];
  EXPECT_NE(text.find("--chat-template"), std::string::npos) << text;
}

TEST(ChatCompletions, SendsThinkingThatTheTemplateOpenedAsReasoning) {
  ApiWorld world({.thinks = true});
  Json body = Question();
  body["chat_template_kwargs"] = {{"enable_thinking", true}};
  const Json message = world.Ask(kPath, body)["choices"][0]["message"];
  EXPECT_EQ(message["content"], "") << "the limit came before the tag closed";
  EXPECT_FALSE(message["reasoning_content"].get<std::string>().empty());
  std::string reasoning;
  for (const Json& event : world.Stream(kPath, body)) {
    reasoning += event["choices"][0]["delta"].value("reasoning_content", "");
  }
  EXPECT_EQ(reasoning, message["reasoning_content"]);
  EXPECT_GT(world.Ask(kPath, body)["usage"]["completion_tokens_details"]["reasoning_tokens"].get<int>(), 0);
}

TEST(ChatCompletions, RefusesAToolThatIsNotDeclared) {
  ApiWorld world;
  Json body = Question();
  body["tools"] = Json::array({{{"type", "function"}, {"function", {{"name", "look_up"}}}}});
  EXPECT_EQ(world.Post(kPath, body).status, 200);
  body["tool_choice"] = {{"type", "function"}, {"function", {{"name", "other"}}}};
  const std::string text = world.Refused(kPath, body, 400)["message"];
  EXPECT_NE(text.find("other"), std::string::npos);
  body["tool_choice"] = "none";
  EXPECT_EQ(world.Post(kPath, body).status, 200);
}

}  // namespace
}  // namespace hone
