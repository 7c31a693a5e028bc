// What clients do to a server: many, slow, silent, broken, vanishing.
#include <gtest/gtest.h>

#include <ctime>
#include <thread>

#include "language/serving/http/api_fixture.h"

namespace hone {
namespace {

using testing::ApiWorld;
using testing::ApiWorldOptions;
using testing::Json;
using testing::RawClient;

std::string Completion(int64_t max_tokens, bool stream, size_t prompt = 10) {
  return RawClient::Request("POST", "/v1/completions",
                            Json{{"prompt", std::string(prompt, 'x')},
                                 {"max_tokens", max_tokens},
                                 {"ignore_eos", true},
                                 {"temperature", 0},
                                 {"stream", stream}}
                                .dump());
}

bool Alive(ApiWorld& world) { return world.Get("/health").status == 200; }

TEST(HttpServer, KeepsAConnectionForSeveralRequestsAlsoWhenTheyComeAtOnce) {
  ApiWorld world;
  RawClient client(world.http->port());
  for (int i = 0; i < 3; ++i) {
    client.Send(RawClient::Request("GET", "/health"));
    EXPECT_EQ(client.Read().status, 200);
  }
  client.Send(Completion(5, true) + RawClient::Request("GET", "/health") + Completion(5, false));
  EXPECT_NE(client.Read().body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(client.Read().body, R"({"status":"ok"})");
  EXPECT_NE(client.Read().body.find("text_completion"), std::string::npos);
}

TEST(HttpServer, RefusesWhatIsNoHttp) {
  ApiWorld world;
  for (const std::string& bytes :
       {std::string("GARBAGE\r\n\r\n"), std::string("\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 11),
        std::string("GET / HTTP/9.9\r\n\r\n"),
        std::string("POST /v1/completions HTTP/1.1\r\nContent-Length: abc\r\n\r\n"),
        std::string("POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")}) {
    RawClient client(world.http->port());
    client.Send(bytes);
    const auto response = client.Read(5.0);
    EXPECT_TRUE(response.status == 400 || response.status == 0) << bytes << response.status;
    EXPECT_TRUE(client.Closed(5.0)) << bytes;
  }
  EXPECT_TRUE(Alive(world));
}

TEST(HttpServer, RefusesTooManyHeadersAndTooLargeBodies) {
  ApiWorldOptions options;
  options.http.body_bytes = 10000;
  ApiWorld world(options);
  RawClient headers(world.http->port());
  headers.Send("GET /health HTTP/1.1\r\nX: " + std::string(40000, 'x') + "\r\n\r\n");
  EXPECT_EQ(headers.Read().status, 431);
  // Two gigabytes announced: refused before a byte of them is read.
  RawClient large(world.http->port());
  large.Send("POST /v1/completions HTTP/1.1\r\nContent-Length: 2147483648\r\n\r\n");
  const auto response = large.Read(5.0);
  EXPECT_EQ(response.status, 413);
  EXPECT_EQ(Json::parse(response.body)["error"]["type"], "invalid_request_error");
  // The same for one that sends them anyway, whole or in chunks.
  for (const std::string& head : {std::string("Content-Length: 3000000\r\n\r\n"),
                                  std::string("Transfer-Encoding: chunked\r\n\r\n2DC6C0\r\n")}) {
    RawClient client(world.http->port());
    client.Send("POST /v1/completions HTTP/1.1\r\n" + head);
    std::thread sender([&] { client.Send(std::string(3000000, ' ')); });
    EXPECT_EQ(client.Read(5.0).status, 413);
    sender.join();
  }
  EXPECT_TRUE(Alive(world));
}

TEST(HttpServer, AnswersExpectContinue) {
  ApiWorld world;
  RawClient client(world.http->port());
  const std::string body = R"({"content": "abc"})";
  client.Send("POST /tokenize HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n");
  ASSERT_TRUE(client.ReadUntil(
      [](const std::string& b) { return b.find("100 Continue\r\n\r\n") != std::string::npos; }, 5.0));
  client.Read();
  client.Send(body);
  EXPECT_EQ(client.Read().status, 200);
}

TEST(HttpServer, ClosesConnectionsThatSayNothing) {
  ApiWorldOptions options;
  options.http.header_seconds = 0.3;
  options.http.body_seconds = 0.3;
  options.http.idle_seconds = 0.3;
  ApiWorld world(options);
  RawClient silent(world.http->port());
  RawClient half_header(world.http->port());
  half_header.Send("POST /v1/completions HTTP/1.1\r\nContent-");
  RawClient half_body(world.http->port());
  half_body.Send("POST /v1/completions HTTP/1.1\r\nContent-Length: 100\r\n\r\n{\"prompt\"");
  EXPECT_TRUE(silent.Closed(5.0));
  EXPECT_TRUE(half_header.Closed(5.0));
  EXPECT_TRUE(half_body.Closed(5.0));
  EXPECT_TRUE(Alive(world));
}

TEST(HttpServer, RefusesConnectionsBeyondTheLimit) {
  ApiWorldOptions options;
  options.http.connections = 4;
  ApiWorld world(options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(world.http->port());
    clients.back().Send(RawClient::Request("GET", "/health"));
    EXPECT_EQ(clients.back().Read().status, 200);
  }
  RawClient fifth(world.http->port());
  EXPECT_EQ(fifth.Read(5.0).status, 503);
  clients.clear();
  for (int i = 0; i < 100 && world.http->connections() > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(Alive(world));
}

TEST(HttpServer, RefusesAnAddressThatIsNone) {
  for (const char* host : {"nowhere", "300.1.1.1", ""}) {
    const auto started = HttpServer::Start({.host = host}, [](std::shared_ptr<HttpExchange>) {});
    EXPECT_FALSE(started) << host;
  }
  ApiWorld world;
  HttpServerOptions same;
  same.port = world.http->port();
  const auto taken = HttpServer::Start(same, [](std::shared_ptr<HttpExchange>) {});
  ASSERT_FALSE(taken);
  EXPECT_NE(taken.error().message.find("cannot listen"), std::string::npos);
  EXPECT_FALSE(
      HttpServer::Start({.tls_certificate = "/nonexistent.pem"}, [](std::shared_ptr<HttpExchange>) {}));
}

// One job in the state that the test wants, its client gone, and nothing left of it soon after.
void ExpectFreed(ApiWorld& world, const char* where) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(world.WaitIdle(10.0)) << where;
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LT(seconds, 2.0) << where;
}

TEST(ApiServer, FreesTheWorkOfClientsThatVanish) {
  for (const bool stream : {true, false}) {
    for (const bool reset : {true, false}) {
      ApiWorldOptions options;
      options.serving = {.schedule = "chunked:16", .step_rows = 16, .batch = 1, .max_waiting = 100};
      ApiWorld world(options);
      const auto leave = [&](RawClient& client) { reset ? client.Reset() : client.Close(); };
      const int64_t before = world.serving->state().answer_tokens;
      // Decoding, reading its prompt, and two in the queue.
      std::vector<RawClient> clients;
      for (int i = 0; i < 4; ++i) {
        clients.emplace_back(world.http->port());
        clients.back().Send(Completion(150, stream, 90));
      }
      for (int i = 0; i < 2000 && world.serving->state().answer_tokens == before; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
      for (auto& client : clients) leave(client);
      ExpectFreed(world, stream ? "stream" : "whole");
      EXPECT_LT(world.serving->state().answer_tokens - before, 600)
          << "all four were not written to their ends";
      EXPECT_GT(world.serving->state().ended[static_cast<size_t>(JobEnd::kCancelled)], 0);
      while (world.serving->executor().prefixes().EvictOne()) {
      }
      EXPECT_EQ(world.serving->executor().kv_used(), 0u);
    }
  }
}

TEST(ApiServer, FreesTheWorkOfAClientThatVanishesWhileItsPromptIsRead) {
  ApiWorldOptions options;
  options.serving = {.schedule = "chunked:1", .step_rows = 1};
  ApiWorld world(options);
  RawClient client(world.http->port());
  client.Send(Completion(5, false, 240));
  for (int i = 0; i < 2000 && world.serving->state().prefill == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  client.Reset();
  ExpectFreed(world, "prefill");
  EXPECT_EQ(world.serving->state().answer_tokens, 0);
}

TEST(ApiServer, AnswersTwoHundredClientsAtOnce) {
  ApiWorldOptions options;
  options.serving = {.schedule = "semi-pd", .step_rows = 64, .batch = 32, .max_waiting = 300};
  options.kv_limit = 1 << 20;
  ApiWorld world(options);
  std::vector<RawClient> clients;
  for (int i = 0; i < 200; ++i) {
    clients.emplace_back(world.http->port());
    ASSERT_TRUE(clients.back().connected());
    clients.back().Send(Completion(4 + i % 5, i % 2 == 0, static_cast<size_t>(1 + i % 40)));
  }
  int answered = 0;
  for (auto& client : clients) {
    const auto response = client.Read(60.0);
    EXPECT_EQ(response.status, 200);
    answered += response.status == 200 ? 1 : 0;
  }
  EXPECT_EQ(answered, 200);
  EXPECT_LE(world.serving->executor().kv_used(), uint64_t{1} << 20);
}

TEST(ApiServer, DropsAClientThatDoesNotReadWithoutHoldingUpOthers) {
  ApiWorldOptions options;
  options.http.unsent_bytes = 2000;
  options.http.write_seconds = 1.0;
  ApiWorld world(options);
  RawClient slow(world.http->port());
  const int small = 2048;
  ::setsockopt(slow.socket(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  slow.Send(Completion(200, true));
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(world.Post("/v1/completions", {{"prompt", "x"}, {"max_tokens", 3}}).status, 200);
  }
  EXPECT_TRUE(world.WaitIdle());
}

TEST(HttpServer, FinishesAnswersWhenItStopsAccepting) {
  ApiWorld world;
  RawClient busy(world.http->port());
  busy.Send(Completion(200, true));
  ASSERT_TRUE(busy.ReadUntil([](const std::string& b) { return b.find("data: ") != std::string::npos; }));
  RawClient idle(world.http->port());
  idle.Send(RawClient::Request("GET", "/health"));
  EXPECT_EQ(idle.Read().status, 200);
  world.api.Drain();
  world.http->StopAccepting();
  EXPECT_TRUE(idle.Closed(5.0));
  EXPECT_NE(busy.Read().body.find("[DONE]"), std::string::npos);
  EXPECT_TRUE(busy.Closed(5.0));
  EXPECT_FALSE(RawClient(world.http->port()).connected());
}

TEST(HttpServer, TellsStreamsThatTheServerEndsBeforeTheyDo) {
  ApiWorldOptions options;
  options.serving.step_rows = 16;
  ApiWorld world(options);
  RawClient busy(world.http->port());
  busy.Send(Completion(200, true));
  ASSERT_TRUE(busy.ReadUntil([](const std::string& b) { return b.find("data: ") != std::string::npos; }));
  world.serving->CancelAll();
  const auto response = busy.Read();
  EXPECT_NE(response.body.find("\"error\""), std::string::npos) << response.body;
  EXPECT_EQ(response.body.find("[DONE]"), std::string::npos);
}

// Processor time of this process, user and system.
double ProcessorSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(HttpServer, BurnsNothingWhileItIsIdle) {
  ApiWorld world;
  RawClient client(world.http->port());
  client.Send(Completion(5, false));
  client.Read();
  ASSERT_TRUE(world.WaitIdle());
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = ProcessorSeconds();
  std::this_thread::sleep_for(std::chrono::seconds(2));
  EXPECT_LT(ProcessorSeconds() - before, 0.002) << "under 10 ms in 10 s";
}

}  // namespace
}  // namespace hone
