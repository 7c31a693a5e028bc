// A request that came over a connection, and the bytes of its answer on their way back.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "language/serving/http/http_message.h"

namespace hone {

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  virtual void Run() = 0;
  virtual void CloseIfIdle() = 0;
  virtual void Close() = 0;
  // From any thread.
  virtual void Post(std::string bytes, bool last) = 0;
};

// Status line and headers.
std::string ResponseHead(const HttpResponse& response, bool chunked, bool keep_alive);

// Lets its connection go with the answer's end, so that it never outlives the server.
class ConnectionExchange : public HttpExchange {
 public:
  // `chunks`: whether the client understands them.
  ConnectionExchange(std::shared_ptr<Connection> connection, HttpRequest request, bool keep_alive,
                     bool chunks);
  ~ConnectionExchange() override;

  const HttpRequest& request() const override { return request_; }
  void Respond(HttpResponse response) override;
  void BeginStream(HttpResponse head) override;
  void Send(std::string piece) override;
  void EndStream() override;
  void OnGone(std::function<void()> gone) override;
  // The client has gone.
  void Gone();

 private:
  void End(std::string bytes);

  const HttpRequest request_;
  const bool keep_alive_;
  const bool chunks_;
  std::mutex mutex_;  // guards what follows
  std::shared_ptr<Connection> connection_;
  bool streaming_ = false;
  bool ended_ = false;
  bool is_gone_ = false;
  std::function<void()> on_gone_;
};

}  // namespace hone
