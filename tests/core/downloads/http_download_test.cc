#include "core/downloads/http_download.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "core/downloads/sha256.h"
#include "core/downloads/test_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

std::string FileBytes(size_t size, char salt = 0) {
  std::string bytes = "GGUF";
  for (size_t i = 4; i < size; ++i) bytes += static_cast<char>(i * 31 + (i >> 8) + salt);
  return bytes;
}

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string Hash(const std::string& bytes) {
  Sha256 hash;
  hash.Update(std::as_bytes(std::span(bytes)));
  return hash.Finish();
}

class HttpDownloadTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hone_download_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    unsetenv("http_proxy");
    unsetenv("HTTP_PROXY");
    unsetenv("ALL_PROXY");
    unsetenv("all_proxy");
  }
  void TearDown() override { fs::remove_all(folder_); }

  HttpDownload Request(const TestServer& server, const std::string& sha256 = "") const {
    HttpDownload download;
    download.url = server.url() + "/model.gguf";
    download.path = target();
    download.sha256 = sha256;
    download.label = "model";
    download.seconds_between_attempts = 0.01;
    return download;
  }
  std::string target() const { return (folder_ / "deep/er/model.gguf").string(); }
  std::string partial() const { return target() + ".part"; }

  fs::path folder_;
};

TEST(Sha256, GivesTheStandardsAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(Hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_F(HttpDownloadTest, FetchesAWholeFileAndLeavesNothingElse) {
  const std::string body = FileBytes(300'000);
  const TestServer server([&](const TestRequest& request) { return ServeFile(request, body, "\"1\""); });
  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
  EXPECT_FALSE(fs::exists(partial()));
  EXPECT_FALSE(fs::exists(partial() + ".info"));
}

TEST_F(HttpDownloadTest, GoesOnWhereAnEarlierAttemptBrokeOff) {
  const std::string body = FileBytes(300'000);
  int count = 0;
  const TestServer server([&](const TestRequest& request) {
    TestResponse response = ServeFile(request, body, "\"1\"");
    if (++count == 1) response.cut_after = 100'000;
    return response;
  });
  HttpDownload once = Request(server, Hash(body));
  once.attempts = 0;
  ASSERT_FALSE(FetchHttp(once));
  EXPECT_FALSE(fs::exists(target()));
  EXPECT_EQ(fs::file_size(partial()), 100'000u);

  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
  ASSERT_EQ(server.requests().size(), 2u);
  EXPECT_EQ(server.requests()[1].headers.at("range"), "bytes=100000-");
}

TEST_F(HttpDownloadTest, TriesAgainByItselfWhenTheConnectionBreaks) {
  const std::string body = FileBytes(300'000);
  int count = 0;
  const TestServer server([&](const TestRequest& request) {
    TestResponse response = ServeFile(request, body, "\"1\"");
    if (++count <= 3) response.cut_after = 70'000;
    return response;
  });
  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(HttpDownloadTest, StartsAgainWhereTheServerIgnoresRanges) {
  const std::string body = FileBytes(200'000);
  int count = 0;
  const TestServer server([&](const TestRequest&) {
    TestResponse response;
    response.headers = {{"ETag", "\"1\""}};
    response.body = body;
    if (++count == 1) response.cut_after = 50'000;
    return response;
  });
  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
}

TEST_F(HttpDownloadTest, StartsAgainWhereTheFileChanged) {
  const std::string before = FileBytes(200'000);
  const std::string after = FileBytes(210'000, 7);
  for (const bool conditional : {true, false}) {  // a server that knows If-Range, and one that does not
    int count = 0;
    const TestServer server([&](const TestRequest& request) {
      if (++count == 1) {
        TestResponse response = ServeFile(request, before, "\"1\"");
        response.cut_after = 50'000;
        return response;
      }
      TestRequest seen = request;
      if (!conditional) seen.headers.erase("if-range");
      return ServeFile(seen, after, "\"2\"");
    });
    ASSERT_TRUE(FetchHttp(Request(server)));
    EXPECT_EQ(Read(target()), after);
    fs::remove(target());
  }
}

TEST_F(HttpDownloadTest, NeverGivesAFileWithTheWrongHashItsName) {
  std::string body = FileBytes(50'000, 1);
  const std::string right = FileBytes(50'000);
  const TestServer server([&](const TestRequest& request) { return ServeFile(request, body, "\"1\""); });
  const auto fetched = FetchHttp(Request(server, Hash(right)));
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().kind, ErrorKind::kFailed);
  EXPECT_NE(fetched.error().message.find("SHA-256: found " + Hash(body)), std::string::npos)
      << fetched.error().message;
  EXPECT_FALSE(fs::exists(target()));
  EXPECT_TRUE(fs::exists(partial()));

  body = right;  // the next pull is not caught by the bad bytes
  ASSERT_TRUE(FetchHttp(Request(server, Hash(right))));
  EXPECT_EQ(Read(target()), right);
}

TEST_F(HttpDownloadTest, ChecksTheHashThatTheServerAnnouncesAlsoAfterARedirection) {
  const std::string body = FileBytes(50'000);
  std::string announced = Hash("something else");
  const TestServer server([&](const TestRequest& request) {
    if (request.target == "/model.gguf") {
      TestResponse redirection;
      redirection.status = 302;
      redirection.headers = {{"Location", "/elsewhere"}, {"X-Linked-ETag", "\"" + announced + "\""}};
      return redirection;
    }
    return ServeFile(request, body, "\"1\"");
  });
  EXPECT_FALSE(FetchHttp(Request(server)));
  EXPECT_FALSE(fs::exists(target()));
  announced = Hash(body);
  EXPECT_TRUE(FetchHttp(Request(server)));
  EXPECT_EQ(Read(target()), body);
}

struct BadAnswer {
  const char* name;
  TestResponse response;
  const char* message;
};

class BadAnswers : public HttpDownloadTest, public testing::WithParamInterface<BadAnswer> {};

TEST_P(BadAnswers, CountAsFailedDownloads) {
  const TestServer server([&](const TestRequest&) { return GetParam().response; });
  HttpDownload download = Request(server);
  download.attempts = 1;
  const auto fetched = FetchHttp(download);
  ASSERT_FALSE(fetched);
  EXPECT_NE(fetched.error().message.find(GetParam().message), std::string::npos) << fetched.error().message;
  EXPECT_EQ(fetched.error().message.find('\n'), std::string::npos);
  EXPECT_FALSE(fs::exists(target()));
}

INSTANTIATE_TEST_SUITE_P(
    HttpDownload, BadAnswers,
    testing::Values(BadAnswer{"EmptyBody", {200, {}, ""}, "content: empty"},
                    BadAnswer{"ProxyPage",
                              {200, {{"Content-Type", "text/html"}}, "<!DOCTYPE html><p>Sign in</p>"},
                              "content: begins with \"<!DOCTYPE html><\", expected a GGUF file"},
                    BadAnswer{
                        "ShortPage", {200, {}, "no"}, "content: begins with \"no\", expected a GGUF file"},
                    BadAnswer{"NotFound", {404, {}, "GGUF not found"}, "found HTTP status 404, expected 200"},
                    BadAnswer{"ServerError", {503, {}, "GGUF busy"}, "found HTTP status 503, expected 200"},
                    BadAnswer{"NoContent", {204, {}, ""}, "found HTTP status 204, expected 200"}),
    [](const auto& info) { return info.param.name; });

TEST_F(HttpDownloadTest, AKilledDownloadLeavesNoFileUnderTheFinalNameAndIsGoneOnWith) {
  const std::string body = FileBytes(4'000'000);
  std::atomic<bool> slow{true};
  const TestServer server([&](const TestRequest& request) {
    TestResponse response = ServeFile(request, body, "\"1\"");
    if (slow.exchange(false)) {  // promises everything, sends a part, and the process dies before the rest
      response.headers.push_back({"Content-Length", std::to_string(body.size())});
      response.cut_after = 1'000'000;
    }
    return response;
  });
  const pid_t child = fork();
  if (child == 0) {
    HttpDownload download = Request(server, Hash(body));
    download.seconds_between_attempts = 60.0;  // killed while it waits to go on
    const auto fetched = FetchHttp(download);
    _exit(fetched ? 0 : 1);
  }
  while (!fs::exists(partial()) || fs::file_size(partial()) < 1'000'000) usleep(1000);
  kill(child, SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(target()));
  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
  EXPECT_EQ(server.requests().back().headers.at("range"), "bytes=1000000-");
}

TEST_F(HttpDownloadTest, AFullDiskIsAClearErrorAndKeepsWhatCame) {
  const std::string body = FileBytes(300'000);
  const TestServer server([&](const TestRequest& request) { return ServeFile(request, body, "\"1\""); });
  std::signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{100'000, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  const auto fetched = FetchHttp(Request(server, Hash(body)));
  setrlimit(RLIMIT_FSIZE, &before);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().message, partial() + ": File too large; the 100 kB fetched so far are kept");
  EXPECT_FALSE(fs::exists(target()));
  ASSERT_TRUE(FetchHttp(Request(server, Hash(body))));
  EXPECT_EQ(Read(target()), body);
  EXPECT_EQ(server.requests().back().headers.at("range"), "bytes=100000-");
}

TEST_F(HttpDownloadTest, TwoAtOnceFetchTheFileOnce) {
  const std::string body = FileBytes(2'000'000);
  const TestServer server([&](const TestRequest& request) {
    usleep(100'000);
    return ServeFile(request, body, "\"1\"");
  });
  const pid_t child = fork();
  if (child == 0) {
    const auto fetched = FetchHttp(Request(server, Hash(body)));
    _exit(fetched ? 0 : 1);
  }
  while (!fs::exists(partial())) usleep(1000);
  const auto mine = FetchHttp(Request(server, Hash(body)));
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(mine) << mine.error().message;
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Read(target()), body);
  EXPECT_EQ(server.requests().size(), 1u);
  EXPECT_FALSE(fs::exists(partial()));
}

TEST_F(HttpDownloadTest, FollowsNoOtherProtocolAndNoEndlessRedirection) {
  const TestServer server([&](const TestRequest& request) {
    TestResponse response;
    response.status = 302;
    response.headers = {{"Location", request.target == "/loop.gguf" ? "/loop.gguf" : "file:///etc/passwd"}};
    return response;
  });
  EXPECT_FALSE(FetchHttp(Request(server)));
  HttpDownload loop = Request(server);
  loop.url = server.url() + "/loop.gguf";
  EXPECT_FALSE(FetchHttp(loop));
  EXPECT_FALSE(fs::exists(target()));
}

}  // namespace
}  // namespace hone
