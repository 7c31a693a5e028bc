#include "core/downloads/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <sstream>

namespace hone {

TestServer::TestServer(Handler handler) : handler_(std::move(handler)) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  if (bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(socket_, 16) != 0)
    std::abort();
  getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Serve(); });
}

TestServer::~TestServer() {
  stop_ = true;
  shutdown(socket_, SHUT_RDWR);
  thread_.join();
  close(socket_);
}

std::vector<TestRequest> TestServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void TestServer::Serve() {
  while (!stop_) {
    const int connection = accept4(socket_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    Answer(connection);
    close(connection);
  }
}

void TestServer::Answer(int connection) {
  std::string head;
  char c = 0;
  while (!head.ends_with("\r\n\r\n")) {
    if (recv(connection, &c, 1, 0) != 1) return;
    head += c;
  }
  TestRequest request;
  std::istringstream lines(head);
  std::string line;
  std::getline(lines, line);
  std::istringstream(line) >> request.method >> request.target;
  while (std::getline(lines, line) && line.size() > 1) {
    std::string name = line.substr(0, line.find(':'));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char l) { return std::tolower(l); });
    const size_t begin = line.find_first_not_of(' ', name.size() + 1);
    request.headers[name] = line.substr(begin, line.size() - begin - 1);
  }
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
  }
  const TestResponse response = handler_(request);
  std::string reply = "HTTP/1.1 " + std::to_string(response.status) + " X\r\nConnection: close\r\n";
  bool has_length = false;
  for (const auto& [name, value] : response.headers) {
    reply += name + ": " + value + "\r\n";
    has_length = has_length || name == "Content-Length";
  }
  if (!has_length) reply += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  reply += "\r\n";
  if (request.method != "HEAD") reply += response.body.substr(0, response.cut_after);
  for (size_t sent = 0; sent < reply.size();) {
    const ssize_t count = send(connection, reply.data() + sent, reply.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) return;
    sent += static_cast<size_t>(count);
  }
}

TestResponse ServeFile(const TestRequest& request, const std::string& body, const std::string& etag) {
  TestResponse response;
  response.headers = {{"ETag", etag}, {"Accept-Ranges", "bytes"}};
  const auto range = request.headers.find("range");
  const auto condition = request.headers.find("if-range");
  const bool same = condition == request.headers.end() || condition->second == etag;
  if (range == request.headers.end() || !same) {
    response.body = body;
    return response;
  }
  const size_t begin = std::strtoull(range->second.c_str() + 6, nullptr, 10);  // bytes=N-
  if (begin >= body.size()) {
    response.status = 416;
    return response;
  }
  response.status = 206;
  response.body = body.substr(begin);
  response.headers.push_back({"Content-Range", "bytes " + std::to_string(begin) + "-" +
                                                   std::to_string(body.size() - 1) + "/" +
                                                   std::to_string(body.size())});
  return response;
}

}  // namespace hone
