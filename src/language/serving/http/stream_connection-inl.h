// One client's connection, plain or TLS: reads requests, writes answers, and notices the client's leaving.
#pragma once

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "core/base/log.h"
#include "language/serving/http/api_error.h"
#include "language/serving/http/connection_exchange.h"
#include "language/serving/http/http_server.h"

namespace hone {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using boost::system::error_code;

inline std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

inline constexpr size_t kReadAhead = 64 << 10;  // bytes of later requests that are kept
inline constexpr uint64_t kLinger = 64 << 20;   // bytes of a refused body that are read and thrown away
inline constexpr double kLingerSeconds = 3.0;

// What all connections share.
struct ConnectionsShared {
  HttpServerOptions options;
  HttpHandler handler;
  std::atomic<int64_t> connections{0};
  std::atomic<int64_t> exchanges{0};
  std::atomic<uint64_t> body_bytes{0};
  std::atomic<bool> draining{false};
};

// One client. Everything runs on the socket's strand. While a request is answered the connection goes on
// reading, so that it sees the client leave.
template <class Stream>
class StreamConnection : public Connection {
 public:
  StreamConnection(Stream stream, std::shared_ptr<ConnectionsShared> shared)
      : stream_(std::move(stream)), idle_timer_(stream_.get_executor()), shared_(std::move(shared)) {
    shared_->connections.fetch_add(1);
  }
  ~StreamConnection() override {
    ReleaseBody();
    shared_->connections.fetch_sub(1);
  }

  void Run() override {
    net::dispatch(stream_.get_executor(), [self = this->Self()] { self->Handshake(); });
  }

  void Post(std::string bytes, bool last) override {
    net::post(stream_.get_executor(), [self = this->Self(), bytes = std::move(bytes), last]() mutable {
      self->Queue(std::move(bytes), last);
    });
  }

  void CloseIfIdle() override {
    net::post(stream_.get_executor(), [self = this->Self()] {
      if (!self->busy_ && self->buffer_.size() == 0) self->Drop();
    });
  }
  void Close() override {
    net::post(stream_.get_executor(), [self = this->Self()] { self->Drop(); });
  }

 private:
  std::shared_ptr<StreamConnection> Self() {
    return std::static_pointer_cast<StreamConnection>(this->shared_from_this());
  }
  beast::tcp_stream& Lowest() { return beast::get_lowest_layer(stream_); }

  void Handshake() {
    if constexpr (std::is_same_v<Stream, beast::tcp_stream>) {
      AwaitRequest();
    } else {
      Lowest().expires_after(Seconds(shared_->options.handshake_seconds));
      stream_.async_handshake(net::ssl::stream_base::server, [self = Self()](error_code error) {
        if (error) return self->Drop();
        self->AwaitRequest();
      });
    }
  }

  // Waits for the first byte of a request.
  void AwaitRequest() {
    busy_ = false;
    if (dropped_) return;
    if (buffer_.size() > 0) return ReadHeader();
    if (shared_->draining) return Shutdown();
    idle_timer_.expires_after(Seconds(shared_->options.idle_seconds));
    idle_timer_.async_wait([self = Self()](error_code error) {
      if (!error && !self->busy_) self->Drop();
    });
    if (!watching_) Watch();
  }

  // Reads ahead; ends with the client, or with bytes of its next request.
  void Watch() {
    watching_ = true;
    Lowest().expires_never();
    stream_.async_read_some(buffer_.prepare(4096), [self = Self()](error_code error, size_t bytes) {
      self->watching_ = false;
      if (error || self->dropped_) return self->Drop();
      self->buffer_.commit(bytes);
      if (!self->busy_) return self->ReadHeader();
      if (self->buffer_.size() < kReadAhead) self->Watch();
    });
  }

  void ReadHeader() {
    busy_ = true;
    idle_timer_.cancel();
    parser_.emplace();
    parser_->header_limit(shared_->options.header_bytes);
    parser_->body_limit(shared_->options.body_bytes);
    Lowest().expires_after(Seconds(shared_->options.header_seconds));
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = Self()](error_code error, size_t) { self->OnHeader(error); });
  }

  void OnHeader(error_code error) {
    if (dropped_) return;
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      return Refuse(431, fmt::format("request headers: more than {} bytes", shared_->options.header_bytes));
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) return Drop();
    if (error.category() == http::make_error_code(http::error::bad_method).category()) {
      return Refuse(
          error == http::error::body_limit ? 413 : 400,
          error == http::error::body_limit ? TooLarge() : "not an HTTP request: " + error.message());
    }
    if (error) return Drop();
    const auto length = parser_->content_length();
    const uint64_t limit = shared_->options.body_bytes;
    if (length && *length > limit) return Refuse(413, TooLarge());
    // A body of unknown length may become as long as any.
    const uint64_t bytes = parser_->chunked() ? limit : length.value_or(0);
    reserved_ = bytes;
    if (shared_->body_bytes.fetch_add(bytes) + bytes > shared_->options.bodies_bytes) {
      return Refuse(503, "too many large requests at once");
    }
    if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) return Continue();
    ReadBody();
  }

  std::string TooLarge() const {
    return fmt::format("request body: more than {} bytes", shared_->options.body_bytes);
  }

  void Continue() {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    net::async_write(stream_, net::buffer(kContinue), [self = Self()](error_code error, size_t) {
      if (error) return self->Drop();
      self->ReadBody();
    });
  }

  void ReadBody() {
    if (parser_->is_done()) return OnBody({});
    Lowest().expires_after(Seconds(shared_->options.body_seconds));
    http::async_read(stream_, buffer_, *parser_,
                     [self = Self()](error_code error, size_t) { self->OnBody(error); });
  }

  void OnBody(error_code error) {
    if (dropped_) return;
    if (error == http::error::body_limit) return Refuse(413, TooLarge());
    if (error == http::error::partial_message) return Drop();
    if (error.category() == http::make_error_code(http::error::bad_method).category() && error) {
      return Refuse(400, "not an HTTP request: " + error.message());
    }
    if (error) return Drop();
    auto message = parser_->release();
    parser_.reset();
    HttpRequest request;
    request.method = std::string(message.method_string());
    const std::string target(message.target());
    const size_t question = target.find('?');
    request.path = target.substr(0, question);
    if (question != std::string::npos) request.query = target.substr(question + 1);
    for (const auto& field : message) {
      std::string name(field.name_string());
      for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
      request.headers.emplace_back(std::move(name), std::string(field.value()));
    }
    request.body = std::move(message.body());
    keep_alive_ = message.keep_alive() && !shared_->draining;
    shared_->exchanges.fetch_add(1);
    in_exchange_ = true;
    const auto exchange = std::make_shared<ConnectionExchange>(Self(), std::move(request), keep_alive_,
                                                               message.version() >= 11);
    exchange_ = exchange;
    if (!watching_ && buffer_.size() < kReadAhead) Watch();
    try {
      shared_->handler(exchange);
    } catch (const std::exception& failure) {
      LogWarning("a request failed: {}", failure.what());
      exchange->Respond({.status = 500, .body = ErrorBody({500, "internal error"})});
    }
  }

  // Answers what is not worth a handler, and closes: the rest of the request is not understood.
  void Refuse(int status, const std::string& message) {
    if (dropped_) return;
    keep_alive_ = false;
    lingers_ = true;
    HttpResponse response{.status = status, .body = ErrorBody({status, message})};
    if (status == 503) response.headers.emplace_back("Retry-After", "1");
    Queue(ResponseHead(response, false, false) + response.body, true);
  }

  void Queue(std::string bytes, bool last) {
    if (dropped_) return;
    unsent_ += bytes.size();
    if (unsent_ > shared_->options.unsent_bytes && !last) return Drop();
    output_.push_back(std::move(bytes));
    last_ = last_ || last;
    if (!writing_) Write();
  }

  void Write() {
    writing_ = true;
    Lowest().expires_after(Seconds(shared_->options.write_seconds));
    net::async_write(stream_, net::buffer(output_.front()), [self = Self()](error_code error, size_t bytes) {
      self->writing_ = false;
      if (error || self->dropped_) return self->Drop();
      self->unsent_ -= bytes;
      self->output_.pop_front();
      if (!self->output_.empty()) return self->Write();
      if (self->last_) self->Answered();
    });
  }

  void Answered() {
    last_ = false;
    EndExchange();
    ReleaseBody();
    if (lingers_) return Linger();
    if (!keep_alive_) return Shutdown();
    AwaitRequest();
  }

  void EndExchange() {
    if (in_exchange_) shared_->exchanges.fetch_sub(1);
    in_exchange_ = false;
  }

  void ReleaseBody() { shared_->body_bytes.fetch_sub(std::exchange(reserved_, 0)); }

  // A client that is still sending would see a reset, and not the answer, if the socket closed at once.
  void Linger() {
    error_code ignored;
    Lowest().socket().shutdown(tcp::socket::shutdown_send, ignored);
    Lowest().expires_after(Seconds(kLingerSeconds));
    if (!watching_) Discard();
  }
  void Discard() {
    buffer_.clear();
    Lowest().async_read_some(buffer_.prepare(kReadAhead), [self = Self()](error_code error, size_t bytes) {
      self->discarded_ += bytes;
      if (error || self->discarded_ > kLinger) return self->Drop();
      self->Discard();
    });
  }

  void Shutdown() {
    error_code ignored;
    if constexpr (!std::is_same_v<Stream, beast::tcp_stream>) {
      Lowest().expires_after(Seconds(kLingerSeconds));
      if (!watching_) {
        stream_.async_shutdown([self = Self()](error_code) { self->Drop(); });
        return;
      }
    }
    Lowest().socket().shutdown(tcp::socket::shutdown_both, ignored);
    Drop();
  }

  // The end, whoever wanted it.
  void Drop() {
    if (dropped_) return;
    dropped_ = true;
    idle_timer_.cancel();
    error_code ignored;
    Lowest().socket().close(ignored);
    if (!writing_) output_.clear();  // else the write under way still holds the first
    EndExchange();
    ReleaseBody();
    if (const auto exchange = exchange_.lock()) exchange->Gone();
  }

  Stream stream_;
  net::steady_timer idle_timer_;
  std::shared_ptr<ConnectionsShared> shared_;
  beast::flat_buffer buffer_{kReadAhead + (64 << 10)};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::weak_ptr<ConnectionExchange> exchange_;
  std::deque<std::string> output_;
  uint64_t unsent_ = 0;
  uint64_t reserved_ = 0;
  uint64_t discarded_ = 0;
  bool busy_ = false;         // a request is being read or answered
  bool in_exchange_ = false;  // it has come to its handler
  bool watching_ = false;
  bool writing_ = false;
  bool last_ = false;  // the answer is complete when the output is
  bool keep_alive_ = true;
  bool lingers_ = false;
  bool dropped_ = false;
};

}  // namespace hone
