#include "language/serving/http/api_server.h"

#include <gtest/gtest.h>

#include <cmath>

#include "language/serving/http/api_fixture.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::ApiWorldOptions;
using testing::Json;
using testing::Messages;

TEST(Completions, AnswersTextsAndTokenIds) {
  ApiWorld world;
  Json body{{"prompt", "abc"}, {"max_tokens", 5}, {"temperature", 0}};
  const Json text = world.Ask("/v1/completions", body);
  EXPECT_EQ(text["object"], "text_completion");
  EXPECT_EQ(text["usage"]["completion_tokens"], 5);
  const Json ids = world.Ask("/tokenize", {{"content", "abc"}, {"add_special", true}})["tokens"];
  body["prompt"] = ids;
  EXPECT_EQ(world.Ask("/v1/completions", body)["choices"], text["choices"]);
  body["prompt"] = Json::array({"abc", "xyz"});
  body["n"] = 2;
  const Json both = world.Ask("/v1/completions", body);
  ASSERT_EQ(both["choices"].size(), 4u);
  EXPECT_EQ(both["choices"][0]["text"], text["choices"][0]["text"]);
  EXPECT_EQ(both["choices"][1]["text"], text["choices"][0]["text"]) << "greedy choices are alike";
  body["prompt"] = Json::array({5, "x"});
  world.Refused("/v1/completions", body, 400);
  body["prompt"] = Json::array({999999});
  world.Refused("/v1/completions", body, 400);
}

TEST(Completions, ScoresAPromptWithoutWritingAnything) {
  ApiWorld world;
  const Json body{
      {"prompt", "abcdefgh"}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 2}, {"temperature", 0}};
  const Json choice = world.Ask("/v1/completions", body)["choices"][0];
  const size_t tokens =
      world.Ask("/tokenize", {{"content", "abcdefgh"}, {"add_special_tokens", true}})["tokens"].size();
  const Json& scores = choice["logprobs"];
  ASSERT_EQ(scores["tokens"].size(), tokens) << "one entry a prompt token";
  ASSERT_EQ(scores["token_logprobs"].size(), tokens);
  EXPECT_TRUE(scores["token_logprobs"][0].is_null());
  EXPECT_TRUE(scores["top_logprobs"][0].is_null());
  for (size_t i = 1; i < tokens; ++i) {
    EXPECT_LT(scores["token_logprobs"][i].get<double>(), 0.0);
    EXPECT_GE(scores["top_logprobs"][i].size(), 2u);
  }
  EXPECT_EQ(choice["finish_reason"], "length");
  EXPECT_EQ(world.Ask("/v1/completions", body)["choices"][0]["logprobs"], scores) << "also when it is cached";
  // The same numbers as when the model writes those tokens.
  Json written{{"prompt", "abcdefg"}, {"max_tokens", 1}, {"logprobs", 5}, {"temperature", 0}};
  const Json top = world.Ask("/v1/completions", written)["choices"][0]["logprobs"]["top_logprobs"][0];
  const std::string last = scores["tokens"][tokens - 1];
  if (top.contains(last)) {
    EXPECT_NEAR(top[last].get<double>(), scores["token_logprobs"][tokens - 1].get<double>(), 1e-6);
  }
  world.Refused("/v1/completions", {{"prompt", "abc"}, {"max_tokens", 0}}, 400);
}

TEST(Completions, EchoesThePromptBeforeTheAnswer) {
  ApiWorld world;
  Json body{{"prompt", "abc"}, {"max_tokens", 4}, {"temperature", 0}};
  const std::string plain = world.Ask("/v1/completions", body)["choices"][0]["text"];
  body["echo"] = true;
  const std::string echoed = world.Ask("/v1/completions", body)["choices"][0]["text"];
  EXPECT_EQ(echoed, "abc" + plain);
  std::string joined;
  for (const Json& event : world.Stream("/v1/completions", body)) joined += event["choices"][0]["text"];
  EXPECT_EQ(joined, echoed);
}

TEST(Responses, AnswersPlainText) {
  ApiWorld world;
  const Json body{{"model", "tiny"},
                  {"input", "hi"},
                  {"instructions", "Be brief."},
                  {"max_output_tokens", 6},
                  {"temperature", 0}};
  const Json json = world.Ask("/v1/responses", body);
  EXPECT_EQ(json["object"], "response");
  EXPECT_EQ(json["status"], "incomplete");
  EXPECT_EQ(json["incomplete_details"]["reason"], "max_output_tokens");
  const std::string text = json["output"][0]["content"][0]["text"];
  EXPECT_EQ(json["usage"]["output_tokens"], 6);
  std::string joined;
  const auto events = world.Stream("/v1/responses", body, /*done_line=*/false);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["sequence_number"], i);
    if (events[i]["type"] == "response.output_text.delta") joined += events[i]["delta"];
  }
  EXPECT_EQ(events.front()["type"], "response.created");
  EXPECT_EQ(events.back()["type"], "response.incomplete");
  EXPECT_EQ(joined, text);
  world.Refused("/v1/responses", {{"input", "hi"}, {"previous_response_id", "x"}}, 400);
}

TEST(Embeddings, GivesUnitVectorsAsFloatsOrBase64) {
  ApiWorld world;
  const Json json = world.Ask("/v1/embeddings",
                              {{"input", Json::array({"abc", "abd", "abc"})}, {"encoding_format", "float"}});
  ASSERT_EQ(json["data"].size(), 3u);
  const auto first = json["data"][0]["embedding"].get<std::vector<float>>();
  double squares = 0.0;
  for (const float value : first) squares += static_cast<double>(value) * value;
  EXPECT_NEAR(squares, 1.0, 1e-5);
  EXPECT_EQ(json["data"][2]["embedding"], json["data"][0]["embedding"]);
  EXPECT_NE(json["data"][1]["embedding"], json["data"][0]["embedding"]);
  const Json coded = world.Ask("/v1/embeddings", {{"input", "abc"}, {"encoding_format", "base64"}});
  const std::string text = coded["data"][0]["embedding"];
  EXPECT_EQ(text.size(), (first.size() * 4 + 2) / 3 * 4);
  const Json shorter = world.Ask("/v1/embeddings", {{"input", "abc"}, {"dimensions", 8}});
  EXPECT_EQ(shorter["data"][0]["embedding"].size(), 8u);
  world.Refused("/v1/embeddings", {{"input", "abc"}, {"encoding_format", "hex"}}, 400);
  world.Refused("/v1/embeddings", {{"input", Json::array()}}, 400);
}

TEST(Tokenize, IsUndoneByDetokenize) {
  ApiWorld world;
  const Json tokens = world.Ask("/tokenize", {{"content", "hello"}});
  EXPECT_EQ(tokens["count"], tokens["tokens"].size());
  EXPECT_EQ(world.Ask("/detokenize", {{"tokens", tokens["tokens"]}})["content"], "hello");
  EXPECT_EQ(world.Ask("/detokenize", {{"tokens", Json::array()}})["content"], "");
  const Json pieces = world.Ask("/tokenize", {{"content", "hi"}, {"with_pieces", true}})["tokens"];
  EXPECT_TRUE(pieces[0].contains("piece"));
  world.Refused("/tokenize", Json::object(), 400);
}

TEST(ApiServer, NamesTheRightPath) {
  ApiWorld world;
  const auto doubled = world.Post("/v1/v1/chat/completions", {});
  EXPECT_EQ(doubled.status, 404);
  EXPECT_NE(doubled.body.find("did you mean /v1/chat/completions?"), std::string::npos) << doubled.body;
  const auto bare = world.Post("/chat/completions", {});
  EXPECT_NE(bare.body.find("did you mean /v1/chat/completions?"), std::string::npos) << bare.body;
  const auto typo = world.Post("/v1/chat/completion", {});
  EXPECT_NE(typo.body.find("/v1/chat/completions"), std::string::npos) << typo.body;
  EXPECT_EQ(world.Get("/v1/models/").status, 200) << "a trailing slash works";
  EXPECT_EQ(world.Get("/nothing").status, 404);
  EXPECT_EQ(world.Get("/v1/chat/completions").status, 405);
}

TEST(ApiServer, ListsItsModelAndRefusesOthers) {
  ApiWorld world;
  const auto list = Json::parse(world.Get("/v1/models").body);
  EXPECT_EQ(list["data"][0]["id"], "tiny");
  EXPECT_EQ(world.Get("/v1/models/tiny").status, 200);
  EXPECT_EQ(world.Get("/v1/models/other").status, 404);
  const Json error = world.Refused("/v1/completions", {{"model", "gpt-4"}, {"prompt", "x"}}, 404);
  EXPECT_EQ(error["code"], "model_not_found");
}

TEST(ApiServer, AsksForKeysWhereTheyAreNeeded) {
  ApiWorld world({.api = {.model_name = "tiny", .api_keys = {"first-secret", "second-secret"}}});
  const auto none = world.Get("/v1/models");
  EXPECT_EQ(none.status, 401);
  EXPECT_EQ(none.header("Access-Control-Allow-Origin"), "*");
  EXPECT_EQ(Json::parse(none.body)["error"]["code"], "invalid_api_key");
  EXPECT_EQ(world.Get("/v1/models", {"Authorization: Bearer wrong"}).status, 401);
  EXPECT_EQ(world.Get("/v1/models", {"Authorization: Bearer first-secre"}).status, 401);
  EXPECT_EQ(world.Get("/v1/models", {"Authorization: Bearer second-secret"}).status, 200);
  EXPECT_EQ(world.Get("/metrics").status, 401);
  EXPECT_EQ(world.Get("/health").status, 200) << "health needs none";
  EXPECT_EQ(world.Get("/nothing").status, 401) << "nor can paths be tried out";
  const auto options = world.Send("OPTIONS", "/v1/chat/completions");
  EXPECT_EQ(options.status, 204);
  EXPECT_NE(options.header("Access-Control-Allow-Headers").find("Authorization"), std::string::npos);
}

TEST(ApiServer, SaysThatItIsLoading) {
  ApiWorldOptions options;
  options.loaded = false;
  ApiWorld world(options);
  const auto health = world.Get("/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(Json::parse(health.body)["error"]["code"], "loading");
  EXPECT_EQ(world.Post("/v1/completions", {{"prompt", "x"}}).status, 503);
  world.api.Serve(world.serving);
  EXPECT_EQ(world.Get("/health").status, 200);
}

TEST(ApiServer, LetsTheModelGoAndAnswersWhoWaitsForItsReturn) {
  ApiWorld world;
  const Json question{{"prompt", "abc"}, {"max_tokens", 5}, {"temperature", 0}};
  const Json before = world.Ask("/v1/completions", question)["choices"];
  ASSERT_TRUE(world.WaitIdle());
  std::atomic<int> wanted{0};
  world.api.Unload([&] { ++wanted; });
  for (int i = 0; i < 1000 && world.serving.use_count() > 1; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  EXPECT_EQ(world.serving.use_count(), 1) << "nothing holds the engine any more";
  const auto health = world.Get("/health");
  EXPECT_EQ(health.status, 200);
  EXPECT_EQ(Json::parse(health.body)["model"], "unloaded");
  EXPECT_EQ(world.Get("/v1/models").status, 200);
  EXPECT_EQ(world.Get("/status").status, 503) << "a page that is open does not keep the model loaded";
  EXPECT_NE(world.Get("/metrics").body.find("hone_unloaded 1\n"), std::string::npos);
  EXPECT_EQ(wanted, 0) << "none of these needs it";
  std::vector<testing::RawClient> clients;
  for (int i = 0; i < 3; ++i) {
    clients.emplace_back(world.http->port());
    clients.back().Send(testing::RawClient::Request("POST", "/v1/completions", question.dump()));
  }
  testing::RawClient gone(world.http->port());
  gone.Send(testing::RawClient::Request("POST", "/v1/completions", question.dump()));
  for (int i = 0; i < 1000 && wanted < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  EXPECT_EQ(wanted, 4);
  gone.Reset();
  world.api.FailWaiting({ErrorKind::kFailed, "disk on fire"});
  for (auto& client : clients) {
    const auto failed = client.Read();
    EXPECT_EQ(failed.status, 503);
    EXPECT_NE(failed.body.find("disk on fire"), std::string::npos);
    client.Send(testing::RawClient::Request("POST", "/v1/completions", question.dump()));
  }
  for (int i = 0; i < 1000 && wanted < 7; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  world.api.Serve(world.serving);
  for (auto& client : clients) EXPECT_EQ(Json::parse(client.Read().body)["choices"], before);
  EXPECT_EQ(world.Get("/health").body, R"({"status":"ok"})");
}

TEST(ApiServer, RefusesWhoWaitsForTheModelWhenItDrains) {
  ApiWorld world;
  std::atomic<int> wanted{0};
  world.api.Unload([&] { ++wanted; });
  testing::RawClient client(world.http->port());
  client.Send(testing::RawClient::Request("POST", "/v1/completions", R"({"prompt": "abc"})"));
  for (int i = 0; i < 1000 && wanted < 1; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  world.api.Drain();
  EXPECT_EQ(client.Read().status, 503);
  EXPECT_EQ(world.Get("/health").status, 503);
}

TEST(ApiServer, RefusesBodiesThatAreNotAnObject) {
  ApiWorld world;
  for (const std::string body : {"", "{", "[]", "5", "{\"prompt\": \"\xff\"}", "nonsense"}) {
    EXPECT_EQ(world.Send("POST", "/v1/completions", body).status, 400) << body;
  }
  const std::string deep = std::string(3000, '[') + std::string(3000, ']');
  const auto nested = world.Send("POST", "/v1/completions", "{\"prompt\": " + deep + "}");
  EXPECT_EQ(nested.status, 400);
  EXPECT_NE(nested.body.find("nested"), std::string::npos);
  EXPECT_EQ(world.Get("/health").status, 200) << "the server lives";
}

TEST(ApiServer, RefusesMoreThanTheQueueHoldsAndSaysWhenToComeBack) {
  ApiWorldOptions options;
  options.serving.batch = 1;
  options.serving.max_waiting = 1;
  options.serving.step_rows = 16;
  ApiWorld world(options);
  std::vector<testing::RawClient> clients;
  const std::string body =
      Json{{"prompt", std::string(150, 'x')}, {"max_tokens", 100}, {"ignore_eos", true}}.dump();
  for (int i = 0; i < 12; ++i) {
    clients.emplace_back(world.http->port());
    clients.back().Send(testing::RawClient::Request("POST", "/v1/completions", body));
  }
  int refused = 0;
  for (auto& client : clients) {
    const auto response = client.Read();
    EXPECT_TRUE(response.status == 200 || response.status == 429) << response.status;
    if (response.status != 429) continue;
    ++refused;
    EXPECT_GE(std::stoi(response.header("Retry-After")), 1);
    EXPECT_EQ(Json::parse(response.body)["error"]["type"], "rate_limit_error");
  }
  EXPECT_GT(refused, 0);
  EXPECT_LT(refused, 12);
}

TEST(ApiServer, LimitsTheRequestsOfOneKey) {
  ApiWorldOptions options;
  options.api.api_keys = {"k"};
  options.api.requests_per_key = 1;
  ApiWorld world(options);
  testing::RawClient first(world.http->port());
  first.Send(testing::RawClient::Request(
      "POST", "/v1/completions",
      Json{{"prompt", "x"}, {"max_tokens", 200}, {"ignore_eos", true}, {"stream", true}}.dump(),
      {"Authorization: Bearer k"}));
  ASSERT_TRUE(first.ReadUntil([](const std::string& b) { return b.find("data: ") != std::string::npos; }));
  const auto second =
      world.Post("/v1/completions", {{"prompt", "x"}, {"max_tokens", 1}}, {"Authorization: Bearer k"});
  EXPECT_EQ(second.status, 429);
  first.Read();
  ASSERT_TRUE(world.WaitIdle());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(
      world.Post("/v1/completions", {{"prompt", "x"}, {"max_tokens", 1}}, {"Authorization: Bearer k"}).status,
      200);
}

TEST(ApiServer, LimitsPromptsAndAnswers) {
  ApiWorldOptions options;
  options.api.most_prompt_tokens = 20;
  options.api.most_answer_tokens = 7;
  ApiWorld world(options);
  EXPECT_EQ(world.Refused("/v1/completions", {{"prompt", std::string(50, 'x')}}, 400)["code"],
            "context_length_exceeded");
  EXPECT_EQ(world.Refused("/v1/completions", {{"prompt", "x"}, {"max_tokens", 8}}, 400)["param"],
            "max_tokens");
  const Json json = world.Ask("/v1/chat/completions", {{"messages", Messages("x")}, {"ignore_eos", true}});
  EXPECT_EQ(json["usage"]["completion_tokens"], 7);
}

TEST(ApiServer, ReportsNotEnoughMemoryForOneAnswerWithoutEndingOthers) {
  ApiWorldOptions options;
  options.kv_limit = 32 << 10;
  ApiWorld world(options);
  const auto large = world.Post("/v1/completions", {{"prompt", std::string(200, 'x')}, {"max_tokens", 5}});
  EXPECT_EQ(large.status, 503) << large.body;
  EXPECT_EQ(world.Post("/v1/completions", {{"prompt", "x"}, {"max_tokens", 5}}).status, 200);
}

TEST(Metrics, CountWhatHappened) {
  ApiWorld world;
  world.Ask("/v1/completions", {{"prompt", "abc"}, {"max_tokens", 5}, {"ignore_eos", true}});
  world.Post("/v1/completions", Json::object());
  ASSERT_TRUE(world.WaitIdle());
  const auto metrics = world.Get("/metrics");
  EXPECT_EQ(metrics.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  for (const char* line :
       {"hone_answer_tokens_total 5\n", "hone_requests_total 1\n", "hone_up 1\n",
        "hone_http_responses_total{status=\"400\"} 1\n", "hone_compute_share_percent{phase=\"decode\"} 100\n",
        "hone_time_to_first_token_seconds_count 1\n", "hone_requests_ended_total{end=\"done\"} 1\n"}) {
    EXPECT_NE(metrics.body.find(line), std::string::npos) << line << "\n" << metrics.body;
  }
}

TEST(Page, CarriesAContentSecurityPolicy) {
  ApiWorld world;
  const auto page = world.Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_NE(page.header("Content-Security-Policy").find("default-src 'none'"), std::string::npos);
}

}  // namespace
}  // namespace hone
