#include "core/downloads/model_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "core/downloads/known_models.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

class ModelCache : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "hone_cache_XXXXXX").string();
    folder_ = mkdtemp(name.data());
    setenv("XDG_CACHE_HOME", folder_.c_str(), 1);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(ModelCache, LiesInTheUsersCacheFolder) {
  EXPECT_EQ(ModelCacheFolder().value(), folder_.string() + "/hone/models");
  setenv("XDG_CACHE_HOME", "relative", 1);
  setenv("HOME", "/home/somebody", 1);
  EXPECT_EQ(ModelCacheFolder().value(), "/home/somebody/.cache/hone/models");
}

TEST_F(ModelCache, KeepsEverySourceApartAndInsideTheFolder) {
  const std::string root = folder_.string() + "/hone/models";
  EXPECT_EQ(PulledPath("smollm2-135m").value(), root + "/smollm2-135m.gguf");
  EXPECT_EQ(PulledPath("hf:owner/repo/file.gguf").value(), root + "/hf/owner/repo/file.gguf");
  EXPECT_EQ(PulledPath("https://host/a/../../b?c=d").value(), root + "/url/host/a/_/_/b_c_d");
  EXPECT_EQ(PulledPath("shakespeare").value(), root + "/shakespeare.txt");
  EXPECT_EQ(PulledPath("nonsense").error().kind, ErrorKind::kUsage);
}

TEST_F(ModelCache, ResolvesPathsAndPulledNamesAndSaysWhatToDoOtherwise) {
  EXPECT_EQ(ResolveModel(folder_.string()).value(), folder_.string());
  const auto missing = ResolveModel("gemma3-270m");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().message,
            "gemma3-270m: model: not on this machine, expected after: hone pull gemma3-270m");
  fs::create_directories(folder_ / "hone/models");
  const fs::path file = folder_ / "hone/models/gemma3-270m.gguf";
  std::ofstream(file) << "GGUF";
  EXPECT_EQ(ResolveModel("gemma3-270m").error().message,
            file.string() + ": size: 4 bytes, expected 253113024; remove it and run: hone pull gemma3-270m");
  fs::resize_file(file, 253113024);  // sparse
  EXPECT_EQ(ResolveModel("gemma3-270m").value(), folder_.string() + "/hone/models/gemma3-270m.gguf");
  const auto mistyped = ResolveModel("smollm-135m");
  ASSERT_FALSE(mistyped);
  EXPECT_EQ(mistyped.error().message,
            "smollm-135m: model: no such file, and not a known model's name, did you mean smollm2-135m?");
}

TEST(KnownModels, HaveAHashOfSixtyFourHexadecimalDigits) {
  for (const KnownModel& model : KnownModels()) {
    EXPECT_EQ(model.sha256.size(), 64u) << model.name;
    EXPECT_EQ(model.sha256.find_first_not_of("0123456789abcdef"), std::string_view::npos) << model.name;
    EXPECT_EQ(FindKnownModel(model.name), &model);
  }
}

}  // namespace
}  // namespace hone
