// A headless Chromium, driven by the WebDriver protocol (W3C) through Debian's chromium-driver.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "language/serving/http/raw_client.h"
#include "scratch_folder.h"

namespace hone::testing {

// The path of a program, empty where PATH has none.
inline std::string FindProgram(const std::string& name) {
  std::stringstream path(std::getenv("PATH") == nullptr ? "" : std::getenv("PATH"));
  for (std::string folder; std::getline(path, folder, ':');) {
    const std::string candidate = folder + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

class Browser {
 public:
  using Json = nlohmann::ordered_json;

  static bool IsInstalled() {
    return !FindProgram("chromedriver").empty() && !FindProgram("chromium").empty();
  }

  Browser() {
    const std::string driver = FindProgram("chromedriver");
    const std::string log = scratch_.Path("driver.log");
    process_ = fork();
    if (process_ == 0) {
      setpgid(0, 0);
      prctl(PR_SET_PDEATHSIG, SIGTERM);  // it takes its browser along
      const int out = open(log.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600);
      dup2(out, STDOUT_FILENO);
      dup2(out, STDERR_FILENO);
      execl(driver.c_str(), driver.c_str(), "--port=0", static_cast<char*>(nullptr));
      _exit(127);
    }
    for (int i = 0; i < 3000 && port_ == 0; ++i) {
      std::ifstream file(log);
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      const std::string mark = "successfully on port ";
      const size_t at = text.find(mark);
      if (at != std::string::npos && text.find('.', at) != std::string::npos) {
        port_ = static_cast<uint16_t>(std::atoi(text.c_str() + at + mark.size()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    EXPECT_NE(port_, 0) << "chromedriver does not start";
    Json options;
    options["binary"] = FindProgram("chromium");
    options["args"] = {"--headless=new",
                       "--no-sandbox",
                       "--disable-gpu",
                       "--disable-dev-shm-usage",
                       "--disable-background-networking",
                       "--no-first-run",
                       "--window-size=1180,820",
                       "--user-data-dir=" + scratch_.Path("profile")};
    Json capabilities;
    capabilities["goog:chromeOptions"] = options;
    capabilities["goog:loggingPrefs"] = {{"browser", "ALL"}};
    capabilities["timeouts"] = {{"script", 60000}};
    const Json session = Call("POST", "/session", {{"capabilities", {{"alwaysMatch", capabilities}}}});
    if (session.is_object()) session_ = "/session/" + session.value("sessionId", "");
  }
  ~Browser() {
    if (port_ != 0) Call("DELETE", session_);
    kill(-process_, SIGKILL);
    waitpid(process_, nullptr, 0);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void Open(const std::string& url) { Post("/url", {{"url", url}}); }
  // The value of `return ...`, or of the promise that it returns.
  Json Script(const std::string& code, const Json& arguments = Json::array()) {
    return Post("/execute/sync", {{"script", code}, {"args", arguments}});
  }
  bool WaitFor(const std::string& condition, double seconds = 60.0) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (Script("return !!(" + condition + ")") != Json(true)) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    return true;
  }
  std::string Text(const std::string& selector) {
    const Json text = Script("return document.querySelector(arguments[0]).textContent", {selector});
    return text.is_string() ? text.get<std::string>() : text.dump();
  }
  void Click(const std::string& selector) { Post(Element(selector) + "/click", Json::object()); }
  // As keys of a keyboard, into the element; "\uE007" is Enter and "\uE00C" Escape.
  void Type(const std::string& selector, const std::string& text) {
    Post(Element(selector) + "/value", {{"text", text}});
  }
  void Clear(const std::string& selector) { Post(Element(selector) + "/clear", Json::object()); }
  // The name that a screen reader says.
  std::string Label(const std::string& selector) {
    return Call("GET", session_ + Element(selector) + "/computedlabel").get<std::string>();
  }
  void Resize(int width, int height) {
    // Chromium's windows have a least width; the device metrics have none.
    DevTools("Emulation.setDeviceMetricsOverride",
             {{"width", width}, {"height", height}, {"deviceScaleFactor", 1}, {"mobile", true}});
  }
  void PreferColors(const std::string& scheme) {
    DevTools("Emulation.setEmulatedMedia",
             {{"features", Json::array({{{"name", "prefers-color-scheme"}, {"value", scheme}}})}});
  }
  void Screenshot(const std::string& file) {
    static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::string coded = Call("GET", session_ + "/screenshot").get<std::string>();
    std::ofstream out(file, std::ios::binary);
    uint32_t bits = 0;
    int count = 0;
    for (const char c : coded) {
      const char* at = std::char_traits<char>::find(kDigits, 64, c);
      if (at == nullptr) break;
      bits = bits << 6 | static_cast<uint32_t>(at - kDigits);
      count += 6;
      if (count < 8) continue;
      count -= 8;
      out.put(static_cast<char>(bits >> count & 0xFF));
    }
  }
  // What the console got since the last call: errors of scripts, refused requests, breaches of the policy.
  std::vector<std::string> Complaints() {
    std::vector<std::string> complaints;
    for (const Json& entry : Post("/se/log", {{"type", "browser"}})) {
      if (entry.value("level", "") != "INFO") complaints.push_back(entry.value("message", ""));
    }
    return complaints;
  }

 private:
  std::string Element(const std::string& selector) {
    const Json found = Post("/element", {{"using", "css selector"}, {"value", selector}});
    return "/element/" +
           (found.is_object() ? found.value("element-6066-11e4-a52e-4f735466cecf", "") : selector);
  }
  void DevTools(const std::string& command, const Json& parameters) {
    Post("/goog/cdp/execute", {{"cmd", command}, {"params", parameters}});
  }
  Json Post(const std::string& path, const Json& body) { return Call("POST", session_ + path, body); }
  Json Call(const std::string& method, const std::string& path, const Json& body = nullptr) {
    RawClient client(port_);
    const std::string text = body.is_null() ? "" : body.dump();
    client.Send(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
                "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
    // Its headers have no space after the colon.
    static constexpr std::string_view kLength = "Content-Length:";
    int status = 0;
    std::string content;
    client.ReadUntil([&](const std::string& bytes) {
      const size_t head = bytes.find("\r\n\r\n");
      const size_t length = bytes.find(kLength);
      if (head == std::string::npos || length == std::string::npos) return false;
      const size_t size = std::strtoul(bytes.c_str() + length + kLength.size(), nullptr, 10);
      if (bytes.size() < head + 4 + size) return false;
      status = std::atoi(bytes.c_str() + std::string_view("HTTP/1.1 ").size());
      content = bytes.substr(head + 4, size);
      return true;
    });
    const Json reply = Json::parse(content, nullptr, false);
    if (status != 200)
      ADD_FAILURE() << method << " " << path << ": " << status << " " << content.substr(0, 500);
    return reply.is_object() ? reply.value("value", Json()) : Json();
  }

  ScratchFolder scratch_;
  pid_t process_ = -1;
  uint16_t port_ = 0;
  std::string session_;
};

}  // namespace hone::testing
