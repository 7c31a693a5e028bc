// A small HTTP/1.1 server on loopback whose answers the test decides.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace hone {

struct TestRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case
};

struct TestResponse {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;  // Content-Length is added unless given
  std::string body;
  size_t cut_after = std::string::npos;  // the connection closes after that many bytes of the body
};

class TestServer {
 public:
  using Handler = std::function<TestResponse(const TestRequest&)>;
  explicit TestServer(Handler handler);
  ~TestServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<TestRequest> requests() const;

 private:
  void Serve();
  void Answer(int connection);

  Handler handler_;
  int socket_ = -1;
  int port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<TestRequest> requests_;
  std::thread thread_;
};

// Serves `body` as a good server does: ETag, ranges, If-Range.
TestResponse ServeFile(const TestRequest& request, const std::string& body, const std::string& etag);

}  // namespace hone
