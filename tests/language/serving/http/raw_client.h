// An HTTP client over a plain socket that does what it is told, also what no well-behaved client does.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace hone::testing {

struct RawResponse {
  int status = 0;
  std::string head;
  std::string body;  // chunks joined

  std::string header(std::string name) const {
    const std::string wanted = "\r\n" + name + ": ";
    const size_t at = head.find(wanted);
    if (at == std::string::npos) return "";
    const size_t begin = at + wanted.size();
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class RawClient {
 public:
  explicit RawClient(uint16_t port) {
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  }
  RawClient(RawClient&& other) noexcept
      : socket_(std::exchange(other.socket_, -1)), buffer_(std::move(other.buffer_)) {}
  ~RawClient() { Close(); }
  void Close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }
  // Ends the connection without a goodbye: a reset.
  void Reset() {
    const linger hard{1, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
    Close();
  }
  bool connected() const { return connected_; }
  int socket() const { return socket_; }

  bool Send(const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t n = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<size_t>(n);
    }
    return true;
  }

  static std::string Request(const std::string& method, const std::string& path, const std::string& body = "",
                             const std::vector<std::string>& headers = {}) {
    std::string text = method + " " + path + " HTTP/1.1\r\nHost: test\r\n";
    for (const std::string& header : headers) text += header + "\r\n";
    if (!body.empty() || method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    return text + "\r\n" + body;
  }

  // Reads until `done(buffer)` or the end; false at the end or after `seconds`.
  template <class Done>
  bool ReadUntil(Done done, double seconds = 60.0) {
    while (!done(buffer_)) {
      pollfd waiting{socket_, POLLIN, 0};
      if (::poll(&waiting, 1, static_cast<int>(seconds * 1000)) <= 0) return false;
      char block[65536];
      const ssize_t n = ::recv(socket_, block, sizeof(block), 0);
      if (n <= 0) return false;
      buffer_.append(block, static_cast<size_t>(n));
    }
    return true;
  }

  RawResponse Read(double seconds = 60.0) {
    RawResponse response;
    if (!ReadUntil([](const std::string& b) { return b.find("\r\n\r\n") != std::string::npos; }, seconds)) {
      return response;
    }
    const size_t end = buffer_.find("\r\n\r\n");
    response.head = buffer_.substr(0, end + 2);
    buffer_.erase(0, end + 4);
    response.status = std::atoi(response.head.c_str() + 9);
    if (response.head.find("Transfer-Encoding: chunked") != std::string::npos) {
      while (true) {
        if (!ReadUntil([](const std::string& b) { return b.find("\r\n") != std::string::npos; }, seconds))
          break;
        const size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
        const size_t begin = buffer_.find("\r\n") + 2;
        if (!ReadUntil([&](const std::string& b) { return b.size() >= begin + size + 2; }, seconds)) break;
        response.body += buffer_.substr(begin, size);
        buffer_.erase(0, begin + size + 2);
        if (size == 0) break;
      }
      return response;
    }
    const std::string length = response.header("Content-Length");
    const size_t size = std::strtoul(length.c_str(), nullptr, 10);
    ReadUntil([&](const std::string& b) { return b.size() >= size; }, seconds);
    response.body = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return response;
  }

  // Whether the server has closed the connection within `seconds`.
  bool Closed(double seconds) {
    return !ReadUntil([](const std::string&) { return false; }, seconds) && AtEnd();
  }

 private:
  bool AtEnd() {
    char c;
    return ::recv(socket_, &c, 1, MSG_DONTWAIT) == 0 || (errno != EAGAIN && errno != EWOULDBLOCK);
  }

  int socket_ = -1;
  bool connected_ = false;
  std::string buffer_;
};

}  // namespace hone::testing
