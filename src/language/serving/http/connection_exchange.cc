#include "language/serving/http/connection_exchange.h"

#include <fmt/format.h>

#include "language/serving/http/api_error.h"

namespace hone {
namespace {

std::string Chunk(const std::string& piece) { return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece); }

}  // namespace

std::string ResponseHead(const HttpResponse& response, bool chunked, bool keep_alive) {
  std::string head = fmt::format("HTTP/1.1 {} {}\r\n", response.status, ReasonPhrase(response.status));
  if (!response.content_type.empty()) head += fmt::format("Content-Type: {}\r\n", response.content_type);
  for (const auto& [name, value] : response.headers) head += fmt::format("{}: {}\r\n", name, value);
  if (!keep_alive) head += "Connection: close\r\n";
  if (chunked) {
    head += "Transfer-Encoding: chunked\r\n";
  } else {
    head += fmt::format("Content-Length: {}\r\n", response.body.size());
  }
  return head + "\r\n";
}

ConnectionExchange::ConnectionExchange(std::shared_ptr<Connection> connection, HttpRequest request,
                                       bool keep_alive, bool chunks)
    : request_(std::move(request)),
      keep_alive_(keep_alive),
      chunks_(chunks),
      connection_(std::move(connection)) {}

ConnectionExchange::~ConnectionExchange() {
  if (!ended_) Respond({.status = 500, .body = ErrorBody({500, "the request was not answered"})});
}

void ConnectionExchange::Respond(HttpResponse response) {
  const std::lock_guard lock(mutex_);
  if (ended_ || streaming_) return;
  ended_ = true;
  std::string bytes = ResponseHead(response, false, keep_alive_);
  if (request_.method != "HEAD") bytes += response.body;
  End(std::move(bytes));
}

void ConnectionExchange::BeginStream(HttpResponse head) {
  const std::lock_guard lock(mutex_);
  if (ended_ || streaming_) return;
  streaming_ = true;
  std::string first;
  std::swap(first, head.body);
  if (chunks_) {
    std::string bytes = ResponseHead(head, true, keep_alive_);
    if (!first.empty()) bytes += Chunk(first);
    connection_->Post(std::move(bytes), false);
  } else {  // HTTP/1.0: until the connection closes
    std::string bytes = fmt::format("HTTP/1.0 {} {}\r\nContent-Type: {}\r\nConnection: close\r\n\r\n{}",
                                    head.status, ReasonPhrase(head.status), head.content_type, first);
    connection_->Post(std::move(bytes), false);
  }
}

void ConnectionExchange::Send(std::string piece) {
  const std::lock_guard lock(mutex_);
  if (ended_ || !streaming_ || piece.empty()) return;
  connection_->Post(chunks_ ? Chunk(piece) : std::move(piece), false);
}

void ConnectionExchange::EndStream() {
  const std::lock_guard lock(mutex_);
  if (ended_ || !streaming_) return;
  ended_ = true;
  End(chunks_ ? "0\r\n\r\n" : "");
}

void ConnectionExchange::OnGone(std::function<void()> gone) {
  {
    const std::lock_guard lock(mutex_);
    if (!is_gone_) {
      on_gone_ = std::move(gone);
      return;
    }
  }
  gone();
}

void ConnectionExchange::Gone() {
  std::function<void()> gone;
  std::shared_ptr<Connection> connection;
  {
    const std::lock_guard lock(mutex_);
    is_gone_ = !ended_;
    ended_ = true;
    if (is_gone_) gone = std::move(on_gone_);
    on_gone_ = nullptr;
    connection.swap(connection_);
  }
  if (gone) gone();
}

void ConnectionExchange::End(std::string bytes) {
  std::shared_ptr<Connection> connection;
  connection.swap(connection_);
  connection->Post(std::move(bytes), true);
}

}  // namespace hone
