#include "language/serving/http/http_server.h"

#include <atomic>
#include <boost/asio.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <chrono>
#include <deque>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_set>

#include "core/base/log.h"
#include "language/serving/http/api_error.h"

namespace hone {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = net::ip::tcp;
using boost::system::error_code;

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::nanoseconds(static_cast<int64_t>(seconds * 1e9));
}

constexpr size_t kReadAhead = 64 << 10;  // bytes of later requests that are kept
constexpr uint64_t kLinger = 64 << 20;   // bytes of a refused body that are read and thrown away
constexpr double kLingerSeconds = 3.0;

// What all connections share.
struct Shared {
  HttpServerOptions options;
  HttpHandler handler;
  std::atomic<int64_t> connections{0};
  std::atomic<int64_t> exchanges{0};
  std::atomic<uint64_t> body_bytes{0};
  std::atomic<bool> draining{false};
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  virtual ~Connection() = default;
  virtual void Run() = 0;
  virtual void CloseIfIdle() = 0;
  virtual void Close() = 0;
  // From any thread.
  virtual void Post(std::string bytes, bool last) = 0;
};

std::string Head(const HttpResponse& response, bool chunked, bool keep_alive) {
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

std::string Chunk(const std::string& piece) { return fmt::format("{:x}\r\n{}\r\n", piece.size(), piece); }

class Exchange : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, HttpRequest request, bool keep_alive, bool chunks)
      : request_(std::move(request)),
        keep_alive_(keep_alive),
        chunks_(chunks),
        connection_(std::move(connection)) {}
  ~Exchange() override {
    if (!ended_) Respond({.status = 500, .body = ErrorBody({500, "the request was not answered"})});
  }

  const HttpRequest& request() const override { return request_; }

  void Respond(HttpResponse response) override {
    const std::lock_guard lock(mutex_);
    if (ended_ || streaming_) return;
    ended_ = true;
    std::string bytes = Head(response, false, keep_alive_);
    if (request_.method != "HEAD") bytes += response.body;
    End(std::move(bytes));
  }
  void BeginStream(HttpResponse head) override {
    const std::lock_guard lock(mutex_);
    if (ended_ || streaming_) return;
    streaming_ = true;
    std::string first;
    std::swap(first, head.body);
    if (chunks_) {
      std::string bytes = Head(head, true, keep_alive_);
      if (!first.empty()) bytes += Chunk(first);
      connection_->Post(std::move(bytes), false);
    } else {  // HTTP/1.0: until the connection closes
      std::string bytes = fmt::format("HTTP/1.0 {} {}\r\nContent-Type: {}\r\nConnection: close\r\n\r\n{}",
                                      head.status, ReasonPhrase(head.status), head.content_type, first);
      connection_->Post(std::move(bytes), false);
    }
  }
  void Send(std::string piece) override {
    const std::lock_guard lock(mutex_);
    if (ended_ || !streaming_ || piece.empty()) return;
    connection_->Post(chunks_ ? Chunk(piece) : std::move(piece), false);
  }
  void EndStream() override {
    const std::lock_guard lock(mutex_);
    if (ended_ || !streaming_) return;
    ended_ = true;
    End(chunks_ ? "0\r\n\r\n" : "");
  }

  void OnGone(std::function<void()> gone) override {
    {
      const std::lock_guard lock(mutex_);
      if (!is_gone_) {
        on_gone_ = std::move(gone);
        return;
      }
    }
    gone();
  }
  void Gone() {
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

 private:
  // The connection is let go with the end, so that it never outlives its server.
  void End(std::string bytes) {
    std::shared_ptr<Connection> connection;
    connection.swap(connection_);
    connection->Post(std::move(bytes), true);
  }

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

// One client. Everything runs on the socket's strand. While a request is answered the connection goes on
// reading, so that it sees the client leave.
template <class Stream>
class StreamConnection : public Connection {
 public:
  StreamConnection(Stream stream, std::shared_ptr<Shared> shared)
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
    const auto exchange =
        std::make_shared<Exchange>(Self(), std::move(request), keep_alive_, message.version() >= 11);
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
    Queue(Head(response, false, false) + response.body, true);
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
  std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{kReadAhead + (64 << 10)};
  std::optional<http::request_parser<http::string_body>> parser_;
  std::weak_ptr<Exchange> exchange_;
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

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const HttpServerOptions& options, HttpHandler handler)
      : context_(std::max(1, options.threads)), acceptor_(net::make_strand(context_)) {
    shared_->options = options;
    shared_->handler = std::move(handler);
  }

  ~Impl() {
    StopAccepting();
    ForEach([](Connection& connection) { connection.Close(); });
    guard_.reset();
    // Handlers may hold exchanges, and these their connection: do not wait for them.
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (shared_->connections.load() > 0 && std::chrono::steady_clock::now() < limit) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    context_.stop();
    for (std::thread& thread : threads_) thread.join();
  }

  Result<void> Listen() {
    const HttpServerOptions& options = shared_->options;
    HONE_CHECK_OK(LoadCertificate());
    error_code error;
    const auto address =
        net::ip::make_address(options.host == "localhost" ? "127.0.0.1" : options.host, error);
    if (error) return WrongUsage("--host: found \"{}\", expected an address such as 127.0.0.1", options.host);
    const tcp::endpoint endpoint(address, options.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(net::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(net::socket_base::max_listen_connections, error);
    if (error) return Failed("cannot listen on {}:{}: {}", options.host, options.port, error.message());
    port_ = acceptor_.local_endpoint().port();
    net::post(acceptor_.get_executor(), [this] { Accept(); });
    for (int i = 0; i < std::max(1, options.threads); ++i) {
      threads_.emplace_back([this] { context_.run(); });
    }
    return {};
  }

  uint16_t port() const { return port_; }
  const Shared& shared() const { return *shared_; }

  void StopAccepting() {
    shared_->draining = true;
    net::post(acceptor_.get_executor(), [this] {
      error_code ignored;
      acceptor_.close(ignored);
    });
    ForEach([](Connection& connection) { connection.CloseIfIdle(); });
  }

 private:
  Result<void> LoadCertificate() {
    const HttpServerOptions& options = shared_->options;
    if (options.tls_certificate.empty() && options.tls_key.empty()) return {};
    if (options.tls_certificate.empty() || options.tls_key.empty()) {
      return WrongUsage("TLS: only one of certificate and key given, expected both");
    }
    ssl_.emplace(net::ssl::context::tls_server);
    ssl_->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                      net::ssl::context::no_tlsv1_1);
    error_code error;
    ssl_->use_certificate_chain_file(options.tls_certificate, error);
    if (error) return BadInput(options.tls_certificate, "certificate", "{}", error.message());
    ssl_->use_private_key_file(options.tls_key, net::ssl::context::pem, error);
    if (error) return BadInput(options.tls_key, "key", "{}", error.message());
    return {};
  }

  void Accept() {
    acceptor_.async_accept(net::make_strand(context_), [this](error_code error, tcp::socket socket) {
      if (error == net::error::operation_aborted || !acceptor_.is_open()) return;
      if (error) {  // too many open files, say: wait a little rather than spin
        retry_.expires_after(std::chrono::milliseconds(50));
        retry_.async_wait([this](error_code stopped) {
          if (!stopped) Accept();
        });
        return;
      }
      Welcome(std::move(socket));
      Accept();
    });
  }

  void Welcome(tcp::socket socket) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (shared_->connections.load() >= shared_->options.connections) {
      static const std::string kFull = [] {
        HttpResponse response{.status = 503,
                              .headers = {{"Retry-After", "1"}},
                              .body = ErrorBody({503, "too many connections"})};
        return Head(response, false, false) + response.body;
      }();
      // A few bytes into an empty socket buffer; a client that wanted TLS sees no answer.
      socket.non_blocking(true, ignored);
      socket.write_some(net::buffer(kFull), ignored);
      return;
    }
    std::shared_ptr<Connection> connection;
    beast::tcp_stream stream(std::move(socket));
    if (ssl_) {
      connection = std::make_shared<StreamConnection<beast::ssl_stream<beast::tcp_stream>>>(
          beast::ssl_stream<beast::tcp_stream>(std::move(stream), *ssl_), shared_);
    } else {
      connection = std::make_shared<StreamConnection<beast::tcp_stream>>(std::move(stream), shared_);
    }
    {
      const std::lock_guard lock(mutex_);
      std::erase_if(all_, [](const auto& entry) { return entry.expired(); });
      all_.push_back(connection);
    }
    connection->Run();
  }

  template <class F>
  void ForEach(F f) {
    const std::lock_guard lock(mutex_);
    for (const auto& entry : all_) {
      if (const auto connection = entry.lock()) f(*connection);
    }
  }

  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  net::io_context context_;
  net::executor_work_guard<net::io_context::executor_type> guard_ = net::make_work_guard(context_);
  std::optional<net::ssl::context> ssl_;
  tcp::acceptor acceptor_;
  net::steady_timer retry_{acceptor_.get_executor()};
  uint16_t port_ = 0;
  std::mutex mutex_;  // guards all_
  std::vector<std::weak_ptr<Connection>> all_;
  std::vector<std::thread> threads_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::Start(const HttpServerOptions& options, HttpHandler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
  HONE_CHECK_OK(impl->Listen());
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

uint16_t HttpServer::port() const { return impl_->port(); }
bool HttpServer::tls() const { return !impl_->shared().options.tls_certificate.empty(); }
int64_t HttpServer::connections() const { return impl_->shared().connections.load(); }
int64_t HttpServer::exchanges() const { return impl_->shared().exchanges.load(); }
void HttpServer::StopAccepting() { impl_->StopAccepting(); }

}  // namespace hone
