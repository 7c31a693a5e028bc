// Requests and responses as the server's routes see them: plain text, no library's types.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hone {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;   // "GET"
  std::string path;     // as sent, without the query
  std::string query;    // after the question mark
  HttpHeaders headers;  // names in lower case
  std::string body;

  // Empty where it is absent; `name` in lower case.
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  HttpHeaders headers;
  std::string body;
};

// A request on its way to its answer. Every method may be called from any thread and returns at once; what
// comes after the end, or after the client has gone, is dropped.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual const HttpRequest& request() const = 0;

  // The whole answer; or
  virtual void Respond(HttpResponse response) = 0;
  // an answer in pieces: the head, whose body is the first piece, pieces, and the end.
  virtual void BeginStream(HttpResponse head) = 0;
  virtual void Send(std::string piece) = 0;
  virtual void EndStream() = 0;

  // Calls `gone` once when the client goes away before the answer is complete; at once where it has already.
  virtual void OnGone(std::function<void()> gone) = 0;
};

// Called from one of the server's threads for every request.
using HttpHandler = std::function<void(std::shared_ptr<HttpExchange>)>;

// "Not Found" for 404.
std::string_view ReasonPhrase(int status);

}  // namespace hone
