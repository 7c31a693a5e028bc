// An HTTP/1.1 server with a fixed number of threads, whatever the number of clients, and a limit on
// everything that a client can make it keep.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "language/serving/http/http_message.h"

namespace hone {

struct HttpServerOptions {
  std::string host = "127.0.0.1";  // an address, or "localhost"
  uint16_t port = 0;               // 0: a free one
  int threads = 2;
  int64_t connections = 1024;         // at once; more are answered 503
  uint64_t body_bytes = 32 << 20;     // of one request: 413
  uint64_t bodies_bytes = 256 << 20;  // of all requests that are being read or answered: 503
  uint32_t header_bytes = 16 << 10;   // 431
  uint64_t unsent_bytes = 8 << 20;    // a client that reads slower than this loses its connection
  double handshake_seconds = 10.0;
  double header_seconds = 10.0;  // from a request's first byte
  double body_seconds = 60.0;
  double idle_seconds = 60.0;   // between requests
  double write_seconds = 30.0;  // without a byte taken
  std::string tls_certificate;  // PEM files; both or neither
  std::string tls_key;
};

class HttpServer {
 public:
  // Listens once it returns. Errors name the address or the file.
  static Result<std::unique_ptr<HttpServer>> Start(const HttpServerOptions& options, HttpHandler handler);
  // Closes every connection, in the middle of an answer too.
  ~HttpServer();

  uint16_t port() const;
  bool tls() const;
  int64_t connections() const;
  int64_t exchanges() const;  // requests whose answer is not complete
  // No new connections, none kept alive; answers under way go on.
  void StopAccepting();

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace hone
