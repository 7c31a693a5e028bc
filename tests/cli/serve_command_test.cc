// hone serve as a program: its port, its signals, its files, and the official client of the OpenAI API.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "cli/program.h"
#include "language/serving/http/raw_client.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using testing::RawClient;

constexpr const char* kChat =
    "{% for m in messages %}[{{ m.role }}]{{ m.content }}\n{% endfor %}{% if add_generation_prompt "
    "%}[assistant]{% "
    "endif %}";

class Server {
 public:
  Server(const std::filesystem::path& folder, std::vector<std::string> flags)
      : out_(folder / "out"), err_(folder / "err") {
    const std::string model = (folder / "tiny.gguf").string();
    EXPECT_EQ(RunHone("random-model --like llama-tiny --type f32 " + model).exit_code, 0);
    std::ofstream(folder / "chat.jinja") << kChat;
    std::vector<std::string> words{HONE_PROGRAM,
                                   "serve",
                                   model,
                                   "--port",
                                   "0",
                                   "--threads",
                                   "2",
                                   "--chat-template",
                                   (folder / "chat.jinja").string()};
    words.insert(words.end(), flags.begin(), flags.end());
    // What an earlier server of this folder wrote would be taken for this one's.
    std::filesystem::remove(out_);
    std::filesystem::remove(err_);
    process_ = fork();
    if (process_ == 0) {
      dup2(open(out_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDOUT_FILENO);
      dup2(open(err_.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDERR_FILENO);
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(HONE_PROGRAM, arguments.data());
      _exit(127);
    }
  }
  ~Server() {
    if (process_ > 0) {
      kill(process_, SIGKILL);
      waitpid(process_, nullptr, 0);
    }
  }

  // 0 where it does not become ready.
  uint16_t Port() {
    for (int i = 0; i < 3000; ++i) {
      const std::string text = ReadWholeFile(out_);
      const size_t at = text.find("127.0.0.1:");
      if (text.find("is ready") != std::string::npos && at != std::string::npos) {
        return static_cast<uint16_t>(std::atoi(text.c_str() + at + 10));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    ADD_FAILURE() << "not ready: " << Output();
    return 0;
  }
  void Signal(int signal) const { kill(process_, signal); }
  // -1: it has not ended within `seconds`.
  int ExitCode(double seconds) {
    for (int i = 0; i < static_cast<int>(seconds * 100); ++i) {
      int status = 0;
      if (waitpid(process_, &status, WNOHANG) == process_) {
        process_ = -1;
        return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return -1;
  }
  std::string Output() const { return ReadWholeFile(out_) + ReadWholeFile(err_); }

 private:
  std::filesystem::path out_;
  std::filesystem::path err_;
  pid_t process_ = -1;
};

std::string LongStream() {
  return RawClient::Request("POST", "/v1/completions",
                            R"({"prompt": "x", "max_tokens": 240, "ignore_eos": true, "stream": true})");
}

bool HasData(const std::string& text) { return text.find("data: ") != std::string::npos; }

TEST(ServeCommand, ListensOnLoopbackAndSaysSo) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  Server server(folder, {});
  RawClient client(server.Port());
  client.Send(RawClient::Request("GET", "/health"));
  EXPECT_EQ(client.Read().status, 200);
  EXPECT_NE(server.Output().find("this machine only"), std::string::npos) << server.Output();
}

TEST(ServeCommand, FinishesStreamsAfterSigtermAndExitsWithZero) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  Server server(folder, {"--chunk", "16"});
  RawClient client(server.Port());
  client.Send(LongStream());
  ASSERT_TRUE(client.ReadUntil(HasData));
  server.Signal(SIGTERM);
  EXPECT_NE(client.Read().body.find("[DONE]"), std::string::npos);
  EXPECT_EQ(server.ExitCode(20.0), 0);
}

TEST(ServeCommand, EndsAtTheDrainLimit) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  Server server(folder, {"--chunk", "1", "--batch", "1", "--drain-seconds", "0"});
  RawClient client(server.Port());
  client.Send(LongStream());
  ASSERT_TRUE(client.ReadUntil(HasData));
  server.Signal(SIGTERM);
  EXPECT_EQ(server.ExitCode(5.0), 0);
}

TEST(ServeCommand, EndsAtOnceWithASecondSignal) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  Server server(folder, {"--schedule", "chunked:1"});
  RawClient client(server.Port());
  // A client that never ends its request's answer keeps the drain waiting.
  client.Send(LongStream() + LongStream() + LongStream() + LongStream());
  ASSERT_TRUE(client.ReadUntil(HasData));
  server.Signal(SIGTERM);
  server.Signal(SIGINT);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  server.Signal(SIGINT);
  const int code = server.ExitCode(5.0);
  EXPECT_TRUE(code == 130 || code == 0) << code;
}

TEST(ServeCommand, RefusesFlagsThatAreWrong) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  const std::string model = (folder / "tiny.gguf").string();
  ASSERT_EQ(RunHone("random-model --like llama-tiny --type f32 " + model).exit_code, 0);
  for (const std::string flags :
       {"--schedule fastest", "--schedule chunked:0", "--port 99999", "--host nowhere", "--ttft soon",
        "--kv-budget lots", "--tls-certificate x"}) {
    const ProgramRun run = RunHone("serve " + model + " " + flags);
    EXPECT_EQ(run.exit_code, 2) << flags << run.err;
  }
  EXPECT_EQ(RunHone("serve " + model + " --port 0 --api-key-file /nonexistent").exit_code, 3);
}

std::string Ask(uint16_t port) {
  RawClient client(port);
  client.Send(RawClient::Request(
      "POST", "/v1/completions",
      R"({"prompt": ")" + std::string(100, 'x') + R"(", "max_tokens": 8, "temperature": 0, "seed": 1})"));
  const std::string body = client.Read().body;
  const size_t begin = body.find("\"choices\""), end = body.find("\"usage\"");
  EXPECT_NE(begin, std::string::npos) << body;
  return begin == std::string::npos ? "" : body.substr(begin, end - begin);
}

TEST(ServeCommand, KeepsItsPrefixCacheFromOneRunToTheNext) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  const std::string file = (folder / "prefixes").string();
  std::string first;
  for (int run = 0; run < 3; ++run) {
    if (run == 2) std::ofstream(file, std::ios::app) << "damage";
    Server server(folder, {"--prefix-cache", file});
    const uint16_t port = server.Port();
    const std::string answer = Ask(port);
    if (run == 0) first = answer;
    EXPECT_EQ(answer, first);
    RawClient client(port);
    client.Send(RawClient::Request("GET", "/metrics"));
    const std::string metrics = client.Read().body;
    EXPECT_EQ(metrics.find("hone_prompt_tokens_cached_total 96\n") != std::string::npos, run == 1) << metrics;
    server.Signal(SIGTERM);
    EXPECT_EQ(server.ExitCode(20.0), 0);
    EXPECT_EQ(server.Output().find("the prefix cache starts empty") != std::string::npos, run == 2)
        << server.Output();
  }
}

TEST(ServeCommand, LetsAnIdleModelGoAndLoadsItAgain) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  Server server(folder, {"--unload-after", "0.005"});
  const uint16_t port = server.Port();
  const std::string first = Ask(port);
  for (int round = 0; round < 3; ++round) {
    std::string health;
    for (int i = 0; i < 500 && health.find("unloaded") == std::string::npos; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      RawClient client(port);
      client.Send(RawClient::Request("GET", "/health"));
      health = client.Read().body;
    }
    EXPECT_NE(health.find("unloaded"), std::string::npos);
    EXPECT_EQ(Ask(port), first);
  }
  server.Signal(SIGTERM);
  EXPECT_EQ(server.ExitCode(10.0), 0);
}

TEST(ServeCommand, KeepsKeysOutOfWhatItPrints) {
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  std::ofstream(folder / "keys") << "# keys\nvery-secret-key\n";
  setenv("HONE_LOG", "debug", 1);
  Server server(folder, {"--api-key-file", (folder / "keys").string()});
  unsetenv("HONE_LOG");
  RawClient client(server.Port());
  client.Send(RawClient::Request("GET", "/v1/models", "", {"Authorization: Bearer very-secret-key"}));
  EXPECT_EQ(client.Read().status, 200);
  client.Send(RawClient::Request("GET", "/v1/models", "", {"Authorization: Bearer wrong-secret"}));
  EXPECT_EQ(client.Read().status, 401);
  server.Signal(SIGTERM);
  EXPECT_EQ(server.ExitCode(10.0), 0);
  EXPECT_EQ(server.Output().find("secret"), std::string::npos) << server.Output();
}

// HONE_OPENAI_PYTHON names a Python that has the package; else the python3 of the path is asked.
TEST(ServeCommand, ServesTheOfficialClient) {
  const char* named = std::getenv("HONE_OPENAI_PYTHON");
  const std::string python = named != nullptr ? named : "python3";
  if (std::system((python + " -c 'import openai' 2>/dev/null").c_str()) != 0) {
    GTEST_SKIP() << "no Python with the package openai (HONE_OPENAI_PYTHON names one)";
  }
  ScratchFolder scratch;
  const std::filesystem::path folder = scratch.path();
  std::ofstream(folder / "keys") << "k-123\n";
  // Tools described in the prompt need more than the 256 tokens that the model was made for.
  Server server(folder, {"--api-key-file", (folder / "keys").string(), "--context", "1024"});
  const std::string url = "http://127.0.0.1:" + std::to_string(server.Port());
  const std::string said = (folder / "said").string();
  const int status = std::system((python + " " HONE_SOURCE_DIR "/tests/golden/serving/openai_client.py " +
                                  url + " k-123 >" + said + " 2>&1")
                                     .c_str());
  EXPECT_EQ(status, 0) << ReadWholeFile(said);
  EXPECT_EQ(ReadWholeFile(said), "ok\n");
}

}  // namespace
}  // namespace hone
