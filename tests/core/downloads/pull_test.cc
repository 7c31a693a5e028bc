#include "core/downloads/pull.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "core/downloads/model_cache.h"
#include "core/downloads/subprocess.h"
#include "core/downloads/test_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

class Pull : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hone_pull_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
    unsetenv("HF_TOKEN");
    for (const char* proxy : {"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"}) unsetenv(proxy);
  }
  void TearDown() override { fs::remove_all(folder_); }
  size_t FilesBelow() const {
    size_t count = 0;
    for (const auto& entry : fs::recursive_directory_iterator(folder_))
      count += entry.is_regular_file() ? 1 : 0;
    return count;
  }
  fs::path folder_;
};

TEST(ShardNames, AreAllOfTheSet) {
  EXPECT_EQ(ShardNames("a/m-00002-of-00003.gguf"),
            (std::vector<std::string>{"a/m-00001-of-00003.gguf", "a/m-00002-of-00003.gguf",
                                      "a/m-00003-of-00003.gguf"}));
  EXPECT_EQ(ShardNames("m.gguf"), std::vector<std::string>{"m.gguf"});
  EXPECT_EQ(ShardNames("m-00004-of-00003.gguf"), std::vector<std::string>{"m-00004-of-00003.gguf"});
}

TEST_F(Pull, NamingOneShardTakesAll) {
  const TestServer server(
      [&](const TestRequest& request) { return ServeFile(request, "GGUF" + request.target, "\"1\""); });
  const auto path = PullModel(server.url() + "/m-00002-of-00003.gguf");
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_TRUE(path->ends_with("/m-00002-of-00003.gguf"));
  for (const std::string& shard : ShardNames(*path)) EXPECT_TRUE(fs::exists(shard)) << shard;
}

TEST_F(Pull, ASetWithoutOneShardIsRefusedBeforeTheFirstByte) {
  const TestServer server([&](const TestRequest& request) {
    if (request.target == "/m-00003-of-00003.gguf") return TestResponse{404, {}, ""};
    return ServeFile(request, "GGUF" + request.target, "\"1\"");
  });
  const auto path = PullModel(server.url() + "/m-00001-of-00003.gguf");
  ASSERT_FALSE(path);
  EXPECT_NE(path.error().message.find("/m-00003-of-00003.gguf: found HTTP status 404"), std::string::npos)
      << path.error().message;
  for (const TestRequest& request : server.requests()) EXPECT_EQ(request.method, "HEAD");
  EXPECT_EQ(FilesBelow(), 0u);
}

TEST_F(Pull, TakesHuggingFaceNamesAndSendsTheToken) {
  const TestServer server(
      [&](const TestRequest& request) { return ServeFile(request, "GGUF and more", "\"1\""); });
  setenv("HF_ENDPOINT", server.url().c_str(), 1);
  setenv("HF_TOKEN", "secret", 1);
  const auto path = PullModel("hf:owner/repo/folder/m.gguf");
  unsetenv("HF_ENDPOINT");
  unsetenv("HF_TOKEN");
  ASSERT_TRUE(path) << path.error().message;
  EXPECT_EQ(server.requests()[0].target, "/owner/repo/resolve/main/folder/m.gguf");
  EXPECT_EQ(server.requests()[0].headers.at("authorization"), "Bearer secret");
  EXPECT_EQ(ResolveModel("hf:owner/repo/folder/m.gguf").value(), *path);
}

TEST_F(Pull, ChecksAFileThatIsThereAgainstTheHashThatIsAsked) {
  const TestServer server(
      [&](const TestRequest& request) { return ServeFile(request, "GGUF and more", "\"1\""); });
  const std::string url = server.url() + "/m.gguf";
  ASSERT_TRUE(PullModel(url));
  EXPECT_TRUE(PullModel(url));
  EXPECT_EQ(server.requests().size(), 1u);
  const auto wrong = PullModel(url, {std::string(64, '0')});
  ASSERT_FALSE(wrong);
  EXPECT_NE(wrong.error().message.find("SHA-256: found "), std::string::npos);
  EXPECT_EQ(PullModel(url, {"abc"}).error().kind, ErrorKind::kUsage);
}

TEST_F(Pull, RefusesWhatIsNoSource) {
  EXPECT_EQ(PullModel("smollm2-135n").error().message,
            "smollm2-135n: not a known model, did you mean smollm2-135m? (hone pull lists them; "
            "hf:OWNER/REPO/FILE and "
            "URLs work too)");
  EXPECT_EQ(PullModel("hf:owner/repo").error().kind, ErrorKind::kUsage);
  EXPECT_EQ(PullModel("ftp://host/file").error().kind, ErrorKind::kUsage);
}

TEST(RunProgram, GivesExitCodeAndTheLineThatSaysMost) {
  const auto end = RunProgram({"sh", "-c", "echo ERROR: no such thing >&2; echo bye >&2; exit 7"});
  ASSERT_TRUE(end);
  EXPECT_EQ(end->exit_code, 7);
  EXPECT_EQ(end->complaint, "ERROR: no such thing");
  EXPECT_FALSE(RunProgram({"no-such-program-anywhere"}));
}

}  // namespace
}  // namespace hone
