// A server with a small random model, listening on a free port.
#pragma once

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "language/serving/http/api_server.h"
#include "language/serving/http/http_server.h"
#include "language/serving/http/raw_client.h"
#include "language/serving/serving_fixture.h"

namespace hone::testing {

using Json = nlohmann::ordered_json;

// Spells the messages; knows thinking only if asked to.
inline std::string TemplateFile(bool thinks, const std::string& tools) {
  const auto name = fmt::format("hone-serving-{}{}-{}.jinja", getpid(), thinks ? "-think" : "",
                                std::hash<std::string>()(tools));
  const auto path = std::filesystem::temp_directory_path() / name;
  std::ofstream file(path);
  if (!tools.empty()) file << "{% if tools %}" << tools << "{{ tools | tojson }}{% endif %}";
  file << "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}"
          "{% if add_generation_prompt %}[assistant]{% if shout %}LOUD{% endif %}";
  if (thinks) file << "{% if enable_thinking %}<think>\n{% endif %}";
  file << "{% endif %}";
  return path.string();
}

struct ApiWorldOptions {
  ServingOptions serving = {.schedule = "semi-pd", .step_rows = 64};
  ApiOptions api = {.model_name = "tiny"};
  HttpServerOptions http;
  uint64_t kv_limit = MemoryAccount::kUnlimited;
  bool thinks = false;
  bool chat = true;
  std::string tools;    // how the template shows tools; empty: it does not
  int64_t context = 0;  // 0: the model's, 256 tokens
  bool loaded = true;
};

class ApiWorld {
 public:
  explicit ApiWorld(const ApiWorldOptions& options = {}) : api(options.api) {
    MemoryLimits limits;
    limits.kv = options.kv_limit;
    engine = std::make_shared<Engine>(2, limits);
    LoadOptions load;
    load.chat_template_file = options.chat ? TemplateFile(options.thinks, options.tools) : "/dev/null";
    load.context = options.context;
    auto model = LoadModel(RandomModelPath(), *engine, load);
    EXPECT_TRUE(model) << model.error().message;
    ServingOptions serving_options = options.serving;
    if (options.context > 0) serving_options.context = options.context;
    auto created = ServingEngine::Create(engine, *model, serving_options);
    EXPECT_TRUE(created) << created.error().message;
    serving = std::move(*created);
    if (options.loaded) api.Serve(serving);
    auto started = HttpServer::Start(
        options.http, [this](std::shared_ptr<HttpExchange> exchange) { api.Handle(std::move(exchange)); });
    EXPECT_TRUE(started) << started.error().message;
    http = std::move(*started);
  }
  ~ApiWorld() { http.reset(); }

  RawResponse Send(const std::string& method, const std::string& path, const std::string& body = "",
                   const std::vector<std::string>& headers = {}) {
    RawClient client(http->port());
    client.Send(RawClient::Request(method, path, body, headers));
    return client.Read();
  }
  RawResponse Get(const std::string& path, const std::vector<std::string>& headers = {}) {
    return Send("GET", path, "", headers);
  }
  RawResponse Post(const std::string& path, const Json& body, const std::vector<std::string>& headers = {}) {
    return Send("POST", path, body.dump(), headers);
  }
  // The body of a reply that has to be 200.
  Json Ask(const std::string& path, const Json& body) {
    const RawResponse response = Post(path, body);
    EXPECT_EQ(response.status, 200) << response.body;
    return Json::parse(response.body, nullptr, false);
  }
  // The error of a reply that must have the status.
  Json Refused(const std::string& path, const Json& body, int status) {
    const RawResponse response = Post(path, body);
    EXPECT_EQ(response.status, status) << response.body;
    Json json = Json::parse(response.body, nullptr, false);
    return json.is_object() && json.contains("error") ? json["error"] : Json::object();
  }
  // The data lines of a stream.
  static std::vector<std::string> Events(const std::string& body) {
    std::vector<std::string> events;
    for (size_t at = 0; (at = body.find("data: ", at)) != std::string::npos;) {
      const size_t end = body.find("\n\n", at);
      events.push_back(body.substr(at + 6, end - at - 6));
      at = end;
    }
    return events;
  }
  std::vector<Json> Stream(const std::string& path, Json body, bool done_line = true) {
    body["stream"] = true;
    const RawResponse response = Post(path, body);
    EXPECT_EQ(response.status, 200) << response.body;
    EXPECT_EQ(response.header("Content-Type"), "text/event-stream; charset=utf-8");
    std::vector<std::string> events = Events(response.body);
    if (done_line) {
      EXPECT_FALSE(events.empty());
      EXPECT_EQ(events.back(), "[DONE]");
      events.pop_back();
    }
    std::vector<Json> parsed;
    for (const std::string& event : events) parsed.push_back(Json::parse(event, nullptr, false));
    return parsed;
  }
  bool WaitIdle(double seconds = 10.0) {
    for (int i = 0; i < static_cast<int>(seconds * 200); ++i) {
      if (serving->idle()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }

  std::shared_ptr<Engine> engine;
  std::shared_ptr<ServingEngine> serving;
  ApiServer api;
  std::unique_ptr<HttpServer> http;
};

inline Json Messages(const std::string& text) { return Json::array({{{"role", "user"}, {"content", text}}}); }

}  // namespace hone::testing
