#include "language/serving/http/http_server.h"

#include <mutex>
#include <thread>
#include <vector>

#include "language/serving/http/stream_connection-inl.h"

namespace hone {

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
  const ConnectionsShared& shared() const { return *shared_; }

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
        return ResponseHead(response, false, false) + response.body;
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

  std::shared_ptr<ConnectionsShared> shared_ = std::make_shared<ConnectionsShared>();
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
