#include "language/serving/prefix_cache_file.h"

#include <gtest/gtest.h>

#include <fstream>
#include <random>

#include "language/serving/serving_fixture.h"
#include "scratch_folder.h"

namespace hone {
namespace {

using testing::ServedRequest;
using testing::SomePrompt;
using testing::TinyServer;

const ServingOptions kOptions{.schedule = "semi-pd", .step_rows = 64};

std::vector<ServedRequest> Requests() {
  std::vector<ServedRequest> requests(4);
  for (size_t i = 0; i < requests.size(); ++i) {
    requests[i].prompt = SomePrompt(static_cast<int64_t>(70 + 40 * i), static_cast<TokenId>(i % 2));
  }
  return requests;
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

TEST(PrefixCacheFile, CarriesPrefixesToTheNextEngineBitForBit) {
  ScratchFolder scratch;
  const std::string path = scratch.Path("prefixes");
  std::vector<std::vector<TokenId>> tokens;
  {
    TinyServer server(kOptions);
    EXPECT_EQ(server.serving->LoadPrefixes(path)->prefixes, 0) << "no file yet";
    for (const auto& answer : server.AskAll(Requests())) tokens.push_back(answer.tokens);
    const auto saved = server.serving->SavePrefixes(path);
    ASSERT_TRUE(saved) << saved.error().message;
    EXPECT_GT(saved->prefixes, 0);
  }
  TinyServer server(kOptions);
  const auto loaded = server.serving->LoadPrefixes(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_GT(loaded->tokens, 200);
  const auto answers = server.AskAll(Requests());
  for (size_t i = 0; i < answers.size(); ++i) {
    EXPECT_EQ(answers[i].tokens, tokens[i]) << i;
    const auto length = static_cast<int64_t>(Requests()[i].prompt.size());
    EXPECT_EQ(answers[i].reused, std::min(length - 1, length / 32 * 32)) << i;
  }
}

TEST(PrefixCacheFile, LoadsAsMuchAsThePagesHold) {
  ScratchFolder scratch;
  const std::string path = scratch.Path("prefixes");
  uint64_t used = 0;
  {
    TinyServer server(kOptions);
    server.AskAll(Requests());
    used = server.serving->executor().kv_used();
    ASSERT_TRUE(server.serving->SavePrefixes(path));
  }
  TinyServer server(kOptions, used * 3 / 4);
  const auto loaded = server.serving->LoadPrefixes(path);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_GT(loaded->prefixes, 0);
  EXPECT_LE(server.serving->executor().kv_used(), used * 3 / 4);
  for (const ServedRequest& request : Requests()) {
    EXPECT_EQ(server.AskAll({request})[0].finish, FinishReason::kLength);
  }
}

TEST(PrefixCacheFile, RefusesWhatIsDamagedOrMadeForSomethingElse) {
  ScratchFolder scratch;
  const std::string path = scratch.Path("prefixes");
  TinyServer server(kOptions);
  server.AskAll(Requests());
  ASSERT_TRUE(server.serving->SavePrefixes(path));
  const std::string good = ReadAll(path);
  const auto expect_refused = [&](const std::string& bytes, const std::string& what) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    TinyServer other(kOptions);
    const auto loaded = other.serving->LoadPrefixes(path);
    ASSERT_FALSE(loaded) << what;
    EXPECT_EQ(loaded.error().kind, ErrorKind::kBadInput);
    EXPECT_NE(loaded.error().message.find(path), std::string::npos) << loaded.error().message;
    EXPECT_EQ(other.serving->executor().prefixes().nodes(), 0) << "a cold start: " << what;
    EXPECT_EQ(other.serving->executor().kv_used(), 0u) << what;
  };
  expect_refused("", "an empty file");
  expect_refused("something else entirely, and longer than a head", "another format");
  expect_refused(good.substr(0, good.size() / 2), "cut in the middle");
  expect_refused(good.substr(0, good.size() - 1), "cut at the end");
  expect_refused(good + "x", "a byte too many");
  std::mt19937 random(5);
  for (int i = 0; i < 12; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1 << (random() % 8));
    expect_refused(bad, "a flipped bit");
  }
  std::ofstream(path, std::ios::binary | std::ios::trunc) << good;
  ServingOptions exact = kOptions;
  exact.mode = NumericMode::kExact;
  TinyServer other(exact);
  const auto loaded = other.serving->LoadPrefixes(path);
  ASSERT_FALSE(loaded);
  EXPECT_NE(loaded.error().message.find("numeric mode"), std::string::npos) << loaded.error().message;
}

}  // namespace
}  // namespace hone
